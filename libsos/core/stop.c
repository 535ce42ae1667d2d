/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdio.h>
#include <sys/eventfd.h>

#include "core/cancel.h"
#include "core/pool.h"
#include "core/run.h"
#include "core/sandbox.h"
#include "core/wait.h"
#include "util/clock.h"
#include "util/error.h"
#include "util/guard.h"

#define STOP_MS INT64_C(30000)

static void cancel_locked(struct sos_sandbox *sandbox, int code)
{
	struct sos_starter *starter = sandbox->starter;
	if (!starter || starter->cancelled)
		return;
	starter->cancelled = code;
	if (starter->cancel_fd >= 0)
		eventfd_write(starter->cancel_fd, 1);
	sos_queue_cancel(&sandbox->pool->queue, &starter->ticket, code);
}

/* The run that commands go to, pinned; NULL: none. */
static struct sos_run *pin_locked(struct sos_sandbox *sandbox)
{
	if (sandbox->run)
		sos_run_pin(sandbox->run);
	return sandbox->run;
}

/* Without the lock: the link has locks of its own and wakes threads. */
static void end_calls(struct sos_sandbox *sandbox, struct sos_run *run, const char *reason)
{
	if (!run)
		return;
	sos_link_end(run->link, SOS_ERROR_ENDED, reason);
	SOS_LOCKED(&sandbox->lock);
	sos_run_unpin_locked(run);
}

void sos_sandbox_cancel_start(struct sos_sandbox *sandbox)
{
	pthread_mutex_lock(&sandbox->lock);
	struct sos_run *run = NULL;
	if (sandbox->starter && !sandbox->starter->cancelled) {
		cancel_locked(sandbox, SOS_ERROR_CANCELLED);
		run = pin_locked(sandbox);
	}
	pthread_mutex_unlock(&sandbox->lock);
	end_calls(sandbox, run, "the start was cancelled");
}

void sos_sandbox_close(struct sos_sandbox *sandbox)
{
	pthread_mutex_lock(&sandbox->lock);
	cancel_locked(sandbox, SOS_ERROR_CANCELLED);
	struct sos_run *run = pin_locked(sandbox);
	pthread_mutex_unlock(&sandbox->lock);
	end_calls(sandbox, run, "the pool is closing");
}

void sos_sandbox_begin_stop(struct sos_sandbox *sandbox, int cancel_code, const char *reason)
{
	pthread_mutex_lock(&sandbox->lock);
	/* From LOST its container is on its way out already. */
	bool stopped = false, mine = false;
	struct sos_run *run = NULL;
	if (sos_sandbox_move(sandbox, SOS_STATE_STOPPING, sandbox->state == SOS_STATE_LOST ? NULL : reason)) {
		cancel_locked(sandbox, cancel_code);
		run = pin_locked(sandbox);
		/* A start removes what it made itself. */
		mine = run && !run->ending && !sandbox->starter;
		if (mine)
			run->ending = true;
		stopped = sos_sandbox_settle(sandbox);
	}
	pthread_mutex_unlock(&sandbox->lock);
	end_calls(sandbox, run, *reason ? reason : "the sandbox was stopped");
	if (mine)
		sos_run_retire(run);
	if (stopped)
		sos_event(sandbox->pool, SOS_EVENT_STOPPED, sandbox->id, 0, "stopped");
}

/* `code` 0: what the last attempt said. */
static int not_removed(const struct sos_sandbox *sandbox, int code, const char *how, struct sos_error *error)
{
	const struct sos_error *why = &sandbox->remove_error;
	if (!code)
		code = why->code == SOS_ERROR_ENGINE ? SOS_ERROR_ENGINE : SOS_ERROR_UNREACHABLE;
	return sos_error_set(error, code, "stop sandbox %.8s: its container is not removed, %s: %s", sandbox->id, how,
			     why->code ? why->message : "the Engine does not answer");
}

static int wait_stopped(struct sos_sandbox *sandbox, int64_t deadline, int cancel_fd, struct sos_error *error)
{
	SOS_LOCKED(&sandbox->lock);
	while (sandbox->state != SOS_STATE_STOPPED) {
		/* A callback of the very start that is to end: nothing happens before it returns. */
		if (sandbox->starter && pthread_equal(sandbox->starter->thread, pthread_self()))
			return sos_error_set(
				error, SOS_ERROR_STATE,
				"stop sandbox %.8s: it is being stopped, which ends when this callback returns",
				sandbox->id);
		int r = sos_condition_wait(&sandbox->changed, &sandbox->lock, deadline, cancel_fd);
		if (!r || sandbox->state == SOS_STATE_STOPPED)
			continue;
		if (r == SOS_ERROR_DEADLINE)
			return not_removed(sandbox, r, "trying goes on", error);
		return sos_error_set(error, r, "stop sandbox %.8s: %s; its container is removed in the background",
				     sandbox->id, r == SOS_ERROR_CANCELLED ? "cancelled" : "no descriptor to wait by");
	}
	if (sandbox->abandoned)
		return not_removed(sandbox, 0, "it ends by its lease", error);
	return 0;
}

static void forget(struct sos_sandbox *sandbox)
{
	pthread_mutex_lock(&sandbox->lock);
	sos_history_clear(&sandbox->history);
	sos_execs_clear(&sandbox->execs);
	pthread_mutex_unlock(&sandbox->lock);
	sos_pool_remove(sandbox->pool, sandbox);
}

/* A pool that is being freed waits for them. */
static void count_stop(struct sos_pool *pool, int more)
{
	SOS_LOCKED(&pool->lock);
	pool->stops += (unsigned)more;
	pthread_cond_broadcast(&pool->changed);
}

int sos_sandbox_stop(struct sos_sandbox *sandbox, const struct sos_stop_options *options, struct sos_error *error)
{
	struct sos_stop_options o = SOS_STOP_OPTIONS_INIT;
	if (options && !sos_spec_copy_sized(&o, sizeof(o), options, options->size))
		return sos_error_set(error, SOS_ERROR_INVALID, "options: their size %zu is not of a version known here",
				     options->size);
	if (o.flags & ~SOS_STOP_FORGET)
		return sos_error_set(error, SOS_ERROR_INVALID, "flags: 0x%x is unknown", o.flags);
	if (o.timeout_ms < 0)
		return sos_error_set(error, SOS_ERROR_INVALID, "timeout_ms: negative");
	if (sos_cancel_fired(o.cancel))
		return sos_error_set(error, SOS_ERROR_CANCELLED, "stop sandbox %.8s: cancelled", sandbox->id);
	int64_t deadline = sos_clock_deadline(o.timeout_ms ? o.timeout_ms : STOP_MS);
	count_stop(sandbox->pool, 1);
	sos_sandbox_begin_stop(sandbox, SOS_ERROR_ENDED, "");
	int r = wait_stopped(sandbox, deadline, sos_cancel_fd(o.cancel), error);
	if (!r && o.flags & SOS_STOP_FORGET)
		forget(sandbox);
	count_stop(sandbox->pool, -1);
	return r;
}
