/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "connections.h"

#include <arpa/inet.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "sockets.h"

#define MS INT64_C(1000000) /* in ns */
#define STALL_NS (5000 * MS)          /* for a piece of a body (request.c) */
#define STALL_STARVING_NS (1000 * MS)
#define STALL_CROWDED_NS (100 * MS)   /* when others want to send theirs */
#define HEAD_LIMIT_MS 400
#define HEAD_LIMIT_NS (HEAD_LIMIT_MS * MS)
#define LINGER_BYTES ((size_t)4 << 20)
#define LINGER_MS 500
#define LINGER_TOTAL_NS (2000 * MS)

static pthread_mutex_t table = PTHREAD_MUTEX_INITIALIZER;
static struct sos_connection *first;

static int64_t now_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

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

void sos_connection_replace(struct sos_connection *connection, struct sos_connection *other)
{
	pthread_mutex_lock(&table);
	other->previous = connection->previous;
	other->next = connection->next;
	if (other->next)
		other->next->previous = other;
	if (other->previous)
		other->previous->next = other;
	else
		first = other;
	pthread_mutex_unlock(&table);
}

static bool is_peer(const struct sos_connection *connection, const struct sockaddr_in *peer)
{
	struct in_addr address;
	return connection->port == ntohs(peer->sin_port) && inet_pton(AF_INET, connection->address, &address) == 1 &&
	       address.s_addr == peer->sin_addr.s_addr;
}

struct wanted {
	const struct sos_connection *connection;
	int found;
};

static bool visit_wanted(struct sos_socket_visit *visit, int fd)
{
	struct wanted *wanted = visit->data;
	struct sockaddr_in peer;
	if (!sos_socket_peer(fd, &peer) || !is_peer(wanted->connection, &peer))
		return false;
	wanted->found = fd;
	return true;
}

int sos_connection_descriptor(const struct sos_connection *connection, int *number)
{
	struct wanted wanted = { .connection = connection, .found = -1 };
	struct sos_socket_visit visit = {
		.local_port = connection->local_port, .visit = visit_wanted, .data = &wanted
	};
	sos_sockets_visit(&visit);
	if (number)
		*number = visit.number;
	return wanted.found;
}

int sos_connection_unread(const struct sos_connection *connection)
{
	int unread = -1, fd = sos_connection_descriptor(connection, NULL);
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
	int64_t deadline = now_ns() + LINGER_TOTAL_NS;
	struct pollfd waiting = { .fd = sos_connection_descriptor(connection, NULL), .events = POLLIN };
	if (waiting.fd < 0)
		return;
	shutdown(waiting.fd, SHUT_WR);
	while (total < LINGER_BYTES && now_ns() < deadline && poll(&waiting, 1, LINGER_MS) == 1) {
		ssize_t n = recv(waiting.fd, scratch, sizeof(scratch), MSG_DONTWAIT);
		if (n <= 0)
			break;
		total += (size_t)n;
	}
	close(waiting.fd);
}

/* ---- bodies ---- */

static bool reads_body(const struct sos_connection *connection)
{
	return connection->body_since && !connection->too_slow;
}

static unsigned count_bodies(void)
{
	unsigned count = 0;
	for (const struct sos_connection *c = first; c; c = c->next)
		count += reads_body(c);
	return count;
}

static struct sos_connection *longest_waiting(int64_t before)
{
	struct sos_connection *found = NULL;
	for (struct sos_connection *c = first; c; c = c->next)
		if (reads_body(c) && c->body_since < (found ? found->body_since : before))
			found = c;
	return found;
}

/* How many were marked as too slow. Finding their descriptors costs milliseconds, so if any then a quarter of them. */
static unsigned mark_slowest(unsigned limit)
{
	unsigned marked = 0, count = count_bodies();
	struct sos_connection *slowest;
	if (count <= limit)
		return 0;
	int64_t before = now_ns() - STALL_CROWDED_NS;
	while (marked < count - limit + limit / 4 && (slowest = longest_waiting(before))) {
		slowest->too_slow = true;
		marked++;
	}
	return marked;
}

enum busy { BUSY_NO, BUSY_YES, BUSY_TOO_SLOW };

