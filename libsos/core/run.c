/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "core/run.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "core/labels.h"
#include "core/pool.h"
#include "core/sandbox.h"
#include "core/warm.h"
#include "util/clock.h"
#include "util/error.h"
#include "util/guard.h"

#define MS INT64_C(1000000)
#define REMOVE_MS 10000 /* one attempt by a worker */
#define DISCARD_MS 5000 /* the attempt of a start that failed, on its own thread */
/* A create whose answer was lost may still be under way: the Engine must say for so long that there is none. */
#define SURE_NS (2000 * MS)

static int make_nonce(struct sos_run *run, struct sos_error *error)
{
	static const char digits[] = "0123456789abcdef";
	if (getrandom(run->nonce, sizeof(run->nonce), 0) != sizeof(run->nonce))
		return sos_error_errno(error, SOS_ERROR_SYSTEM, errno, "getrandom");
	for (size_t i = 0; i < sizeof(run->nonce); i++) {
		run->nonce_hex[2 * i] = digits[run->nonce[i] >> 4];
		run->nonce_hex[2 * i + 1] = digits[run->nonce[i] & 15];
	}
	return 0;
}

int sos_run_new(struct sos_pool *pool, struct sos_sandbox *sandbox, const char *what, struct sos_run **run,
		struct sos_error *error)
{
	struct sos_run *r = calloc(1, sizeof(*r));
	if (!r)
		return sos_error_nomem(error);
	int failed = make_nonce(r, error);
	if (failed) {
		free(r);
		return failed;
	}
	r->pool = pool;
	sos_timer_init(&r->lifetime, NULL);
	sos_timer_init(&r->idle, NULL);
	sos_list_init(&r->job.node);
	sos_list_init(&r->stock);
	if (!what)
		/* Twelve hex digits of the id, its first dash left out. */
		snprintf(r->name, sizeof(r->name), "sos-%s-%.8s%.4s-%.4s", pool->name, sandbox->id, sandbox->id + 9,
			 r->nonce_hex);
	else
		snprintf(r->name, sizeof(r->name), "sos-%s-%s-%.12s", pool->name, what, r->nonce_hex);
	if (sandbox) {
		r->sandbox = sos_sandbox_ref(sandbox);
		SOS_LOCKED(&sandbox->lock);
		sandbox->runs++;
	}
	SOS_LOCKED(&pool->lock);
	pool->runs++;
	*run = r;
	return 0;
}

struct sos_sandbox *sos_run_lock_sandbox(struct sos_run *run)
{
	for (;;) {
		struct sos_sandbox *sandbox = run->sandbox;
		pthread_mutex_lock(&sandbox->lock);
		if (run->sandbox == sandbox)
			return sandbox;
		pthread_mutex_unlock(&sandbox->lock);
	}
}

void sos_run_unpin_locked(struct sos_run *run)
{
	struct sos_sandbox *sandbox = run->sandbox;
	if (!--run->uses && sandbox->run != run)
		sos_condition_notify(&sandbox->changed);
}

static void detach(struct sos_run *run)
{
	struct sos_sandbox *sandbox = run->sandbox;
	SOS_LOCKED(&sandbox->lock);
	if (sandbox->run == run)
		sandbox->run = NULL;
	/* Not long: the link was ended, so whatever runs on it is on its way out. */
	while (run->uses)
		sos_condition_wait(&sandbox->changed, &sandbox->lock, SOS_CLOCK_NEVER, -1);
}

void sos_run_end(struct sos_run *run)
{
	struct sos_pool *pool = run->pool;
	struct sos_sandbox *sandbox = run->sandbox;
	if (sandbox) {
		if (run->link)
			sos_link_end(run->link, SOS_ERROR_ENDED, "the sandbox was stopped");
		detach(run);
		sos_timer_cancel(pool->loop, &run->lifetime);
		sos_timer_cancel(pool->loop, &run->idle);
		sos_session_free(run->session);
		sos_link_free(run->link);
	}
	if (run->slot)
		sos_queue_release(&pool->queue);
	if (run->kind)
		sos_warm_gone(run);
	else if (run->slot)
		sos_warm_kick(pool);
	sos_sandbox_unref(run->vessel);
	free(run->image_user);
	free(run->id);
	free(run);
	if (sandbox) {
		pthread_mutex_lock(&sandbox->lock);
		sandbox->runs--;
		bool stopped = sos_sandbox_settle(sandbox);
		pthread_mutex_unlock(&sandbox->lock);
		if (stopped)
			sos_event_later(pool, SOS_EVENT_STOPPED, sandbox->id, 0, "stopped");
		sos_sandbox_unref(sandbox);
	}
	/* Last: sos_pool_free waits for it. */
	SOS_LOCKED(&pool->lock);
	pool->runs--;
	pthread_cond_broadcast(&pool->changed);
}

/* Its id by the label that no other container has; names may be taken by others. */
static int look_up(struct sos_run *run, const struct sos_engine_call *call, struct sos_error *error)
{
	char label[64];
	snprintf(label, sizeof(label), SOS_LABEL_NONCE "=%s", run->nonce_hex);
	const char *const labels[] = {label, NULL};
	struct sos_engine_container *found = NULL;
	size_t count = 0;
	int r = sos_engine_container_list(run->pool->engine, labels, call, &found, &count, error);
	if (r) {
		run->missing_since = 0;
		return r;
	}
	if (count) {
		run->id = SOS_STEAL(found[0].id);
		run->container = SOS_RUN_THERE;
		sos_engine_container_list_free(found, count);
		return 0;
	}
	sos_engine_container_list_free(found, count);
	int64_t now = sos_clock_ns();
	if (!run->missing_since)
		run->missing_since = now;
	if (now - run->missing_since < SURE_NS)
		return sos_error_set(error, SOS_ERROR_STATE, "container %s may still be made", run->name);
	run->container = SOS_RUN_NONE;
	return 0;
}

