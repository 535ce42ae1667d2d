/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The smallest HTTP/1.1 client that measures a server and not itself: one
 * keep-alive connection, one write a request, TCP_NODELAY, no library. Used
 * for sos-server and, on its unix socket, for the Engine.
 */

#include <stddef.h>
#include <stdint.h>

struct bench_http {
	char address[108]; /* a unix socket's path, or a port of 127.0.0.1 */
	char *buffer;      /* head and body of the last answer */
	size_t have, room;
	int fd;
	int64_t used_ns;   /* when the last call ended */
};

struct bench_answer {
	const char *body; /* NUL-terminated; lives until the next call */
	size_t length;
	int status;
};

/* `address` begins with '/' for a unix socket. Connects with the first call. */
void bench_http_init(struct bench_http *http, const char *address);
void bench_http_close(struct bench_http *http);
/* 0 with an answer of whatever status, or -1 where the connection failed. `body` may be NULL. */
int bench_http_call(struct bench_http *http, const char *method, const char *path, const char *body,
		    struct bench_answer *answer);
