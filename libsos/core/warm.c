/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What the stock shall be, when to look at it, its end. */

#include "core/warm.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/pool.h"
#include "core/run.h"
#include "core/thread.h"
#include "util/clock.h"
#include "util/error.h"
#include "util/guard.h"

#define MS INT64_C(1000000)
#define SOON_NS (2 * MS)
#define AGAIN_LEAST_NS (1000 * MS)
#define AGAIN_MOST_NS (60000 * MS)
#define STOCK_LIFETIME_MS (INT64_C(30) * 24 * 3600 * 1000)
#define LEARNED_MOST (SOS_WARM_KINDS_MOST / 2)

/* ---- kinds ---- */

void sos_warm_kind_unref_locked(struct sos_warm *warm, struct sos_warm_kind *kind)
{
	if (--kind->references)
		return;
	sos_spec_free(kind->spec);
	free(kind);
}

struct sos_run *sos_warm_pop_locked(struct sos_warm *warm, struct sos_warm_kind *kind)
{
	struct sos_run *run = sos_list_entry(kind->stock.next, struct sos_run, stock);
	sos_list_remove(&run->stock);
	run->stocked = false;
	kind->ready--;
	warm->ready--;
	return run;
}

bool sos_warm_failed_locked(struct sos_warm_kind *kind, int code, const char *message)
{
	int64_t now = sos_clock_ns();
	bool first = !kind->failure.code;
	kind->failure.code = code;
	snprintf(kind->failure.message, sizeof(kind->failure.message), "%s", message);
	/* Several that fail together are one failure. */
	if (now < kind->failure.again_ns)
		return first;
	int64_t wait = AGAIN_LEAST_NS << (kind->failure.streak < 8 ? kind->failure.streak : 8);
	kind->failure.streak++;
	kind->failure.again_ns = now + (wait < AGAIN_MOST_NS ? wait : AGAIN_MOST_NS);
	return first;
}

/* The very same: what a number that is set goes to. */
static bool is_kind(const struct sos_warm_kind *kind, const struct sos_spec *spec)
{
	struct sos_warm_fit one = sos_warm_fit(kind->spec, spec), other = sos_warm_fit(spec, kind->spec);
	size_t i = 0, j = 0;
	while (kind->spec->environment[i])
		i++;
	while (spec->environment[j])
		j++;
	return i == j && one.way == SOS_WARM_AS_IT_IS && other.way == SOS_WARM_AS_IT_IS &&
	       one.setup_done == other.setup_done;
}

void sos_warm_drop_kind_locked(struct sos_warm *warm, struct sos_warm_kind *kind, struct sos_list *removed)
{
	while (kind->ready)
		sos_list_append(removed, &sos_warm_pop_locked(warm, kind)->stock);
	sos_list_remove(&kind->node);
	kind->least = kind->target = 0;
	warm->kind_count--;
	sos_warm_kind_unref_locked(warm, kind);
}

void sos_warm_remove_all(struct sos_list *removed)
{
	while (!sos_list_empty(removed)) {
		struct sos_run *run = sos_list_entry(removed->next, struct sos_run, stock);
		sos_list_remove(&run->stock);
		sos_run_retire(run);
	}
}

static struct sos_warm_kind *find_locked(struct sos_warm *warm, const struct sos_spec *spec)
{
	sos_list_each (node, &warm->kinds) {
		struct sos_warm_kind *kind = sos_list_entry(node, struct sos_warm_kind, node);
		if (is_kind(kind, spec))
			return kind;
	}
	return NULL;
}

/* The one that was learned and is missed least. */
static struct sos_warm_kind *stale_locked(struct sos_warm *warm)
{
	struct sos_warm_kind *stale = NULL;
	unsigned learned = 0;
	sos_list_each (node, &warm->kinds) {
		struct sos_warm_kind *kind = sos_list_entry(node, struct sos_warm_kind, node);
		learned += kind->learned;
		if (kind->learned && (!stale || kind->used_ns < stale->used_ns))
			stale = kind;
	}
	return learned >= LEARNED_MOST ? stale : NULL;
}

static int add_locked(struct sos_warm *warm, struct sos_spec *spec, uint32_t count, bool learned,
		      struct sos_list *removed, struct sos_error *error)
{
	struct sos_warm_kind *stale = learned ? stale_locked(warm) : NULL;
	if (stale)
		sos_warm_drop_kind_locked(warm, stale, removed);
	if (warm->kind_count >= SOS_WARM_KINDS_MOST)
		return sos_error_set(error, SOS_ERROR_LIMIT, "there are %u warm specs already: set one of them to 0",
				     warm->kind_count);
	struct sos_warm_kind *kind = calloc(1, sizeof(*kind));
	if (!kind)
		return sos_error_nomem(error);
	kind->references = 1;
	kind->spec = sos_spec_ref(spec);
	kind->learned = learned;
	kind->least = kind->target = count;
	kind->used_ns = sos_clock_ns();
	if (learned)
		sos_warm_demand_note(&kind->demand, kind->used_ns);
	sos_list_init(&kind->stock);
	sos_list_append(&warm->kinds, &kind->node);
	warm->kind_count++;
	return 0;
}

