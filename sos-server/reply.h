/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Replies: head and body leave in one write, since a second one would wait for
 * the client's delayed acknowledgement on some stacks. */

#include <stdbool.h>
#include <stddef.h>

#include "text.h"

struct sos_error;
struct sos_request;

/* Room for the head in front of a body that is given to sos_reply. */
#define SOS_REPLY_ROOM 1024

/* `body` was made with that room; it is consumed. `type` NULL: no body and no type. */
void sos_reply(struct sos_request *request, int status, const char *type, struct sos_text *body);
void sos_reply_json(struct sos_request *request, int status, struct sos_text *body);

/* What is too large to be copied into a body: a JSON string that is written in pieces on its way out. */
struct sos_reply_stream {
	size_t at; /* where in the body it belongs */
	const char *data;
	size_t length;
	bool base64;
	size_t written; /* its length as JSON, sos_reply_stream_length */
};

size_t sos_reply_stream_length(const struct sos_reply_stream *stream);
/* `streams` by their place. */
void sos_reply_json_streams(struct sos_request *request, int status, struct sos_text *body,
			    const struct sos_reply_stream *streams, size_t count);

/* 200 without a body. */
void sos_reply_empty(struct sos_request *request);
/* One line of plain text; the newline is added. */
void sos_reply_text(struct sos_request *request, int status, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* The library's error with the status that it stands for. */
void sos_reply_error(struct sos_request *request, const struct sos_error *error);
