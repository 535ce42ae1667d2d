/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The way of a start. All of it on the caller's thread, under one deadline and
 * one descriptor that cancels; what fails takes back what it made. */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

#include "core/bring.h"
#include "core/cancel.h"
#include "core/loop.h"
#include "core/pool.h"
#include "core/run.h"
#include "core/sandbox.h"
#include "core/warm.h"
#include "util/clock.h"
#include "util/error.h"
#include "util/guard.h"

#define TIMEOUT_DEFAULT_MS 600000
#define YIELD_MS 10000 /* for a warm container to go, where a start may not wait for others */

struct start {
	struct sos_starter starter;
	struct sos_start_options options;
	struct sos_bring bring;
	struct sos_pool *pool;
	struct sos_sandbox *sandbox;
	bool took_warm;
	struct sos_watch cancel; /* of the caller's sos_cancel, a descriptor of our own; -1: none */
};

static void tell(struct sos_bring *bring, enum sos_phase phase, const char *text, int64_t current, int64_t total)
{
	struct start *start = sos_list_entry(bring, struct start, bring);
	if (!start->options.progress)
		return;
	struct sos_progress progress = {
		.size = sizeof(progress),
		.text = text,
		.current = current,
		.total = total,
		.phase = phase,
	};
	start->options.progress(start->options.progress_data, &progress);
}

/* ---- begin and end ---- */

static int wrong_state(const struct sos_sandbox *sandbox, struct sos_error *error)
{
	switch (sandbox->state) {
	case SOS_STATE_STOPPING:
	case SOS_STATE_STOPPED:
	case SOS_STATE_LOST:
		return sos_error_set(error, SOS_ERROR_STATE, "it is %s already and can't be started again%s%s",
				     sos_state_name(sandbox->state), *sandbox->reason ? ": " : "", sandbox->reason);
	case SOS_STATE_STARTED:
	case SOS_STATE_EXITED:
	case SOS_STATE_SESSION_LOST:
		return sos_error_set(error, SOS_ERROR_STATE, "it is started already");
	default:
		return sos_error_set(error, SOS_ERROR_STATE, "it is being started already");
	}
}

/* Under both locks, so that a pool that closes either refuses this start or finds it. */
static int begin(struct start *start, struct sos_error *error)
{
	struct sos_pool *pool = start->pool;
	struct sos_sandbox *sandbox = start->sandbox;
	SOS_LOCKED(&pool->lock);
	SOS_LOCKED(&sandbox->lock);
	if (atomic_load(&pool->closing))
		return sos_error_set(error, SOS_ERROR_ENDED, "the pool is closed");
	if (sandbox->state != SOS_STATE_CREATED)
		return wrong_state(sandbox, error);
	sos_ticket_init(&start->starter.ticket, start->options.progress != NULL);
	start->starter.thread = pthread_self();
	sandbox->starter = &start->starter;
	sos_sandbox_move(sandbox, SOS_STATE_QUEUED, "");
	pool->calls++;
	return 0;
}

/* On the loop's thread. What there is to cancel has many places: it is done as by a call from elsewhere. */
static void cancel_fired(struct sos_watch *watch, uint32_t events)
{
	struct start *start = sos_list_entry(watch, struct start, cancel);
	(void)events;
	/* It stays readable. */
	sos_loop_modify(start->pool->loop, watch, 0);
	sos_sandbox_cancel_start(start->sandbox);
}

/* Before anything that takes long: what it is cancelled by. */
static int make_cancellable(struct start *start, struct sos_error *error)
{
	if (start->starter.cancel_fd >= 0)
		return 0;
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (fd < 0)
		return sos_error_errno(error, errno == EMFILE || errno == ENFILE ? SOS_ERROR_LIMIT : SOS_ERROR_SYSTEM,
				       errno, "eventfd");
	pthread_mutex_lock(&start->sandbox->lock);
	start->starter.cancel_fd = fd;
	int cancelled = start->starter.cancelled;
	pthread_mutex_unlock(&start->sandbox->lock);
	if (cancelled)
		return sos_error_set(error, cancelled, "cancelled");
	if (!start->options.cancel)
		return 0;
	/* A copy: the loop tells watches apart by their descriptors, and the same cancel may serve many starts. */
	start->cancel.fd = fcntl(sos_cancel_fd(start->options.cancel), F_DUPFD_CLOEXEC, 3);
	if (start->cancel.fd < 0)
		return sos_error_errno(error, SOS_ERROR_LIMIT, errno, "a descriptor for its cancel");
	start->cancel.ready = cancel_fired;
	int r = sos_loop_add(start->pool->loop, &start->cancel, EPOLLIN);
	return r ? sos_error_errno(error, SOS_ERROR_SYSTEM, -r, "watch its cancel") : 0;
}

