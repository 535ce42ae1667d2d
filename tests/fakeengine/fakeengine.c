/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* `lock` guards everything but the sockets, which are the thread's alone. */
#include "fakeengine/fakeengine.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "util/buffer.h"
#include "util/guard.h"

#define CONNECTIONS 16

struct connection {
	int fd; /* -1: free */
	struct sos_buffer in;
	bool upgraded; /* after an attach's answer: what comes is data */
};

struct fake_engine {
	char directory[64], path[96], address[112];
	int listener, stop[2];
	pthread_t thread;
	struct connection connections[CONNECTIONS];

	pthread_mutex_t lock;
	pthread_cond_t received_more, served;
	const struct fake_reply *replies;
	size_t reply_count, next, request_count, accepted;
	struct sos_buffer requests, received;
	bool mismatch, serving; /* serving: a reply of the script is in use outside the lock */
};

static void must(bool ok, const char *what)
{
	if (ok)
		return;
	perror(what);
	abort();
}

/* The length of the first request in the buffer: its head and its body. 0: not all there. */
static size_t request_length(const struct sos_buffer *in)
{
	const char *end = in->length ? memmem(in->data, in->length, "\r\n\r\n", 4) : NULL;
	if (!end)
		return 0;
	size_t head = (size_t)(end + 4 - in->data), body = 0;
	for (const char *line = in->data; line < end; line = strstr(line, "\r\n") + 2)
		if (strncasecmp(line, "Content-Length:", 15) == 0)
			body = strtoul(line + 15, NULL, 10);
	return in->length >= head + body ? head + body : 0;
}

static void drop(struct connection *c)
{
	close(c->fd);
	c->fd = -1;
	c->upgraded = false;
	sos_buffer_free(&c->in);
}

static bool send_bytes(int fd, const struct fake_reply *reply)
{
	const char *bytes = reply->bytes;
	for (size_t sent = 0; sent < reply->length;) {
		size_t want = reply->one_by_one ? 1 : reply->length - sent;
		ssize_t n = send(fd, bytes + sent, want, MSG_NOSIGNAL);
		if (n < 0)
			return false;
		sent += (size_t)n;
	}
	return true;
}

static const struct fake_reply *next_reply(struct fake_engine *e, const char *request, size_t length)
{
	SOS_LOCKED(&e->lock);
	must(sos_buffer_append(&e->requests, request, length) == 0 && sos_buffer_append_byte(&e->requests, 0) == 0,
	     "memory");
	e->request_count++;
	if (e->next == e->reply_count)
		return NULL;
	const struct fake_reply *reply = &e->replies[e->next++];
	e->serving = true;
	if (reply->request &&
	    (length < strlen(reply->request) || memcmp(request, reply->request, strlen(reply->request)) != 0)) {
		fprintf(stderr, "# fake Engine: wanted \"%s\", got \"%.60s\"\n", reply->request, request);
		e->mismatch = true;
	}
	return reply;
}

static void reply_done(struct fake_engine *e)
{
	SOS_LOCKED(&e->lock);
	e->serving = false;
	pthread_cond_broadcast(&e->served);
}

static void data_arrived(struct fake_engine *e, struct connection *c)
{
	SOS_LOCKED(&e->lock);
	must(sos_buffer_append(&e->received, c->in.data, c->in.length) == 0, "memory");
	sos_buffer_clear(&c->in);
	pthread_cond_broadcast(&e->received_more);
}

static bool wants_raw(struct fake_engine *e)
{
	SOS_LOCKED(&e->lock);
	return e->next < e->reply_count && e->replies[e->next].raw;
}

static void readable(struct fake_engine *e, struct connection *c)
{
	char data[65536];
	ssize_t n = recv(c->fd, data, sizeof(data), 0);
	if (n <= 0) {
		drop(c);
		return;
	}
	must(sos_buffer_append(&c->in, data, (size_t)n) == 0, "memory");
	while (c->fd >= 0 && c->in.length) {
		if (c->upgraded) {
			data_arrived(e, c);
			return;
		}
		size_t length = wants_raw(e) ? c->in.length : request_length(&c->in);
		if (!length)
			return;
		c->upgraded = memmem(c->in.data, length, "/attach?", 8) != NULL;
		const struct fake_reply *reply = next_reply(e, c->in.data, length);
		sos_buffer_consume(&c->in, length);
		bool keep = !reply || (send_bytes(c->fd, reply) && !reply->close);
		if (!keep)
			drop(c);
		reply_done(e);
	}
}

