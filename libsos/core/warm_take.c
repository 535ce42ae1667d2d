/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Out of the stock: by a start that fits, by its own end. */

#include <stdlib.h>
#include <string.h>

#include "core/labels.h"
#include "core/pool.h"
#include "core/run.h"
#include "core/warm.h"
#include "util/buffer.h"
#include "util/clock.h"
#include "util/error.h"
#include "util/guard.h"

/* The better one: in stock, more of the setup done, the shell kept. */
static bool is_better(const struct sos_warm_kind *kind, struct sos_warm_fit fit, const struct sos_warm_kind *best,
		      struct sos_warm_fit than)
{
	if (!best || !kind->ready != !best->ready)
		return !best || kind->ready;
	return fit.setup_done != than.setup_done ? fit.setup_done > than.setup_done : fit.way > than.way;
}

static struct sos_warm_kind *best_locked(struct sos_warm *warm, const struct sos_spec *spec, struct sos_warm_fit *fit)
{
	struct sos_warm_kind *best = NULL;
	sos_list_each (node, &warm->kinds) {
		struct sos_warm_kind *kind = sos_list_entry(node, struct sos_warm_kind, node);
		struct sos_warm_fit one = sos_warm_fit(kind->spec, spec);
		if (one.way == SOS_WARM_NO || !is_better(kind, one, best, *fit))
			continue;
		best = kind;
		*fit = one;
	}
	return best;
}

/* Starts that wait are owed what is in stock, but for those whose slot is on its way. */
static bool to_spare_locked(struct sos_pool *pool)
{
	unsigned used, queued;
	sos_queue_count(&pool->queue, &used, &queued);
	return queued <= pool->warm.yielded || pool->warm.ready > queued - pool->warm.yielded;
}

/* Its connection says whether it lives; nothing is asked. */
static bool is_dead(struct sos_run *run)
{
	return sos_link_ended(run->link) || (run->session && sos_session_state(run->session) != SOS_SESSION_ALIVE);
}

static struct sos_run *take_locked(struct sos_pool *pool, struct sos_warm_kind *kind, struct sos_list *dead)
{
	struct sos_warm *warm = &pool->warm;
	while (kind->ready && !warm->closed && to_spare_locked(pool)) {
		struct sos_run *run = sos_warm_pop_locked(warm, kind);
		if (!is_dead(run)) {
			run->taken = true;
			kind->busy++;
			kind->hits++;
			warm->hits++;
			return run;
		}
		sos_warm_failed_locked(kind, SOS_ERROR_LOST, "a container ended while it waited");
		sos_list_append(dead, &run->stock);
	}
	kind->misses++;
	warm->misses++;
	return NULL;
}

/* What a start asked for that nothing fits. Its setup is not run on mere expectation, nor is it known what it would do
 * without the environment: only the container is made ready. */
static void learn(struct sos_pool *pool, const struct sos_spec *spec)
{
	struct sos_sandbox_spec base = SOS_SANDBOX_SPEC_INIT;
	struct sos_spec *own = NULL;
	base.image = spec->image;
	base.working_directory = spec->working_directory;
	base.user = spec->user;
	base.runtime = spec->runtime;
	base.memory_bytes = spec->memory_bytes;
	base.cpu_millis = spec->cpu_millis;
	base.pids_limit = spec->pids_limit;
	base.network = spec->network;
	base.streams = spec->streams;
	base.profile = spec->profile;
	base.flags = spec->flags;
	/* Without memory or room for it nothing is learned. */
	if (!sos_spec_new(&base, NULL, &own, NULL))
		sos_warm_set(pool, own, 0, true, NULL);
}

struct sos_run *sos_warm_take(struct sos_pool *pool, const struct sos_spec *spec, struct sos_warm_fit *fit)
{
	struct sos_warm *warm = &pool->warm;
	struct sos_run *run = NULL;
	struct sos_list dead;
	if (!atomic_load(&warm->used))
		return NULL;
	sos_list_init(&dead);
	pthread_mutex_lock(&warm->lock);
	struct sos_warm_kind *kind = best_locked(warm, spec, fit);
	if (kind) {
		kind->used_ns = sos_clock_ns();
		if (warm->adaptive)
			sos_warm_demand_note(&kind->demand, kind->used_ns);
		run = take_locked(pool, kind, &dead);
	}
	bool unknown = !kind && warm->adaptive && !warm->closed;
	pthread_mutex_unlock(&warm->lock);
	sos_warm_remove_all(&dead);
	if (unknown)
		learn(pool, spec);
	return run;
}

const struct sos_spec *sos_warm_made(const struct sos_run *run)
{
	const struct sos_sandbox *vessel = run->sandbox;
	return vessel->spec;
}

bool sos_warm_takes(void *wants, void *kind)
{
	const struct sos_warm_kind *of = kind;
	return wants && sos_warm_fit(of->spec, wants).way != SOS_WARM_NO;
}

bool sos_warm_can_yield(struct sos_pool *pool)
{
	if (!atomic_load(&pool->warm.used))
		return false;
	SOS_LOCKED(&pool->warm.lock);
	return pool->warm.ready && to_spare_locked(pool);
}

/* ---- its end ---- */

