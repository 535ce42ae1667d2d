/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "sockets.h"

#include <dirent.h>
#include <fcntl.h>
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

/* The duplicate is judged again: between judging and duplicating the number could become another file's. */
void sos_sockets_visit(struct sos_socket_visit *visit)
{
	DIR *directory = opendir("/proc/self/fd");
	if (!directory)
		return;
	bool done = false;
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
	closedir(directory);
}
