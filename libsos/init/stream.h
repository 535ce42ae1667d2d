/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A descriptor that sos-init holds for a child: the library's side of a pipe
 * that it passed in (kept for the day the connection breaks), or init's own
 * end of one that it made for the attach stream. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "init/event.h"

struct sos_child;

enum sos_stream_kind {
	SOS_STREAM_KEPT_OUT,  /* the library reads; drained while nobody is connected */
	SOS_STREAM_KEPT_IN,   /* the library writes; only held */
	SOS_STREAM_RELAY_OUT, /* read here, sent as DATA */
	SOS_STREAM_RELAY_IN,  /* DATA written here */
	SOS_STREAM_FILE       /* a memfd, filled by PUT */
};

struct sos_stream {
	struct sos_event event;
	int other; /* a session's: the end that the shell has, so that no side sees the other gone; or -1 */
	struct sos_child *child;
	enum sos_stream_kind kind;
	uint32_t target;
	bool last;       /* the child's highest output: never overtakes the others, never dropped */
	uint8_t *buffer; /* SOS_FRAME_WINDOW bytes, mapped while there is something in it */
	size_t start, length;
	uint64_t dropped; /* KEPT_OUT: did not fit */
	uint32_t unacked; /* RELAY_OUT: sent, and no credit for it yet */
	uint64_t barrier; /* RELAY_OUT: bytes that go before the last one's `allowed` */
	uint64_t allowed; /* RELAY_OUT, last: bytes that may go once no barrier is left */
	uint64_t due;     /* RELAY_OUT: left of what the pipe held when the child ended */
	uint32_t in_pipe; /* RELAY_IN: written, and not seen to be read */
	bool ending;      /* RELAY_IN: close when the buffer is written */
};

/* 0 or -1: no memory. */
int sos_stream_buffer(struct sos_stream *stream);
void sos_stream_unbuffer(struct sos_stream *stream);
void sos_stream_close(struct sos_stream *stream);
/* What lies in the pipe. */
uint32_t sos_stream_pending(const struct sos_stream *stream);
