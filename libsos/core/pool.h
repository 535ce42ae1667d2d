/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A pool's insides, for the files of this folder that make it up. */

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <sos/sos.h>

#include "core/admission.h"
#include "core/gate.h"
#include "core/pull.h"
#include "core/queue.h"
#include "core/warm.h"
#include "core/worker.h"
#include "engine/engine.h"
#include "util/list.h"

struct sos_loop;
struct sos_owner;
struct sos_sandbox;
struct sos_spec;

#define SOS_POOL_BUCKETS 1024u

/* Its life: open until sos_pool_close, at work until sos_pool_free has ended everything, then memory alone, for the
 * handles, sandboxes and calls that still refer to it. */
struct sos_pool {
	atomic_int handles;    /* references of callers */
	atomic_int references; /* to the memory: one of all handles together, one of each sandbox and each call inside */

	/* Fixed once sos_pool_new returned. */
	char *name;
	char *runtime_dir; /* NULL: there is none, so no socket either */
	struct sos_engine *engine;
	struct sos_loop *loop;
	struct sos_workers *workers;
	struct sos_workers *teller; /* one thread, see event.c; NULL: nobody listens */
	struct sos_spec *defaults;
	sos_event_cb event;
	void *event_data;
	int64_t lease_ms;
	uint32_t capacity;
	bool unique;  /* the name is made up: no other process will use it */
	int close_fd; /* readable: the pool is closed, waiting makes no sense */
	int abort_fd; /* readable: the workers' calls to the Engine end now */

	struct sos_queue queue;         /* these have locks of their own */
	struct sos_admission admission;
	struct sos_pulls pulls;
	struct sos_workers *pullers; /* made with the first pull */
	struct sos_warm warm;

	/* What one start or ready call makes for all, under `gate`; the flags say that it is there. */
	struct sos_gate gate;
	atomic_bool completed, placed, networked;
	struct sos_engine_facts facts;
	struct sos_owner *owner;
	char *directory; /* parent of the links' directories */
	char *network_id;
	struct sos_job *completing; /* a lazy pool's own attempts */
	struct sos_job sweep;

	atomic_uint transport;   /* enum sos_transport; AUTO: not known yet */
	atomic_bool answering;   /* the Engine did when last asked */
	atomic_uint removing;    /* containers that the workers are removing */
	atomic_uint limits_told; /* bits of limits that the Engine lacks and that an event told of */
	atomic_uint states[16];  /* sandboxes in each enum sos_state */

	pthread_mutex_t lock; /* guards what follows; outermost: a sandbox's lock may be taken under it */
	pthread_cond_t changed;
	struct sos_list sandboxes;                 /* struct sos_sandbox.node, oldest first */
	struct sos_list buckets[SOS_POOL_BUCKETS]; /* struct sos_sandbox.by_id */
	size_t count;
	unsigned calls; /* that run and may hand the workers something */
	unsigned stops; /* stops that wait */
	unsigned runs;  /* containers whose removal is not done: see core/run.h */
	bool ending;         /* a thread is in sos_pool_free */
	bool ended;          /* nothing is left but memory */
	atomic_bool closing; /* written under the lock */
	atomic_uint telling; /* threads that run the event's callback for a command, without the lock */
};

/* pool.c. Its memory stays until it is dropped as often as it is held. */
struct sos_pool *sos_pool_hold(struct sos_pool *pool);
void sos_pool_drop(struct sos_pool *pool);
/* A call on the pool that may hand the workers something: sos_pool_free waits until it left. ENDED: it is closing. */
int sos_pool_enter(struct sos_pool *pool, struct sos_error *error);
void sos_pool_leave(struct sos_pool *pool);
/* Around a callback told of outside of such a call; to be begun where the sandbox's run is pinned. */
void sos_pool_tells(struct sos_pool *pool);
void sos_pool_told(struct sos_pool *pool);

/* The next sandbox after `previous` (NULL: the first), one reference each way: takes `previous`'s away, gives
 * one to what is returned. Sandboxes forgotten meanwhile make it begin again. */
struct sos_sandbox *sos_pool_next(struct sos_pool *pool, struct sos_sandbox *previous);
/* Takes over one reference, if it does not fail: ENDED when the pool is closing. The caller is inside, and leaves. */
int sos_pool_add(struct sos_pool *pool, struct sos_sandbox *sandbox, struct sos_error *error);
/* Forget it: gives the pool's reference back. */
void sos_pool_remove(struct sos_pool *pool, struct sos_sandbox *sandbox);
/* Threads that not every pool needs: made when they are asked for first, kept in `kept`. */
int sos_pool_extra_workers(struct sos_pool *pool, struct sos_workers **kept, unsigned most,
			   struct sos_workers **workers, struct sos_error *error);
/* The one destructor; half-built pools too. */
void sos_pool_destroy(struct sos_pool *pool);

/* ready.c. Connect, own the name, remove what an earlier owner left; once. */
int sos_pool_complete(struct sos_pool *pool, const struct sos_engine_call *call, struct sos_error *error);
/* Keep trying that in the background. */
int sos_pool_complete_later(struct sos_pool *pool, struct sos_error *error);
/* What a call to the Engine came to: tells of an Engine lost. Gives `code` back. */
int sos_pool_note(struct sos_pool *pool, int code, const struct sos_error *error);

/* sweep.c. In the background: what killed processes left that nobody else will remove. */
void sos_sweep(struct sos_pool *pool);
/* Socket directories below `path`; nobody listens in them. */
void sos_sweep_directory(const char *path);

/* place.c. The volume that holds sos-init, filled by way of a container of that image. The caller has a slot; where
 * that container does not go the slot goes with it and `*slot` becomes false. */
int sos_place(struct sos_pool *pool, const char *image, const struct sos_engine_call *call, bool *slot,
	      struct sos_error *error);
void sos_place_volume(char name[32]);

/* network.c. The pool's bridge. */
int sos_network(struct sos_pool *pool, const struct sos_engine_call *call, char **id, struct sos_error *error);
void sos_network_forget(struct sos_pool *pool);

/* event.c. With no lock held, on a caller's thread. `sandbox_id` may be NULL. */
void sos_event(struct sos_pool *pool, enum sos_event_type type, const char *sandbox_id, int code, const char *format,
	       ...) __attribute__((format(printf, 5, 6)));
/* The same from the background. */
void sos_event_later(struct sos_pool *pool, enum sos_event_type type, const char *sandbox_id, int code,
		     const char *format, ...) __attribute__((format(printf, 5, 6)));
