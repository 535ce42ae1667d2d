/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What a session was told and what it answered. */

#include "server.h"

#include "json_out.h"
#include "reply.h"
#include "request.h"
#include "result.h"

static void write_entry(struct sos_text *text, const struct sos_trajectory_entry *entry)
{
	size_t length;
	uint64_t dropped;
	const char *output = sos_result_shown_output(entry->result, &length, &dropped);
	sos_text_add(text, "{");
	sos_json_member_uint(text, "index", entry->index);
	sos_json_member(text, "command");
	sos_json_write_bytes(text, entry->command, entry->command_length);
	sos_json_member_thousandths(text, "timestamp", entry->timestamp_ms);
	sos_json_member(text, "result");
	sos_text_add(text, "{");
	sos_json_member(text, "output");
	sos_json_write_bytes(text, output, length);
	sos_json_member_int(text, "exit_code", sos_result_exit_code(entry->result));
	sos_json_member_bool(text, "exited", sos_result_exited(entry->result));
	sos_json_member_bool(text, "timed_out", sos_result_timed_out(entry->result));
	sos_json_member_bool(text, "session_lost", sos_result_session_lost(entry->result));
	sos_json_member_uint(text, "dropped_bytes", dropped);
	sos_json_member_thousandths(text, "duration_ms", sos_result_duration_ns(entry->result) / 1000);
	sos_json_member_string(text, "exec_id", sos_result_exec_id(entry->result));
	sos_text_add(text, "}}");
}

static void write_json(struct sos_text *text, const struct sos_request *request,
		       const struct sos_trajectory *trajectory)
{
	size_t count = sos_trajectory_count(trajectory);
	sos_text_add(text, "{");
	sos_json_member_string(text, "sandbox_id", request->segments[1]);
	sos_json_member_uint(text, "command_count", count);
	sos_json_member(text, "trajectory");
	sos_text_add(text, "[");
	for (size_t i = 0; i < count; i++) {
		if (i)
			sos_text_add(text, ",");
		write_entry(text, sos_trajectory_get(trajectory, i));
	}
	sos_text_add(text, "]}");
}

static void write_formatted(struct sos_text *text, const struct sos_trajectory *trajectory)
{
	const struct sos_trajectory_entry *entry;
	for (size_t i = 0; (entry = sos_trajectory_get(trajectory, i)); i++) {
		size_t length;
		uint64_t dropped;
		const char *output = sos_result_shown_output(entry->result, &length, &dropped);
		sos_text_add(text, "$ ");
		sos_text_clean(text, entry->command, entry->command_length);
		sos_text_add(text, "\n");
		if (length) {
			sos_text_clean(text, output, length);
			sos_text_add(text, "\n");
		}
	}
}

/* NULL: refused with a reply. */
static struct sos_trajectory *get(struct sos_request *request)
{
	struct sos_error error = SOS_ERROR_INIT;
	struct sos_trajectory *trajectory = NULL;
	struct sos_sandbox *sandbox = sos_server_find(request);
	if (!sandbox)
		return NULL;
	if (sos_sandbox_get_trajectory(sandbox, &trajectory, &error) != 0)
		sos_reply_error(request, &error);
	sos_sandbox_unref(sandbox);
	return trajectory;
}

void sos_route_trajectory(struct sos_request *request)
{
	struct sos_trajectory *trajectory = get(request);
	if (!trajectory)
		return;
	struct sos_text body;
	sos_text_init(&body, SOS_REPLY_ROOM);
	write_json(&body, request, trajectory);
	sos_trajectory_free(trajectory);
	sos_reply_json(request, 200, &body);
}

void sos_route_trajectory_formatted(struct sos_request *request)
{
	struct sos_trajectory *trajectory = get(request);
	if (!trajectory)
		return;
	struct sos_text body;
	sos_text_init(&body, SOS_REPLY_ROOM);
	write_formatted(&body, trajectory);
	sos_trajectory_free(trajectory);
	sos_reply(request, 200, "text/plain; charset=utf-8", &body);
}
