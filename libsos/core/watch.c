/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What ends a running sandbox without anybody's call: its clocks and the
 * container's own end. All of it runs on the loop's thread, so it only marks
 * the sandbox and hands the rest to the workers. sos-init keeps the same clocks,
 * for the time when we are gone; ours are a second earlier. */

#include <stdio.h>
#include <string.h>

#include "core/pool.h"
#include "core/run.h"
#include "core/sandbox.h"
#include "core/warm.h"
#include "util/clock.h"
#include "util/guard.h"

/* The sandbox is up, this is its container, and nobody else is ending it. */
static bool may_end_locked(const struct sos_run *run)
{
	const struct sos_sandbox *sandbox = run->sandbox;
	return sandbox->run == run && !run->ending && sos_sandbox_is_up(sandbox);
}

static void clock_text(const struct sos_spec *spec, bool idle, char *text, size_t size)
{
	int64_t ms = idle ? spec->idle_timeout_ms : spec->lifetime_ms;
	const char *what = idle ? "idle timeout" : "lifetime";
	if (ms % 1000)
		snprintf(text, size, "%s of %lld ms is over", what, (long long)ms);
	else
		snprintf(text, size, "%s of %lld s is over", what, (long long)(ms / 1000));
}

static void expire_locked(struct sos_run *run, bool idle)
{
	clock_text(run->sandbox->spec, idle, run->reason, sizeof(run->reason));
	run->ending = run->expired = run->look = true;
	sos_sandbox_move(run->sandbox, SOS_STATE_STOPPING, run->reason);
}

static void lifetime_over(struct sos_timer *timer)
{
	struct sos_run *run = sos_list_entry(timer, struct sos_run, lifetime);
	struct sos_sandbox *sandbox = run->sandbox;
	pthread_mutex_lock(&sandbox->lock);
	bool mine = may_end_locked(run);
	if (mine) {
		expire_locked(run, false);
		run->end_link = true;
	}
	pthread_mutex_unlock(&sandbox->lock);
	if (mine)
		sos_run_retire(run);
}

/* The timer is not moved with each command: it looks when the last one ended. */
static void maybe_idle(struct sos_timer *timer)
{
	struct sos_run *run = sos_list_entry(timer, struct sos_run, idle);
	struct sos_sandbox *sandbox = run->sandbox;
	int64_t now = sos_clock_ns(), timeout = sandbox->spec->idle_timeout_ms * 1000000;
	pthread_mutex_lock(&sandbox->lock);
	bool mine = may_end_locked(run);
	if (mine) {
		int64_t since = sandbox->session_running || sandbox->standalone_running ? now : sandbox->idle_since;
		if (now - since < timeout) {
			sos_timer_set(run->pool->loop, timer, since + timeout);
			mine = false;
		} else {
			expire_locked(run, true);
			run->end_link = true;
		}
	}
	pthread_mutex_unlock(&sandbox->lock);
	if (mine)
		sos_run_retire(run);
}

void sos_run_watch(struct sos_run *run)
{
	struct sos_sandbox *sandbox = run->sandbox;
	sos_timer_init(&run->lifetime, lifetime_over);
	sos_timer_init(&run->idle, maybe_idle);
	sos_timer_set(run->pool->loop, &run->lifetime, sandbox->started_ns + sandbox->spec->lifetime_ms * 1000000);
	if (sandbox->spec->idle_timeout_ms)
		sos_timer_set(run->pool->loop, &run->idle,
			      sandbox->idle_since + sandbox->spec->idle_timeout_ms * 1000000);
}

void sos_run_lost(void *data, int code, const char *reason)
{
	struct sos_run *run = data;
	bool idle = !strcmp(reason, "idle");
	struct sos_sandbox *sandbox = sos_run_lock_sandbox(run);
	run->lost = true;
	bool mine = may_end_locked(run);
	if (mine && (idle || !strcmp(reason, "lifetime"))) {
		expire_locked(run, idle);
	} else if (mine) {
		run->lost_code = code;
		snprintf(run->reason, sizeof(run->reason), "%s", reason);
		run->ending = run->look = true;
		sos_sandbox_move(sandbox, SOS_STATE_LOST, run->reason);
	}
	pthread_mutex_unlock(&sandbox->lock);
	if (mine)
		sos_run_retire(run);
	else if (sandbox->vessel)
		sos_warm_lost(run, reason);
}
