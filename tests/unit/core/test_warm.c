/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The warm stock over the made-up Engine: who gets one, what is made again,
 * what yields, what fails, what is left. */

#include <stdio.h>
#include <unistd.h>

#include "core/thread.h"
#include "fake.h"
#include "fake_internal.h"
#include "pool_test.h"
#include "../unit.h"

/* With `count` containers of the default spec. */
static struct sos_pool *make_pool(uint32_t capacity, uint32_t count, uint32_t policy)
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

/* For what only asking can tell. */
static void until_ready(struct sos_pool *pool, uint32_t ready)
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

static struct sos_sandbox *make_with(struct sos_pool *pool, const struct sos_sandbox_spec *spec)
{
	struct sos_sandbox *sandbox = NULL;
	ck_assert_int_eq(sos_sandbox_create(pool, spec, &sandbox, NULL), 0);
	return sandbox;
}

static struct sos_sandbox *start_with(struct sos_pool *pool, const struct sos_sandbox_spec *spec)
{
	struct sos_sandbox *sandbox = make_with(pool, spec);
	struct sos_error error = SOS_ERROR_INIT;
	ck_assert_msg(!sos_sandbox_start(sandbox, NULL, &error), "%s", error.message);
	return sandbox;
}

static int engine_calls(void)
{
	int calls = 0;
	for (int step = 0; step < FAKE_STEPS; step++)
		if (step != FAKE_HAND_OVER && step != FAKE_EXEC)
			calls += fake_calls((enum fake_step)step);
	return calls;
}

/* Nothing is asked of the Engine, nor of sos-init but the one thing. */
START_TEST(a_hit_asks_nobody)
{
	const char *const labels[] = {"task=42", NULL}, *const environment[] = {"A=1", "B=2", NULL};
	struct sos_pool *pool = make_pool(1, 1, SOS_WARM_FIXED);
	struct sos_sandbox_spec spec = SOS_SANDBOX_SPEC_INIT;
	until_ready(pool, 1);
	int before = engine_calls();
	spec.labels = labels;
	spec.environment = environment;
	spec.lifetime_ms = 60000;
	struct sos_sandbox *sandbox = start_with(pool, &spec);
	ck_assert_int_eq(engine_calls(), before);
	ck_assert_int_eq(fake_calls(FAKE_HAND_OVER), 1);
	ck_assert_int_eq(fake.exported, 2);
	ck_assert_ptr_nonnull(strstr(fake.handed_record, sos_sandbox_id(sandbox)));
	ck_assert_ptr_nonnull(strstr(fake.handed_record, "label=task=42\n"));
	struct sos_sandbox_info *info = NULL;
	ck_assert_int_eq(sos_sandbox_get_info(sandbox, &info, NULL), 0);
	ck_assert_uint_eq(info->state, SOS_STATE_STARTED);
	ck_assert_uint_eq(info->transport, SOS_TRANSPORT_SOCKET);
	ck_assert_str_eq(info->shell, "bash");
	ck_assert_str_ne(info->container_id, "");
	ck_assert_int_eq(info->expires_unix_ms, info->started_unix_ms + 60000);
	sos_sandbox_info_free(info);
	struct sos_result *result = NULL;
	ck_assert_int_eq(sos_sandbox_run(sandbox, "x", &result, NULL), 0);
	ck_assert_uint_eq(sos_result_sequence(result), 1);
	sos_result_unref(result);
	struct sos_pool_stats stats = pool_test_stats(pool);
	ck_assert_uint_eq(stats.warm_hits, 1);
	ck_assert_uint_eq(stats.containers, 1);
	ck_assert_uint_eq(stats.running, 1);
	ck_assert_uint_eq(stats.sandboxes, 1);
	ck_assert_int_eq(sos_sandbox_stop(sandbox, NULL, NULL), 0);
	sos_sandbox_unref(sandbox);
	/* The slot is free: another one. */
	until_ready(pool, 1);
	pool_test_end_pool(pool);
}
END_TEST

