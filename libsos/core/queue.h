/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Slots of a pool and those who wait for one, first come first served. A slot
 * that is given back goes straight to the first in the queue, so that nobody
 * who comes later can take it. Knows nothing of containers. */

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include <sos/sos.h>

#include "util/list.h"

struct sos_queue {
	pthread_mutex_t lock;
	struct sos_list waiting; /* struct sos_ticket.node, oldest first */
	unsigned capacity, limit;
	unsigned used, queued;
};

/* One start; lives on the stack of its thread. */
struct sos_ticket {
	struct sos_list node;
	pthread_cond_t changed;
	bool wants_position; /* wake it when it moves up */
	bool waiting, granted, moved;
	int cancelled; /* a code, 0: not */
	void *wants, *gift; /* the caller's: see sos_queue_offer */
};

void sos_queue_init(struct sos_queue *queue, unsigned capacity, unsigned limit);
void sos_queue_clear(struct sos_queue *queue);

void sos_ticket_init(struct sos_ticket *ticket, bool wants_position);
void sos_ticket_clear(struct sos_ticket *ticket);

/* 0: the ticket has a slot. SOS_QUEUE_WAITING: it is in the queue. FULL; DEADLINE where it may not wait. */
#define SOS_QUEUE_WAITING 1
int sos_queue_enter(struct sos_queue *queue, struct sos_ticket *ticket, bool may_wait, struct sos_error *error);
/* 0: it has a slot now. SOS_QUEUE_WAITING: its place changed. DEADLINE or the code of the cancellation: it is out. */
int sos_queue_wait(struct sos_queue *queue, struct sos_ticket *ticket, int64_t deadline, struct sos_error *error);
/* Make a ticket that waits leave with `code`. Any thread; one that has its slot keeps it. */
void sos_queue_cancel(struct sos_queue *queue, struct sos_ticket *ticket, int code);
/* From 1; 0: not in the queue. */
unsigned sos_queue_position(struct sos_queue *queue, const struct sos_ticket *ticket);

/* A free slot that nobody waits for; false: there is none. */
bool sos_queue_try(struct sos_queue *queue);
/* What holds a slot, for who waits behind `skip` others (whose slots are on their way) if `takes(its wants, data)`: it
 * has both then, the slot and `gift`. False: nobody took it. */
bool sos_queue_offer(struct sos_queue *queue, unsigned skip, bool (*takes)(void *wants, void *data), void *data,
		     void *gift);
/* Whether that one would take it. */
bool sos_queue_wants(struct sos_queue *queue, unsigned skip, bool (*takes)(void *wants, void *data), void *data);
/* Give a slot back. */
void sos_queue_release(struct sos_queue *queue);
/* Count a container that is there already, beyond capacity if it must be. */
void sos_queue_take(struct sos_queue *queue);
void sos_queue_count(struct sos_queue *queue, unsigned *used, unsigned *queued);
