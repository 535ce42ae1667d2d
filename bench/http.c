/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "http.h"
#include "stats.h"

void bench_http_init(struct bench_http *http, const char *address)
{
	*http = (struct bench_http){ .fd = -1 };
	snprintf(http->address, sizeof(http->address), "%s", address);
}

void bench_http_close(struct bench_http *http)
{
	if (http->fd >= 0)
		close(http->fd);
	free(http->buffer);
	http->buffer = NULL;
	http->have = http->room = 0;
	http->fd = -1;
}

static int dial(struct bench_http *http)
{
	int one = 1;

	if (http->address[0] == '/') {
		struct sockaddr_un path = { .sun_family = AF_UNIX };

		memcpy(path.sun_path, http->address, strnlen(http->address, sizeof(path.sun_path) - 1));
		http->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
		if (http->fd >= 0 && connect(http->fd, (struct sockaddr *)&path, sizeof(path)) == 0)
			return 0;
	} else {
		struct sockaddr_in inet = { .sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(http->address)) };

		inet.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
		http->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		if (http->fd >= 0 && connect(http->fd, (struct sockaddr *)&inet, sizeof(inet)) == 0) {
			setsockopt(http->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
			return 0;
		}
	}
	if (http->fd >= 0)
		close(http->fd);
	http->fd = -1;
	return -1;
}

static int send_all(int fd, const char *data, size_t length)
{
	while (length > 0) {
		ssize_t n = send(fd, data, length, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return -1;
		data += n;
		length -= (size_t)n;
	}
	return 0;
}

/* More bytes behind what is there: their number, 0 at the end, -1. */
static ssize_t receive(struct bench_http *http)
{
	ssize_t n;

	if (http->have + 65536 > http->room) {
		size_t room = http->room ? http->room * 2 : 1 << 18;
		char *buffer = realloc(http->buffer, room + 1);

		if (!buffer)
			return -1;
		http->buffer = buffer;
		http->room = room;
	}
	do
		n = recv(http->fd, http->buffer + http->have, http->room - http->have, 0);
	while (n < 0 && errno == EINTR);
	if (n > 0)
		http->have += (size_t)n;
	http->buffer[http->have] = '\0';
	return n;
}

static const char *header(const char *head, const char *name)
{
	size_t length = strlen(name);

	for (const char *line = strstr(head, "\r\n"); line && line[2] != '\r'; line = strstr(line + 2, "\r\n"))
		if (strncasecmp(line + 2, name, length) == 0 && line[2 + length] == ':')
			return line + 3 + length + strspn(line + 3 + length, " ");
	return NULL;
}

/* Undo the chunked coding in place, reading as needed. The body's length, or -1. */
static ssize_t read_chunks(struct bench_http *http, size_t body)
{
	size_t at = body, to = body;

	for (;;) {
		char *end;
		size_t size;

		while (!(end = strstr(http->buffer + at, "\r\n")))
			if (receive(http) <= 0)
				return -1;
		size = strtoul(http->buffer + at, NULL, 16);
		at = (size_t)(end - http->buffer) + 2;
		while (http->have < at + size + 2)
			if (receive(http) <= 0)
				return -1;
		if (size == 0)
			break;
		memmove(http->buffer + to, http->buffer + at, size);
		to += size;
		at += size + 2;
	}
	http->buffer[to] = '\0';
	return (ssize_t)(to - body);
}

static int read_answer(struct bench_http *http, struct bench_answer *answer)
{
	bool close_after;
	const char *value;
	ssize_t length, n;
	size_t body;
	char *end;

	http->have = 0;
	do {
		if (receive(http) <= 0)
			return -1;
	} while (!(end = strstr(http->buffer, "\r\n\r\n")));
	if (sscanf(http->buffer, "HTTP/1.%*d %d", &answer->status) != 1)
		return -1;
	body = (size_t)(end - http->buffer) + 4;
	end[2] = '\0'; /* the head ends here for header() */
	value = header(http->buffer, "Connection");
	close_after = value && strncasecmp(value, "close", 5) == 0;
	if (answer->status == 204 || answer->status == 304) {
		length = 0;
	} else if ((value = header(http->buffer, "Transfer-Encoding"))) {
		length = read_chunks(http, body);
	} else if ((value = header(http->buffer, "Content-Length"))) {
		length = atol(value);
		while (http->have < body + (size_t)length)
			if (receive(http) <= 0)
				return -1;
	} else {
		/* The Engine's hijacked streams: until the end of the connection. */
		while ((n = receive(http)) > 0)
			;
		length = n < 0 ? -1 : (ssize_t)(http->have - body);
		close_after = true;
	}
	if (length < 0)
		return -1;
	answer->body = http->buffer + body;
	answer->length = (size_t)length;
	if (close_after) {
		close(http->fd);
		http->fd = -1;
	}
	return 0;
}

/* A server may close a connection that idles: look before it is used again, as every client does. */
static void look_whether_closed(struct bench_http *http)
{
	char byte;

	if (http->fd < 0 || bench_now_ns() - http->used_ns < INT64_C(1000000000) ||
	    recv(http->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) != 0)
		return;
	close(http->fd);
	http->fd = -1;
}

int bench_http_call(struct bench_http *http, const char *method, const char *path, const char *body,
		    struct bench_answer *answer)
{
	size_t length = body ? strlen(body) : 0, room = strlen(path) + length + 256;
	char *request;
	int head, r;

	look_whether_closed(http);
	if (http->fd < 0 && dial(http) < 0)
		return -1;
	request = malloc(room);
	if (!request)
		return -1;
	head = snprintf(request, room,
			"%s %s HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n",
			method, path, length);
	if (body)
		memcpy(request + head, body, length);
	r = send_all(http->fd, request, (size_t)head + length);
	free(request);
	if (r == 0)
		r = read_answer(http, answer);
	http->used_ns = bench_now_ns();
	if (r < 0 && http->fd >= 0) {
		close(http->fd);
		http->fd = -1;
	}
	return r;
}
