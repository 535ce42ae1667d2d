/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The warm stock as callers see and set it. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/pool.h"
#include "core/warm.h"
#include "util/error.h"
#include "util/guard.h"

struct item {
	struct sos_warm_info info;
	struct sos_sandbox_spec shown;
	struct sos_spec *spec; /* a reference: what `shown` points into */
	char failure[512];
};

struct sos_warm_list {
	size_t count;
	struct item items[SOS_WARM_KINDS_MOST];
};

int sos_pool_set_warm(struct sos_pool *pool, const struct sos_sandbox_spec *spec, uint32_t count,
		      struct sos_error *error)
{
	struct sos_spec *own = NULL;
	if (count > pool->capacity)
		return sos_error_set(error, SOS_ERROR_INVALID, "count: %u is more than the pool's capacity of %u",
				     count, pool->capacity);
	int r = sos_spec_new(spec, pool->defaults, &own, error);
	if (r)
		return r;
	struct sos_error e = SOS_ERROR_INIT;
	if (!(r = sos_pool_enter(pool, &e))) {
		r = sos_warm_set(pool, own, count, false, &e);
		sos_pool_leave(pool);
	} else {
		sos_spec_free(own);
	}
	return r ? sos_error_copy(error, &e) : 0;
}

/* All but the values of its environment, which are secrets, and what the stock has no use for. */
static void show_spec(struct item *item)
{
	const struct sos_spec *spec = item->spec;
	item->shown = (struct sos_sandbox_spec){
		.size = sizeof(item->shown),
		.image = spec->image,
		.setup_commands = (const char *const *)spec->setup_commands,
		.working_directory = spec->working_directory,
		.user = spec->user,
		.runtime = spec->runtime,
		.memory_bytes = spec->memory_bytes,
		.cpu_millis = spec->cpu_millis,
		.pids_limit = spec->pids_limit,
		.network = spec->network,
		.streams = spec->streams,
		.profile = spec->profile,
		.flags = spec->flags,
	};
}

static void show_locked(struct item *item, const struct sos_warm_kind *kind)
{
	item->spec = sos_spec_ref(kind->spec);
	show_spec(item);
	memcpy(item->failure, kind->failure.message, sizeof(item->failure));
	item->info = (struct sos_warm_info){
		.size = sizeof(item->info),
		.spec = &item->shown,
		.environment_names = (const char *const *)item->spec->environment_names,
		.failure = item->failure,
		.hits = kind->hits,
		.misses = kind->misses,
		.count = kind->least,
		.target = kind->target,
		.ready = kind->ready,
		.starting = kind->starting,
		.busy = kind->busy,
		.failure_code = kind->failure.code,
	};
}

int sos_pool_get_warm(struct sos_pool *pool, struct sos_warm_list **list, struct sos_error *error)
{
	struct sos_warm_list *l = calloc(1, sizeof(*l));
	if (!l)
		return sos_error_nomem(error);
	pthread_mutex_lock(&pool->warm.lock);
	sos_list_each (node, &pool->warm.kinds)
		show_locked(&l->items[l->count++], sos_list_entry(node, struct sos_warm_kind, node));
	pthread_mutex_unlock(&pool->warm.lock);
	*list = l;
	return 0;
}

size_t sos_warm_list_count(const struct sos_warm_list *list)
{
	return list->count;
}

const struct sos_warm_info *sos_warm_list_get(const struct sos_warm_list *list, size_t index)
{
	return index < list->count ? &list->items[index].info : NULL;
}

void sos_warm_list_free(struct sos_warm_list *list)
{
	for (size_t i = 0; list && i < list->count; i++)
		sos_spec_free(list->items[i].spec);
	free(list);
}

void sos_warm_count(struct sos_pool *pool, struct sos_pool_stats *stats)
{
	SOS_LOCKED(&pool->warm.lock);
	stats->warm_ready = pool->warm.ready;
	stats->warm_starting = pool->warm.up_count;
	stats->warm_hits = pool->warm.hits;
	stats->warm_misses = pool->warm.misses;
}
