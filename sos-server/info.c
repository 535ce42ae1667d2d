/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "info.h"

#include <string.h>

#include <sos/sos.h>

#include "json_out.h"
#include "watcher.h"

static const char *const network_names[] = { "default", "bridge", "none" };
static const char *const streams_names[] = { "default", "merged", "separate" };
static const char *const profile_names[] = { "default", "standard", "strict" };
static const char *const transport_names[] = { "", "socket", "attach" };
static const char *const phase_names[] = { "", "queued", "pulling", "starting", "setup" };

#define NAME_OF(names, index) ((index) < sizeof(names) / sizeof((names)[0]) ? (names)[index] : "unknown")

/* Existing clients know four words and no others; `state` has the finer one. */
static const char *status_of(uint32_t state)
{
	switch (state) {
	case SOS_STATE_CREATED:
	case SOS_STATE_QUEUED:
	case SOS_STATE_PULLING:
	case SOS_STATE_STARTING:
		return "created";
	case SOS_STATE_STARTED:
		return "started";
	case SOS_STATE_EXITED:
	case SOS_STATE_SESSION_LOST:
		return "exited";
	default:
		return "stopped";
	}
}

static void write_joined(struct sos_text *text, const char *const *commands)
{
	SOS_AUTO_TEXT struct sos_text joined = SOS_TEXT_INIT;
	for (size_t i = 0; commands && commands[i]; i++) {
		if (i)
			sos_text_add(&joined, " && ");
		sos_text_add(&joined, commands[i]);
	}
	text->failed |= joined.failed;
	sos_json_write_bytes(text, joined.length ? sos_text_data(&joined) : "", joined.length);
}

void sos_info_write_list(struct sos_text *text, const char *const *list)
{
	sos_text_add(text, "[");
	for (size_t i = 0; list && list[i]; i++) {
		if (i)
			sos_text_add(text, ",");
		sos_json_write_string(text, list[i]);
	}
	sos_text_add(text, "]");
}

static void write_labels(struct sos_text *text, const char *const *labels)
{
	sos_text_add(text, "{");
	for (size_t i = 0; labels && labels[i]; i++) {
		const char *equals = strchr(labels[i], '=');
		size_t length = equals ? (size_t)(equals - labels[i]) : strlen(labels[i]);
		if (i)
			sos_text_add(text, ",");
		sos_json_write_bytes(text, labels[i], length);
		sos_text_add(text, ":");
		sos_json_write_string(text, equals ? equals + 1 : "");
	}
	sos_text_add(text, "}");
}

static void write_time(struct sos_text *text, const char *name, int64_t unix_ms)
{
	if (unix_ms) {
		sos_json_member_int(text, name, unix_ms);
	} else {
		sos_json_member(text, name);
		sos_text_add(text, "null");
	}
}

/* What the contract's list has, in its order. */
static void write_contract(struct sos_text *text, const struct sos_sandbox_info *info)
{
	sos_json_member_string(text, "id", info->id);
	sos_json_member_string(text, "image", info->image);
	sos_json_member(text, "setup_commands");
	write_joined(text, info->setup_commands);
	sos_json_member_string(text, "status", status_of(info->state));
	sos_json_member_uint(text, "session_command_count", info->session_commands);
	sos_json_member(text, "last_standalone_exit_code");
	if (info->has_standalone_exit_code)
		sos_text_printf(text, "%d", (int)info->last_standalone_exit_code);
	else
		sos_text_add(text, "null");
	sos_json_member_string(text, "state", sos_state_name((int)info->state));
	sos_json_member_string(text, "reason", info->reason);
}

static void write_progress(struct sos_text *text, const char *id)
{
	struct sos_start_progress progress;
	sos_json_member(text, "progress");
	if (!sos_start_find(id, &progress)) {
		sos_text_add(text, "null");
		return;
	}
	sos_text_add(text, "{");
	sos_json_member_string(text, "phase", NAME_OF(phase_names, progress.phase));
	sos_json_member_string(text, "text", progress.text);
	sos_json_member_int(text, "current", progress.current);
	sos_json_member_int(text, "total", progress.total);
	sos_text_add(text, "}");
}