START_TEST(refills_after_many_takes)
{
	enum { COUNT = 12 };
	struct sos_pool *pool = make_pool(3 * COUNT, COUNT, SOS_WARM_FIXED);
	struct sos_sandbox *sandboxes[2 * COUNT];
	until_ready(pool, COUNT);
	for (int i = 0; i < COUNT; i++)
		sandboxes[i] = start_with(pool, NULL);
	ck_assert_uint_eq(pool_test_stats(pool).warm_hits, COUNT);
	until_ready(pool, COUNT);
	for (int i = COUNT; i < 2 * COUNT; i++)
		sandboxes[i] = start_with(pool, NULL);
	ck_assert_uint_eq(pool_test_stats(pool).warm_hits, 2 * COUNT);
	until_ready(pool, COUNT);
	ck_assert_int_eq(fake_containers(), 3 * COUNT);
	for (int i = 0; i < 2 * COUNT; i++) {
		ck_assert_int_eq(sos_sandbox_stop(sandboxes[i], &pool_test_forget, NULL), 0);
		sos_sandbox_unref(sandboxes[i]);
	}
	ck_assert_int_eq(fake_most_containers(), 3 * COUNT);
	pool_test_end_pool(pool);
}
END_TEST

/* Whoever asks for something else gets a slot of theirs; there are never more containers than slots. */
START_TEST(yields_to_others)
{
	struct sos_pool *pool = make_pool(3, 3, SOS_WARM_FIXED);
	struct sos_sandbox_spec spec = SOS_SANDBOX_SPEC_INIT;
	struct sos_start_options now = SOS_START_OPTIONS_INIT;
	struct sos_sandbox *sandboxes[3];
	until_ready(pool, 3);
	spec.memory_bytes = 64 << 20;
	for (int i = 0; i < 3; i++) {
		/* Also where a start may not wait for others. */
		now.queue_timeout_ms = i == 1 ? -1 : 0;
		sandboxes[i] = make_with(pool, &spec);
		ck_assert_int_eq(sos_sandbox_start(sandboxes[i], &now, NULL), 0);
	}
	ck_assert_uint_eq(pool_test_stats(pool).warm_hits, 0);
	until_ready(pool, 0);
	now.queue_timeout_ms = -1;
	struct sos_sandbox *more = make_with(pool, &spec);
	ck_assert_int_eq(sos_sandbox_start(more, &now, NULL), SOS_ERROR_DEADLINE);
	sos_sandbox_unref(more);
	for (int i = 0; i < 3; i++) {
		ck_assert_int_eq(sos_sandbox_stop(sandboxes[i], NULL, NULL), 0);
		sos_sandbox_unref(sandboxes[i]);
	}
	until_ready(pool, 3);
	ck_assert_int_eq(fake_most_containers(), 3);
	pool_test_end_pool(pool);
}
END_TEST

/* One that is still being made yields too. */
START_TEST(yields_while_it_is_made)
{
	fake_block(FAKE_WAIT);
	struct sos_pool *pool = make_pool(1, 1, SOS_WARM_FIXED);
	struct sos_sandbox_spec spec = SOS_SANDBOX_SPEC_INIT;
	struct call call = {0};
	fake_wait_blocked(FAKE_WAIT, 1);
	spec.memory_bytes = 64 << 20;
	struct sos_sandbox *sandbox = make_with(pool, &spec);
	pool_test_launch(&call, sandbox, pool_test_start_thread);
	/* The start has taken its place when its own container comes so far. */
	while (fake_calls(FAKE_WAIT) < 2)
		usleep(1000);
	fake_release(FAKE_WAIT);
	ck_assert_int_eq(pool_test_finish(&call), 0);
	ck_assert_int_eq(fake_most_containers(), 1);
	ck_assert_int_eq(atomic_load(&pool_test_events[SOS_EVENT_WARM_FAILED]), 0);
	sos_sandbox_unref(sandbox);
	pool_test_end_pool(pool);
}
END_TEST

