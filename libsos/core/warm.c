/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What the stock shall be, and the plan that makes it so. The plan runs on the
 * loop's thread whenever something changed that it depends on: a container
 * taken, made, lost or removed, a slot free, a start that waits, a number set,
 * a back-off over. It only decides; making and removing is done by others. */

#include "core/warm.h"

#include <fcntl.h>
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

/* What a plan decides and what is done without the lock. */
struct plan {
	struct sos_list removed; /* struct sos_run.stock */
	struct sos_sandbox *cancelled[16];
	unsigned cancelled_count;
	int64_t due;
};

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

static void drop_kind_locked(struct sos_warm *warm, struct sos_warm_kind *kind, struct sos_list *removed)
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
		drop_kind_locked(warm, stale, removed);
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
		drop_kind_locked(warm, kind, removed);
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

/* ---- the plan ---- */

static void remove_for(struct sos_warm *warm, struct sos_warm_kind *kind, struct plan *plan)
{
	sos_list_append(&plan->removed, &sos_warm_pop_locked(warm, kind)->stock);
}

/* The kind that has most in stock: one less matters least to it. */
static struct sos_warm_kind *richest_locked(struct sos_warm *warm)
{
	struct sos_warm_kind *richest = NULL;
	sos_list_each (node, &warm->kinds) {
		struct sos_warm_kind *kind = sos_list_entry(node, struct sos_warm_kind, node);
		if (kind->ready && (!richest || kind->ready > richest->ready))
			richest = kind;
	}
	return richest;
}

/* Where the one who waits behind `skip` others can have a container of the stock it gets that, slot and all. */
static bool offer_locked(struct sos_pool *pool, unsigned skip)
{
	struct sos_warm *warm = &pool->warm;
	sos_list_each (node, &warm->kinds) {
		struct sos_warm_kind *kind = sos_list_entry(node, struct sos_warm_kind, node);
		if (!kind->ready)
			continue;
		struct sos_run *run = sos_list_entry(kind->stock.next, struct sos_run, stock);
		/* Before, since whoever gets it goes on at once. */
		run->taken = true;
		if (!sos_queue_offer(&pool->queue, skip, sos_warm_takes, kind, run)) {
			run->taken = false;
			continue;
		}
		sos_warm_pop_locked(warm, kind);
		kind->busy++;
		kind->hits++;
		warm->hits++;
		return true;
	}
	return false;
}

/* Or one that is being made, once it is there: sooner than if it were taken down for another one. */
static bool promise_locked(struct sos_pool *pool, unsigned skip)
{
	sos_list_each (node, &pool->warm.ups) {
		struct sos_warm_up *up = sos_list_entry(node, struct sos_warm_up, node);
		if (up->yields || up->promised || sos_list_empty(&up->kind->node))
			continue;
		up->promised = sos_queue_wants(&pool->queue, skip, sos_warm_takes, up->kind);
		if (up->promised)
			return true;
	}
	return false;
}

/* One that is being made for nobody: its slot comes back as soon as it is taken down. */
static bool cancel_one_locked(struct sos_warm *warm, struct plan *plan)
{
	if (plan->cancelled_count == sizeof(plan->cancelled) / sizeof(plan->cancelled[0]))
		return false;
	sos_list_each (node, &warm->ups) {
		struct sos_warm_up *up = sos_list_entry(node, struct sos_warm_up, node);
		if (up->yields || up->promised)
			continue;
		up->yields = true;
		plan->cancelled[plan->cancelled_count++] = sos_sandbox_ref(up->bring.launch.sandbox);
		return true;
	}
	return false;
}

static bool make_room_locked(struct sos_warm *warm, struct plan *plan)
{
	struct sos_warm_kind *kind = richest_locked(warm);
	if (!kind)
		return cancel_one_locked(warm, plan);
	sos_list_entry(kind->stock.next, struct sos_run, stock)->yields = true;
	remove_for(warm, kind, plan);
	return true;
}

/* Something for each start that waits, as far as there is anything. */
static void yield_locked(struct sos_pool *pool, struct plan *plan)
{
	struct sos_warm *warm = &pool->warm;
	unsigned skip = warm->yielded, used, queued;
	sos_list_each (node, &warm->ups)
		sos_list_entry(node, struct sos_warm_up, node)->promised = false;
	for (;;) {
		sos_queue_count(&pool->queue, &used, &queued);
		if (queued <= skip)
			return;
		if (offer_locked(pool, skip))
			continue;
		if (!promise_locked(pool, skip)) {
			if (!make_room_locked(warm, plan))
				return;
			warm->yielded++;
		}
		skip++;
	}
}

static int64_t meminfo(const char *text, const char *name)
{
	const char *line = strstr(text, name);
	return line ? strtoll(line + strlen(name), NULL, 10) * 1024 : -1;
}

