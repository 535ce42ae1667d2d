/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The insides of the attach transport, shared by link_attach.c (the stream)
 * and link_relay.c (what it carries, and the local pipes).
 *
 * Everything but `out` (the link's lock) and `tasks` (the link's lock) belongs
 * to the loop's thread. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/link_internal.h"

struct sos_relay {
	struct sos_list node;
	struct sos_attach *attach;
	struct sos_watch watch; /* fd: the container's end of a local pipe */
	uint32_t child, target;
	bool in;
	size_t sent;            /* in: bytes that were sent and are not credited; they stay in the pipe till then */
	size_t promised;        /* in: what the credits in the queue are for */
};

struct sos_delivery {
	struct sos_list node;
	uint32_t child, target;
	bool exited, end_of_file;
	uint32_t credit; /* not 0: of the child's input, behind what it wrote before it read that */
	int status;
	size_t length, offset;
	uint8_t data[];
};

struct sos_relay_task {
	struct sos_list node;
	struct sos_relay *relay;  /* to add, or NULL: forget `child` */
	uint32_t child;
};

struct sos_attach {
	struct sos_link *link;
	struct sos_engine_stream *stream;
	struct sos_watch watch;
	struct sos_timer kick, keepalive;
	struct sos_buffer in, out;
	struct sos_list relays, deliveries, tasks;
	size_t pending;
	int scratch[2]; /* where bytes of an `in` pipe are looked at without taking them */
	bool ended;
};

/* link_attach.c: a frame of that type and stream, with a number and bytes where the type has them. */
int sos_attach_send_small(struct sos_attach *attach, uint16_t type, uint32_t child, uint32_t target,
			  const uint32_t *bytes, const void *data, size_t length);

/* link_relay.c, on the loop's thread, without the lock: what other threads asked for; all of it away. */
void sos_relay_tasks(struct sos_attach *attach);
void sos_relay_tasks_due(struct sos_timer *timer); /* of `kick` */
void sos_relay_clear(struct sos_attach *attach);