/* Whatever broke first: who cancelled wants to be told that. */
static int real_reason_locked(struct start *start, int code, struct sos_error *error)
{
	struct sos_sandbox *sandbox = start->sandbox;
	if (!start->starter.cancelled)
		return code;
	if (start->starter.cancelled == SOS_ERROR_ENDED)
		return sos_error_set(error, SOS_ERROR_ENDED, "it was stopped meanwhile");
	return sos_error_set(error, SOS_ERROR_CANCELLED, "%s",
			     sandbox->state == SOS_STATE_STOPPING ? "the pool is closing" : "the start was cancelled");
}

static int end(struct start *start, int code, struct sos_error *error)
{
	struct sos_pool *pool = start->pool;
	struct sos_sandbox *sandbox = start->sandbox;
	sos_loop_remove(pool->loop, &start->cancel);
	if (start->cancel.fd >= 0)
		close(start->cancel.fd);
	if (start->bring.slot)
		sos_queue_release(&pool->queue);
	pthread_mutex_lock(&sandbox->lock);
	if (code) {
		code = real_reason_locked(start, code, error);
		if (sandbox->state != SOS_STATE_STOPPING)
			sos_sandbox_move(sandbox, SOS_STATE_CREATED, error->message);
	}
	sandbox->starter = NULL;
	bool stopped = sos_sandbox_settle(sandbox);
	pthread_mutex_unlock(&sandbox->lock);
	if (start->starter.cancel_fd >= 0)
		close(start->starter.cancel_fd);
	sos_ticket_clear(&start->starter.ticket);
	sos_bring_clear(&start->bring);
	if (code || !start->took_warm)
		sos_warm_kick(pool);
	if (code) {
		sos_pool_note(pool, code, error);
		sos_event(pool, SOS_EVENT_START_FAILED, sandbox->id, code, "%s", error->message);
	} else {
		sos_event(pool, SOS_EVENT_STARTED, sandbox->id, 0, "started");
	}
	if (stopped)
		sos_event(pool, SOS_EVENT_STOPPED, sandbox->id, 0, "stopped");
	SOS_LOCKED(&pool->lock);
	pool->calls--;
	pthread_cond_broadcast(&pool->changed);
	return code;
}

/* ---- steps ---- */

/* What a start that may not wait for others waits for all the same: a warm container that makes room. */
static int64_t queue_deadline(const struct start *start, bool *may_wait)
{
	int64_t timeout = start->options.queue_timeout_ms;
	*may_wait = timeout >= 0 || sos_warm_can_yield(start->pool);
	return sos_clock_deadline(timeout >= 0 ? timeout : YIELD_MS);
}

static int wait_for_slot(struct start *start, struct sos_error *error)
{
	struct sos_pool *pool = start->pool;
	struct sos_sandbox *sandbox = start->sandbox;
	struct sos_ticket *ticket = &start->starter.ticket;
	bool may_wait;
	int64_t deadline = queue_deadline(start, &may_wait);
	ticket->wants = sandbox->spec;
	/* Under the lock: a cancel before it is seen here, one after it finds the ticket in the queue. */
	pthread_mutex_lock(&sandbox->lock);
	int r = start->starter.cancelled ? sos_error_set(error, start->starter.cancelled, "cancelled")
					 : sos_queue_enter(&pool->queue, ticket, may_wait, error);
	pthread_mutex_unlock(&sandbox->lock);
	if (r == SOS_QUEUE_WAITING) {
		sos_warm_kick(pool);
		sos_event(pool, SOS_EVENT_QUEUED, sandbox->id, 0, "waits for a slot, place %u",
			  sos_queue_position(&pool->queue, ticket));
	}
	while (r == SOS_QUEUE_WAITING) {
		unsigned position = sos_queue_position(&pool->queue, ticket);
		if (position)
			tell(&start->bring, SOS_PHASE_QUEUED, "", position, 0);
		r = sos_queue_wait(&pool->queue, ticket, deadline, error);
	}
	start->bring.slot = !r && !ticket->gift;
	return r;
}

/* A place in the queue again, behind the others. */
static void leave_slot(struct start *start)
{
	if (start->bring.slot)
		sos_queue_release(&start->pool->queue);
	start->bring.slot = false;
	sos_ticket_clear(&start->starter.ticket);
	pthread_mutex_lock(&start->sandbox->lock);
	sos_ticket_init(&start->starter.ticket, start->options.progress != NULL);
	sos_sandbox_move(start->sandbox, SOS_STATE_QUEUED, NULL);
	pthread_mutex_unlock(&start->sandbox->lock);
}

/* ---- all of it ---- */

/* The moment from which it is started: a stop, a cancel or an end of the container before it wins. */
static int commit(struct start *start, struct sos_error *error)
{
	struct sos_launch *launch = &start->bring.launch;
	struct sos_sandbox *sandbox = start->sandbox;
	SOS_LOCKED(&sandbox->lock);
	if (launch->run->lost)
		return sos_error_set(error, SOS_ERROR_LOST, "the container ended while it was started");
	if (start->starter.cancelled || !sos_sandbox_move(sandbox, SOS_STATE_STARTED, ""))
		return sos_error_set(error, SOS_ERROR_CANCELLED, "cancelled");
	sandbox->shell = launch->shell;
	sandbox->has_shell = true;
	sandbox->started_ns = launch->up_ns;
	sandbox->started_unix_ms = sos_clock_unix_ms() - (sos_clock_ns() - launch->up_ns) / 1000000;
	sandbox->idle_since = sos_clock_ns();
	if (launch->run->session)
		sos_session_begin(launch->run->session);
	launch->run->slot = true;
	start->bring.slot = false;
	sos_run_watch(launch->run);
	launch->run = NULL;
	/* From here on a stop removes the container itself. */
	sandbox->starter = NULL;
	return 0;
}

