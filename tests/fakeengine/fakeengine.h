/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A made-up Engine on a unix socket, for answers that a real one gives only on
 * a bad day: cut, slow, garbled, none. One thread of its own; it answers
 * requests in order of arrival from a script. */

#include <stdbool.h>
#include <stddef.h>

struct fake_engine;

struct fake_reply {
	const void *bytes;
	size_t length;
	const char *request; /* what the request line must begin with; NULL: anything */
	bool one_by_one;     /* each byte with a system call of its own */
	bool close;          /* the connection, after the bytes; else it is kept for the next request */
	bool raw;            /* the request is not HTTP or never ends: answer at its first byte */
};

/* The literal's bytes. */
#define FAKE_BYTES(text) .bytes = (text), .length = sizeof(text) - 1

struct fake_engine *fake_engine_new(void);
void fake_engine_free(struct fake_engine *engine);
const char *fake_engine_address(const struct fake_engine *engine); /* "unix:///tmp/.../docker.sock" */

/* The replies for the requests to come; they and their bytes must live on. One more request than there are replies
 * gets no answer at all. Returns once the earlier script's bytes are no longer in use. */
void fake_engine_script(struct fake_engine *engine, const struct fake_reply *replies, size_t count);

/* Since the last script: requests as they came (head and body), each ended by NUL, in one block; and how many. The
 * block is valid until the next script. */
size_t fake_engine_requests(struct fake_engine *engine, const char **text);
/* What came on a connection after its last reply: the client's side of an attach stream. Blocks for `length` bytes. */
void fake_engine_received(struct fake_engine *engine, char *data, size_t length);
size_t fake_engine_connections(struct fake_engine *engine); /* accepted since the beginning */
bool fake_engine_mismatch(struct fake_engine *engine);      /* a request was not what the script said */
