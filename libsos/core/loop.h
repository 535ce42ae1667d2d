/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The one thread of a pool that listens: control connections, idle sessions,
 * timers. Callbacks run on it, must not block, and hold no lock of the loop. */

#include <stdbool.h>
#include <stdint.h>

#include <sos/sos.h>

#include "util/list.h"

struct sos_loop;

int sos_loop_new(struct sos_loop **loop, struct sos_error *error);
/* Ends and joins the thread. Everything must have been removed before. NULL accepted. */
void sos_loop_free(struct sos_loop *loop);
/* A buffer of SOS_LOOP_SCRATCH bytes for callbacks, theirs until they return. */
#define SOS_LOOP_SCRATCH (192u * 1024u)
void *sos_loop_scratch(struct sos_loop *loop);
bool sos_loop_is_self(struct sos_loop *loop); /* the calling thread is the loop's */

struct sos_watch {
	void (*ready)(struct sos_watch *watch, uint32_t events); /* EPOLL bits, level-triggered */
	int fd;
	bool added;
};
/* 0 or a negative errno. */
int sos_loop_add(struct sos_loop *loop, struct sos_watch *watch, uint32_t events);
int sos_loop_modify(struct sos_loop *loop, struct sos_watch *watch, uint32_t events);
/* When it returns, `ready` does not run and will not run again (unless called from the loop's own
 * thread inside `ready` itself). Not added: nothing happens. Does not close the descriptor. */
void sos_loop_remove(struct sos_loop *loop, struct sos_watch *watch);

struct sos_timer {
	void (*fire)(struct sos_timer *timer);
	int64_t deadline;
	struct sos_list node;
	bool armed;
};
void sos_timer_init(struct sos_timer *timer, void (*fire)(struct sos_timer *timer));
/* Set or move: fires once at `deadline` (sos_clock). */
void sos_timer_set(struct sos_loop *loop, struct sos_timer *timer, int64_t deadline);
/* When it returns, `fire` does not run and will not run (same exception as above). */
void sos_timer_cancel(struct sos_loop *loop, struct sos_timer *timer);
