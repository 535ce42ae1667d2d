/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The way to the library: the socket in its read-only directory, dialled again
 * for ever, or the attach stream on descriptors 0 and 1. Frames go out through
 * one bounded queue; nothing here blocks. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wire/frame.h"

enum sos_transport { SOS_TRANSPORT_AUTO, SOS_TRANSPORT_SOCKET, SOS_TRANSPORT_ATTACH };

struct sos_control_handler {
	void (*hello)(void);                                          /* connected: say hello */
	bool (*frame)(const struct sos_frame *frame, const int *fds); /* false: a violation; closes none of them */
	void (*room)(void);                                           /* the queue has room for stream data again */
	void (*lost)(void);
};

void sos_control_start(enum sos_transport transport, const char *nonce, const struct sos_control_handler *handler);
bool sos_control_connected(void);
bool sos_control_is_socket(void);
const char *sos_control_nonce(void);

/* When to dial again, and to do it. */
int64_t sos_control_due(void);
void sos_control_tick(void);

/* Stream data may be sent: at least a DATA frame is sure to fit, with plenty to spare for replies. */
bool sos_control_roomy(void);
/* A whole frame. Nobody connected: it vanishes. */
void sos_control_send(const void *frame, size_t length);
/* With descriptors, past the queue: 1 sent, 0 not now (`room` is called), -1 not possible. */
int sos_control_send_fds(const void *frame, size_t length, const int *fds, unsigned count);
/* A buffer for one frame, anybody's until the next call of send. */
#define SOS_CONTROL_SCRATCH (SOS_FRAME_HEADER + SOS_FRAME_MAX)
void *sos_control_scratch(void);
/* The queue's bytes, for a bounded time, before the end. */
void sos_control_flush(int64_t deadline);

void sos_control_ok(uint32_t id);
void sos_control_ok_u32(uint32_t id, uint32_t value);
void sos_control_error(uint32_t id, int errnum, const char *message);
