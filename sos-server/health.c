/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "server.h"

#include "reply.h"
#include "request.h"

/* The process is alive; nothing else is asked. */
void sos_route_healthz(struct sos_request *request)
{
	sos_reply_text(request, 200, "ok");
}

/* Containers can be started: the Engine answers. */
void sos_route_readyz(struct sos_request *request)
{
	struct sos_error error = SOS_ERROR_INIT;
	if (sos_pool_ready(atomic_load(&request->server->pool), 0, NULL, &error) == 0) {
		sos_reply_text(request, 200, "ready");
		return;
	}
	request->retry_after = 2;
	sos_reply_text(request, 503, "%s", error.message);
}