/* Starts that wait are served in order; one that a new container fits gets that, slot and all. */
START_TEST(waiting_starts_come_first)
{
	struct sos_pool *pool = make_pool(2, 1, SOS_WARM_FIXED);
	struct sos_sandbox_spec other = SOS_SANDBOX_SPEC_INIT;
	other.memory_bytes = 64 << 20;
	until_ready(pool, 1);
	struct sos_sandbox *holders[2] = {start_with(pool, &other), start_with(pool, NULL)};
	ck_assert_uint_eq(pool_test_stats(pool).warm_hits, 1);
	struct sos_sandbox *first = make_with(pool, &other), *second = make_with(pool, NULL);
	struct call calls[2] = {0};
	pool_test_launch(&calls[0], first, pool_test_start_thread);
	pool_test_wait_event(SOS_EVENT_QUEUED, 1);
	pool_test_launch(&calls[1], second, pool_test_start_thread);
	pool_test_wait_event(SOS_EVENT_QUEUED, 2);
	/* No warm one is made while somebody waits. */
	ck_assert_int_eq(sos_sandbox_stop(holders[0], NULL, NULL), 0);
	ck_assert_int_eq(pool_test_finish(&calls[0]), 0);
	ck_assert_uint_eq(pool_test_state(second), SOS_STATE_QUEUED);
	ck_assert_int_eq(sos_sandbox_stop(first, NULL, NULL), 0);
	ck_assert_int_eq(pool_test_finish(&calls[1]), 0);
	ck_assert_int_eq(fake_most_containers(), 2);
	ck_assert_uint_eq(pool_test_stats(pool).queued, 0);
	sos_sandbox_unref(first);
	sos_sandbox_unref(second);
	sos_sandbox_unref(holders[0]);
	sos_sandbox_unref(holders[1]);
	pool_test_end_pool(pool);
}
END_TEST

/* A container that gets ready while a start that it fits waits for a slot goes to that start. */
START_TEST(one_that_gets_ready_goes_to_who_waits)
{
	fake_block(FAKE_WAIT);
	struct sos_pool *pool = make_pool(1, 1, SOS_WARM_FIXED);
	struct sos_sandbox *sandbox = make_with(pool, NULL);
	struct call call = {0};
	fake_wait_blocked(FAKE_WAIT, 1);
	/* It was asked to yield, or is offered: either way the start comes to its container. */
	pool_test_launch(&call, sandbox, pool_test_start_thread);
	pool_test_wait_event(SOS_EVENT_QUEUED, 1);
	fake_release(FAKE_WAIT);
	ck_assert_int_eq(pool_test_finish(&call), 0);
	ck_assert_int_eq(fake_most_containers(), 1);
	ck_assert_uint_eq(pool_test_state(sandbox), SOS_STATE_STARTED);
	sos_sandbox_unref(sandbox);
	pool_test_end_pool(pool);
}
END_TEST

/* ---- what dies ---- */

START_TEST(dead_ones_are_replaced)
{
	struct sos_pool *pool = make_pool(4, 2, SOS_WARM_FIXED);
	until_ready(pool, 2);
	fake_lose(SOS_ERROR_LOST, "the container ended");
	pool_test_wait_event(SOS_EVENT_WARM_FAILED, 1);
	/* A start in between gets one of its own. */
	struct sos_sandbox *sandbox = pool_test_start(pool);
	ck_assert_uint_eq(pool_test_stats(pool).warm_hits, 0);
	until_ready(pool, 2);
	/* Two that died together are told of once, and nothing of them is left. */
	ck_assert_int_eq(atomic_load(&pool_test_events[SOS_EVENT_WARM_FAILED]), 1);
	ck_assert_int_eq(fake_containers(), 3);
	sos_sandbox_unref(sandbox);
	sandbox = pool_test_start(pool);
	ck_assert_uint_eq(pool_test_stats(pool).warm_hits, 1);
	sos_sandbox_unref(sandbox);
	pool_test_end_pool(pool);
}
END_TEST

