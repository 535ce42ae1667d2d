/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The unix socket of a link: a directory of its own that the container sees
 * read-only, a listener that is there only while nobody is connected, and
 * peers that are judged by their pid. We never connect to anything in there. */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include "util/error.h"
#include "util/guard.h"

#include "core/link_internal.h"

static int socket_path(const struct sos_link *link, struct sockaddr_un *address)
{
	*address = (struct sockaddr_un){ .sun_family = AF_UNIX };
	int n = snprintf(address->sun_path, sizeof(address->sun_path), "%s/s", link->directory);
	return n > 0 && (size_t)n < sizeof(address->sun_path) ? 0 : -ENAMETOOLONG;
}

static void accept_peers(struct sos_watch *watch, uint32_t events);
static void read_frames(struct sos_watch *watch, uint32_t events);

/* Loop's thread, or before the link is known to anybody. */
static int listen_here(struct sos_link *link)
{
	struct sockaddr_un address;
	int r = socket_path(link, &address);
	if (r < 0)
		return r;
	SOS_AUTO_CLOSE int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	unlink(address.sun_path);
	/* Anybody in the container may dial, whatever its user: who it is decides. */
	if (bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 || chmod(address.sun_path, 0666) < 0 ||
	    listen(fd, 16) < 0)
		return -errno;
	link->listener = (struct sos_watch){ .ready = accept_peers, .fd = fd };
	r = sos_loop_add(link->loop, &link->listener, EPOLLIN);
	if (r < 0) {
		link->listener.fd = -1;
		return r;
	}
	sos_steal_fd(&fd);
	return 0;
}

static void stop_listening(struct sos_link *link)
{
	struct sockaddr_un address;
	sos_loop_remove(link->loop, &link->listener);
	if (link->listener.fd < 0)
		return;
	close(link->listener.fd);
	link->listener.fd = -1;
	if (socket_path(link, &address) == 0)
		unlink(address.sun_path);
}

static int write_nonce(const struct sos_link *link)
{
	char path[160], hex[33];
	int n = snprintf(path, sizeof(path), "%s/nonce", link->directory);
	if (n < 0 || (size_t)n >= sizeof(path))
		return -ENAMETOOLONG;
	for (int i = 0; i < 16; i++)
		snprintf(hex + 2 * i, 3, "%02x", link->options.nonce[i]);
	SOS_AUTO_CLOSE int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	if (fd < 0 || fchmod(fd, 0644) < 0)
		return -errno;
	ssize_t written = write(fd, hex, 32);
	return written < 0 ? -errno : written == 32 ? 0 : -ENOSPC;
}

int sos_link_socket_open(struct sos_link *link, struct sos_error *error)
{
	struct sockaddr_un address;
	if (socket_path(link, &address) < 0)
		return sos_error_set(error, SOS_ERROR_LIMIT,
				     "runtime directory is too long for a socket: \"%s\": choose a shorter one",
				     link->directory);
	int r = 0;
	if (mkdir(link->directory, 0755) < 0 || chmod(link->directory, 0755) < 0)
		r = -errno;
	if (r == 0)
		r = write_nonce(link);
	if (r == 0)
		r = listen_here(link);
	return r == 0 ? 0 : sos_error_errno(error, SOS_ERROR_SYSTEM, -r, "cannot make \"%s\"", link->directory);
}

/* The init is gone for good, whatever its socket says. */
static void init_ended(struct sos_watch *watch, uint32_t events)
{
	struct sos_link *link = sos_list_entry(watch, struct sos_link, pidfd);
	if (link->conn.fd >= 0)
		read_frames(&link->conn, EPOLLIN); /* its last words */
	sos_loop_remove(link->loop, watch);
	sos_link_lost(link, SOS_ERROR_LOST, "the container ended");
}

static void watch_init(struct sos_link *link)
{
	if (link->pidfd.fd >= 0)
		return;
	int fd = (int)syscall(SYS_pidfd_open, link->pid, 0);
	if (fd < 0)
		return; /* an old kernel: the broken connection and its grace tell */
	fcntl(fd, F_SETFD, FD_CLOEXEC);
	link->pidfd = (struct sos_watch){ .ready = init_ended, .fd = fd };
	sos_loop_add(link->loop, &link->pidfd, EPOLLIN);
}

static void adopt(struct sos_link *link, int fd)
{
	{
		SOS_LOCKED(&link->lock);
		link->conn = (struct sos_watch){ .ready = read_frames, .fd = fd };
	}
	if (sos_loop_add(link->loop, &link->conn, EPOLLIN) < 0) {
		SOS_LOCKED(&link->lock);
		close(fd);
		link->conn.fd = -1;
		return;
	}
	watch_init(link);
	stop_listening(link);
}

void sos_link_socket_judge(struct sos_link *link)
{
	pid_t pid;
	{
		SOS_LOCKED(&link->lock);
		pid = link->pid;
	}
	for (int i = 0; pid > 0 && i < SOS_LINK_PARKED; i++) {
		int fd = sos_steal_fd(&link->parked[i].fd);
		if (fd < 0)
			continue;
		if (link->parked[i].pid == pid && link->conn.fd < 0)
			adopt(link, fd);
		else
			close(fd);
	}
}

