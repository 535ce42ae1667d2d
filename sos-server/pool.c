/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The pool: its numbers, its warm containers. */

#include "server.h"

#include "fields.h"
#include "info.h"
#include "json_out.h"
#include "reply.h"
#include "request.h"

static const char *const transport_names[] = { "", "socket", "attach" };

/* How many of a hundred starts that a warm container would have fitted found one. */
static void write_hit_rate(struct sos_text *text, uint64_t hits, uint64_t misses)
{
	sos_json_member(text, "hit_rate");
	if (hits + misses)
		sos_text_printf(text, "%.3f", (double)hits / (double)(hits + misses));
	else
		sos_text_add(text, "null");
}

static void write_failure(struct sos_text *text, const struct sos_warm_info *info)
{
	sos_json_member_string_or_null(text, "failure", info->failure_code ? info->failure : "");
	sos_json_member_string_or_null(text, "failure_code",
				       info->failure_code ? sos_code_name(info->failure_code) : "");
}

static void write_warm(struct sos_text *text, const struct sos_warm_info *info)
{
	sos_text_add(text, "{");
	sos_json_member_string(text, "image", info->spec->image);
	sos_json_member_uint(text, "count", info->count);
	sos_json_member_uint(text, "target", info->target);
	sos_json_member_uint(text, "ready", info->ready);
	sos_json_member_uint(text, "starting", info->starting);
	sos_json_member_uint(text, "busy", info->busy);
	sos_json_member_uint(text, "hits", info->hits);
	sos_json_member_uint(text, "misses", info->misses);
	write_hit_rate(text, info->hits, info->misses);
	write_failure(text, info);
	sos_json_member(text, "setup_commands");
	sos_info_write_list(text, info->spec->setup_commands);
	sos_json_member(text, "environment_names");
	sos_info_write_list(text, info->environment_names);
	sos_info_write_spec(text, info->spec);
	sos_text_add(text, "}");
}

static void write_stats(struct sos_text *text, const struct sos_pool_stats *stats)
{
	sos_json_member_uint(text, "capacity", stats->capacity);
	sos_json_member_uint(text, "containers", stats->containers);
	sos_json_member_uint(text, "starting", stats->starting);
	sos_json_member_uint(text, "running", stats->running);
	sos_json_member_uint(text, "removing", stats->removing);
	sos_json_member_uint(text, "queued", stats->queued);
	sos_json_member_uint(text, "sandboxes", stats->sandboxes);
	sos_json_member_string_or_null(text, "transport", stats->transport <= 2 ? transport_names[stats->transport] : "");
	sos_json_member_uint(text, "warm_ready", stats->warm_ready);
	sos_json_member_uint(text, "warm_starting", stats->warm_starting);
	sos_json_member_uint(text, "warm_hits", stats->warm_hits);
	sos_json_member_uint(text, "warm_misses", stats->warm_misses);
}

void sos_route_pool(struct sos_request *request)
{
	struct sos_server *server = request->server;
	struct sos_pool *pool = atomic_load(&server->pool);
	struct sos_pool_stats stats = { .size = sizeof(stats) };
	struct sos_warm_list *list = NULL;
	struct sos_error error = SOS_ERROR_INIT;
	if (sos_pool_get_warm(pool, &list, &error) != 0) {
		sos_reply_error(request, &error);
		return;
	}
	sos_pool_get_stats(pool, &stats);
	struct sos_text body;
	sos_text_init(&body, SOS_REPLY_ROOM);
	sos_text_add(&body, "{");
	write_stats(&body, &stats);
	sos_json_member_string(&body, "warm_policy", server->options->warm_policy ? "adaptive" : "fixed");
	sos_json_member(&body, "warm");
	sos_text_add(&body, "[");
	for (size_t i = 0; i < sos_warm_list_count(list); i++) {
		if (i)
			sos_text_add(&body, ",");
		write_warm(&body, sos_warm_list_get(list, i));
	}
	sos_text_add(&body, "]}");
	sos_warm_list_free(list);
	sos_reply_json(request, 200, &body);
}

void sos_route_pool_warm(struct sos_request *request)
{
	SOS_AUTO_FIELDS struct sos_fields fields = { 0 };
	struct sos_sandbox_spec spec = SOS_SANDBOX_SPEC_INIT;
	struct sos_error error = SOS_ERROR_INIT;
	int64_t count = 0;
	if (sos_fields_read(&fields, request->body, request->body_length)) {
		sos_spec_read(&fields, &spec);
		if (!fields.failed && !sos_field_present(&fields, "count"))
			sos_fields_fail(&fields, "field \"count\" is missing: how many containers to keep ready");
		count = sos_field_int(&fields, "count", 0, 10000);
	}
	if (fields.failed)
		sos_reply_text(request, 400, "%s", fields.error);
	else if (sos_pool_set_warm(atomic_load(&request->server->pool), &spec, (uint32_t)count, &error) != 0)
		sos_reply_error(request, &error);
	else
		sos_reply_empty(request);
}