static enum busy busy_state(const struct sockaddr_in *peer)
{
	enum busy state = BUSY_NO;
	pthread_mutex_lock(&table);
	for (const struct sos_connection *c = first; c && state == BUSY_NO; c = c->next)
		if (is_peer(c, peer))
			state = c->body_since && c->too_slow ? BUSY_TOO_SLOW : BUSY_YES;
	pthread_mutex_unlock(&table);
	return state;
}

/* Only the reading end: the thread wakes with an end of file and can say why in its reply. */
static bool visit_too_slow(struct sos_socket_visit *visit, int fd)
{
	struct sockaddr_in peer;
	if (sos_socket_peer(fd, &peer) && busy_state(&peer) == BUSY_TOO_SLOW)
		shutdown(fd, SHUT_RD);
	return false;
}

static void end_marked(uint16_t local_port)
{
	struct sos_socket_visit visit = { .local_port = local_port, .visit = visit_too_slow };
	sos_sockets_visit(&visit);
}

/* Signalled when there is room for another body. */
static pthread_cond_t room;
static pthread_once_t room_once = PTHREAD_ONCE_INIT;

static void make_room_condition(void)
{
	pthread_condattr_t monotonic;
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&room, &monotonic);
	pthread_condattr_destroy(&monotonic);
}

/* Most bodies are there already, so one that does not fit now waits until it is known which of the others are slow. */
static bool wait_for_room(unsigned limit, unsigned *marked)
{
	int64_t until = now_ns() + 2 * STALL_CROWDED_NS;
	struct timespec t = { .tv_sec = until / (1000 * MS), .tv_nsec = until % (1000 * MS) };
	int waited = 0;
	pthread_once(&room_once, make_room_condition);
	while (count_bodies() >= limit && waited == 0)
		waited = pthread_cond_timedwait(&room, &table, &t);
	*marked += mark_slowest(limit - 1);
	return count_bodies() < limit;
}

bool sos_connection_begin_body(struct sos_connection *connection, unsigned limit, bool wanted)
{
	pthread_mutex_lock(&table);
	unsigned marked = wanted ? mark_slowest(limit - 1) : 0;
	bool fits = count_bodies() < (wanted ? limit : limit / 2) || (wanted && wait_for_room(limit, &marked));
	if (fits) {
		connection->body_since = now_ns();
		connection->too_slow = false;
	}
	pthread_mutex_unlock(&table);
	if (marked)
		end_marked(connection->local_port);
	return fits;
}

void sos_connection_advance_body(struct sos_connection *connection)
{
	pthread_mutex_lock(&table);
	connection->body_since = now_ns();
	pthread_mutex_unlock(&table);
}

bool sos_connection_end_body(struct sos_connection *connection)
{
	pthread_mutex_lock(&table);
	connection->body_since = 0;
	bool fast = !connection->too_slow;
	pthread_once(&room_once, make_room_condition);
	pthread_cond_signal(&room);
	pthread_mutex_unlock(&table);
	return fast;
}

void sos_connections_limit_bodies(uint16_t local_port, unsigned limit)
{
	pthread_mutex_lock(&table);
	unsigned marked = mark_slowest(limit);
	pthread_mutex_unlock(&table);
	if (marked)
		end_marked(local_port);
}

static bool mark_stalled(int64_t before)
{
	bool any = false;
	pthread_mutex_lock(&table);
	for (struct sos_connection *c; (c = longest_waiting(before)); any = true)
		c->too_slow = true;
	pthread_mutex_unlock(&table);
	return any;
}

/* ---- heads ---- */

/*
 * civetweb tells nothing of a connection before its first head is whole. So the sweeps of a starving time remember
 * since when they have seen each connection idle or in its head, by the number of its descriptor.
 */
static struct waiting {
	uint16_t port;     /* of the client; 0: none */
	unsigned sightings; /* sweeps that found it so, one after the other */
	int64_t since;
} *waiting;
static size_t waiting_size;
static int64_t last_starving;

static void forget_waiting(void)
{
	free(waiting);
	waiting = NULL;
	waiting_size = 0;
}

static struct waiting *waiting_at(int number)
{
	if ((size_t)number >= waiting_size) {
		size_t size = ((size_t)number + 256) & ~(size_t)255;
		struct waiting *larger = realloc(waiting, size * sizeof(*larger));
		if (!larger)
			return NULL;
		memset(larger + waiting_size, 0, (size - waiting_size) * sizeof(*larger));
		waiting = larger;
		waiting_size = size;
	}
	return &waiting[number];
}