/* Of this machine: where the Engine is another one nothing is known. */
static void look_at_memory(const struct sos_pool *pool, int64_t *available, int64_t *total)
{
	char text[512];
	*available = *total = -1;
	SOS_AUTO_CLOSE int fd = sos_engine_is_local(pool->engine) ? open("/proc/meminfo", O_RDONLY | O_CLOEXEC) : -1;
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	if (n <= 0)
		return;
	text[n] = 0;
	*total = meminfo(text, "MemTotal:");
	*available = meminfo(text, "MemAvailable:");
}

static void learn_locked(struct sos_pool *pool, struct plan *plan)
{
	struct sos_warm *warm = &pool->warm;
	struct sos_warm_share shares[SOS_WARM_KINDS_MOST];
	unsigned count = 0, used, queued;
	int64_t now = sos_clock_ns(), available, total;
	uint32_t starting = 0;
	bool fading = false;
	sos_list_each (node, &warm->kinds) {
		struct sos_warm_kind *kind = sos_list_entry(node, struct sos_warm_kind, node);
		shares[count++] = (struct sos_warm_share){kind->least, sos_warm_demand_want(&kind->demand, now), 0};
		starting += kind->starting;
		fading |= kind->demand.level > 0;
	}
	sos_queue_count(&pool->queue, &used, &queued);
	look_at_memory(pool, &available, &total);
	uint32_t ours = warm->ready + starting;
	sos_warm_divide(shares, count,
			sos_warm_room(pool->capacity, used > ours ? used - ours : 0, ours, available, total));
	count = 0;
	for (struct sos_list *node = warm->kinds.next, *next; node != &warm->kinds; node = next) {
		struct sos_warm_kind *kind = sos_list_entry(node, struct sos_warm_kind, node);
		next = node->next;
		kind->target = shares[count++].gets;
		if (kind->learned && !kind->demand.level && !kind->demand.count && !kind->starting)
			drop_kind_locked(warm, kind, &plan->removed);
	}
	if (fading && now + SOS_WARM_BUCKET_NS < plan->due)
		plan->due = now + SOS_WARM_BUCKET_NS;
}

static void fill_locked(struct sos_pool *pool, struct sos_warm_kind *kind, struct plan *plan)
{
	struct sos_warm *warm = &pool->warm;
	while (kind->ready > kind->target)
		remove_for(warm, kind, plan);
	if (kind->ready + kind->starting >= kind->target)
		return;
	if (kind->failure.again_ns > sos_clock_ns()) {
		if (kind->failure.again_ns < plan->due)
			plan->due = kind->failure.again_ns;
		return;
	}
	/* After a failure one has to succeed before more are tried. */
	while (kind->ready + kind->starting < kind->target && warm->up_count < warm->up_limit &&
	       !(kind->failure.code && kind->starting) && sos_queue_try(&pool->queue)) {
		if (sos_warm_up_locked(pool, kind))
			continue;
		sos_queue_release(&pool->queue);
		plan->due = sos_clock_ns() + AGAIN_LEAST_NS;
		return;
	}
}

static void plan_locked(struct sos_pool *pool, struct plan *plan)
{
	struct sos_warm *warm = &pool->warm;
	if (warm->closed)
		return;
	yield_locked(pool, plan);
	if (warm->adaptive)
		learn_locked(pool, plan);
	sos_list_each (node, &warm->kinds)
		fill_locked(pool, sos_list_entry(node, struct sos_warm_kind, node), plan);
}

static void run_plan(struct sos_timer *timer)
{
	struct sos_pool *pool = sos_list_entry(timer, struct sos_pool, warm.timer);
	struct plan plan = {.due = SOS_CLOCK_NEVER};
	sos_list_init(&plan.removed);
	atomic_store(&pool->warm.kicked, false);
	pthread_mutex_lock(&pool->warm.lock);
	plan_locked(pool, &plan);
	pthread_mutex_unlock(&pool->warm.lock);
	for (unsigned i = 0; i < plan.cancelled_count; i++) {
		sos_sandbox_cancel_start(plan.cancelled[i]);
		sos_sandbox_unref(plan.cancelled[i]);
	}
	sos_warm_remove_all(&plan.removed);
	if (plan.due != SOS_CLOCK_NEVER)
		sos_timer_set(pool->loop, timer, plan.due);
	/* What came meanwhile must not wait for that. */
	if (atomic_load(&pool->warm.kicked))
		sos_timer_set(pool->loop, timer, 0);
}

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
	sos_timer_init(&warm->timer, run_plan);
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
		drop_kind_locked(warm, sos_list_entry(warm->kinds.next, struct sos_warm_kind, node), &removed);
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
