/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What a pool does once the Engine answers, and its own way to get there. */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "core/cancel.h"
#include "core/labels.h"
#include "core/owner.h"
#include "core/pool.h"
#include "core/run.h"
#include "core/worker.h"
#include "util/clock.h"
#include "util/error.h"
#include "util/guard.h"

#define CONNECT_MS 10000
#define READY_MS 5000
#define AGAIN_LEAST_NS INT64_C(200000000)
#define AGAIN_MOST_NS INT64_C(5000000000)

int sos_pool_note(struct sos_pool *pool, int code, const struct sos_error *error)
{
	if (code == SOS_ERROR_UNREACHABLE && atomic_exchange(&pool->answering, false))
		sos_event_later(pool, SOS_EVENT_ENGINE_LOST, NULL, code, "%s", error->message);
	return code;
}

/* Own the name on this Engine, and the directory that goes with it. */
static int take_name(struct sos_pool *pool, struct sos_error *error)
{
	if (pool->owner)
		return 0;
	char key[13];
	sos_owner_key(pool->facts.id, pool->name, key);
	struct sos_owner *owner = NULL;
	SOS_AUTO_FREE char *directory = NULL;
	if (pool->runtime_dir && asprintf(&directory, "%s/%s", pool->runtime_dir, key) < 0)
		return sos_error_nomem(error);
	int r = sos_owner_new(pool->runtime_dir, key, pool->facts.id, pool->name, pool->unique, &owner, error);
	if (r)
		return r;
	if (directory && mkdir(directory, 0700) && errno != EEXIST) {
		r = sos_error_errno(error, SOS_ERROR_SYSTEM, errno, "make \"%s\"", directory);
		sos_owner_free(owner);
		return r;
	}
	if (directory)
		sos_sweep_directory(directory);
	pool->directory = SOS_STEAL(directory);
	pool->owner = owner;
	return 0;
}

/* What could not be removed now still exists: it takes a slot until the workers got rid of it. */
static int quarantine(struct sos_pool *pool, struct sos_engine_container *container, struct sos_error *error)
{
	struct sos_run *run = NULL;
	int r = sos_run_new(pool, NULL, "leftover", &run, error);
	if (r)
		return r;
	snprintf(run->name, sizeof(run->name), "%s", container->name ? container->name : container->id);
	run->id = SOS_STEAL(container->id);
	run->container = SOS_RUN_THERE;
	run->slot = true;
	sos_queue_take(&pool->queue);
	sos_run_retire(run);
	return 0;
}

static int remove_leftovers(struct sos_pool *pool, const struct sos_engine_call *call, struct sos_error *error)
{
	SOS_AUTO_FREE char *label = NULL;
	if (asprintf(&label, SOS_LABEL_POOL "=%s", pool->name) < 0)
		return sos_error_nomem(error);
	const char *const labels[] = {label, NULL};
	struct sos_engine_container *containers = NULL;
	size_t count = 0;
	int r = sos_engine_container_list(pool->engine, labels, call, &containers, &count, error);
	for (size_t i = 0; !r && i < count; i++) {
		struct sos_error why = SOS_ERROR_INIT;
		r = sos_engine_container_remove(pool->engine, containers[i].id, call, &why);
		if (!r)
			sos_event_later(pool, SOS_EVENT_LEFTOVER_REMOVED, NULL, 0,
					"removed %s, which an earlier process left",
					containers[i].name ? containers[i].name : containers[i].id);
		else if (r == SOS_ERROR_ENGINE)
			r = quarantine(pool, &containers[i], error);
		else
			sos_error_copy(error, &why);
	}
	sos_engine_container_list_free(containers, count);
	char **ids = NULL;
	size_t networks = 0;
	if (r || (r = sos_engine_network_list(pool->engine, labels, call, &ids, &networks, error)))
		return r;
	/* One that does not go is found again by its name when it is needed. */
	for (size_t i = 0; i < networks; i++) {
		sos_engine_network_remove(pool->engine, ids[i], call, NULL);
		free(ids[i]);
	}
	free(ids);
	return 0;
}

static int complete(struct sos_pool *pool, const struct sos_engine_call *call, struct sos_error *error)
{
	if (atomic_load(&pool->completed))
		return 0;
	struct sos_engine_call connect = *call;
	int64_t soon = sos_clock_deadline(CONNECT_MS);
	if (connect.deadline > soon)
		connect.deadline = soon;
	struct sos_engine_facts facts = {0};
	int r = sos_engine_connect(pool->engine, &connect, &facts, error);
	if (r)
		return r;
	pool->facts = facts;
	if ((r = take_name(pool, error)) || (r = remove_leftovers(pool, call, error)))
		return r;
	atomic_store(&pool->answering, true);
	atomic_store(&pool->completed, true);
	return 1;
}