int sos_run_remove(struct sos_run *run, const struct sos_engine_call *call, struct sos_error *error)
{
	int r = 0;
	if (run->container == SOS_RUN_UNSURE && (r = look_up(run, call, error)))
		return r;
	if (run->container == SOS_RUN_THERE &&
	    (r = sos_engine_container_remove(run->pool->engine, run->id, call, error)))
		return r;
	run->container = SOS_RUN_NONE;
	return 0;
}

/* ---- by the workers ---- */

static const char *why_it_ended(const struct sos_engine_container *container, char text[64])
{
	if (container->oom_killed)
		return "out of memory";
	snprintf(text, 64, "exit code %d", container->exit_code);
	return text;
}

/* The link only knows that the container went away; the Engine may still know why. */
static void look_into(struct sos_run *run)
{
	struct sos_sandbox *sandbox = run->sandbox;
	struct sos_engine_call call = {sos_clock_deadline(2000), run->pool->abort_fd};
	struct sos_engine_container container = {0};
	char text[64], reason[400];
	bool known = !run->expired && run->id &&
		     !sos_engine_container_inspect(run->pool->engine, run->id, &call, &container, NULL) &&
		     !container.running;
	snprintf(reason, sizeof(reason), "%s%s%s%s", run->reason, known ? " (" : "",
		 known ? why_it_ended(&container, text) : "", known ? ")" : "");
	sos_engine_container_clear(&container);
	pthread_mutex_lock(&sandbox->lock);
	if (sandbox->state == SOS_STATE_LOST)
		snprintf(sandbox->reason, sizeof(sandbox->reason), "%s", reason);
	pthread_mutex_unlock(&sandbox->lock);
	if (run->expired)
		sos_event_later(run->pool, SOS_EVENT_EXPIRED, sandbox->id, 0, "%s", reason);
	else
		sos_event_later(run->pool, SOS_EVENT_LOST, sandbox->id, run->lost_code, "%s", reason);
}

static void try_again(struct sos_run *run, const struct sos_error *error)
{
	struct sos_pool *pool = run->pool;
	struct sos_sandbox *sandbox = run->sandbox;
	const char *id = sandbox && !sandbox->vessel ? sandbox->id : NULL;
	bool unsure = error->code == SOS_ERROR_STATE;
	int64_t wait = (unsure ? 50 : 100) * MS << (run->attempts < 8 ? run->attempts : 8);
	int64_t most = (unsure ? 500 : 5000) * MS;
	if (sandbox) {
		SOS_LOCKED(&sandbox->lock);
		sandbox->remove_error = *error;
	}
	/* A pool that gives up makes the call fail: nothing to tell. */
	if (!unsure && run->attempts == 0 && error->code != SOS_ERROR_CANCELLED) {
		sos_pool_note(pool, error->code, error);
		sos_event_later(pool, SOS_EVENT_REMOVE_FAILED, id, error->code, "remove %s: %s", run->name,
				error->message);
	}
	run->attempts++;
	sos_workers_submit(pool->workers, &run->job, sos_clock_ns() + (wait < most ? wait : most));
}

static void retire(struct sos_job *job)
{
	struct sos_run *run = sos_list_entry(job, struct sos_run, job);
	if (run->end_link) {
		run->end_link = false;
		sos_link_end(run->link, SOS_ERROR_ENDED, run->reason);
	}
	if (run->look) {
		run->look = false;
		look_into(run);
	}
	struct sos_engine_call call = {sos_clock_deadline(REMOVE_MS), run->pool->abort_fd};
	struct sos_error error = SOS_ERROR_INIT;
	if (sos_run_remove(run, &call, &error)) {
		try_again(run, &error);
		return;
	}
	atomic_fetch_sub(&run->pool->removing, 1);
	sos_run_end(run);
}

/* The pool gives up: the container ends by its lease, or the next owner of the name removes it. */
static void give_up(struct sos_job *job)
{
	struct sos_run *run = sos_list_entry(job, struct sos_run, job);
	atomic_fetch_sub(&run->pool->removing, 1);
	struct sos_sandbox *sandbox = run->sandbox;
	if (sandbox) {
		SOS_LOCKED(&sandbox->lock);
		sandbox->abandoned = true;
	}
	sos_run_end(run);
}

void sos_run_retire(struct sos_run *run)
{
	run->job.run = retire;
	run->job.drop = give_up;
	atomic_fetch_add(&run->pool->removing, 1);
	sos_workers_submit(run->pool->workers, &run->job, 0);
}

bool sos_run_discard(struct sos_run *run)
{
	struct sos_engine_call call = {sos_clock_deadline(DISCARD_MS), run->pool->abort_fd};
	struct sos_error error = SOS_ERROR_INIT;
	struct sos_sandbox *sandbox = run->sandbox;
	if (sos_run_remove(run, &call, &error)) {
		if (sandbox) {
			SOS_LOCKED(&sandbox->lock);
			/* A new start of the sandbox must not meet it. */
			if (sandbox->run == run)
				sandbox->run = NULL;
		}
		run->slot = true;
		sos_run_retire(run);
		return false;
	}
	sos_run_end(run);
	return true;
}
