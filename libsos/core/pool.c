/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Lock: pool->lock guards the list of sandboxes and the counts of what still
 * runs; it is the outermost one. Nobody takes it on a command's way. */

#include "core/pool.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>

#include "core/loop.h"
#include "core/owner.h"
#include "core/sandbox.h"
#include "core/thread.h"
#include "core/worker.h"
#include "util/error.h"
#include "util/guard.h"

#define FREE_MS 30000
/* What removing the pool's network may take of that at the end. */
#define NETWORK_MS 5000

/* Ids are random: their first digits are the hash. */
static struct sos_list *bucket(struct sos_pool *pool, const char *id)
{
	char digits[9] = {0};
	memcpy(digits, id, strnlen(id, 8));
	return &pool->buckets[strtoul(digits, NULL, 16) % SOS_POOL_BUCKETS];
}

/* ---- who refers to it and who is inside ---- */

struct sos_pool *sos_pool_hold(struct sos_pool *pool)
{
	atomic_fetch_add_explicit(&pool->references, 1, memory_order_relaxed);
	return pool;
}

void sos_pool_drop(struct sos_pool *pool)
{
	if (atomic_fetch_sub(&pool->references, 1) == 1)
		sos_pool_destroy(pool);
}

static void drop_held(struct sos_pool **pool)
{
	sos_pool_drop(*pool);
}

/* To the end of the block: another thread may give the last handle back meanwhile. */
#define HELD(pool) __attribute__((cleanup(drop_held), unused)) struct sos_pool *held = sos_pool_hold(pool)

static int enter_locked(struct sos_pool *pool, struct sos_error *error)
{
	if (atomic_load(&pool->closing))
		return sos_error_set(error, SOS_ERROR_ENDED, "the pool is closed");
	pool->calls++;
	sos_pool_hold(pool);
	return 0;
}

int sos_pool_enter(struct sos_pool *pool, struct sos_error *error)
{
	HELD(pool);
	SOS_LOCKED(&pool->lock);
	return enter_locked(pool, error);
}

void sos_pool_leave(struct sos_pool *pool)
{
	pthread_mutex_lock(&pool->lock);
	pool->calls--;
	pthread_cond_broadcast(&pool->changed);
	pthread_mutex_unlock(&pool->lock);
	sos_pool_drop(pool);
}

void sos_pool_tells(struct sos_pool *pool)
{
	atomic_fetch_add(&pool->telling, 1);
}

/* Either we see `closing`, or who set it sees `telling` without us. */
void sos_pool_told(struct sos_pool *pool)
{
	if (atomic_fetch_sub(&pool->telling, 1) != 1 || !atomic_load(&pool->closing))
		return;
	SOS_LOCKED(&pool->lock);
	pthread_cond_broadcast(&pool->changed);
}

/* ---- its sandboxes ---- */

int sos_pool_add(struct sos_pool *pool, struct sos_sandbox *sandbox, struct sos_error *error)
{
	SOS_LOCKED(&pool->lock);
	int r = enter_locked(pool, error);
	if (r)
		return r;
	sos_list_append(&pool->sandboxes, &sandbox->node);
	sos_list_append(bucket(pool, sandbox->id), &sandbox->by_id);
	pool->count++;
	atomic_fetch_add(&pool->states[sandbox->state], 1);
	return 0;
}

void sos_pool_remove(struct sos_pool *pool, struct sos_sandbox *sandbox)
{
	pthread_mutex_lock(&pool->lock);
	bool known = !sos_list_empty(&sandbox->node);
	if (known) {
		sos_list_remove(&sandbox->node);
		sos_list_remove(&sandbox->by_id);
		pool->count--;
	}
	pthread_mutex_unlock(&pool->lock);
	if (!known)
		return;
	/* Only a stopped one is forgotten: its state does not change any more. */
	atomic_fetch_sub(&pool->states[SOS_STATE_STOPPED], 1);
	sos_sandbox_unref(sandbox);
}

struct sos_sandbox *sos_pool_next(struct sos_pool *pool, struct sos_sandbox *previous)
{
	pthread_mutex_lock(&pool->lock);
	struct sos_list *node = pool->sandboxes.next;
	if (previous && !sos_list_empty(&previous->node))
		node = previous->node.next;
	struct sos_sandbox *next = NULL;
	if (node != &pool->sandboxes)
		next = sos_sandbox_ref(sos_list_entry(node, struct sos_sandbox, node));
	pthread_mutex_unlock(&pool->lock);
	sos_sandbox_unref(previous);
	return next;
}

