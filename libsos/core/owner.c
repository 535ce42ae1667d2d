/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "core/owner.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "util/error.h"
#include "util/guard.h"

struct sos_owner {
	int fd;
	char path[]; /* "" : a socket */
};

static uint64_t hash_more(uint64_t hash, const char *text)
{
	for (; *text; text++)
		hash = (hash ^ (unsigned char)*text) * UINT64_C(1099511628211);
	return (hash ^ 0xff) * UINT64_C(1099511628211);
}

void sos_owner_key(const char *engine_id, const char *pool_name, char key[13])
{
	uint64_t hash = hash_more(hash_more(UINT64_C(14695981039346656037), engine_id), pool_name);
	snprintf(key, 13, "%012llx", (unsigned long long)(hash >> 16 ^ hash) & 0xffffffffffffULL);
}

static int owned_by(long pid, const char *pool_name, struct sos_error *error)
{
	char who[48] = "another process";
	if (pid > 0)
		snprintf(who, sizeof(who), "%s %ld", pid == (long)getpid() ? "this very process," : "process", pid);
	return sos_error_set(error, SOS_ERROR_OWNED,
			     "%s owns the pool \"%s\" on this Engine: end it or choose another name", who, pool_name);
}

static long read_pid(int fd)
{
	char text[32];
	ssize_t n = pread(fd, text, sizeof(text) - 1, 0);
	if (n <= 0)
		return 0;
	text[n] = 0;
	return atol(text);
}

/* The file that `path` names now is the one that is open: nobody unlinked it between open and lock. */
static bool is_current(int fd, const char *path)
{
	struct stat ours, named;
	return !fstat(fd, &ours) && !stat(path, &named) && ours.st_ino == named.st_ino && ours.st_dev == named.st_dev;
}

/* 0 with the lock held; EWOULDBLOCK: another has it; or another errno. `flags` of open. */
static int try_lock(const char *path, int flags, int *out)
{
	for (;;) {
		SOS_AUTO_CLOSE int fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW | flags, 0600);
		if (fd < 0)
			return errno;
		int r;
		while ((r = flock(fd, LOCK_EX | LOCK_NB)) && errno == EINTR)
			;
		if (r && errno != EWOULDBLOCK)
			return errno;
		if (!r && !is_current(fd, path))
			continue;
		int locked = r ? EWOULDBLOCK : 0;
		*out = sos_steal_fd(&fd);
		return locked;
	}
}

static int lock_file(const char *path, const char *engine_id, const char *pool_name, bool unique, int *out,
		     struct sos_error *error)
{
	SOS_AUTO_CLOSE int fd = -1;
	int r = try_lock(path, O_CREAT, &fd);
	if (r == EWOULDBLOCK)
		return owned_by(read_pid(fd), pool_name, error);
	if (r)
		return sos_error_errno(error, SOS_ERROR_SYSTEM, r, "lock \"%s\"", path);
	/* For messages and for whoever finds it when we are gone: the lock holds without it. */
	char text[512];
	int length = snprintf(text, sizeof(text), "%ld\n%s\n%s\n%s\n", (long)getpid(), unique ? "unique" : "named",
			      pool_name, engine_id);
	if (ftruncate(fd, 0) || pwrite(fd, text, (size_t)length, 0) != length)
		return sos_error_errno(error, SOS_ERROR_SYSTEM, errno, "write \"%s\"", path);
	*out = sos_steal_fd(&fd);
	return 0;
}

static long socket_holder(const struct sockaddr_un *address, socklen_t length)
{
	SOS_AUTO_CLOSE int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct ucred peer = {0};
	socklen_t size = sizeof(peer);
	if (fd < 0 || connect(fd, (const struct sockaddr *)address, length) ||
	    getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size))
		return 0;
	return peer.pid;
}

static int lock_name(const char *key, const char *pool_name, int *out, struct sos_error *error)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int name = snprintf(address.sun_path + 1, sizeof(address.sun_path) - 1, "sos-%s", key);
	socklen_t length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)name);
	SOS_AUTO_CLOSE int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return sos_error_errno(error, SOS_ERROR_SYSTEM, errno, "socket");
	if (bind(fd, (const struct sockaddr *)&address, length)) {
		if (errno == EADDRINUSE)
			return owned_by(socket_holder(&address, length), pool_name, error);
		return sos_error_errno(error, SOS_ERROR_SYSTEM, errno, "bind the name of the pool's lock");
	}
	/* It listens only so that another process can ask for our pid. */
	if (listen(fd, 1))
		return sos_error_errno(error, SOS_ERROR_SYSTEM, errno, "listen");
	*out = sos_steal_fd(&fd);
	return 0;
}

static struct sos_owner *allocate(const char *directory, const char *file)
{
	size_t size = directory ? strlen(directory) + strlen(file) + 2 : 1;
	struct sos_owner *owner = calloc(1, sizeof(*owner) + size);
	if (owner && directory)
		snprintf(owner->path, size, "%s/%s", directory, file);
	return owner;
}

int sos_owner_new(const char *directory, const char *key, const char *engine_id, const char *pool_name, bool unique,
		  struct sos_owner **owner, struct sos_error *error)
{
	char file[32];
	snprintf(file, sizeof(file), "%s.lock", key);
	SOS_AUTO_FREE struct sos_owner *o = allocate(directory, file);
	if (!o)
		return sos_error_nomem(error);
	int r = directory ? lock_file(o->path, engine_id, pool_name, unique, &o->fd, error)
			  : lock_name(key, pool_name, &o->fd, error);
	if (r)
		return r;
	*owner = SOS_STEAL(o);
	return 0;
}

/* What lock_file wrote, taken apart: true if it is a unique name on that Engine. */
static bool read_stale(int fd, const char *engine_id, char pool_name[65])
{
	char text[512], kind[8], id[128];
	ssize_t n = pread(fd, text, sizeof(text) - 1, 0);
	text[n > 0 ? n : 0] = 0;
	return sscanf(text, "%*d\n%7s\n%64s\n%127[^\n]\n", kind, pool_name, id) == 3 && !strcmp(kind, "unique") &&
	       !strcmp(id, engine_id);
}

struct sos_owner *sos_owner_stale(const char *directory, const char *file, const char *engine_id, char pool_name[65])
{
	size_t length = strlen(file);
	if (length < 5 || strcmp(file + length - 5, ".lock"))
		return NULL;
	SOS_AUTO_FREE struct sos_owner *owner = allocate(directory, file);
	SOS_AUTO_CLOSE int fd = -1;
	if (!owner || try_lock(owner->path, 0, &fd) || !read_stale(fd, engine_id, pool_name))
		return NULL;
	owner->fd = sos_steal_fd(&fd);
	return SOS_STEAL(owner);
}

void sos_owner_leave(struct sos_owner *owner)
{
	close(owner->fd);
	free(owner);
}

void sos_owner_free(struct sos_owner *owner)
{
	if (!owner)
		return;
	/* While it is locked: whoever waits for this very file sees that it is no longer the named one. */
	if (owner->path[0])
		unlink(owner->path);
	close(owner->fd);
	free(owner);
}