/* It ends in the very moment: the next one is taken, or one is made, and the start knows nothing of it. */
START_TEST(dies_as_it_is_handed_over)
{
	struct sos_pool *pool = make_pool(3, 2, SOS_WARM_FIXED);
	until_ready(pool, 2);
	fake_fail(FAKE_HAND_OVER, SOS_ERROR_LOST, _i + 1, false, "gone");
	struct sos_sandbox *sandbox = pool_test_start(pool);
	ck_assert_uint_eq(pool_test_state(sandbox), SOS_STATE_STARTED);
	ck_assert_int_le(fake_most_containers(), 3);
	until_ready(pool, 2);
	ck_assert_int_eq(fake_containers(), 3);
	sos_sandbox_unref(sandbox);
	pool_test_end_pool(pool);
}
END_TEST

START_TEST(what_it_is_given_may_be_refused)
{
	struct sos_pool *pool = make_pool(1, 1, SOS_WARM_FIXED);
	struct sos_sandbox *sandbox = pool_test_make(pool);
	struct sos_error error = SOS_ERROR_INIT;
	until_ready(pool, 1);
	fake_fail(FAKE_HAND_OVER, SOS_ERROR_INVALID, 1, false, "too large");
	ck_assert_int_eq(sos_sandbox_start(sandbox, NULL, &error), SOS_ERROR_INVALID);
	ck_assert_ptr_nonnull(strstr(error.message, "too large"));
	ck_assert_uint_eq(pool_test_state(sandbox), SOS_STATE_CREATED);
	ck_assert_int_eq(sos_sandbox_start(sandbox, NULL, NULL), 0);
	ck_assert_int_eq(fake_most_containers(), 1);
	sos_sandbox_unref(sandbox);
	pool_test_end_pool(pool);
}
END_TEST

/* A hand-over that hangs obeys what ends a start. */
START_TEST(a_hand_over_obeys)
{
	struct sos_pool *pool = make_pool(1, 1, SOS_WARM_FIXED);
	struct sos_sandbox *sandbox = pool_test_make(pool);
	struct call call = {0};
	until_ready(pool, 1);
	fake_block(FAKE_HAND_OVER);
	pool_test_launch(&call, sandbox, pool_test_start_thread);
	fake_wait_blocked(FAKE_HAND_OVER, 1);
	int want = SOS_ERROR_CANCELLED;
	if (_i == 0) {
		sos_sandbox_cancel_start(sandbox);
	} else if (_i == 1) {
		ck_assert_int_eq(sos_sandbox_stop(sandbox, NULL, NULL), 0);
		want = SOS_ERROR_ENDED;
	} else {
		sos_pool_close(pool);
	}
	ck_assert_int_eq(pool_test_finish(&call), want);
	ck_assert_uint_eq(pool_test_state(sandbox), _i == 1 ? SOS_STATE_STOPPED : SOS_STATE_CREATED);
	fake_release(FAKE_HAND_OVER);
	sos_sandbox_unref(sandbox);
	pool_test_end_pool(pool);
}
END_TEST

/* ---- what fails ---- */

