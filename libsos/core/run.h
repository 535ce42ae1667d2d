/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* One container from before its creation until it is surely gone, with its
 * link and session. It holds the slot until then. Also leftovers and helper
 * containers, which belong to no sandbox. */

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <sos/sos.h>

#include "core/link.h"
#include "core/loop.h"
#include "core/session.h"
#include "core/worker.h"
#include "engine/engine.h"

struct sos_pool;
struct sos_sandbox;
struct sos_warm_kind;

/* How long a cancel waits for the Engine's answer to create and start: without it nobody knows what is there. */
#define SOS_FIRM_MS 5000

/* What is known of the container. */
enum sos_run_container {
	SOS_RUN_NONE,   /* none was asked for, or it is gone */
	SOS_RUN_UNSURE, /* the answer to create was lost: it may be there, or come */
	SOS_RUN_THERE   /* `id` is it */
};

struct sos_run {
	struct sos_pool *pool;
	/* A reference; NULL: a helper or a leftover. Of the warm stock first a vessel, then, from one moment to the next, the
	 * sandbox that it was handed over to: changed with the locks of both, see sos_run_lock_sandbox. */
	_Atomic(struct sos_sandbox *) sandbox;
	struct sos_sandbox *vessel; /* a reference to the one before; NULL: it never changed */
	uint8_t nonce[16];
	char nonce_hex[33];
	char name[128];
	char *id; /* set under the sandbox's lock */
	enum sos_run_container container;
	bool slot;
	enum sos_transport transport;
	struct sos_link *link;
	struct sos_session *session;
	struct sos_timer lifetime, idle;
	enum sos_shell shell;

	/* Of the warm stock; under its lock, see core/warm.h. */
	struct sos_warm_kind *kind; /* a reference; NULL: it was started for its sandbox */
	struct sos_list stock;
	bool stocked;               /* it is in the stock */
	bool taken;                 /* a start has or had it */
	bool yields;                /* it is removed for a start that waits */
	char *image_user;           /* what the image says */
	int64_t stocked_unix_ms;

	/* Under the sandbox's lock. */
	unsigned uses; /* calls on link and session */
	bool lost;     /* the link said so */
	bool ending;   /* on its way to the workers, or there */
	int lost_code;
	bool expired; /* by lifetime or idle timeout */
	char reason[256];

	/* The worker's; the flags are set before it is handed over. */
	struct sos_job job;
	bool end_link; /* end the link's calls first */
	bool look;     /* it ended by itself: find out why and tell */
	unsigned attempts;
	int64_t missing_since; /* UNSURE: since when the Engine says that there is none; 0: it has not */
};

/* Lock the sandbox that it is of now, and give it. For those who meet a hand-over: threads of the pool. */
struct sos_sandbox *sos_run_lock_sandbox(struct sos_run *run);

/* `what` becomes part of the name; NULL: the sandbox's id does. */
int sos_run_new(struct sos_pool *pool, struct sos_sandbox *sandbox, const char *what, struct sos_run **run,
		struct sos_error *error);
/* One attempt to remove the container. 0: it is gone, `container` is NONE. STATE: not sure yet, try again. */
int sos_run_remove(struct sos_run *run, const struct sos_engine_call *call, struct sos_error *error);
/* Let go of link, session, slot and the run itself, once nobody uses them: waits for that. */
void sos_run_end(struct sos_run *run);
/* Remove it in the background until it is gone, then end it. */
void sos_run_retire(struct sos_run *run);
/* Remove it now if that can be, else in the background. True: it is gone and ended. False: the caller's slot went with
 * it. */
bool sos_run_discard(struct sos_run *run);

/* With the sandbox's lock held: link and session stay as long as it is pinned. */
static inline void sos_run_pin(struct sos_run *run)
{
	run->uses++;
}
void sos_run_unpin_locked(struct sos_run *run);

/* watch.c: what happens to a running sandbox by itself. */
void sos_run_lost(void *data, int code, const char *reason); /* of struct sos_link_options */
void sos_run_watch(struct sos_run *run);                     /* start its clocks; sandbox's lock held */
