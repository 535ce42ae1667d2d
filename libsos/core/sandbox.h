/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A sandbox's insides. Its life:
 *
 *	CREATED -> QUEUED -> STARTING <-> PULLING -> STARTED -> EXITED, SESSION_LOST
 *	a start that fails -> CREATED; the container goes by itself -> LOST; any -> STOPPING -> STOPPED
 *
 * sos_sandbox_move alone changes the state, by the table in state.c. */

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <sos/sos.h>

#include "core/execs.h"
#include "core/queue.h"
#include "core/session.h"
#include "core/spec.h"
#include "core/trajectory.h"
#include "core/wait.h"
#include "util/list.h"

struct sos_pool;
struct sos_run;

/* A start that runs, on the stack of its thread; what others need to end it. */
struct sos_starter {
	pthread_t thread;
	struct sos_ticket ticket;
	int cancel_fd; /* -1: the start makes none, it is too short */
	int cancelled; /* a code, 0: not */
};

struct sos_sandbox {
	atomic_int references;
	struct sos_pool *pool; /* a reference to its memory */
	char id[37];
	struct sos_spec *spec;
	int64_t created_unix_ms;
	bool vessel; /* no caller knows it: it stands for the one that a container of the warm stock goes to */

	struct sos_list node, by_id; /* of the pool, under the pool's lock */

	pthread_mutex_t lock; /* guards what follows; under it only the queue's and the workers' may be taken */
	struct sos_condition changed;
	enum sos_state state;
	char reason[1020];
	struct sos_starter *starter;   /* while a start runs */
	struct sos_run *run;           /* the container that commands go to; see core/run.h */
	unsigned runs;                 /* containers of this sandbox that are not gone */
	struct sos_error remove_error; /* why the last removal failed */
	bool abandoned;                /* the pool ended before its container could be removed */
	int64_t started_unix_ms, started_ns;
	enum sos_shell shell;
	bool has_shell; /* `shell` is known */
	unsigned session_running, standalone_running;
	bool judged; /* a judge command ran or runs: it is we who killed the shell */
	int64_t idle_since;
	uint64_t session_commands;
	bool has_standalone_exit_code;
	int last_standalone_exit_code;
	struct sos_execs execs;
	struct sos_history history;
};

/* sandbox.c. One that the pool does not list yet. Takes `spec` over, whatever happens. */
int sos_sandbox_new(struct sos_pool *pool, struct sos_spec *spec, struct sos_sandbox **sandbox, struct sos_error *error);

/* state.c. All with the lock held. */
/* False: the table does not allow it and nothing changed. NULL leaves the reason. */
bool sos_sandbox_move(struct sos_sandbox *sandbox, enum sos_state to, const char *reason);
/* Its container is up: it takes standalone commands at least. */
bool sos_sandbox_is_up(const struct sos_sandbox *sandbox);
/* STOPPING and nothing is left of it: becomes STOPPED. True: the caller owes the event, after unlocking. */
bool sos_sandbox_settle(struct sos_sandbox *sandbox);
/* The session's end, as the session or a result says it. True: it moved, the caller owes the event. */
bool sos_sandbox_session_over(struct sos_sandbox *sandbox, enum sos_session_end end);

/* stop.c */
/* Stop it without waiting. `cancel_code`: what a start of it that runs returns. */
void sos_sandbox_begin_stop(struct sos_sandbox *sandbox, int cancel_code, const char *reason);
/* Make a start return and calls that run on it end, the state unchanged: a pool that closes. */
void sos_sandbox_close(struct sos_sandbox *sandbox);