static void accept_one(struct fake_engine *e)
{
	int fd = accept(e->listener, NULL, NULL);
	must(fd >= 0, "accept");
	for (size_t i = 0; i < CONNECTIONS; i++) {
		if (e->connections[i].fd >= 0)
			continue;
		e->connections[i].fd = fd;
		SOS_LOCKED(&e->lock);
		e->accepted++;
		return;
	}
	close(fd);
}

static void *run(void *data)
{
	struct fake_engine *e = data;
	for (;;) {
		struct pollfd p[CONNECTIONS + 2];
		for (size_t i = 0; i < CONNECTIONS; i++)
			p[i] = (struct pollfd){ .fd = e->connections[i].fd, .events = POLLIN };
		p[CONNECTIONS] = (struct pollfd){ .fd = e->listener, .events = POLLIN };
		p[CONNECTIONS + 1] = (struct pollfd){ .fd = e->stop[0], .events = POLLIN };
		if (poll(p, CONNECTIONS + 2, -1) < 0)
			must(errno == EINTR, "poll");
		if (p[CONNECTIONS + 1].revents)
			break;
		for (size_t i = 0; i < CONNECTIONS; i++)
			if (p[i].fd >= 0 && p[i].revents)
				readable(e, &e->connections[i]);
		if (p[CONNECTIONS].revents)
			accept_one(e);
	}
	for (size_t i = 0; i < CONNECTIONS; i++)
		if (e->connections[i].fd >= 0)
			drop(&e->connections[i]);
	return NULL;
}

struct fake_engine *fake_engine_new(void)
{
	struct fake_engine *e = calloc(1, sizeof(*e));
	struct sockaddr_un name = { .sun_family = AF_UNIX };
	must(e != NULL, "calloc");
	for (size_t i = 0; i < CONNECTIONS; i++)
		e->connections[i].fd = -1;
	pthread_mutex_init(&e->lock, NULL);
	pthread_cond_init(&e->received_more, NULL);
	pthread_cond_init(&e->served, NULL);
	strcpy(e->directory, "/tmp/sos-fakeengine-XXXXXX");
	must(mkdtemp(e->directory) != NULL, "mkdtemp");
	snprintf(e->path, sizeof(e->path), "%s/docker.sock", e->directory);
	snprintf(e->address, sizeof(e->address), "unix://%s", e->path);
	strcpy(name.sun_path, e->path);
	e->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	must(bind(e->listener, (struct sockaddr *)&name, sizeof(name)) == 0 && listen(e->listener, 64) == 0, e->path);
	must(pipe(e->stop) == 0, "pipe");
	must(pthread_create(&e->thread, NULL, run, e) == 0, "thread");
	return e;
}

void fake_engine_free(struct fake_engine *engine)
{
	if (!engine)
		return;
	must(write(engine->stop[1], "x", 1) == 1, "write");
	pthread_join(engine->thread, NULL);
	close(engine->stop[0]);
	close(engine->stop[1]);
	close(engine->listener);
	unlink(engine->path);
	rmdir(engine->directory);
	sos_buffer_free(&engine->requests);
	sos_buffer_free(&engine->received);
	pthread_cond_destroy(&engine->received_more);
	pthread_cond_destroy(&engine->served);
	pthread_mutex_destroy(&engine->lock);
	free(engine);
}

const char *fake_engine_address(const struct fake_engine *engine)
{
	return engine->address;
}

void fake_engine_script(struct fake_engine *engine, const struct fake_reply *replies, size_t count)
{
	SOS_LOCKED(&engine->lock);
	while (engine->serving)
		pthread_cond_wait(&engine->served, &engine->lock);
	engine->replies = replies;
	engine->reply_count = count;
	engine->next = 0;
	engine->request_count = 0;
	sos_buffer_clear(&engine->requests);
	sos_buffer_clear(&engine->received);
}

size_t fake_engine_requests(struct fake_engine *engine, const char **text)
{
	SOS_LOCKED(&engine->lock);
	*text = engine->requests.data ? engine->requests.data : "";
	return engine->request_count;
}

void fake_engine_received(struct fake_engine *engine, char *data, size_t length)
{
	SOS_LOCKED(&engine->lock);
	while (engine->received.length < length)
		pthread_cond_wait(&engine->received_more, &engine->lock);
	memcpy(data, engine->received.data, length);
	sos_buffer_consume(&engine->received, length);
}

size_t fake_engine_connections(struct fake_engine *engine)
{
	SOS_LOCKED(&engine->lock);
	return engine->accepted;
}

bool fake_engine_mismatch(struct fake_engine *engine)
{
	SOS_LOCKED(&engine->lock);
	return engine->mismatch;
}
