/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "connections.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define BODY_LIMIT_NS (60 * INT64_C(1000000000))
#define IDLE_LIMIT_MS 1000
#define LINGER_BYTES ((size_t)4 << 20)
#define LINGER_MS 500

static pthread_mutex_t table = PTHREAD_MUTEX_INITIALIZER;
static struct sos_connection *first;

struct socket_visit {
	uint16_t local_port;
	/* `fd` is a duplicate that is closed afterwards unless true is returned, which also ends the visits. */
	bool (*visit)(struct socket_visit *visit, int fd);
	const struct sos_connection *wanted;
	int found;
	bool starving;
};

void sos_connection_add(struct sos_connection *connection)
{
	pthread_mutex_lock(&table);
	connection->previous = NULL;
	connection->next = first;
	if (first)
		first->previous = connection;
	first = connection;
	pthread_mutex_unlock(&table);
}

void sos_connection_remove(struct sos_connection *connection)
{
	pthread_mutex_lock(&table);
	if (connection->next)
		connection->next->previous = connection->previous;
	if (connection->previous)
		connection->previous->next = connection->next;
	else
		first = connection->next;
	pthread_mutex_unlock(&table);
}

void sos_connection_set_body(struct sos_connection *connection, int64_t since)
{
	pthread_mutex_lock(&table);
	connection->body_since = since;
	pthread_mutex_unlock(&table);
}

static bool has_local_port(int fd, uint16_t port)
{
	struct sockaddr_in local;
	socklen_t length = sizeof(local);
	return getsockname(fd, (struct sockaddr *)&local, &length) == 0 && local.sin_family == AF_INET &&
	       ntohs(local.sin_port) == port;
}

static bool get_peer(int fd, struct sockaddr_in *peer)
{
	socklen_t length = sizeof(*peer);
	return getpeername(fd, (struct sockaddr *)peer, &length) == 0 && peer->sin_family == AF_INET;
}

static bool is_peer(const struct sos_connection *connection, const struct sockaddr_in *peer)
{
	struct in_addr address;
	return connection->port == ntohs(peer->sin_port) && inet_pton(AF_INET, connection->address, &address) == 1 &&
	       address.s_addr == peer->sin_addr.s_addr;
}

/* Show every socket on the port. The duplicate is judged again: between judging and duplicating the number could
 * become another file's. */
static void visit_sockets(struct socket_visit *visit)
{
	DIR *directory = opendir("/proc/self/fd");
	if (!directory)
		return;
	bool done = false;
	for (struct dirent *entry; !done && (entry = readdir(directory));) {
		if (entry->d_name[0] == '.' || atoi(entry->d_name) == dirfd(directory))
			continue;
		int seen = atoi(entry->d_name);
		int fd = has_local_port(seen, visit->local_port) ? fcntl(seen, F_DUPFD_CLOEXEC, 3) : -1;
		if (fd < 0)
			continue;
		if (has_local_port(fd, visit->local_port))
			done = visit->visit(visit, fd);
		if (!done)
			close(fd);
	}
	closedir(directory);
}

static bool visit_wanted(struct socket_visit *visit, int fd)
{
	struct sockaddr_in peer;
	if (!get_peer(fd, &peer) || !is_peer(visit->wanted, &peer))
		return false;
	visit->found = fd;
	return true;
}

int sos_connection_descriptor(const struct sos_connection *connection)
{
	struct socket_visit visit = {
		.local_port = connection->local_port, .visit = visit_wanted, .wanted = connection, .found = -1
	};
	visit_sockets(&visit);
	return visit.found;
}

int sos_connection_unread(const struct sos_connection *connection)
{
	int unread = -1, fd = sos_connection_descriptor(connection);
	if (fd < 0)
		return -1;
	if (ioctl(fd, FIONREAD, &unread) < 0)
		unread = -1;
	close(fd);
	return unread;
}

void sos_connection_linger(const struct sos_connection *connection)
{
	char scratch[8192];
	size_t total = 0;
	struct pollfd waiting = { .fd = sos_connection_descriptor(connection), .events = POLLIN };
	if (waiting.fd < 0)
		return;
	shutdown(waiting.fd, SHUT_WR);
	while (total < LINGER_BYTES && poll(&waiting, 1, LINGER_MS) == 1) {
		ssize_t n = recv(waiting.fd, scratch, sizeof(scratch), MSG_DONTWAIT);
		if (n <= 0)
			break;
		total += (size_t)n;
	}
	close(waiting.fd);
}

enum busy { BUSY_NO, BUSY_YES, BUSY_TOO_SLOW };

static enum busy busy_state(const struct sockaddr_in *peer)
{
	struct timespec now;
	enum busy state = BUSY_NO;
	clock_gettime(CLOCK_MONOTONIC, &now);
	int64_t now_ns = (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
	pthread_mutex_lock(&table);
	for (const struct sos_connection *c = first; c && state == BUSY_NO; c = c->next)
		if (is_peer(c, peer))
			state = c->body_since && now_ns - c->body_since > BODY_LIMIT_NS ? BUSY_TOO_SLOW : BUSY_YES;
	pthread_mutex_unlock(&table);
	return state;
}

/* Nothing arrived for a while and nothing waits to be read. */
static bool is_silent(int fd)
{
	struct tcp_info info;
	socklen_t length = sizeof(info);
	int waiting = 0;
	return ioctl(fd, FIONREAD, &waiting) == 0 && waiting == 0 &&
	       getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &length) == 0 && info.tcpi_last_data_recv > IDLE_LIMIT_MS;
}

static bool visit_sweep(struct socket_visit *visit, int fd)
{
	struct sockaddr_in peer;
	if (!get_peer(fd, &peer))
		return false;
	enum busy busy = busy_state(&peer);
	if (busy == BUSY_TOO_SLOW || (busy == BUSY_NO && visit->starving && is_silent(fd)))
		shutdown(fd, SHUT_RDWR);
	return false;
}

void sos_connections_sweep(uint16_t local_port, bool starving)
{
	struct socket_visit visit = { .local_port = local_port, .visit = visit_sweep, .starving = starving };
	visit_sockets(&visit);
}

static bool visit_hang_up(struct socket_visit *visit, int fd)
{
	struct sockaddr_in peer;
	if (get_peer(fd, &peer) && busy_state(&peer) == BUSY_NO)
		shutdown(fd, SHUT_RD);
	return false;
}

void sos_connections_hang_up(uint16_t local_port)
{
	struct socket_visit visit = { .local_port = local_port, .visit = visit_hang_up };
	visit_sockets(&visit);
}

static bool visit_abort(struct socket_visit *visit, int fd)
{
	struct sockaddr_in peer;
	if (get_peer(fd, &peer))
		shutdown(fd, SHUT_RDWR);
	return false;
}

void sos_connections_abort(uint16_t local_port)
{
	struct socket_visit visit = { .local_port = local_port, .visit = visit_abort };
	visit_sockets(&visit);
}

static bool visit_listener(struct socket_visit *visit, int fd)
{
	int listening = 0;
	socklen_t length = sizeof(listening);
	if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &length) == 0 && listening)
		shutdown(fd, SHUT_RDWR);
	return false;
}

void sos_connections_stop_listening(uint16_t local_port)
{
	struct socket_visit visit = { .local_port = local_port, .visit = visit_listener };
	visit_sockets(&visit);
}
