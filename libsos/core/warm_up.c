/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* One container on its way into the stock, on a thread of the makers. It has
 * the way of a start, with a vessel for the sandbox and nobody who waits. */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>

#include "core/pool.h"
#include "core/run.h"
#include "core/thread.h"
#include "core/warm.h"
#include "util/clock.h"
#include "util/error.h"
#include "util/guard.h"

#define UP_MS 600000 /* pull and setup included, as a start has it */

/* The name stands for another image now, as it does for every start: those from the old one go. */
static void drop_stale_locked(struct sos_warm *warm, struct sos_warm_up *up, struct sos_list *stale)
{
	struct sos_warm_kind *kind = up->kind;
	const char *id = up->bring.launch.image.id ? up->bring.launch.image.id : "";
	if (strncmp(kind->image_id, id, sizeof(kind->image_id) - 1))
		while (kind->ready)
			sos_list_append(stale, &sos_warm_pop_locked(warm, kind)->stock);
	snprintf(kind->image_id, sizeof(kind->image_id), "%s", id);
}

/* Into the stock, unless its end came first. */
static int stock_locked(struct sos_warm *warm, struct sos_warm_up *up, struct sos_list *stale, struct sos_error *error)
{
	struct sos_launch *launch = &up->bring.launch;
	struct sos_sandbox *vessel = launch->sandbox;
	struct sos_run *run = launch->run;
	struct sos_warm_kind *kind = up->kind;
	SOS_LOCKED(&vessel->lock);
	if (run->lost)
		return sos_error_set(error, SOS_ERROR_LOST, "the container ended while it was started");
	if (up->starter.cancelled || warm->closed || sos_list_empty(&kind->node))
		return sos_error_set(error, SOS_ERROR_CANCELLED, "cancelled");
	drop_stale_locked(warm, up, stale);
	vessel->starter = NULL;
	kind->references++;
	run->kind = kind;
	run->shell = launch->shell;
	run->image_user = SOS_STEAL(launch->image.user);
	run->stocked_unix_ms = sos_clock_unix_ms();
	run->slot = run->stocked = true;
	sos_list_append(&kind->stock, &run->stock);
	kind->ready++;
	warm->ready++;
	launch->run = NULL;
	up->bring.slot = false;
	return 0;
}

/* Whether the failure is news. Being taken down for others is none. */
static bool note_locked(struct sos_warm_up *up, int code, const struct sos_error *error)
{
	struct sos_warm_kind *kind = up->kind;
	if (up->starter.cancelled || sos_list_empty(&kind->node))
		return false;
	if (code)
		return sos_warm_failed_locked(kind, code, error->message);
	bool news = kind->failure.code;
	kind->failure.code = 0;
	kind->failure.message[0] = 0;
	return news;
}

static void end(struct sos_warm_up *up, int code, const struct sos_error *error)
{
	struct sos_pool *pool = up->bring.launch.pool;
	struct sos_warm *warm = &pool->warm;
	struct sos_sandbox *vessel = up->bring.launch.sandbox;
	struct sos_warm_kind *kind = up->kind;
	if (up->bring.slot)
		sos_queue_release(&pool->queue);
	pthread_mutex_lock(&vessel->lock);
	vessel->starter = NULL;
	pthread_mutex_unlock(&vessel->lock);
	pthread_mutex_lock(&warm->lock);
	bool news = note_locked(up, code, error);
	kind->references++; /* for its name below */
	pthread_mutex_unlock(&warm->lock);
	if (news && code)
		sos_event(pool, SOS_EVENT_WARM_FAILED, NULL, code, "warm %s: %s; trying goes on, less and less often",
			  kind->spec->image, error->message);
	else if (news)
		sos_event(pool, SOS_EVENT_WARM_READY, NULL, 0, "warm %s: it can be started again", kind->spec->image);
	sos_pool_note(pool, code, error);
	sos_bring_clear(&up->bring);
	close(up->starter.cancel_fd);
	sos_ticket_clear(&up->starter.ticket);
	/* Last: sos_pool_free waits for it. */
	SOS_LOCKED(&warm->lock);
	sos_list_remove(&up->node);
	kind->starting--;
	warm->yielded -= up->yields;
	sos_warm_kind_unref_locked(warm, kind);
	sos_warm_kind_unref_locked(warm, kind);
	warm->up_count--;
	pthread_cond_broadcast(&warm->changed);
	sos_warm_kick(pool);
	sos_sandbox_unref(vessel);
	free(up);
}

static void run(struct sos_job *job)
{
	struct sos_warm_up *up = sos_list_entry(job, struct sos_warm_up, job);
	struct sos_bring *bring = &up->bring;
	struct sos_warm *warm = &bring->launch.pool->warm;
	struct sos_error error = SOS_ERROR_INIT;
	bring->launch.call = (struct sos_engine_call){sos_clock_deadline(UP_MS), up->starter.cancel_fd};
	struct sos_list stale;
	sos_list_init(&stale);
	int r;
	if (!(r = sos_bring_up(bring, &error)) &&
	    !(r = sos_bring_setup(bring, up->kind->spec->setup_commands, &error)) &&
	    !(r = sos_bring_settle(bring, &error))) {
		SOS_LOCKED(&warm->lock);
		r = stock_locked(warm, up, &stale, &error);
	}
	sos_warm_remove_all(&stale);
	if (r)
		sos_bring_take_back(bring);
	end(up, r, &error);
}

/* The threads end after all of them have. */
static void drop(struct sos_job *job)
{
	(void)job;
}

bool sos_warm_up_locked(struct sos_pool *pool, struct sos_warm_kind *kind)
{
	struct sos_warm *warm = &pool->warm;
	struct sos_warm_up *up = calloc(1, sizeof(*up));
	struct sos_sandbox *vessel = NULL;
	int fd = up ? eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK) : -1;
	if (fd < 0 || sos_sandbox_new(pool, sos_spec_ref(kind->spec), &vessel, NULL)) {
		if (fd >= 0)
			close(fd);
		free(up);
		return false;
	}
	vessel->vessel = true;
	vessel->state = SOS_STATE_STARTING;
	vessel->starter = &up->starter;
	up->job.run = run;
	up->job.drop = drop;
	up->kind = kind;
	up->starter.cancel_fd = fd;
	sos_ticket_init(&up->starter.ticket, false);
	up->bring.launch.pool = pool;
	up->bring.launch.sandbox = vessel;
	up->bring.launch.starter = &up->starter;
	up->bring.launch.admission = SOS_ADMIT_REFILL;
	up->bring.slot = true;
	kind->references++;
	kind->starting++;
	warm->up_count++;
	sos_list_append(&warm->ups, &up->node);
	sos_workers_submit(warm->makers, &up->job, 0);
	return true;
}
