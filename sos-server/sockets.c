/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "sockets.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

static bool has_local_port(int fd, uint16_t port)
{
	struct sockaddr_in local;
	socklen_t length = sizeof(local);
	return getsockname(fd, (struct sockaddr *)&local, &length) == 0 && local.sin_family == AF_INET &&
	       ntohs(local.sin_port) == port;
}

bool sos_socket_peer(int fd, struct sockaddr_in *peer)
{
	socklen_t length = sizeof(*peer);
	return getpeername(fd, (struct sockaddr *)peer, &length) == 0 && peer->sin_family == AF_INET;
}

/* One visit at a time: a duplicate that another visit made for a moment must not be taken for civetweb's descriptor. */
static pthread_mutex_t visits = PTHREAD_MUTEX_INITIALIZER;

/* The duplicate is judged again: between judging and duplicating the number could become another file's. */
void sos_sockets_visit(struct sos_socket_visit *visit)
{
	DIR *directory = opendir("/proc/self/fd");
	if (!directory)
		return;
	bool done = false;
	pthread_mutex_lock(&visits);
	for (struct dirent *entry; !done && (entry = readdir(directory));) {
		int number = visit->number = atoi(entry->d_name);
		if (entry->d_name[0] == '.' || number == dirfd(directory))
			continue;
		int fd = has_local_port(number, visit->local_port) ? fcntl(number, F_DUPFD_CLOEXEC, 3) : -1;
		if (fd < 0)
			continue;
		if (has_local_port(fd, visit->local_port))
			done = visit->visit(visit, fd);
		if (!done)
			close(fd);
	}
	pthread_mutex_unlock(&visits);
	closedir(directory);
}

bool sos_socket_send(int fd, const void *data, size_t length, int timeout_ms)
{
	const char *p = data;
	while (length) {
		struct pollfd room = { .fd = fd, .events = POLLOUT };
		ssize_t n = send(fd, p, length, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n > 0) {
			p += n;
			length -= (size_t)n;
		} else if (n == 0 || (errno != EINTR && errno != EAGAIN && errno != EWOULDBLOCK)) {
			return false;
		} else if (errno != EINTR && poll(&room, 1, timeout_ms) == 0) {
			return false;
		}
	}
	return true;
}