static int cold(struct start *start, struct sos_error *error)
{
	struct sos_bring *bring = &start->bring;
	int r;
	if ((r = make_cancellable(start, error)))
		return r;
	bring->launch.call.cancel_fd = start->starter.cancel_fd;
	if ((r = sos_bring_up(bring, error)) ||
	    (r = sos_bring_setup(bring, start->sandbox->spec->setup_commands, error)) ||
	    (r = sos_bring_settle(bring, error)))
		return r;
	return commit(start, error);
}

/* With a container of the warm stock, which is ours from here on: no call to the Engine. */
static int warm(struct start *start, struct sos_run *run, struct sos_warm_fit fit, struct sos_error *error)
{
	struct sos_bring *bring = &start->bring;
	/* Before the sandbox's own clocks are set: the loop wakes once then. */
	sos_warm_kick_soon(start->pool);
	char **rest = start->sandbox->spec->setup_commands + fit.setup_done;
	int r = *rest ? make_cancellable(start, error) : 0;
	bring->launch.call.cancel_fd = start->starter.cancel_fd;
	int handed = sos_warm_hand_over(bring, run, fit, r ? NULL : error);
	if (r || (r = handed) || (r = sos_bring_setup(bring, rest, error)))
		return r;
	return commit(start, error);
}

/* It was the container's end and nothing else. */
static bool died(struct start *start, int code)
{
	if (code != SOS_ERROR_LOST && code != SOS_ERROR_ENDED)
		return false;
	SOS_LOCKED(&start->sandbox->lock);
	return !start->starter.cancelled && start->sandbox->state == SOS_STATE_STARTING;
}

static int attempt(struct start *start, struct sos_run *run, struct sos_warm_fit fit, struct sos_error *error)
{
	int64_t timeout = start->options.timeout_ms > 0 ? start->options.timeout_ms : TIMEOUT_DEFAULT_MS;
	start->bring.launch.call = (struct sos_engine_call){sos_clock_deadline(timeout), -1};
	int r = sos_bring_move(&start->bring, SOS_STATE_STARTING, error);
	if (r) {
		if (run)
			sos_run_retire(run);
		return r;
	}
	/* Of a hand-over there is nothing to tell: it is over before anybody looks. */
	if (!run)
		tell(&start->bring, SOS_PHASE_STARTING, "", 0, 0);
	r = run ? warm(start, run, fit, error) : cold(start, error);
	if (r)
		sos_bring_take_back(&start->bring);
	return r;
}

static int go(struct start *start, struct sos_error *error)
{
	for (;;) {
		struct sos_warm_fit fit = {SOS_WARM_NO, 0};
		struct sos_run *run = sos_warm_take(start->pool, start->sandbox->spec, &fit);
		int r = run ? 0 : make_cancellable(start, error);
		if (!r && !run)
			r = wait_for_slot(start, error);
		if (r)
			return r;
		if (!run && (run = start->starter.ticket.gift))
			fit = sos_warm_fit(sos_warm_made(run), start->sandbox->spec);
		start->took_warm |= run != NULL;
		if (!(r = attempt(start, run, fit, error)) || !run || !died(start, r))
			return r;
		/* The next one, or one of its own. */
		leave_slot(start);
	}
}

int sos_sandbox_start(struct sos_sandbox *sandbox, const struct sos_start_options *options, struct sos_error *error)
{
	struct start start = {.options = SOS_START_OPTIONS_INIT};
	start.pool = start.bring.launch.pool = sandbox->pool;
	start.sandbox = start.bring.launch.sandbox = sandbox;
	start.bring.launch.starter = &start.starter;
	start.bring.launch.admission = SOS_ADMIT_START;
	start.bring.tell = tell;
	start.starter.cancel_fd = start.cancel.fd = -1;
	if (options && !sos_spec_copy_sized(&start.options, sizeof(start.options), options, options->size))
		return sos_error_set(error, SOS_ERROR_INVALID, "options: their size %zu is not of a version known here",
				     options->size);
	if (start.options.timeout_ms < 0)
		return sos_error_set(error, SOS_ERROR_INVALID, "timeout_ms: negative");
	struct sos_error e = SOS_ERROR_INIT;
	int r = sos_cancel_fired(start.options.cancel)
			? sos_error_set(&e, SOS_ERROR_CANCELLED, "the start was cancelled")
			: begin(&start, &e);
	if (!r)
		r = end(&start, go(&start, &e), &e);
	if (r) {
		sos_error_prefix(&e, r, "start sandbox %.8s", sandbox->id);
		sos_error_copy(error, &e);
	}
	return r;
}