static int set_locked(struct sos_warm *warm, struct sos_spec *spec, uint32_t count, bool learned,
		      struct sos_list *removed, struct sos_error *error)
{
	struct sos_warm_kind *kind = find_locked(warm, spec);
	if (warm->closed)
		return sos_error_set(error, SOS_ERROR_ENDED, "the pool is closed");
	if (!kind)
		return count || learned ? add_locked(warm, spec, count, learned, removed, error) : 0;
	if (learned)
		return 0;
	if (!count) {
		sos_warm_drop_kind_locked(warm, kind, removed);
		return 0;
	}
	kind->learned = false;
	kind->least = kind->target = count;
	/* Whoever sets it has perhaps mended what failed. */
	kind->failure.again_ns = 0;
	kind->failure.streak = 0;
	return 0;
}

int sos_warm_set(struct sos_pool *pool, struct sos_spec *spec, uint32_t count, bool learned, struct sos_error *error)
{
	struct sos_warm *warm = &pool->warm;
	struct sos_list removed;
	sos_list_init(&removed);
	/* Nobody's clocks run in the stock, and labels are its later owner's. */
	spec->lifetime_ms = STOCK_LIFETIME_MS;
	spec->idle_timeout_ms = 0;
	struct sos_workers *makers;
	int r = sos_pool_extra_workers(pool, &warm->makers, warm->up_limit, &makers, error);
	if (!r) {
		atomic_store(&warm->used, true);
		SOS_LOCKED(&warm->lock);
		r = set_locked(warm, spec, count, learned, &removed, error);
	}
	sos_spec_free(spec);
	sos_warm_remove_all(&removed);
	sos_warm_kick(pool);
	return r;
}

/* ---- when to look ---- */

void sos_warm_kick(struct sos_pool *pool)
{
	if (atomic_load(&pool->warm.used) && !atomic_exchange(&pool->warm.kicked, true))
		sos_timer_set(pool->loop, &pool->warm.timer, 0);
}

static void soon_is_now(struct sos_timer *timer)
{
	struct sos_pool *pool = sos_list_entry(timer, struct sos_pool, warm.soon_timer);
	atomic_store(&pool->warm.soon, false);
	sos_warm_kick(pool);
}

void sos_warm_kick_soon(struct sos_pool *pool)
{
	if (!atomic_exchange(&pool->warm.soon, true))
		sos_timer_set(pool->loop, &pool->warm.soon_timer, sos_clock_ns() + SOON_NS);
}

/* ---- its life ---- */

void sos_warm_init(struct sos_pool *pool)
{
	struct sos_warm *warm = &pool->warm;
	pthread_mutex_init(&warm->lock, NULL);
	sos_cond_init(&warm->changed);
	sos_list_init(&warm->kinds);
	sos_list_init(&warm->ups);
	sos_timer_init(&warm->timer, sos_warm_plan);
	sos_timer_init(&warm->soon_timer, soon_is_now);
}

void sos_warm_close(struct sos_pool *pool)
{
	struct sos_warm *warm = &pool->warm;
	pthread_mutex_lock(&warm->lock);
	warm->closed = true;
	for (;;) {
		struct sos_sandbox *vessel = NULL;
		sos_list_each (node, &warm->ups) {
			struct sos_warm_up *up = sos_list_entry(node, struct sos_warm_up, node);
			if (!up->closed && (up->closed = true)) {
				vessel = sos_sandbox_ref(up->bring.launch.sandbox);
				break;
			}
		}
		if (!vessel)
			break;
		pthread_mutex_unlock(&warm->lock);
		sos_sandbox_close(vessel);
		sos_sandbox_unref(vessel);
		pthread_mutex_lock(&warm->lock);
	}
	pthread_mutex_unlock(&warm->lock);
}

void sos_warm_empty(struct sos_pool *pool)
{
	struct sos_warm *warm = &pool->warm;
	struct sos_list removed;
	sos_list_init(&removed);
	pthread_mutex_lock(&warm->lock);
	while (!sos_list_empty(&warm->kinds))
		sos_warm_drop_kind_locked(warm, sos_list_entry(warm->kinds.next, struct sos_warm_kind, node), &removed);
	pthread_mutex_unlock(&warm->lock);
	sos_warm_remove_all(&removed);
}

void sos_warm_end(struct sos_pool *pool)
{
	struct sos_warm *warm = &pool->warm;
	pthread_mutex_lock(&warm->lock);
	while (warm->up_count)
		pthread_cond_wait(&warm->changed, &warm->lock);
	pthread_mutex_unlock(&warm->lock);
	sos_workers_free(SOS_STEAL(warm->makers));
}

void sos_warm_clear(struct sos_pool *pool)
{
	pthread_cond_destroy(&pool->warm.changed);
	pthread_mutex_destroy(&pool->warm.lock);
}