int sos_pool_complete(struct sos_pool *pool, const struct sos_engine_call *call, struct sos_error *error)
{
	if (atomic_load(&pool->completed))
		return 0;
	int r = sos_gate_enter(&pool->gate, call->deadline, call->cancel_fd, error);
	if (r)
		return r;
	r = complete(pool, call, error);
	sos_gate_leave(&pool->gate);
	if (r == 1) {
		sos_event_later(pool, SOS_EVENT_POOL_READY, NULL, 0, "Engine %s at %s", pool->facts.version,
				sos_engine_address(pool->engine));
		sos_sweep(pool);
		r = 0;
	}
	return r;
}

static int ask(struct sos_pool *pool, const struct sos_engine_call *call, struct sos_error *error)
{
	if (!atomic_load(&pool->completed))
		return sos_pool_complete(pool, call, error);
	int r = sos_engine_ping(pool->engine, call, error);
	if (!r && !atomic_exchange(&pool->answering, true))
		sos_event_later(pool, SOS_EVENT_POOL_READY, NULL, 0, "the Engine at %s answers again",
				sos_engine_address(pool->engine));
	return r;
}

/* Inside the pool. */
static int ready(struct sos_pool *pool, int64_t timeout_ms, const struct sos_cancel *cancel, struct sos_error *error)
{
	SOS_AUTO_CLOSE int either = -1;
	int r = cancel ? sos_cancel_either(pool->close_fd, sos_cancel_fd(cancel), &either, error) : 0;
	if (r)
		return r;
	struct sos_engine_call call = {
		.deadline = sos_clock_deadline(timeout_ms),
		.cancel_fd = cancel ? either : pool->close_fd,
	};
	r = ask(pool, &call, error);
	if (r == SOS_ERROR_CANCELLED && !sos_cancel_fired(cancel))
		return sos_error_set(error, SOS_ERROR_ENDED, "the pool is closed");
	if (r == SOS_ERROR_DEADLINE)
		r = sos_error_set(error, SOS_ERROR_UNREACHABLE, "the Engine at %s does not answer within %lld ms",
				  sos_engine_address(pool->engine), (long long)timeout_ms);
	return sos_pool_note(pool, r, error);
}

int sos_pool_ready(struct sos_pool *pool, int64_t timeout_ms, struct sos_cancel *cancel, struct sos_error *error)
{
	if (timeout_ms < 0)
		return sos_error_set(error, SOS_ERROR_INVALID, "timeout_ms: negative");
	if (sos_cancel_fired(cancel))
		return sos_error_set(error, SOS_ERROR_CANCELLED, "cancelled");
	int r = sos_pool_enter(pool, error);
	if (r)
		return r;
	struct sos_error e = SOS_ERROR_INIT;
	r = ready(pool, timeout_ms ? timeout_ms : READY_MS, cancel, &e);
	sos_pool_leave(pool);
	return r ? sos_error_copy(error, &e) : 0;
}

/* ---- a lazy pool's own attempts ---- */

struct attempts {
	struct sos_job job;
	struct sos_pool *pool;
	int64_t wait;
};

static void attempt(struct sos_job *job)
{
	struct attempts *attempts = sos_list_entry(job, struct attempts, job);
	struct sos_pool *pool = attempts->pool;
	struct sos_engine_call call = {sos_clock_deadline(CONNECT_MS), pool->abort_fd};
	if (!sos_pool_complete(pool, &call, NULL))
		return;
	attempts->wait = attempts->wait * 2 < AGAIN_MOST_NS ? attempts->wait * 2 : AGAIN_MOST_NS;
	sos_workers_submit(pool->workers, job, sos_clock_ns() + attempts->wait);
}

/* The pool frees it. */
static void drop_attempts(struct sos_job *job)
{
	(void)job;
}

int sos_pool_complete_later(struct sos_pool *pool, struct sos_error *error)
{
	struct attempts *attempts = calloc(1, sizeof(*attempts));
	if (!attempts)
		return sos_error_nomem(error);
	_Static_assert(offsetof(struct attempts, job) == 0, "the pool frees it by its job");
	attempts->job.run = attempt;
	attempts->job.drop = drop_attempts;
	attempts->pool = pool;
	attempts->wait = AGAIN_LEAST_NS;
	pool->completing = &attempts->job;
	sos_workers_submit(pool->workers, &attempts->job, sos_clock_ns() + attempts->wait);
	return 0;
}
