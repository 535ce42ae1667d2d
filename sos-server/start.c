/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Starting a sandbox: may wait long, for a slot, for a pull. */

#include "server.h"

#include "fields.h"
#include "reply.h"
#include "request.h"
#include "watcher.h"

#define DAY_MS (INT64_C(86400) * 1000)

struct under_way {
	struct sos_start start;
	struct sos_request *request;
	struct sos_sandbox *sandbox;
	bool entered;
};

/* What has progress takes its time: from now on its client is listened to. */
static void report(void *data, const struct sos_progress *progress)
{
	struct under_way *under_way = data;
	if (!under_way->entered)
		sos_start_enter(&under_way->start, under_way->request, under_way->sandbox);
	under_way->entered = true;
	sos_start_report(&under_way->start, progress);
}

static void start(struct sos_request *request, struct sos_sandbox *sandbox, struct sos_start_options *options)
{
	struct sos_error error = SOS_ERROR_INIT;
	struct under_way under_way = { .request = request, .sandbox = sandbox };
	options->progress = report;
	options->progress_data = &under_way;
	int failed = sos_sandbox_start(sandbox, options, &error);
	if (under_way.entered)
		sos_start_leave(&under_way.start);
	if (failed)
		sos_reply_error(request, &error);
	else
		sos_reply_empty(request);
}

void sos_route_start(struct sos_request *request)
{
	SOS_AUTO_FIELDS struct sos_fields fields = { 0 };
	struct sos_start_options options = SOS_START_OPTIONS_INIT;
	if (request->body_length && sos_fields_read(&fields, request->body, request->body_length)) {
		options.queue_timeout_ms = sos_field_int(&fields, "queue_timeout_ms", -1, DAY_MS);
		options.timeout_ms = sos_field_int(&fields, "timeout_ms", 0, DAY_MS);
	}
	if (fields.failed) {
		sos_reply_text(request, 400, "%s", fields.error);
		return;
	}
	struct sos_sandbox *sandbox = sos_server_find(request);
	if (!sandbox)
		return;
	if (sos_server_enter_wait(request)) {
		start(request, sandbox, &options);
		sos_server_leave_wait(request);
	}
	sos_sandbox_unref(sandbox);
}