void sos_warm_lost(struct sos_run *run, const char *reason)
{
	struct sos_pool *pool = run->pool;
	struct sos_warm *warm = &pool->warm;
	pthread_mutex_lock(&warm->lock);
	bool mine = run->stocked;
	bool news = false;
	struct sos_warm_kind *kind = run->kind;
	if (mine) {
		sos_list_remove(&run->stock);
		run->stocked = false;
		kind->ready--;
		warm->ready--;
		news = sos_warm_failed_locked(kind, SOS_ERROR_LOST, reason);
		kind->references++;
	}
	pthread_mutex_unlock(&warm->lock);
	/* Who takes or removes it otherwise sees it too. */
	if (!mine)
		return;
	if (news)
		sos_event_later(pool, SOS_EVENT_WARM_FAILED, NULL, SOS_ERROR_LOST,
				"warm %s: a container ended while it waited: %s", kind->spec->image, reason);
	sos_run_retire(run);
	pthread_mutex_lock(&warm->lock);
	sos_warm_kind_unref_locked(warm, kind);
	pthread_mutex_unlock(&warm->lock);
	sos_warm_kick(pool);
}

void sos_warm_gone(struct sos_run *run)
{
	struct sos_warm *warm = &run->pool->warm;
	{
		SOS_LOCKED(&warm->lock);
		run->kind->busy -= run->taken;
		warm->yielded -= run->yields;
		sos_warm_kind_unref_locked(warm, run->kind);
	}
	sos_warm_kick(run->pool);
}

/* ---- hand-over ---- */

/* Whose it is changes in one moment for all who look: a stop, a cancel, the container's own end. */
static int adopt(struct sos_bring *bring, struct sos_run *run, struct sos_error *error)
{
	struct sos_sandbox *vessel = run->sandbox, *sandbox = bring->launch.sandbox;
	SOS_LOCKED(&vessel->lock);
	SOS_LOCKED(&sandbox->lock);
	vessel->run = NULL;
	vessel->runs--;
	sandbox->run = run;
	sandbox->runs++;
	run->vessel = vessel;
	run->sandbox = sos_sandbox_ref(sandbox);
	if (run->lost)
		return sos_error_set(error, SOS_ERROR_LOST, "the container ended as it was handed over");
	if (bring->launch.starter->cancelled)
		return sos_error_set(error, SOS_ERROR_CANCELLED, "cancelled");
	return 0;
}

static const char *const *added_of(const struct sos_spec *made, const struct sos_spec *wanted)
{
	size_t count = 0, n = 0;
	while (wanted->environment[count])
		count++;
	const char **added = calloc(count + 1, sizeof(*added));
	for (size_t i = 0; added && i < count; i++)
		if (sos_warm_adds(made, wanted, i))
			added[n++] = wanted->environment[i];
	return added;
}

/* Its environment is another one from the start: sos-init is told, and a new shell begins with it. */
static int begin_anew(struct sos_bring *bring, struct sos_run *run, struct sos_error *error)
{
	struct sos_launch *launch = &bring->launch;
	int r = sos_launch_set_up(launch, error);
	if (r)
		return sos_error_prefix(error, r, "set sos-init up");
	sos_session_free(SOS_STEAL(run->session));
	if ((r = sos_launch_open_session(launch, error)))
		return sos_error_prefix(error, r, "open the session");
	return 0;
}

static int give_over(struct sos_launch *launch, struct sos_run *run, struct sos_error *error)
{
	const struct sos_spec *made = run->vessel->spec, *wanted = launch->sandbox->spec;
	SOS_AUTO_BUFFER struct sos_buffer record = SOS_BUFFER_INIT;
	SOS_AUTO_FREE const char *const *added = *wanted->environment ? added_of(made, wanted) : NULL;
	if (*wanted->environment && !added)
		return sos_error_nomem(error);
	int r = sos_launch_record(launch->sandbox, &record, error);
	if (r)
		return r;
	const struct sos_link_handover handover = {
		.lifetime_ms = wanted->lifetime_ms + SOS_CLOCK_GRACE_MS,
		.idle_timeout_ms = wanted->idle_timeout_ms ? wanted->idle_timeout_ms + SOS_CLOCK_GRACE_MS : 0,
		.environment = added && *added ? (const char *const *)wanted->environment : NULL,
		.record = record.data,
		.record_length = record.length,
	};
	int64_t waited_s = sos_clock_unix_ms() / 1000 - run->stocked_unix_ms / 1000;
	/* The shell first: it works while sos-init answers. */
	if (run->session && (r = sos_session_hand_over(run->session, waited_s, added, error)))
		return r;
	return sos_link_hand_over(run->link, &handover, launch->call.deadline, error);
}

int sos_warm_hand_over(struct sos_bring *bring, struct sos_run *run, struct sos_warm_fit fit, struct sos_error *error)
{
	struct sos_launch *launch = &bring->launch;
	launch->run = run;
	bring->slot = true;
	run->slot = false;
	launch->shell = run->shell;
	launch->up_ns = sos_clock_ns();
	int r = adopt(bring, run, error);
	if (r)
		return r;
	if (fit.way == SOS_WARM_AS_IT_IS) {
		r = give_over(launch, run, error);
	} else {
		launch->image.user = SOS_STEAL(run->image_user);
		r = begin_anew(bring, run, error);
	}
	return r ? sos_error_prefix(error, r, "take a warm container") : 0;
}