/* Told once, tried less and less often, and starts work meanwhile. */
START_TEST(failures_back_off)
{
	const char *const setup[] = {"fail 3", NULL}, *const good[] = {"true", NULL};
	struct sos_sandbox_spec spec = SOS_SANDBOX_SPEC_INIT;
	struct sos_pool *pool = make_pool(6, 0, SOS_WARM_FIXED);
	spec.setup_commands = setup;
	ck_assert_int_eq(sos_pool_set_warm(pool, &spec, 4, NULL), 0);
	pool_test_wait_event(SOS_EVENT_WARM_FAILED, 1);
	struct sos_sandbox *sandbox = pool_test_start(pool);
	usleep(3500000);
	/* Four at first, then one by one: after 1 s and 2 more. */
	ck_assert_int_le(fake_calls(FAKE_EXEC), 4 + 2);
	ck_assert_int_ge(fake_calls(FAKE_EXEC), 2);
	ck_assert_int_eq(atomic_load(&pool_test_events[SOS_EVENT_WARM_FAILED]), 1);
	struct sos_warm_list *list = NULL;
	ck_assert_int_eq(sos_pool_get_warm(pool, &list, NULL), 0);
	ck_assert_uint_eq(sos_warm_list_count(list), 1);
	const struct sos_warm_info *info = sos_warm_list_get(list, 0);
	ck_assert_int_eq(info->failure_code, SOS_ERROR_SETUP);
	ck_assert_ptr_nonnull(strstr(info->failure, "code 3"));
	ck_assert_uint_eq(info->count, 4);
	ck_assert_uint_eq(info->ready, 0);
	ck_assert_ptr_null(sos_warm_list_get(list, 1));
	sos_warm_list_free(list);
	ck_assert_int_eq(sos_pool_set_warm(pool, &spec, 0, NULL), 0);
	spec.setup_commands = good;
	ck_assert_int_eq(sos_pool_set_warm(pool, &spec, 2, NULL), 0);
	until_ready(pool, 2);
	ck_assert_int_eq(fake_containers(), 3);
	sos_sandbox_unref(sandbox);
	pool_test_end_pool(pool);
}
END_TEST

/* The Engine goes away while they are made; the pool stays, and comes back with it. */
START_TEST(engine_gone_while_warming)
{
	struct sos_pool *pool = make_pool(3, 2, SOS_WARM_FIXED);
	static const enum fake_step at[] = {FAKE_IMAGE, FAKE_CREATE, FAKE_START};
	until_ready(pool, 2);
	struct sos_sandbox *sandbox = pool_test_start(pool);
	until_ready(pool, 2);
	fake_fail(at[_i], SOS_ERROR_UNREACHABLE, 3, false, "connection refused");
	ck_assert_int_eq(sos_sandbox_stop(sandbox, NULL, NULL), 0);
	ck_assert_int_eq(sos_pool_set_warm(pool, NULL, 3, NULL), 0);
	pool_test_wait_event(SOS_EVENT_WARM_FAILED, 1);
	pool_test_wait_event(SOS_EVENT_ENGINE_LOST, 1);
	/* Those that are there still serve. */
	sos_sandbox_unref(sandbox);
	sandbox = pool_test_start(pool);
	ck_assert_uint_eq(pool_test_stats(pool).warm_hits, 2);
	pool_test_wait_event(SOS_EVENT_WARM_READY, 1);
	until_ready(pool, 2);
	ck_assert_int_eq(atomic_load(&pool_test_events[SOS_EVENT_WARM_FAILED]), 1);
	sos_sandbox_unref(sandbox);
	pool_test_end_pool(pool);
}
END_TEST

/* A pool that has no Engine yet keeps what is to be warm. */
START_TEST(no_engine_at_first)
{
	struct sos_pool_options options = pool_test_options_of(2);
	struct sos_warm_spec warm = {.size = sizeof(warm), .count = 2};
	const struct sos_warm_spec *const warms[] = {&warm, NULL};
	struct sos_pool *pool = NULL;
	options.warm = warms;
	options.flags = SOS_POOL_LAZY;
	fake_fail(FAKE_CONNECT, SOS_ERROR_UNREACHABLE, 3, false, "no such file");
	ck_assert_int_eq(sos_pool_new(&options, &pool, NULL), 0);
	until_ready(pool, 2);
	pool_test_end_pool(pool);
}
END_TEST

