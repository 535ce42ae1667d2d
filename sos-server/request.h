/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* One request: its head, its path in segments, its body. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "connections.h"

struct mg_connection;
struct sos_http;
struct sos_request;
struct sos_server;

/* server.c */
struct sos_wait {
	struct sos_wait *previous, *next;
	const struct sos_request *request;
};

#define SOS_BODY_LIMIT ((size_t)64 << 20)
#define SOS_PATH_SEGMENTS 6

struct sos_request {
	struct mg_connection *connection;
	struct sos_http *http;
	struct sos_server *server;
	struct sos_wait wait;           /* its place among those that may wait long */
	const char *method, *path, *query; /* as sent; query NULL: none */
	bool http_1_1;
	bool has_body;                  /* one was announced */
	bool body_read;                 /* all of it was taken from the connection */
	bool chunked;
	bool broken;                    /* nobody knows where it ends */
	bool closing;                   /* the connection ends with the reply */
	bool taken;                     /* a thread of its own serves it (takeover.h) */
	int descriptor;                 /* its connection's, when it was taken from civetweb; else -1 */
	int64_t content_length;         /* -1: not announced */
	char *body;                     /* with a NUL behind it; NULL: none or not read */
	size_t body_length;
	char *segments[SOS_PATH_SEGMENTS]; /* the path between its slashes, decoded */
	unsigned segment_count;
	char *path_memory;
	/* What the reply's head shall say besides. */
	const char *allow_origin;       /* NULL: nothing */
	const char *allow_methods;      /* NULL: nothing */
	unsigned retry_after;           /* seconds; 0: nothing */
	int status;                     /* of the reply; 0: none given yet */
	int64_t started_ns;
	struct sos_connection busy;     /* its place among the busy connections; last, for what others write there */
};

/* Fill `request` from what the HTTP end put into connection, method, path and query. False: it was refused,
 * with a reply. */
bool sos_request_check_head(struct sos_request *request);
/* Split and decode the path. False: refused. */
bool sos_request_split_path(struct sos_request *request);
/* Read the body; none is an empty one. False: refused. */
bool sos_request_read_body(struct sos_request *request);
/* After the reply: take what is left of the body, so that the client sees the reply and not a reset. */
void sos_request_drain(struct sos_request *request);
void sos_request_free(struct sos_request *request);

/* NULL: there is no such header. */
const char *sos_request_header(const struct sos_request *request, const char *name);
/* The decoded value of a query parameter. NULL: none, or longer than the buffer. */
const char *sos_request_query(const struct sos_request *request, const char *name, char *value, size_t size);
/* Another name for true: `header` holds `token` among its comma-separated ones. */
bool sos_header_has_token(const char *header, const char *token);
