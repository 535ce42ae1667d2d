/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * HTTP to the Engine. One request blocks its thread until the answer, the
 * call's deadline or its cancel_fd, whichever is first, without polling.
 * Connections are kept alive and used again by later requests.
 */

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "engine/address.h"
#include "engine/engine.h"
#include "util/buffer.h"

#define SOS_TRANSPORT_ANSWER_LIMIT (16u << 20)

struct sos_transport_client; /* "sos_transport" is a word of sos.h already */

/* Takes over what `address` owns, on success only. */
int sos_transport_new(struct sos_address *address, struct sos_transport_client **client, struct sos_error *error);
/* No request may run. NULL accepted. */
void sos_transport_free(struct sos_transport_client *client);
const struct sos_address *sos_transport_address(const struct sos_transport_client *client);

struct sos_transport_request {
	const char *method;
	const char *path; /* escaped, from "/" on, with the API version in front */
	const char *content_type;
	const void *body; /* NULL: none */
	size_t body_length;
	const char *header; /* name of a field of the answer that is wanted; NULL: none */
	/* Gets a 200's body instead of the answer, on the calling thread; negative ends the request with that code,
	 * and the sink has filled the error. NULL: none. */
	int (*sink)(void *data, const char *bytes, size_t length);
	void *sink_data;
};

struct sos_transport_answer {
	struct sos_buffer body;   /* up to SOS_TRANSPORT_ANSWER_LIMIT */
	struct sos_buffer header; /* value of the wanted field; empty: not there */
	int status;
};

#define SOS_TRANSPORT_ANSWER_INIT                                                                                      \
	{                                                                                                              \
		SOS_BUFFER_INIT, SOS_BUFFER_INIT, 0                                                                    \
	}
void sos_transport_answer_clear(struct sos_transport_answer *answer);
#define SOS_AUTO_ANSWER __attribute__((cleanup(sos_transport_answer_clear)))

/* 0 for an answer of any status. UNREACHABLE, ENGINE (not HTTP, too large), DEADLINE, CANCELLED, MEMORY, SYSTEM; or
 * what the sink returned, with `error` untouched by us. */
int sos_transport_request(struct sos_transport_client *client, const struct sos_transport_request *request,
			  const struct sos_engine_call *call, struct sos_transport_answer *answer,
			  struct sos_error *error);

/* A connection of its own, nothing sent on it yet. channel.h makes it usable. */
struct sos_transport_connection {
	int fd;
	void *tls; /* NULL: the descriptor is all there is to it */
};
int sos_transport_connect(struct sos_transport_client *client, const struct sos_engine_call *call,
			  struct sos_transport_connection *connection, struct sos_error *error);
void sos_transport_disconnect(struct sos_transport_connection *connection);
/* With `tls` only; one thread at a time. Bytes, 0 at the end, -EAGAIN or another negative errno. */
ssize_t sos_transport_tls_receive(struct sos_transport_connection *connection, void *data, size_t length);
ssize_t sos_transport_tls_send(struct sos_transport_connection *connection, const void *data, size_t length);
