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
	return sos_error_set(error, SOS_ERROR_OWNED, "%s owns the pool \"%s\" on this Engine: end it or choose another name",
			     who, pool_name);
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

static int lock_file(const char *path, const char *pool_name, int *out, struct sos_error *error)
{
	for (;;) {
		SOS_AUTO_CLOSE int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
		if (fd < 0)
			return sos_error_errno(error, SOS_ERROR_SYSTEM, errno, "open \"%s\"", path);
		if (flock(fd, LOCK_EX | LOCK_NB)) {
			if (errno == EINTR)
				continue;
			if (errno != EWOULDBLOCK)
				return sos_error_errno(error, SOS_ERROR_SYSTEM, errno, "lock \"%s\"", path);
			return owned_by(read_pid(fd), pool_name, error);
		}
		if (!is_current(fd, path))
			continue;
		/* The pid is for a message only: a lock without it holds all the same. */
		char pid[32];
		int length = snprintf(pid, sizeof(pid), "%ld\n", (long)getpid());
		if (ftruncate(fd, 0) || pwrite(fd, pid, (size_t)length, 0) != length)
			return sos_error_errno(error, SOS_ERROR_SYSTEM, errno, "write \"%s\"", path);
		*out = sos_steal_fd(&fd);
		return 0;
	}
}

static long socket_holder(const struct sockaddr_un *address, socklen_t length)
{
	SOS_AUTO_CLOSE int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct ucred peer = { 0 };
	socklen_t size = sizeof(peer);
	if (fd < 0 || connect(fd, (const struct sockaddr *)address, length) ||
	    getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size))
		return 0;
	return peer.pid;
}

static int lock_name(const char *key, const char *pool_name, int *out, struct sos_error *error)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
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

int sos_owner_new(const char *directory, const char *key, const char *pool_name, struct sos_owner **owner,
		  struct sos_error *error)
{
	size_t size = (directory ? strlen(directory) : 0) + strlen(key) + 16;
	SOS_AUTO_FREE struct sos_owner *o = calloc(1, sizeof(*o) + size);
	if (!o)
		return sos_error_nomem(error);
	if (directory)
		snprintf(o->path, size, "%s/%s.lock", directory, key);
	int r = directory ? lock_file(o->path, pool_name, &o->fd, error) : lock_name(key, pool_name, &o->fd, error);
	if (r)
		return r;
	*owner = SOS_STEAL(o);
	return 0;
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