/* ---- its end ---- */

/* Whatever step one is in, the pool's end waits for nothing and leaves nothing. */
START_TEST(ends_while_it_is_made)
{
	static const enum fake_step at[] = {
		FAKE_IMAGE, FAKE_PULL,	FAKE_VOLUME,  FAKE_SIZE, FAKE_PUT,    FAKE_NETWORK, FAKE_CREATE,
		FAKE_START, FAKE_ATTACH, FAKE_INSPECT, FAKE_WAIT, FAKE_SET_UP, FAKE_OPEN,
	};
	fake_images_missing(at[_i] == FAKE_PULL);
	fake_block(at[_i]);
	struct sos_pool *pool = make_pool(3, 3, SOS_WARM_FIXED);
	fake_wait_blocked(at[_i], 1);
	int64_t before = sos_clock_ns();
	sos_pool_close(pool);
	pool_test_end_pool(pool);
	ck_assert_int_lt(sos_clock_ns() - before, 8 * INT64_C(1000000000));
}
END_TEST

START_TEST(set_while_it_runs)
{
	struct sos_pool *pool = make_pool(4, 4, SOS_WARM_FIXED);
	struct sos_sandbox_spec spec = SOS_SANDBOX_SPEC_INIT;
	struct sos_error error = SOS_ERROR_INIT;
	until_ready(pool, 4);
	ck_assert_int_eq(sos_pool_set_warm(pool, NULL, 1, NULL), 0);
	until_ready(pool, 1);
	spec.memory_bytes = 64 << 20;
	ck_assert_int_eq(sos_pool_set_warm(pool, &spec, 2, NULL), 0);
	until_ready(pool, 3);
	struct sos_sandbox *sandbox = start_with(pool, &spec);
	ck_assert_uint_eq(pool_test_stats(pool).warm_hits, 1);
	ck_assert_int_eq(sos_pool_set_warm(pool, &spec, 0, NULL), 0);
	ck_assert_int_eq(sos_pool_set_warm(pool, NULL, 0, NULL), 0);
	until_ready(pool, 0);
	/* What was handed over is nobody's but the sandbox's. */
	ck_assert_uint_eq(pool_test_state(sandbox), SOS_STATE_STARTED);
	ck_assert_int_eq(sos_pool_set_warm(pool, NULL, 5, &error), SOS_ERROR_INVALID);
	spec.image = "UPPER";
	ck_assert_int_eq(sos_pool_set_warm(pool, &spec, 1, &error), SOS_ERROR_INVALID);
	sos_pool_close(pool);
	ck_assert_int_eq(sos_pool_set_warm(pool, NULL, 1, &error), SOS_ERROR_ENDED);
	sos_sandbox_unref(sandbox);
	pool_test_end_pool(pool);
}
END_TEST

/* ---- adaptive ---- */

START_TEST(adaptive_learns)
{
	struct sos_pool *pool = make_pool(16, 0, SOS_WARM_ADAPTIVE);
	struct sos_sandbox *sandboxes[4];
	for (int i = 0; i < 4; i++)
		sandboxes[i] = pool_test_start(pool);
	struct sos_warm_list *list = NULL;
	ck_assert_int_eq(sos_pool_get_warm(pool, &list, NULL), 0);
	ck_assert_uint_eq(sos_warm_list_count(list), 1);
	ck_assert_uint_eq(sos_warm_list_get(list, 0)->count, 0);
	sos_warm_list_free(list);
	/* As many as were asked for at once. */
	for (int i = 0; i < 4000 && pool_test_stats(pool).warm_ready < 4; i++)
		usleep(2000);
	uint64_t hits = pool_test_stats(pool).warm_hits;
	struct sos_sandbox *more = pool_test_start(pool);
	ck_assert_uint_eq(pool_test_stats(pool).warm_hits, hits + 1);
	sos_sandbox_unref(more);
	for (int i = 0; i < 4; i++)
		sos_sandbox_unref(sandboxes[i]);
	pool_test_end_pool(pool);
}
END_TEST

