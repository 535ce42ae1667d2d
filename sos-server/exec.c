/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Commands: run one, ask for the result of an earlier one. A client that goes
 * away while its command runs changes nothing: the command goes on and is
 * recorded, and its result can be asked for by its exec_id. */

#include "server.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fields.h"
#include "json_out.h"
#include "reply.h"
#include "request.h"
#include "result.h"

#define DAYS_30_MS (INT64_C(30) * 86400 * 1000)

static const char *const encodings[] = { "utf-8", "base64", NULL };
static const char *const streams[] = { "merged", "separate", NULL }; /* enum sos_streams */

/* What belongs to standalone commands only would be ignored in a session, which nobody expects. */
static void refuse_in_session(struct sos_fields *fields)
{
	static const char *const names[] = { "argv", "stdin", "streams" };
	const char *found = sos_field_bool(fields, "judge") ? "judge" : NULL;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]) && !found; i++)
		if (sos_field_present(fields, names[i]))
			found = names[i];
	if (found)
		sos_fields_fail(fields, "field \"%s\" is for standalone commands: set \"standalone\" to true", found);
}

static void read_standalone(struct sos_fields *fields, struct sos_exec_options *options)
{
	options->flags |= SOS_EXEC_STANDALONE;
	options->argv = sos_field_texts(fields, "argv");
	options->stdin_data = sos_field_bytes(fields, "stdin", &options->stdin_length);
	options->streams = sos_field_choice(fields, "streams", streams);
	if (sos_field_bool(fields, "judge"))
		options->flags |= SOS_EXEC_JUDGE;
	if (options->argv && options->command)
		sos_fields_fail(fields, "give either \"command\" or \"argv\", not both");
}

static void read_options(struct sos_fields *fields, struct sos_exec_options *options)
{
	options->command = sos_field_text(fields, "command", &options->command_length);
	options->exec_id = sos_field_text(fields, "exec_id", NULL);
	options->timeout_ms = sos_field_int(fields, "timeout_ms", 0, DAYS_30_MS);
	options->max_output_bytes = sos_field_int(fields, "max_output_bytes", 0, INT64_C(1) << 30);
	if (sos_field_bool(fields, "standalone"))
		read_standalone(fields, options);
	else
		refuse_in_session(fields);
	if (!options->command && !options->argv)
		sos_fields_fail(fields, "field \"command\" is missing");
}

static void exec(struct sos_request *request, const struct sos_exec_options *options, bool base64)
{
	struct sos_error error = SOS_ERROR_INIT;
	struct sos_result *result = NULL;
	struct sos_sandbox *sandbox = sos_server_find(request);
	if (!sandbox)
		return;
	if (sos_server_enter_wait(request)) {
		int failed = sos_sandbox_exec(sandbox, options, &result, &error);
		sos_server_leave_wait(request);
		if (failed)
			sos_reply_error(request, &error);
		else
			sos_result_reply(request, result, base64);
		sos_result_unref(result);
	}
	sos_sandbox_unref(sandbox);
}

void sos_route_exec(struct sos_request *request)
{
	SOS_AUTO_FIELDS struct sos_fields fields = { 0 };
	struct sos_exec_options options = SOS_EXEC_OPTIONS_INIT;
	bool base64 = false;
	if (sos_fields_read(&fields, request->body, request->body_length)) {
		read_options(&fields, &options);
		base64 = sos_field_choice(&fields, "encoding", encodings) == 2;
	}
	if (fields.failed)
		sos_reply_text(request, 400, "%s", fields.error);
	else
		exec(request, &options, base64);
}

/* ---- results of earlier ones ---- */

static bool read_wait(struct sos_request *request, int64_t *wait_ms)
{
	char text[24], *end;
	*wait_ms = -1; /* as asking with POST again would */
	if (!sos_request_query(request, "wait_ms", text, sizeof(text)))
		return true;
	errno = 0;
	*wait_ms = strtoll(text, &end, 10);
	if (end != text && !*end && !errno)
		return true;
	sos_reply_text(request, 400, "query parameter \"wait_ms\" must be a whole number of milliseconds");
	return false;
}

static bool read_encoding(struct sos_request *request, bool *base64)
{
	char text[16];
	const char *encoding = sos_request_query(request, "encoding", text, sizeof(text));
	*base64 = encoding && strcmp(encoding, "base64") == 0;
	if (!encoding || *base64 || strcmp(encoding, "utf-8") == 0)
		return true;
	sos_reply_text(request, 400, "query parameter \"encoding\" must be utf-8 or base64");
	return false;
}

/* 202 and not 504: the command did not fail, it is not at its end. */
static void reply_running(struct sos_request *request)
{
	struct sos_text body;
	sos_text_init(&body, SOS_REPLY_ROOM);
	sos_text_add(&body, "{");
	sos_json_member_string(&body, "exec_id", request->segments[3]);
	sos_json_member_bool(&body, "running", true);
	sos_text_add(&body, "}");
	sos_reply_json(request, 202, &body);
}

void sos_route_get_result(struct sos_request *request)
{
	struct sos_error error = SOS_ERROR_INIT;
	struct sos_result *result = NULL;
	int64_t wait_ms;
	bool base64;
	if (!read_wait(request, &wait_ms) || !read_encoding(request, &base64))
		return;
	struct sos_sandbox *sandbox = sos_server_find(request);
	if (!sandbox)
		return;
	if (sos_server_enter_wait(request)) {
		int code = sos_sandbox_get_result(sandbox, request->segments[3], wait_ms, NULL, &result, &error);
		sos_server_leave_wait(request);
		if (code == SOS_ERROR_DEADLINE)
			reply_running(request);
		else if (code)
			sos_reply_error(request, &error);
		else
			sos_result_reply(request, result, base64);
		sos_result_unref(result);
	}
	sos_sandbox_unref(sandbox);
}
