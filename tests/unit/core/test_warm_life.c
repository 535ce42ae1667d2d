/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The life of the warm stock over the made-up Engine: failures, an Engine that
 * goes away, numbers that change, the pool's end, everything at once. */

#include <unistd.h>

#include "core/thread.h"
#include "fake.h"
#include "pool_test.h"
#include "../unit.h"

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

/* ---- what fails ---- */

/* Told once, tried less and less often, and starts work meanwhile. */
START_TEST(failures_back_off)
{
	const char *const setup[] = {"fail 3", NULL}, *const good[] = {"true", NULL};
	struct sos_sandbox_spec spec = SOS_SANDBOX_SPEC_INIT;
	struct sos_pool *pool = pool_test_make_warm(6, 0, SOS_WARM_FIXED);
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
	pool_test_until_warm(pool, 2);
	ck_assert_int_eq(fake_containers(), 3);
	sos_sandbox_unref(sandbox);
	pool_test_end_pool(pool);
}
END_TEST

/* The Engine goes away while they are made; the pool stays, and comes back with it. */
START_TEST(engine_gone_while_warming)
{
	struct sos_pool *pool = pool_test_make_warm(3, 2, SOS_WARM_FIXED);
	static const enum fake_step at[] = {FAKE_IMAGE, FAKE_CREATE, FAKE_START};
	pool_test_until_warm(pool, 2);
	struct sos_sandbox *sandbox = pool_test_start(pool);
	pool_test_until_warm(pool, 2);
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
	pool_test_until_warm(pool, 2);
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
	pool_test_until_warm(pool, 2);
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
	struct sos_pool *pool = pool_test_make_warm(3, 3, SOS_WARM_FIXED);
	fake_wait_blocked(at[_i], 1);
	int64_t before = sos_clock_ns();
	sos_pool_close(pool);
	pool_test_end_pool(pool);
	ck_assert_int_lt(sos_clock_ns() - before, 8 * INT64_C(1000000000));
}
END_TEST

START_TEST(set_while_it_runs)
{
	struct sos_pool *pool = pool_test_make_warm(4, 4, SOS_WARM_FIXED);
	struct sos_sandbox_spec spec = SOS_SANDBOX_SPEC_INIT;
	struct sos_error error = SOS_ERROR_INIT;
	pool_test_until_warm(pool, 4);
	ck_assert_int_eq(sos_pool_set_warm(pool, NULL, 1, NULL), 0);
	pool_test_until_warm(pool, 1);
	spec.memory_bytes = 64 << 20;
	ck_assert_int_eq(sos_pool_set_warm(pool, &spec, 2, NULL), 0);
	pool_test_until_warm(pool, 3);
	struct sos_sandbox *sandbox = start_with(pool, &spec);
	ck_assert_uint_eq(pool_test_stats(pool).warm_hits, 1);
	ck_assert_int_eq(sos_pool_set_warm(pool, &spec, 0, NULL), 0);
	ck_assert_int_eq(sos_pool_set_warm(pool, NULL, 0, NULL), 0);
	pool_test_until_warm(pool, 0);
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
	struct sos_pool *pool = pool_test_make_warm(16, 0, SOS_WARM_ADAPTIVE);
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
	struct sos_pool *pool = pool_test_make_warm(4, 2, _i ? SOS_WARM_ADAPTIVE : SOS_WARM_FIXED);
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
	Suite *suite = suite_create("warm life");
	TCase *tcase = tcase_create("warm life");
	tcase_set_timeout(tcase, 120);
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
