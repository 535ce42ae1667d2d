/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The warm stock of a pool: containers that are up, connected, with a shell
 * and their setup run, waiting for the start of a sandbox that they can become.
 *
 * A kind is a description with a number of containers to keep. Each container
 * begins as a sandbox that no caller knows, a vessel, so that all that makes,
 * watches and removes containers works for it as for any other; at hand-over its
 * run moves to the real sandbox. One that was handed over never comes back.
 *
 * All of them hold slots. They yield them: while starts wait, one is removed
 * for each, and no slot is taken for a new one. */

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <sos/sos.h>

#include "core/bring.h"
#include "core/loop.h"
#include "core/sandbox.h"
#include "core/warm_key.h"
#include "core/warm_policy.h"
#include "core/worker.h"
#include "util/list.h"

struct sos_pool;
struct sos_run;

#define SOS_WARM_KINDS_MOST 64

struct sos_warm_kind {
	struct sos_list node;  /* of the stock's; empty once it was dropped */
	unsigned references;   /* of the list, and of each container; all of it under the stock's lock */
	struct sos_spec *spec; /* as its vessels have it */
	bool learned;          /* from demand, and forgotten with it */
	uint32_t least, target;
	char image_id[80];     /* of the newest: what its name means now */
	struct sos_list stock; /* struct sos_run.stock, the oldest first */
	uint32_t ready, starting, busy;
	uint64_t hits, misses;
	struct sos_warm_demand demand;
	int64_t used_ns; /* when a start asked for it last */
	struct {
		int code; /* 0: it works */
		unsigned streak;
		int64_t again_ns; /* not before */
		char message[512];
	} failure;
};

/* One that is being made; ends in the stock or in nothing. */
struct sos_warm_up {
	struct sos_job job;
	struct sos_list node;
	struct sos_warm_kind *kind;
	struct sos_starter starter;
	struct sos_bring bring;
	bool yields; /* it was cancelled: its slot is for a start that waits */
	bool promised; /* in one plan: a start that it fits waits for it */
	bool closed; /* or because the pool closes */
};

struct sos_warm {
	atomic_bool used; /* there is or was a kind, or they are learned: else nobody takes the lock */
	atomic_bool kicked, soon;
	struct sos_timer timer, soon_timer; /* run the plan, on the loop's thread */

	pthread_mutex_t lock; /* guards what follows; under it a sandbox's, a link's, the queue's and the workers' */
	pthread_cond_t changed;
	bool adaptive, closed;
	struct sos_list kinds, ups;
	unsigned kind_count, up_count, up_limit;
	uint32_t ready;   /* of all kinds */
	uint64_t hits, misses; /* of those that are gone too */
	unsigned yielded; /* containers that are being removed for a start that waits */
	struct sos_workers *makers;
};

/* warm.c */
void sos_warm_init(struct sos_pool *pool);
/* Look soon what there is to do: on the loop's thread. */
void sos_warm_kick(struct sos_pool *pool);
/* After a container was taken: the sandbox's first command goes before the work of making another one. */
void sos_warm_kick_soon(struct sos_pool *pool);
/* A kind of that spec, with so many containers from now on; takes `spec` over. 0: none any more. */
int sos_warm_set(struct sos_pool *pool, struct sos_spec *spec, uint32_t count, bool learned, struct sos_error *error);
/* No new ones; those that are being made come to their end. */
void sos_warm_close(struct sos_pool *pool);
/* Hand the stock to the workers, for removal. */
void sos_warm_empty(struct sos_pool *pool);
/* Wait for those that were being made, then end the threads. */
void sos_warm_end(struct sos_pool *pool);
void sos_warm_clear(struct sos_pool *pool);
void sos_warm_kind_unref_locked(struct sos_warm *warm, struct sos_warm_kind *kind);
/* No longer one of the stock's; its containers go into `removed`. */
void sos_warm_drop_kind_locked(struct sos_warm *warm, struct sos_warm_kind *kind, struct sos_list *removed);
/* The oldest of a kind, out of the stock; it has one. */
struct sos_run *sos_warm_pop_locked(struct sos_warm *warm, struct sos_warm_kind *kind);
/* Hand those that were popped to the workers, for removal; without the lock. */
void sos_warm_remove_all(struct sos_list *removed);
/* Of a kind that could not be made, or whose container died in the stock: wait longer each time. */
bool sos_warm_failed_locked(struct sos_warm_kind *kind, int code, const char *message);

/* warm_plan.c. Of the stock's timer. */
void sos_warm_plan(struct sos_timer *timer);

/* warm_up.c. Begin to make one: the caller has a slot for it, and nobody else may know of it yet. False: no memory. */
bool sos_warm_up_locked(struct sos_pool *pool, struct sos_warm_kind *kind);

/* warm_take.c */
/* A container that can become a sandbox of that spec, out of the stock; NULL: there is none, or none to spare. */
struct sos_run *sos_warm_take(struct sos_pool *pool, const struct sos_spec *spec, struct sos_warm_fit *fit);
/* What it was made by, as long as it was not handed over. */
const struct sos_spec *sos_warm_made(const struct sos_run *run);
/* A start of `wants` (a spec) would take one of `kind`. */
bool sos_warm_takes(void *wants, void *kind);
/* Whether a start that may not wait finds a slot all the same, by a container that yields. */
bool sos_warm_can_yield(struct sos_pool *pool);
/* Its end was reported, on the loop's thread. */
void sos_warm_lost(struct sos_run *run, const char *reason);
/* A run of a kind is gone. */
void sos_warm_gone(struct sos_run *run);
/* Make the sandbox of `bring`, which is STARTING and has no run, the one of `run`, which was taken. The run is the
 * bring's then, whatever comes of it, and so is its slot. */
int sos_warm_hand_over(struct sos_bring *bring, struct sos_run *run, struct sos_warm_fit fit, struct sos_error *error);

/* warm_info.c. Into the fields of a pool's numbers. */
void sos_warm_count(struct sos_pool *pool, struct sos_pool_stats *stats);
