/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Lock: workers->lock guards everything here; innermost, never held while a
 * job runs. */

#include "core/worker.h"

#include <stdlib.h>

#include "core/thread.h"
#include "util/error.h"
#include "util/guard.h"

struct sos_workers {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	struct sos_list jobs; /* by due time */
	unsigned max, count, idle;
	bool ending;
	pthread_t threads[];
};

static int add_thread_locked(struct sos_workers *workers);

/* More work than the thread that was woken for it: pass it on. */
static void share_locked(struct sos_workers *workers)
{
	if (sos_list_empty(&workers->jobs))
		return;
	if (sos_list_entry(workers->jobs.next, struct sos_job, node)->due > sos_clock_ns())
		return;
	if (workers->idle)
		pthread_cond_signal(&workers->changed);
	else if (workers->count < workers->max)
		add_thread_locked(workers);
}

/* The next job that is due, waiting for it; NULL: the end. */
static struct sos_job *next_locked(struct sos_workers *workers)
{
	while (!workers->ending) {
		int64_t due = SOS_CLOCK_NEVER;
		if (!sos_list_empty(&workers->jobs)) {
			struct sos_job *job = sos_list_entry(workers->jobs.next, struct sos_job, node);
			due = job->due;
			if (due <= sos_clock_ns()) {
				sos_list_remove(&job->node);
				share_locked(workers);
				return job;
			}
		}
		workers->idle++;
		sos_cond_wait(&workers->changed, &workers->lock, due);
		workers->idle--;
	}
	return NULL;
}

static void *work(void *data)
{
	struct sos_workers *workers = data;
	pthread_mutex_lock(&workers->lock);
	for (struct sos_job *job; (job = next_locked(workers));) {
		pthread_mutex_unlock(&workers->lock);
		job->run(job);
		pthread_mutex_lock(&workers->lock);
	}
	pthread_mutex_unlock(&workers->lock);
	return NULL;
}

static int add_thread_locked(struct sos_workers *workers)
{
	int r = sos_thread_start(&workers->threads[workers->count], work, workers);
	if (!r)
		workers->count++;
	return r;
}

int sos_workers_new(unsigned max, struct sos_workers **workers, struct sos_error *error)
{
	struct sos_workers *w = calloc(1, sizeof(*w) + max * sizeof(w->threads[0]));
	if (!w)
		return sos_error_nomem(error);
	pthread_mutex_init(&w->lock, NULL);
	sos_cond_init(&w->changed);
	sos_list_init(&w->jobs);
	w->max = max;
	pthread_mutex_lock(&w->lock);
	int r = add_thread_locked(w);
	pthread_mutex_unlock(&w->lock);
	if (r) {
		sos_workers_free(w);
		return sos_error_errno(error, SOS_ERROR_SYSTEM, r, "start a thread");
	}
	*workers = w;
	return 0;
}

void sos_workers_submit(struct sos_workers *workers, struct sos_job *job, int64_t due)
{
	SOS_LOCKED(&workers->lock);
	job->due = due;
	struct sos_list *after = workers->jobs.prev;
	while (after != &workers->jobs && sos_list_entry(after, struct sos_job, node)->due > due)
		after = after->prev;
	sos_list_append(after->next, &job->node);
	/* Due now and nobody free: one more, if there may be one. */
	if (!workers->idle && workers->count < workers->max && !workers->ending)
		add_thread_locked(workers);
	pthread_cond_signal(&workers->changed);
}

void sos_workers_free(struct sos_workers *workers)
{
	if (!workers)
		return;
	pthread_mutex_lock(&workers->lock);
	workers->ending = true;
	pthread_cond_broadcast(&workers->changed);
	unsigned count = workers->count;
	pthread_mutex_unlock(&workers->lock);
	for (unsigned i = 0; i < count; i++)
		pthread_join(workers->threads[i], NULL);
	while (!sos_list_empty(&workers->jobs)) {
		struct sos_job *job = sos_list_entry(workers->jobs.next, struct sos_job, node);
		sos_list_remove(&job->node);
		job->drop(job);
	}
	pthread_cond_destroy(&workers->changed);
	pthread_mutex_destroy(&workers->lock);
	free(workers);
}
