/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Snapshots for those who look from outside. What never changes is not copied:
 * a snapshot holds a reference to the sandbox. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/pool.h"
#include "core/run.h"
#include "core/sandbox.h"
#include "util/error.h"
#include "util/guard.h"

struct snapshot {
	struct sos_sandbox_info info; /* first: it is what the caller frees */
	struct sos_sandbox *sandbox;
	char reason[1020], container_id[80], container_name[128];
};

static void from_spec(struct sos_sandbox_info *info, const struct sos_spec *spec)
{
	info->image = spec->image;
	info->setup_commands = (const char *const *)spec->setup_commands;
	info->labels = (const char *const *)spec->labels;
	info->environment_names = (const char *const *)spec->environment_names;
	info->working_directory = spec->working_directory;
	info->user = spec->user;
	info->runtime = spec->runtime;
	info->memory_bytes = spec->memory_bytes;
	info->cpu_millis = spec->cpu_millis;
	info->pids_limit = spec->pids_limit;
	info->lifetime_ms = spec->lifetime_ms;
	info->idle_timeout_ms = spec->idle_timeout_ms;
	info->network = spec->network;
	info->streams = spec->streams;
	info->profile = spec->profile;
	info->flags = spec->flags;
}

static const char *shell_name(const struct sos_sandbox *sandbox)
{
	if (!sandbox->has_shell)
		return "";
	return sandbox->shell == SOS_SHELL_BASH ? "bash" : sandbox->shell == SOS_SHELL_SH ? "sh" : "none";
}

static void from_state_locked(struct snapshot *snapshot, struct sos_sandbox *sandbox)
{
	struct sos_sandbox_info *info = &snapshot->info;
	const struct sos_run *run = sandbox->run;
	info->state = sandbox->state;
	memcpy(snapshot->reason, sandbox->reason, sizeof(snapshot->reason));
	if (run) {
		snprintf(snapshot->container_name, sizeof(snapshot->container_name), "%s", run->name);
		snprintf(snapshot->container_id, sizeof(snapshot->container_id), "%s", run->id ? run->id : "");
		info->transport = run->transport;
	}
	if (sandbox->starter)
		info->queue_position = sos_queue_position(&sandbox->pool->queue, &sandbox->starter->ticket);
	info->shell = shell_name(sandbox);
	info->created_unix_ms = sandbox->created_unix_ms;
	info->started_unix_ms = sandbox->started_unix_ms;
	info->expires_unix_ms = sandbox->started_unix_ms ? sandbox->started_unix_ms + info->lifetime_ms : 0;
	info->session_commands = sandbox->session_commands;
	info->session_busy = sandbox->session_running > 0;
	info->has_standalone_exit_code = sandbox->has_standalone_exit_code;
	info->last_standalone_exit_code = sandbox->last_standalone_exit_code;
}

/* A shell that ended between commands shows here first. */
static void look_at_session(struct sos_sandbox *sandbox)
{
	pthread_mutex_lock(&sandbox->lock);
	struct sos_run *run = sandbox->run;
	bool idle = sandbox->state == SOS_STATE_STARTED && run && run->session && !sandbox->session_running;
	if (idle)
		sos_run_pin(run);
	pthread_mutex_unlock(&sandbox->lock);
	if (!idle)
		return;
	enum sos_session_end end = sos_session_state(run->session);
	pthread_mutex_lock(&sandbox->lock);
	bool over = sos_sandbox_session_over(sandbox, end);
	if (over)
		sos_pool_tells(sandbox->pool);
	sos_run_unpin_locked(run);
	pthread_mutex_unlock(&sandbox->lock);
	if (over) {
		sos_event(sandbox->pool, SOS_EVENT_SESSION_ENDED, sandbox->id, 0, "the session is over");
		sos_pool_told(sandbox->pool);
	}
}

int sos_sandbox_get_info(struct sos_sandbox *sandbox, struct sos_sandbox_info **info, struct sos_error *error)
{
	struct snapshot *snapshot = calloc(1, sizeof(*snapshot));
	if (!snapshot)
		return sos_error_nomem(error);
	snapshot->sandbox = sos_sandbox_ref(sandbox);
	snapshot->info.size = sizeof(snapshot->info);
	snapshot->info.id = sandbox->id;
	snapshot->info.reason = snapshot->reason;
	snapshot->info.container_id = snapshot->container_id;
	snapshot->info.container_name = snapshot->container_name;
	from_spec(&snapshot->info, sandbox->spec);
	look_at_session(sandbox);
	pthread_mutex_lock(&sandbox->lock);
	from_state_locked(snapshot, sandbox);
	pthread_mutex_unlock(&sandbox->lock);
	*info = &snapshot->info;
	return 0;
}

void sos_sandbox_info_free(struct sos_sandbox_info *info)
{
	if (!info)
		return;
	struct snapshot *snapshot = (struct snapshot *)info;
	sos_sandbox_unref(snapshot->sandbox);
	free(snapshot);
}

int sos_sandbox_get_trajectory(struct sos_sandbox *sandbox, struct sos_trajectory **trajectory, struct sos_error *error)
{
	SOS_LOCKED(&sandbox->lock);
	return sos_history_snapshot(&sandbox->history, trajectory, error);
}