int sos_sandbox_find(struct sos_pool *pool, const char *id, struct sos_sandbox **sandbox, struct sos_error *error)
{
	if (!id)
		return sos_error_set(error, SOS_ERROR_NOT_FOUND, "no sandbox without an id");
	HELD(pool);
	SOS_LOCKED(&pool->lock);
	if (pool->ended)
		return sos_error_set(error, SOS_ERROR_ENDED, "the pool is freed");
	struct sos_list *head = bucket(pool, id);
	sos_list_each (node, head) {
		struct sos_sandbox *s = sos_list_entry(node, struct sos_sandbox, by_id);
		if (!strcmp(s->id, id)) {
			*sandbox = sos_sandbox_ref(s);
			return 0;
		}
	}
	return sos_error_set(error, SOS_ERROR_NOT_FOUND, "no sandbox \"%.80s\"", id);
}

int sos_pool_list(struct sos_pool *pool, struct sos_sandbox ***sandboxes, size_t *count, struct sos_error *error)
{
	HELD(pool);
	SOS_LOCKED(&pool->lock);
	if (pool->ended)
		return sos_error_set(error, SOS_ERROR_ENDED, "the pool is freed");
	struct sos_sandbox **all = malloc((pool->count + 1) * sizeof(struct sos_sandbox *));
	if (!all)
		return sos_error_nomem(error);
	size_t n = 0;
	sos_list_each (node, &pool->sandboxes)
		all[n++] = sos_sandbox_ref(sos_list_entry(node, struct sos_sandbox, node));
	all[n] = NULL;
	*sandboxes = all;
	*count = n;
	return 0;
}

void sos_sandbox_list_free(struct sos_sandbox **sandboxes, size_t count)
{
	for (size_t i = 0; sandboxes && i < count; i++)
		sos_sandbox_unref(sandboxes[i]);
	free(sandboxes);
}

void sos_pool_get_stats(struct sos_pool *pool, struct sos_pool_stats *stats)
{
	HELD(pool);
	struct sos_pool_stats s = {.capacity = pool->capacity};
	sos_queue_count(&pool->queue, &s.containers, &s.queued);
	s.starting = atomic_load(&pool->states[SOS_STATE_STARTING]) + atomic_load(&pool->states[SOS_STATE_PULLING]);
	s.running = atomic_load(&pool->states[SOS_STATE_STARTED]) + atomic_load(&pool->states[SOS_STATE_EXITED]) +
		    atomic_load(&pool->states[SOS_STATE_SESSION_LOST]);
	s.removing = atomic_load(&pool->removing);
	s.transport = atomic_load(&pool->transport);
	sos_warm_count(pool, &s);
	pthread_mutex_lock(&pool->lock);
	s.sandboxes = (uint32_t)pool->count;
	pthread_mutex_unlock(&pool->lock);
	s.size = stats->size;
	memcpy(stats, &s, stats->size < sizeof(s) ? stats->size : sizeof(s));
}

/* ---- the end ---- */

void sos_pool_close(struct sos_pool *pool)
{
	HELD(pool);
	pthread_mutex_lock(&pool->lock);
	atomic_store(&pool->closing, true);
	pthread_mutex_unlock(&pool->lock);
	eventfd_write(pool->close_fd, 1);
	sos_warm_close(pool);
	for (struct sos_sandbox *s = NULL; (s = sos_pool_next(pool, s));)
		sos_sandbox_close(s);
}

/* Until every container is gone and every call inside has returned. */
static void wait_quiet(struct sos_pool *pool, int64_t deadline)
{
	SOS_LOCKED(&pool->lock);
	while (pool->runs || pool->calls)
		if (!sos_cond_wait(&pool->changed, &pool->lock, deadline) && sos_clock_ns() >= deadline)
			return;
}

/* Other threads' calls hold the pool: wait for them whatever it takes, or their memory would go. It takes little: they
 * are cancelled, and the Engine's calls are cut by now. */
static void wait_calls(struct sos_pool *pool, const unsigned *calls)
{
	SOS_LOCKED(&pool->lock);
	while (*calls)
		pthread_cond_wait(&pool->changed, &pool->lock);
}

static void wait_told(struct sos_pool *pool)
{
	SOS_LOCKED(&pool->lock);
	while (atomic_load(&pool->telling))
		pthread_cond_wait(&pool->changed, &pool->lock);
}

int sos_pool_extra_workers(struct sos_pool *pool, struct sos_workers **kept, unsigned most,
			   struct sos_workers **workers, struct sos_error *error)
{
	SOS_LOCKED(&pool->lock);
	int r = *kept ? 0 : sos_workers_new(most, kept, error);
	if (!r)
		*workers = *kept;
	return r;
}

