/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Sandboxes: create, list, look at, stop, forget. */

#include "server.h"

#include "fields.h"
#include "info.h"
#include "json_out.h"
#include "reply.h"
#include "request.h"

#define DAYS_30_MS (INT64_C(30) * 86400 * 1000)

static const char *const networks[] = { "bridge", "none", NULL };     /* enum sos_network */
static const char *const streams[] = { "merged", "separate", NULL };  /* enum sos_streams */
static const char *const profiles[] = { "standard", "strict", NULL }; /* enum sos_profile */

void sos_spec_read(struct sos_fields *fields, struct sos_sandbox_spec *spec)
{
	spec->image = sos_field_text(fields, "image", NULL);
	/* The library takes "" for its default; a client that sends it has lost its image's name. */
	if (spec->image && !*spec->image)
		sos_fields_fail(fields, "field \"image\" is empty; leave it out for ubuntu:latest");
	spec->setup_commands = sos_field_texts(fields, "setup_commands");
	spec->environment = sos_field_pairs(fields, "environment");
	spec->labels = sos_field_pairs(fields, "labels");
	spec->working_directory = sos_field_text(fields, "working_directory", NULL);
	spec->user = sos_field_text(fields, "user", NULL);
	spec->runtime = sos_field_text(fields, "runtime", NULL);
	spec->memory_bytes = sos_field_int(fields, "memory_bytes", -1, INT64_C(1) << 50);
	spec->cpu_millis = sos_field_thousandths(fields, "cpus", 10, 1024 * 1000);
	spec->pids_limit = sos_field_int(fields, "pids_limit", -1, 4194304);
	spec->lifetime_ms = sos_field_int(fields, "lifetime_ms", 0, DAYS_30_MS);
	spec->idle_timeout_ms = sos_field_int(fields, "idle_timeout_ms", 0, DAYS_30_MS);
	spec->network = sos_field_choice(fields, "network", networks);
	spec->streams = sos_field_choice(fields, "streams", streams);
	spec->profile = sos_field_choice(fields, "profile", profiles);
	if (sos_field_bool(fields, "new_privileges"))
		spec->flags |= SOS_SANDBOX_NEW_PRIVILEGES;
}

void sos_route_create(struct sos_request *request)
{
	SOS_AUTO_FIELDS struct sos_fields fields = { 0 };
	struct sos_sandbox_spec spec = SOS_SANDBOX_SPEC_INIT;
	struct sos_sandbox *sandbox = NULL;
	struct sos_error error = SOS_ERROR_INIT;
	if (sos_fields_read(&fields, request->body, request->body_length))
		sos_spec_read(&fields, &spec);
	if (fields.failed) {
		sos_reply_text(request, 400, "%s", fields.error);
		return;
	}
	if (sos_sandbox_create(atomic_load(&request->server->pool), &spec, &sandbox, &error) != 0) {
		sos_reply_error(request, &error);
		return;
	}
	struct sos_text body;
	sos_text_init(&body, SOS_REPLY_ROOM);
	sos_text_add(&body, "{");
	sos_json_member_string(&body, "id", sos_sandbox_id(sandbox));
	sos_text_add(&body, "}");
	sos_sandbox_unref(sandbox);
	sos_reply_json(request, 200, &body);
}

void sos_route_list(struct sos_request *request)
{
	struct sos_sandbox **sandboxes = NULL;
	size_t count = 0;
	struct sos_error error = SOS_ERROR_INIT;
	if (sos_pool_list(atomic_load(&request->server->pool), &sandboxes, &count, &error) != 0) {
		sos_reply_error(request, &error);
		return;
	}
	struct sos_text body;
	sos_text_init(&body, SOS_REPLY_ROOM);
	sos_text_add(&body, "[");
	for (size_t i = 0; i < count; i++) {
		if (i)
			sos_text_add(&body, ",");
		sos_info_write(&body, sandboxes[i]);
	}
	sos_text_add(&body, "]");
	sos_sandbox_list_free(sandboxes, count);
	sos_reply_json(request, 200, &body);
}

void sos_route_get(struct sos_request *request)
{
	struct sos_sandbox *sandbox = sos_server_find(request);
	if (!sandbox)
		return;
	struct sos_text body;
	sos_text_init(&body, SOS_REPLY_ROOM);
	sos_info_write(&body, sandbox);
	sos_sandbox_unref(sandbox);
	sos_reply_json(request, 200, &body);
}

static void stop(struct sos_request *request, uint32_t flags)
{
	struct sos_error error = SOS_ERROR_INIT;
	struct sos_sandbox *sandbox = sos_server_find(request);
	if (!sandbox)
		return;
	struct sos_stop_options options = SOS_STOP_OPTIONS_INIT;
	options.flags = flags;
	/* Without an Engine it takes its time. */
	if (sos_server_enter_stop(request)) {
		int failed = sos_sandbox_stop(sandbox, &options, &error);
		sos_server_leave_wait(request);
		if (failed)
			sos_reply_error(request, &error);
		else
			sos_reply_empty(request);
	}
	sos_sandbox_unref(sandbox);
}

void sos_route_stop(struct sos_request *request)
{
	SOS_AUTO_FIELDS struct sos_fields fields = { 0 };
	bool forget = false;
	if (request->body_length && sos_fields_read(&fields, request->body, request->body_length))
		forget = sos_field_bool(&fields, "remove");
	if (fields.failed)
		sos_reply_text(request, 400, "%s", fields.error);
	else
		stop(request, forget ? SOS_STOP_FORGET : 0);
}

void sos_route_delete(struct sos_request *request)
{
	stop(request, SOS_STOP_FORGET);
}