static void park(struct sos_link *link, int fd, pid_t pid)
{
	for (int i = 0; i < SOS_LINK_PARKED; i++) {
		if (link->parked[i].fd >= 0)
			continue;
		link->parked[i].fd = fd;
		link->parked[i].pid = pid;
		return;
	}
	close(fd);
}

static void accept_peers(struct sos_watch *watch, uint32_t events)
{
	struct sos_link *link = sos_list_entry(watch, struct sos_link, listener);
	for (int i = 0; i < 32; i++) {
		int fd = accept4(watch->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
		if (fd < 0)
			break;
		struct ucred peer = { 0 };
		socklen_t length = sizeof(peer);
		if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length) < 0) {
			close(fd);
		} else if (peer.pid == 0) {
			/* We live in another pid namespace than the Engine: nobody can be told apart. */
			close(fd);
			SOS_LOCKED(&link->lock);
			link->no_socket = true;
			uint64_t one = 1;
			if (link->waiter_fd >= 0 && write(link->waiter_fd, &one, sizeof(one)) < 0) {
				/* it is readable already */
			}
		} else {
			park(link, fd, peer.pid);
		}
	}
	sos_link_socket_judge(link);
}

void sos_link_socket_drop(struct sos_link *link)
{
	int fd;
	sos_loop_remove(link->loop, &link->conn);
	{
		SOS_LOCKED(&link->lock);
		fd = sos_steal_fd(&link->conn.fd);
	}
	if (fd < 0)
		return;
	close(fd);
	sos_link_broken(link);
	if (!sos_link_ended(link) && link->listener.fd < 0)
		listen_here(link);
}

/* Descriptors come only with CHILD frames, which we do not ask for: whatever comes is closed. */
static void close_descriptors(struct msghdr *message)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c; c = CMSG_NXTHDR(message, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		size_t count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (size_t i = 0; i < count; i++) {
			int fd;
			memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(int));
			close(fd);
		}
	}
}

static void read_frames(struct sos_watch *watch, uint32_t events)
{
	struct sos_link *link = sos_list_entry(watch, struct sos_link, conn);
	char *scratch = sos_loop_scratch(link->loop);
	for (int i = 0; i < 64; i++) {
		char control[CMSG_SPACE(sizeof(int) * SOS_FRAME_FDS)];
		struct iovec iov = { scratch, SOS_LOOP_SCRATCH };
		struct msghdr message = {
			.msg_iov = &iov, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control),
		};
		ssize_t n = recvmsg(watch->fd, &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (n <= 0) {
			sos_link_socket_drop(link);
			return;
		}
		close_descriptors(&message);
		struct sos_frame frame;
		if ((message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) ||
		    sos_frame_parse(scratch, (size_t)n, &frame) != n || !sos_link_frame(link, &frame, false)) {
			sos_link_lost(link, SOS_ERROR_LOST, "its sos-init broke the protocol");
			sos_link_socket_drop(link);
			return;
		}
	}
}

int sos_link_socket_send(struct sos_link *link, const void *frame, size_t length, const int *fds, size_t fd_count)
{
	if (link->conn.fd < 0)
		return -ENOTCONN;
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(sizeof(int) * SOS_FRAME_FDS)];
	} control;
	struct iovec iov = { (void *)frame, length };
	struct msghdr message = { .msg_iov = &iov, .msg_iovlen = 1 };
	if (fd_count) {
		memset(&control, 0, sizeof(control));
		message.msg_control = control.bytes;
		message.msg_controllen = CMSG_SPACE(sizeof(int) * fd_count);
		struct cmsghdr *c = CMSG_FIRSTHDR(&message);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int) * fd_count);
		memcpy(CMSG_DATA(c), fds, sizeof(int) * fd_count);
	}
	ssize_t n;
	do
		n = sendmsg(link->conn.fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : 0;
}

void sos_link_socket_free(struct sos_link *link)
{
	/* Once conn cannot run any more nothing makes the listener again, and the other way round: remove both twice. */
	for (int i = 0; i < 2; i++) {
		sos_loop_remove(link->loop, &link->listener);
		sos_loop_remove(link->loop, &link->conn);
		sos_loop_remove(link->loop, &link->pidfd);
	}
	if (link->directory) {
		char path[160];
		stop_listening(link);
		static const char *const files[] = { "nonce", SOS_LINK_TEXT, SOS_LINK_RETURN };
		for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
			snprintf(path, sizeof(path), "%s/%s", link->directory, files[i]);
			unlink(path);
		}
		rmdir(link->directory);
	}
	for (int i = 0; i < SOS_LINK_PARKED; i++)
		if (link->parked[i].fd >= 0)
			close(link->parked[i].fd);
	if (link->conn.fd >= 0)
		close(link->conn.fd);
	if (link->pidfd.fd >= 0)
		close(link->pidfd.fd);
}