static void remove_network(struct sos_pool *pool)
{
	struct sos_engine_call call = {sos_clock_deadline(NETWORK_MS), -1};
	if (pool->network_id)
		sos_engine_network_remove(pool->engine, pool->network_id, &call, NULL);
}

/* Jobs submit themselves again until all threads have ended. */
static void end_workers(struct sos_pool *pool)
{
	sos_workers_free(SOS_STEAL(pool->pullers));
	sos_workers_free(pool->workers);
	pool->workers = NULL;
}

/* All but memory: threads, descriptors, the name. Half-built pools too. */
static void dismantle(struct sos_pool *pool)
{
	end_workers(pool);
	sos_workers_free(SOS_STEAL(pool->warm.makers));
	/* What it has not told yet is told now, by this thread. */
	sos_workers_free(pool->teller);
	pool->teller = NULL;
	if (pool->loop) {
		sos_timer_cancel(pool->loop, &pool->warm.soon_timer);
		sos_timer_cancel(pool->loop, &pool->warm.timer);
	}
	sos_loop_free(SOS_STEAL(pool->loop));
	if (pool->directory)
		rmdir(pool->directory);
	free(SOS_STEAL(pool->directory));
	sos_owner_free(SOS_STEAL(pool->owner));
	sos_engine_free(SOS_STEAL(pool->engine));
	sos_gate_clear(&pool->gate);
}

void sos_pool_destroy(struct sos_pool *pool)
{
	dismantle(pool);
	sos_queue_clear(&pool->queue);
	sos_admission_clear(&pool->admission);
	sos_pulls_clear(&pool->pulls);
	sos_warm_clear(pool);
	if (pool->close_fd >= 0)
		close(pool->close_fd);
	if (pool->abort_fd >= 0)
		close(pool->abort_fd);
	pthread_cond_destroy(&pool->changed);
	pthread_mutex_destroy(&pool->lock);
	sos_spec_free(pool->defaults);
	free(pool->completing);
	free(pool->network_id);
	free(pool->runtime_dir);
	free(pool->name);
	free(pool);
}

/* Each sandbox refers to the pool: from here on they keep its memory, and not it theirs. */
static void forget_all(struct sos_pool *pool)
{
	for (;;) {
		pthread_mutex_lock(&pool->lock);
		struct sos_sandbox *first = NULL;
		if (!sos_list_empty(&pool->sandboxes)) {
			first = sos_list_entry(pool->sandboxes.next, struct sos_sandbox, node);
			sos_list_remove(&first->node);
			sos_list_remove(&first->by_id);
			pool->count--;
		}
		pthread_mutex_unlock(&pool->lock);
		if (!first)
			return;
		sos_sandbox_unref(first);
	}
}

/* True: it is this thread's to do. False: another one has done it. */
static bool begin_end(struct sos_pool *pool)
{
	SOS_LOCKED(&pool->lock);
	bool mine = !pool->ending;
	pool->ending = true;
	while (!mine && !pool->ended)
		pthread_cond_wait(&pool->changed, &pool->lock);
	return mine;
}

static void end(struct sos_pool *pool)
{
	if (!begin_end(pool))
		return;
	int64_t deadline = sos_clock_deadline(FREE_MS - NETWORK_MS);
	sos_pool_close(pool);
	for (struct sos_sandbox *s = NULL; (s = sos_pool_next(pool, s));)
		sos_sandbox_begin_stop(s, SOS_ERROR_CANCELLED, "");
	sos_warm_empty(pool);
	wait_quiet(pool, deadline);
	eventfd_write(pool->abort_fd, 1);
	/* A start may still hand a container to the workers; a stop waits for what they do. */
	wait_calls(pool, &pool->calls);
	sos_warm_end(pool);
	end_workers(pool);
	wait_calls(pool, &pool->stops);
	wait_told(pool);
	remove_network(pool);
	dismantle(pool);
	pthread_mutex_lock(&pool->lock);
	pool->ended = true;
	pthread_cond_broadcast(&pool->changed);
	pthread_mutex_unlock(&pool->lock);
	forget_all(pool);
}

struct sos_pool *sos_pool_ref(struct sos_pool *pool)
{
	if (pool)
		atomic_fetch_add_explicit(&pool->handles, 1, memory_order_relaxed);
	return pool;
}

void sos_pool_unref(struct sos_pool *pool)
{
	if (!pool || atomic_fetch_sub(&pool->handles, 1) != 1)
		return;
	end(pool);
	sos_pool_drop(pool);
}

void sos_pool_free(struct sos_pool *pool)
{
	if (!pool)
		return;
	end(pool);
	sos_pool_unref(pool);
}
