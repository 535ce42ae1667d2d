/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "server.h"

#include "reply.h"
#include "request.h"
#include "text.h"

/* The process is alive; nothing else is asked. */
void sos_route_healthz(struct sos_request *request)
{
	sos_reply_text(request, 200, "ok");
}

/* Warm containers that can't be made: "; warm IMAGE: why" for each. Starts work all the same. */
static void add_warm_failures(struct sos_text *text, struct sos_pool *pool)
{
	struct sos_warm_list *list = NULL;
	if (sos_pool_get_warm(pool, &list, NULL) != 0)
		return;
	for (size_t i = 0; i < sos_warm_list_count(list); i++) {
		const struct sos_warm_info *info = sos_warm_list_get(list, i);
		if (info->failure_code)
			sos_text_printf(text, "; warm %s: %s", info->spec->image, info->failure);
	}
	sos_warm_list_free(list);
}

static void reply_ready(struct sos_request *request, struct sos_pool *pool)
{
	SOS_AUTO_TEXT struct sos_text failures = SOS_TEXT_INIT;
	add_warm_failures(&failures, pool);
	sos_reply_text(request, 200, "ready%.*s", (int)failures.length, failures.length ? sos_text_data(&failures) : "");
}

/* Containers can be started: the Engine answers. */
void sos_route_readyz(struct sos_request *request)
{
	struct sos_error error = SOS_ERROR_INIT;
	struct sos_pool *pool = atomic_load(&request->server->pool);
	if (sos_pool_ready(pool, 0, NULL, &error) == 0) {
		reply_ready(request, pool);
		return;
	}
	request->retry_after = 2;
	sos_reply_text(request, 503, "%s", error.message);
}