static const char *session_state(const struct sos_sandbox_info *info)
{
	if (info->state == SOS_STATE_EXITED)
		return "exited";
	if (info->state == SOS_STATE_SESSION_LOST)
		return "lost";
	return info->session_busy ? "busy" : "idle";
}

static void write_sessions(struct sos_text *text, const struct sos_sandbox_info *info)
{
	bool alive = info->state == SOS_STATE_STARTED || info->state == SOS_STATE_EXITED ||
		     info->state == SOS_STATE_SESSION_LOST;
	sos_json_member(text, "sessions");
	sos_text_add(text, "[");
	if (alive && *info->shell && strcmp(info->shell, "none") != 0) {
		sos_text_add(text, "{");
		sos_json_member_string(text, "shell", info->shell);
		sos_json_member_string(text, "state", session_state(info));
		sos_json_member_uint(text, "command_count", info->session_commands);
		sos_json_member_string(text, "streams", NAME_OF(streams_names, info->streams));
		sos_text_add(text, "}");
	}
	sos_text_add(text, "]");
}

void sos_info_write_spec(struct sos_text *text, const struct sos_sandbox_spec *spec)
{
	sos_json_member_string_or_null(text, "working_directory", spec->working_directory);
	sos_json_member_string_or_null(text, "user", spec->user);
	sos_json_member_string_or_null(text, "runtime", spec->runtime);
	sos_json_member_int(text, "memory_bytes", spec->memory_bytes);
	sos_json_member_thousandths(text, "cpus", spec->cpu_millis);
	sos_json_member_int(text, "pids_limit", spec->pids_limit);
	sos_json_member_string(text, "network", NAME_OF(network_names, spec->network));
	sos_json_member_string(text, "streams", NAME_OF(streams_names, spec->streams));
	sos_json_member_string(text, "profile", NAME_OF(profile_names, spec->profile));
	sos_json_member_bool(text, "new_privileges", spec->flags & SOS_SANDBOX_NEW_PRIVILEGES);
}

static void write_spec(struct sos_text *text, const struct sos_sandbox_info *info)
{
	const struct sos_sandbox_spec spec = {
		.working_directory = info->working_directory,
		.user = info->user,
		.runtime = info->runtime,
		.memory_bytes = info->memory_bytes,
		.cpu_millis = info->cpu_millis,
		.pids_limit = info->pids_limit,
		.network = info->network,
		.streams = info->streams,
		.profile = info->profile,
		.flags = info->flags,
	};
	sos_json_member(text, "setup_command_list");
	sos_info_write_list(text, info->setup_commands);
	sos_json_member(text, "labels");
	write_labels(text, info->labels);
	sos_json_member(text, "environment_names");
	sos_info_write_list(text, info->environment_names);
	sos_json_member_int(text, "lifetime_ms", info->lifetime_ms);
	sos_json_member_int(text, "idle_timeout_ms", info->idle_timeout_ms);
	sos_info_write_spec(text, &spec);
}

static void write_run(struct sos_text *text, const struct sos_sandbox_info *info)
{
	sos_json_member(text, "queue_position");
	if (info->queue_position)
		sos_text_printf(text, "%u", (unsigned)info->queue_position);
	else
		sos_text_add(text, "null");
	write_progress(text, info->id);
	sos_json_member_string_or_null(text, "container_id", info->container_id);
	sos_json_member_string_or_null(text, "container_name", info->container_name);
	sos_json_member_string_or_null(text, "shell", info->shell);
	sos_json_member_string_or_null(text, "transport", NAME_OF(transport_names, info->transport));
	write_time(text, "created_unix_ms", info->created_unix_ms);
	write_time(text, "started_unix_ms", info->started_unix_ms);
	write_time(text, "expires_unix_ms", info->expires_unix_ms);
	sos_json_member_bool(text, "session_busy", info->session_busy);
	write_sessions(text, info);
}

void sos_info_write(struct sos_text *text, struct sos_sandbox *sandbox)
{
	struct sos_sandbox_info *info = NULL;
	if (sos_sandbox_get_info(sandbox, &info, NULL) != 0) {
		text->failed = true;
		return;
	}
	sos_text_add(text, "{");
	write_contract(text, info);
	write_run(text, info);
	write_spec(text, info);
	sos_text_add(text, "}");
	sos_sandbox_info_free(info);
}
