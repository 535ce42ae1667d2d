/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A pull runs on a thread of its own kind, since it may take minutes and must
 * hold up no removal, and since whoever asked for it first may go away before
 * the others. */

#include "core/pull.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>

#include "core/pool.h"
#include "core/wait.h"
#include "util/clock.h"
#include "util/error.h"
#include "util/guard.h"
#include "wire/image_ref.h"

#define PULLS_MOST 4 /* at one time; more only share the same line */

struct pull {
	struct sos_job job;
	struct sos_pool *pool;
	char *image;
	int cancel_fd; /* readable: nobody waits any more */

	/* Under the lock. */
	struct sos_list node; /* of the running ones */
	struct sos_condition changed;
	unsigned waiters;
	bool done;
	struct sos_error error; /* why it failed; code 0: it did not */
	uint64_t told;          /* how often there was something to tell */
	char text[256];
	int64_t current, total;
};

void sos_pulls_init(struct sos_pulls *pulls)
{
	pthread_mutex_init(&pulls->lock, NULL);
	sos_list_init(&pulls->running);
}

void sos_pulls_clear(struct sos_pulls *pulls)
{
	pthread_mutex_destroy(&pulls->lock);
}

static void free_pull(struct pull *pull)
{
	if (!pull)
		return;
	if (pull->cancel_fd >= 0)
		close(pull->cancel_fd);
	sos_condition_clear(&pull->changed);
	free(pull->image);
	free(pull);
}

static void guard_pull(struct pull **pull)
{
	free_pull(*pull);
}

/* ---- on its own thread ---- */

static void note_progress(void *data, const char *text, int64_t current, int64_t total)
{
	struct pull *pull = data;
	SOS_LOCKED(&pull->pool->pulls.lock);
	snprintf(pull->text, sizeof(pull->text), "%s", text ? text : "");
	pull->current = current;
	pull->total = total;
	pull->told++;
	sos_condition_notify(&pull->changed);
}

/* The last one who knows of it takes it away. */
static void finish(struct pull *pull, const struct sos_error *error)
{
	struct sos_pulls *pulls = &pull->pool->pulls;
	pthread_mutex_lock(&pulls->lock);
	sos_list_remove(&pull->node);
	pull->done = true;
	pull->error = *error;
	sos_condition_notify(&pull->changed);
	bool last = !pull->waiters;
	pthread_mutex_unlock(&pulls->lock);
	if (last)
		free_pull(pull);
}

static void run(struct sos_job *job)
{
	struct pull *pull = sos_list_entry(job, struct pull, job);
	struct sos_engine_call call = {SOS_CLOCK_NEVER, pull->cancel_fd};
	struct sos_error error = SOS_ERROR_INIT;
	sos_engine_image_pull(pull->pool->engine, pull->image, &call, note_progress, pull, &error);
	finish(pull, &error);
}

static void drop(struct sos_job *job)
{
	struct pull *pull = sos_list_entry(job, struct pull, job);
	struct sos_error error = SOS_ERROR_INIT;
	sos_error_set(&error, SOS_ERROR_ENDED, "the pool is closed");
	finish(pull, &error);
}

/* ---- those who wait ---- */

static int make(struct sos_pool *pool, const char *image, struct pull **made, struct sos_error *error)
{
	__attribute__((cleanup(guard_pull))) struct pull *pull = calloc(1, sizeof(*pull));
	if (!pull)
		return sos_error_nomem(error);
	sos_condition_init(&pull->changed);
	sos_list_init(&pull->node);
	pull->job.run = run;
	pull->job.drop = drop;
	pull->pool = pool;
	pull->cancel_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (pull->cancel_fd < 0)
		return sos_error_errno(error, SOS_ERROR_LIMIT, errno, "eventfd");
	if (!(pull->image = strdup(image)))
		return sos_error_nomem(error);
	*made = SOS_STEAL(pull);
	return 0;
}

static struct pull *find_locked(struct sos_pulls *pulls, const char *image)
{
	sos_list_each (node, &pulls->running) {
		struct pull *pull = sos_list_entry(node, struct pull, node);
		if (sos_image_ref_same(pull->image, image))
			return pull;
	}
	return NULL;
}

static int join(struct sos_pool *pool, const char *image, struct pull **joined, struct sos_error *error)
{
	struct pull *pull = NULL;
	struct sos_workers *pullers = NULL;
	int r = sos_pool_extra_workers(pool, &pool->pullers, PULLS_MOST, &pullers, error);
	if (r)
		return r;
	SOS_LOCKED(&pool->pulls.lock);
	if (!(pull = find_locked(&pool->pulls, image))) {
		if ((r = make(pool, image, &pull, error)))
			return r;
		sos_list_append(&pool->pulls.running, &pull->node);
		sos_workers_submit(pullers, &pull->job, 0);
	}
	pull->waiters++;
	*joined = pull;
	return 0;
}

static int outcome_locked(const struct pull *pull, int r, struct sos_error *error)
{
	if (pull->done)
		return pull->error.code ? sos_error_copy(error, &pull->error) : 0;
	if (r == SOS_ERROR_DEADLINE)
		return sos_error_set(error, r, "pull image \"%s\": it did not end in time", pull->image);
	return sos_error_set(error, r, "pull image \"%s\": %s", pull->image,
			     r == SOS_ERROR_CANCELLED ? "cancelled" : "no descriptor to wait by");
}

int sos_pull(struct sos_pool *pool, const char *image, const struct sos_engine_call *call, sos_engine_pull_cb progress,
	     void *data, struct sos_error *error)
{
	struct pull *pull = NULL;
	int r = join(pool, image, &pull, error);
	if (r)
		return r;
	uint64_t seen = 0;
	pthread_mutex_lock(&pool->pulls.lock);
	while (!pull->done && !r) {
		if (seen == pull->told) {
			r = sos_condition_wait(&pull->changed, &pool->pulls.lock, call->deadline, call->cancel_fd);
			continue;
		}
		char text[sizeof(pull->text)];
		memcpy(text, pull->text, sizeof(text));
		int64_t current = pull->current, total = pull->total;
		seen = pull->told;
		pthread_mutex_unlock(&pool->pulls.lock);
		progress(data, text, current, total);
		pthread_mutex_lock(&pool->pulls.lock);
	}
	r = outcome_locked(pull, r, error);
	bool last = !--pull->waiters, done = pull->done;
	if (last && !done) {
		/* Who comes now begins anew; its own thread takes this one away. */
		sos_list_remove(&pull->node);
		eventfd_write(pull->cancel_fd, 1);
	}
	pthread_mutex_unlock(&pool->pulls.lock);
	if (last && done)
		free_pull(pull);
	return r;
}
