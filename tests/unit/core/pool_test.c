/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "pool_test.h"

#include <stdio.h>
#include <unistd.h>

#include "core/thread.h"
#include "fake.h"
#include "../unit.h"

static char runtime_dir[64];
atomic_int pool_test_events[32];
char pool_test_message[1024];
const struct sos_stop_options pool_test_forget = {.size = sizeof(pool_test_forget), .flags = SOS_STOP_FORGET};

static void on_event(void *data, const struct sos_event *event)
{
	(void)data;
	if (event->type == SOS_EVENT_LOST || event->type == SOS_EVENT_EXPIRED)
		snprintf(pool_test_message, sizeof(pool_test_message), "%s", event->message);
	/* Last: whoever sees it reads the message. */
	atomic_fetch_add(&pool_test_events[event->type], 1);
}

struct sos_pool_options pool_test_options_of(uint32_t capacity)
{
	struct sos_pool_options options = SOS_POOL_OPTIONS_INIT;
	snprintf(runtime_dir, sizeof(runtime_dir), "/tmp/sos-unit-%ld", (long)getpid());
	options.name = "unit";
	options.runtime_dir = runtime_dir;
	options.capacity = capacity;
	options.event = on_event;
	return options;
}

struct sos_pool *pool_test_make_pool(uint32_t capacity)
{
	struct sos_pool_options options = pool_test_options_of(capacity);
	struct sos_pool *pool = NULL;
	struct sos_error error = SOS_ERROR_INIT;
	ck_assert_msg(!sos_pool_new(&options, &pool, &error), "%s", error.message);
	return pool;
}

struct sos_pool *pool_test_make_warm(uint32_t capacity, uint32_t count, uint32_t policy)
{
	struct sos_pool_options options = pool_test_options_of(capacity);
	struct sos_warm_spec warm = {.size = sizeof(warm), .count = count};
	const struct sos_warm_spec *const warms[] = {&warm, NULL};
	struct sos_pool *pool = NULL;
	struct sos_error error = SOS_ERROR_INIT;
	options.warm = warms;
	options.warm_policy = policy;
	options.engine_limit = 4;
	ck_assert_msg(!sos_pool_new(&options, &pool, &error), "%s", error.message);
	return pool;
}

void pool_test_until_warm(struct sos_pool *pool, uint32_t ready)
{
	for (int i = 0; i < 4000; i++) {
		struct sos_pool_stats stats = pool_test_stats(pool);
		if (stats.warm_ready == ready && !stats.warm_starting)
			return;
		usleep(2000);
	}
	struct sos_pool_stats stats = pool_test_stats(pool);
	ck_abort_msg("%u ready and %u starting, not %u", stats.warm_ready, stats.warm_starting, ready);
}

void pool_test_end_pool(struct sos_pool *pool)
{
	sos_pool_free(pool);
	ck_assert_int_eq(fake_containers(), 0);
	ck_assert_int_eq(fake_links(), 0);
	ck_assert_int_eq(fake_sessions(), 0);
	ck_assert_int_eq(fake_networks(), 0);
	ck_assert_int_eq(rmdir(runtime_dir), 0);
}

struct sos_sandbox *pool_test_make(struct sos_pool *pool)
{
	struct sos_sandbox *sandbox = NULL;
	ck_assert_int_eq(sos_sandbox_create(pool, NULL, &sandbox, NULL), 0);
	return sandbox;
}

struct sos_sandbox *pool_test_start(struct sos_pool *pool)
{
	struct sos_sandbox *sandbox = pool_test_make(pool);
	struct sos_error error = SOS_ERROR_INIT;
	ck_assert_msg(!sos_sandbox_start(sandbox, NULL, &error), "%s", error.message);
	return sandbox;
}

uint32_t pool_test_state(struct sos_sandbox *sandbox)
{
	struct sos_sandbox_info *info = NULL;
	ck_assert_int_eq(sos_sandbox_get_info(sandbox, &info, NULL), 0);
	uint32_t state = info->state;
	sos_sandbox_info_free(info);
	return state;
}

struct sos_pool_stats pool_test_stats(struct sos_pool *pool)
{
	struct sos_pool_stats stats = {.size = sizeof(stats)};
	sos_pool_get_stats(pool, &stats);
	return stats;
}

void pool_test_wait_event(enum sos_event_type type, int want)
{
	for (int i = 0; i < 2000 && atomic_load(&pool_test_events[type]) < want; i++)
		usleep(5000);
	ck_assert_int_ge(atomic_load(&pool_test_events[type]), want);
}

void *pool_test_start_thread(void *data)
{
	struct call *call = data;
	call->result = sos_sandbox_start(call->sandbox, &call->options, &call->error);
	return NULL;
}

void *pool_test_exec_thread(void *data)
{
	struct call *call = data;
	struct sos_exec_options options = SOS_EXEC_OPTIONS_INIT;
	options.command = call->command;
	options.exec_id = call->exec_id;
	call->result = sos_sandbox_exec(call->sandbox, &options, &call->got, &call->error);
	return NULL;
}

void *pool_test_stop_thread(void *data)
{
	struct call *call = data;
	call->result = sos_sandbox_stop(call->sandbox, 0, &call->error);
	return NULL;
}

void pool_test_launch(struct call *call, struct sos_sandbox *sandbox, void *(*run)(void *))
{
	call->sandbox = sandbox;
	call->options.size = sizeof(call->options);
	ck_assert_int_eq(sos_thread_start(&call->thread, run, call), 0);
}

int pool_test_finish(struct call *call)
{
	pthread_join(call->thread, NULL);
	return call->result;
}
