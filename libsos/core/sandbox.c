/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "core/sandbox.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

#include "core/pool.h"
#include "util/clock.h"
#include "util/error.h"
#include "util/guard.h"

static void make_uuid(char id[37], uint8_t b[16])
{
	b[6] = (uint8_t)((b[6] & 0x0f) | 0x40);
	b[8] = (uint8_t)((b[8] & 0x3f) | 0x80);
	snprintf(id, 37, "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", b[0], b[1], b[2], b[3],
		 b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11], b[12], b[13], b[14], b[15]);
}

int sos_sandbox_new(struct sos_pool *pool, struct sos_spec *spec, struct sos_sandbox **sandbox, struct sos_error *error)
{
	uint8_t random[20];
	bool got = getrandom(random, sizeof(random), 0) == sizeof(random);
	struct sos_sandbox *s = got ? calloc(1, sizeof(*s)) : NULL;
	if (!s) {
		sos_spec_free(spec);
		return got ? sos_error_nomem(error) : sos_error_errno(error, SOS_ERROR_SYSTEM, errno, "getrandom");
	}
	atomic_init(&s->references, 1);
	s->pool = sos_pool_hold(pool);
	s->spec = spec;
	make_uuid(s->id, random);
	s->created_unix_ms = sos_clock_unix_ms();
	sos_list_init(&s->node);
	sos_list_init(&s->by_id);
	pthread_mutex_init(&s->lock, NULL);
	sos_condition_init(&s->changed);
	s->state = SOS_STATE_CREATED;
	sos_execs_init(&s->execs, (uint32_t)random[16] << 24 | (uint32_t)random[17] << 16 | (uint32_t)random[18] << 8 |
					  random[19]);
	sos_history_init(&s->history);
	*sandbox = s;
	return 0;
}

int sos_sandbox_create(struct sos_pool *pool, const struct sos_sandbox_spec *spec, struct sos_sandbox **sandbox,
		       struct sos_error *error)
{
	struct sos_spec *own = NULL;
	struct sos_sandbox *s = NULL;
	int r;
	if ((r = sos_spec_new(spec, pool->defaults, &own, error)) || (r = sos_sandbox_new(pool, own, &s, error)))
		return r;
	if ((r = sos_pool_add(pool, sos_sandbox_ref(s), error))) {
		/* Nobody else has seen it. */
		atomic_store(&s->references, 1);
		sos_sandbox_unref(s);
		return r;
	}
	sos_event(pool, SOS_EVENT_CREATED, s->id, 0, "created from %s", s->spec->image);
	*sandbox = s;
	sos_pool_leave(pool);
	return 0;
}

struct sos_sandbox *sos_sandbox_ref(struct sos_sandbox *sandbox)
{
	if (sandbox)
		atomic_fetch_add_explicit(&sandbox->references, 1, memory_order_relaxed);
	return sandbox;
}

void sos_sandbox_unref(struct sos_sandbox *sandbox)
{
	if (!sandbox || atomic_fetch_sub(&sandbox->references, 1) != 1)
		return;
	sos_execs_clear(&sandbox->execs);
	sos_history_clear(&sandbox->history);
	sos_spec_free(sandbox->spec);
	sos_condition_clear(&sandbox->changed);
	pthread_mutex_destroy(&sandbox->lock);
	sos_pool_drop(sandbox->pool);
	free(sandbox);
}

const char *sos_sandbox_id(const struct sos_sandbox *sandbox)
{
	return sandbox->id;
}