/* ---- all at once ---- */

struct hammer {
	struct sos_pool *pool;
	uint32_t seed;
	atomic_bool *ending;
	pthread_t thread;
};

static void *hammer(void *data)
{
	struct hammer *h = data;
	struct sos_sandbox_spec spec = SOS_SANDBOX_SPEC_INIT;
	unsigned n = h->seed;
	while (!atomic_load(h->ending)) {
		n = n * 1103515245 + 12345;
		spec.memory_bytes = n >> 16 & 1 ? 64 << 20 : 0;
		struct sos_sandbox *sandbox = make_with(h->pool, &spec);
		struct sos_result *result = NULL;
		if (!sos_sandbox_start(sandbox, NULL, NULL) && !sos_sandbox_run(sandbox, "x", &result, NULL))
			sos_result_unref(result);
		sos_sandbox_stop(sandbox, &pool_test_forget, NULL);
		sos_sandbox_unref(sandbox);
	}
	return NULL;
}

START_TEST(hammered)
{
	enum { THREADS = 6 };
	struct sos_pool *pool = make_pool(4, 2, _i ? SOS_WARM_ADAPTIVE : SOS_WARM_FIXED);
	struct hammer hammers[THREADS];
	atomic_bool ending = false;
	for (int i = 0; i < THREADS; i++) {
		hammers[i] = (struct hammer){.pool = pool, .seed = (uint32_t)i * 7919 + 1, .ending = &ending};
		ck_assert_int_eq(sos_thread_start(&hammers[i].thread, hammer, &hammers[i]), 0);
	}
	for (int i = 0; i < 40; i++) {
		struct sos_warm_list *list = NULL;
		usleep(25000);
		ck_assert_int_eq(sos_pool_set_warm(pool, NULL, (uint32_t)i % 4, NULL), 0);
		if (i % 10 == 7)
			fake_lose(SOS_ERROR_LOST, "the container ended");
		ck_assert_int_eq(sos_pool_get_warm(pool, &list, NULL), 0);
		sos_warm_list_free(list);
	}
	atomic_store(&ending, true);
	for (int i = 0; i < THREADS; i++)
		pthread_join(hammers[i].thread, NULL);
	ck_assert_int_le(fake_most_containers(), 4);
	ck_assert_uint_gt(pool_test_stats(pool).warm_hits, 0);
	pool_test_end_pool(pool);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("warm");
	TCase *tcase = tcase_create("warm");
	tcase_set_timeout(tcase, 120);
	tcase_add_test(tcase, a_hit_asks_nobody);
	tcase_add_test(tcase, refills_after_many_takes);
	tcase_add_test(tcase, yields_to_others);
	tcase_add_test(tcase, yields_while_it_is_made);
	tcase_add_test(tcase, waiting_starts_come_first);
	tcase_add_test(tcase, one_that_gets_ready_goes_to_who_waits);
	tcase_add_test(tcase, dead_ones_are_replaced);
	tcase_add_loop_test(tcase, dies_as_it_is_handed_over, 0, 3);
	tcase_add_test(tcase, what_it_is_given_may_be_refused);
	tcase_add_loop_test(tcase, a_hand_over_obeys, 0, 3);
	tcase_add_test(tcase, failures_back_off);
	tcase_add_loop_test(tcase, engine_gone_while_warming, 0, 3);
	tcase_add_test(tcase, no_engine_at_first);
	tcase_add_loop_test(tcase, ends_while_it_is_made, 0, 13);
	tcase_add_test(tcase, set_while_it_runs);
	tcase_add_test(tcase, adaptive_learns);
	tcase_add_loop_test(tcase, hammered, 0, 2);
	suite_add_tcase(suite, tcase);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_SILENT);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
