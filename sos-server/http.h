/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* civetweb behind a narrow door; http.c is its only includer. A thread of its
 * takes a connection and calls `handle` for one request after the other; the
 * handler reads the body and replies (request.h, reply.h). */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct mg_connection;
struct sos_http;
struct sos_request;

struct sos_http_options {
	const char *address; /* IPv4 */
	uint16_t port;       /* 0: any free one */
	unsigned threads;    /* one a connection; more connections wait */
	/* On the connection's thread. */
	void (*handle)(void *data, struct sos_request *request);
	void *data;
};

/* Listens when it returns 0; -1: `error` has one line. Blocks no signals and starts threads that
 * inherit the caller's signal mask. */
int sos_http_start(const struct sos_http_options *options, struct sos_http **http, char *error, size_t error_size);
uint16_t sos_http_port(const struct sos_http *http);
/* Requests that are being handled. */
unsigned sos_http_running(const struct sos_http *http);
/* Wait until no request runs, at most `timeout_ms`: stopping would cut their replies off. True: none runs. */
bool sos_http_drain(struct sos_http *http, int64_t timeout_ms);
void sos_http_stop(struct sos_http *http);

/* ---- for request.c, reply.c and takeover.c ---- */

/* After the handler: see to it that there was a reply, and free what the request has. */
void sos_http_end_request(struct sos_request *request);
/* It does not run any more. `http` may be gone behind it. */
void sos_http_leave(struct sos_request *request);

/* As recv: blocks until `length` bytes are there, the body has ended or nothing came for 30 s. */
int sos_http_read(struct sos_request *request, void *data, size_t length);
/* False: the client is gone. */
bool sos_http_write(struct sos_request *request, const void *data, size_t length);
/* Close the connection after this request. */
void sos_http_close_after(struct sos_request *request);
/* Connections are getting scarce: better not kept open between requests. */
bool sos_http_is_short(const struct sos_request *request);

struct sos_http_header {
	const char *name, *value;
};
/* Header number `index`; false beyond the last. */
bool sos_http_header(const struct sos_request *request, unsigned index, struct sos_http_header *header);
/* The head was cut short by the parser, or has what different parsers read differently. NULL: it is fine. */
const char *sos_http_head_flaw(const struct sos_request *request);