struct sweep {
	bool starving;
	int64_t now;
};

/* It has not sent anything for a while, and never did. */
static bool is_silent(int fd)
{
	struct tcp_info info;
	socklen_t length = sizeof(info);
	return getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &length) == 0 && info.tcpi_bytes_received <= 1 &&
	       info.tcpi_last_data_recv > HEAD_LIMIT_MS;
}

/* It waits for a thread, with all that one needs. */
static bool has_head(int fd)
{
	static char head[16384]; /* longer ones are refused anyway */
	ssize_t n = recv(fd, head, sizeof(head), MSG_PEEK | MSG_DONTWAIT);
	return n > 0 && (n == (ssize_t)sizeof(head) || memmem(head, (size_t)n, "\r\n\r\n", 4) ||
			 memmem(head, (size_t)n, "\n\n", 2));
}

#define SIGHTINGS 3

/* A connection that is not in a request only costs a thread, if no head comes, or not to its end. When civetweb has
 * read a head, and its request is about to begin, it looks the same: that lasts no longer than a few sweeps. */
static bool is_idle(struct waiting *w, int fd, uint16_t port, int64_t now)
{
	if (is_silent(fd))
		return true;
	if (w->port != port || has_head(fd))
		*w = (struct waiting){ .port = port, .since = now };
	return ++w->sightings > SIGHTINGS && now - w->since > HEAD_LIMIT_NS;
}

static bool visit_sweep(struct sos_socket_visit *visit, int fd)
{
	const struct sweep *sweep = visit->data;
	struct sockaddr_in peer;
	if (!sos_socket_peer(fd, &peer))
		return false;
	enum busy busy = busy_state(&peer);
	if (busy == BUSY_TOO_SLOW)
		shutdown(fd, SHUT_RD);
	struct waiting *w = sweep->starving ? waiting_at(visit->number) : NULL;
	if (w && busy != BUSY_NO)
		*w = (struct waiting){ 0 };
	else if (w && is_idle(w, fd, ntohs(peer.sin_port), sweep->now))
		shutdown(fd, SHUT_RDWR);
	return false;
}

void sos_connections_sweep(uint16_t local_port, bool starving)
{
	struct sweep sweep = { .starving = starving, .now = now_ns() };
	struct sos_socket_visit visit = { .local_port = local_port, .visit = visit_sweep, .data = &sweep };
	bool any = mark_stalled(sweep.now - (starving ? STALL_STARVING_NS : STALL_NS));
	if (!starving || sweep.now - last_starving > 2 * HEAD_LIMIT_NS)
		forget_waiting(); /* what it says is of another time */
	if (starving)
		last_starving = sweep.now;
	if (any || starving)
		sos_sockets_visit(&visit);
}

/* ---- the end ---- */

static bool visit_hang_up(struct sos_socket_visit *visit, int fd)
{
	struct sockaddr_in peer;
	if (sos_socket_peer(fd, &peer) && busy_state(&peer) == BUSY_NO)
		shutdown(fd, SHUT_RD);
	return false;
}

void sos_connections_hang_up(uint16_t local_port)
{
	struct sos_socket_visit visit = { .local_port = local_port, .visit = visit_hang_up };
	sos_sockets_visit(&visit);
}

static bool visit_abort(struct sos_socket_visit *visit, int fd)
{
	struct sockaddr_in peer;
	if (sos_socket_peer(fd, &peer))
		shutdown(fd, SHUT_RDWR);
	return false;
}

void sos_connections_abort(uint16_t local_port)
{
	struct sos_socket_visit visit = { .local_port = local_port, .visit = visit_abort };
	sos_sockets_visit(&visit);
}

static bool visit_listener(struct sos_socket_visit *visit, int fd)
{
	int listening = 0;
	socklen_t length = sizeof(listening);
	if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &length) == 0 && listening)
		shutdown(fd, SHUT_RDWR);
	return false;
}

void sos_connections_stop_listening(uint16_t local_port)
{
	struct sos_socket_visit visit = { .local_port = local_port, .visit = visit_listener };
	sos_sockets_visit(&visit);
}
