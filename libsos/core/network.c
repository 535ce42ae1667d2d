/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/labels.h"
#include "core/pool.h"
#include "core/run.h"
#include "util/error.h"
#include "util/guard.h"

static int make(struct sos_pool *pool, const struct sos_engine_call *call, struct sos_error *error)
{
	if (atomic_load(&pool->networked))
		return 0;
	char name[80];
	snprintf(name, sizeof(name), "sos-%s", pool->name);
	const struct sos_engine_pair labels[] = {{SOS_LABEL_POOL, pool->name}, {NULL, NULL}};
	char *id = NULL;
	struct sos_engine_call firm = *call;
	firm.patience_ms = SOS_FIRM_MS;
	int r = sos_engine_network_create(pool->engine, name, labels, &firm, &id, error);
	if (r)
		return sos_error_prefix(error, r, "make the network %s", name);
	free(pool->network_id);
	pool->network_id = id;
	atomic_store(&pool->networked, true);
	return 0;
}

int sos_network(struct sos_pool *pool, const struct sos_engine_call *call, char **id, struct sos_error *error)
{
	int r = sos_gate_enter(&pool->gate, call->deadline, call->cancel_fd, error);
	if (r)
		return r;
	SOS_AUTO_FREE char *copy = NULL;
	if (!(r = make(pool, call, error)) && !(copy = strdup(pool->network_id)))
		r = sos_error_nomem(error);
	sos_gate_leave(&pool->gate);
	if (!r)
		*id = SOS_STEAL(copy);
	return r;
}

void sos_network_forget(struct sos_pool *pool)
{
	atomic_store(&pool->networked, false);
}
