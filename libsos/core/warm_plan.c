/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The plan that makes the stock what it shall be. It runs on the loop's thread
 * whenever something changed that it depends on: a container taken, made, lost or
 * removed, a slot free, a start that waits, a number set, a back-off over. It
 * only decides; making and removing is done by others. */

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "core/pool.h"
#include "core/run.h"
#include "core/warm.h"
#include "util/clock.h"
#include "util/guard.h"

#define AGAIN_NS INT64_C(1000000000) /* where there is no memory */

/* What a plan decides and what is done without the lock. */
struct plan {
	struct sos_list removed; /* struct sos_run.stock */
	struct sos_sandbox *cancelled[16];
	unsigned cancelled_count;
	int64_t due;
};

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
			sos_warm_drop_kind_locked(warm, kind, &plan->removed);
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
		plan->due = sos_clock_ns() + AGAIN_NS;
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

void sos_warm_plan(struct sos_timer *timer)
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
