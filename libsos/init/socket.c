/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "init/socket.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

bool sos_socket_is_ours(const char *nonce)
{
	char text[33];
	int fd = open(SOS_NONCE_PATH, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW);
	if (fd < 0)
		return false;
	ssize_t n = read(fd, text, sizeof text);
	close(fd);
	return n >= 32 && (n == 32 || text[32] == '\n') && memcmp(text, nonce, 32) == 0;
}

int sos_socket_dial(int *connected)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = SOS_SOCKET_PATH};
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof address) == 0) {
		*connected = fd;
		return 0;
	}
	int e = errno;
	if (fd >= 0)
		close(fd);
	return e == EACCES || e == EPERM || e == EPROTOTYPE || e == EOPNOTSUPP || e == ENOTSOCK || e == ENXIO ||
			       e == EINVAL || e == EAFNOSUPPORT || e == EPROTONOSUPPORT
		       ? -e
		       : e;
}

int sos_socket_send(int fd, const void *data, size_t length, const int *fds, unsigned count)
{
	union {
		struct cmsghdr head;
		char bytes[CMSG_SPACE(sizeof(int) * SOS_FRAME_FDS)];
	} control = {0};
	struct iovec iov = {.iov_base = (void *)(uintptr_t)data, .iov_len = length};
	struct msghdr message = {.msg_iov = &iov, .msg_iovlen = 1};
	if (count) {
		message.msg_control = &control;
		message.msg_controllen = CMSG_SPACE(sizeof(int) * count);
		control.head.cmsg_level = SOL_SOCKET;
		control.head.cmsg_type = SCM_RIGHTS;
		control.head.cmsg_len = CMSG_LEN(sizeof(int) * count);
		memcpy(CMSG_DATA(&control.head), fds, sizeof(int) * count);
	}
	if (sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT) >= 0)
		return 1;
	return errno == EAGAIN || errno == EINTR || errno == ENOBUFS || errno == ENOMEM || errno == ETOOMANYREFS ? 0
														 : -1;
}

void sos_socket_close_all(const int *fds, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		if (fds[i] >= 0)
			close(fds[i]);
}

/* The descriptors of a packet; -1: there were more than fit, and all are closed. */
static int take_fds(struct msghdr *message, int fds[SOS_FRAME_FDS])
{
	unsigned count = 0;
	bool bad = message->msg_flags & (MSG_TRUNC | MSG_CTRUNC);
	for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c; c = CMSG_NXTHDR(message, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		size_t n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (size_t i = 0; i < n; i++) {
			int fd;
			memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof fd);
			if (count < SOS_FRAME_FDS)
				fds[count++] = fd;
			else
				bad = close(fd) || true;
		}
	}
	if (bad) {
		sos_socket_close_all(fds, count);
		return -1;
	}
	return (int)count;
}

ssize_t sos_socket_receive(int fd, void *data, size_t capacity, int fds[SOS_FRAME_FDS], unsigned *count)
{
	union {
		struct cmsghdr head;
		char bytes[CMSG_SPACE(sizeof(int) * SOS_FRAME_FDS)];
	} control;
	struct iovec iov = {.iov_base = data, .iov_len = capacity};
	struct msghdr message = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
	*count = 0;
	ssize_t n = recvmsg(fd, &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
	if (n <= 0)
		return n < 0 && (errno == EAGAIN || errno == EINTR) ? -EAGAIN : 0;
	int got = take_fds(&message, fds);
	if (got < 0)
		return -EBADMSG;
	*count = (unsigned)got;
	return n;
}
