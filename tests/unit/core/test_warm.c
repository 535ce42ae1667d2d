/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The warm stock over the made-up Engine: who gets one, what is made again,
 * what yields, what dies. */

#include <unistd.h>

#include "fake.h"
#include "fake_internal.h"
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
	struct sos_pool *pool = pool_test_make_warm(1, 1, SOS_WARM_FIXED);
	struct sos_sandbox_spec spec = SOS_SANDBOX_SPEC_INIT;
	pool_test_until_warm(pool, 1);
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
	pool_test_until_warm(pool, 1);
	pool_test_end_pool(pool);
}
END_TEST

START_TEST(refills_after_many_takes)
{
	enum { COUNT = 12 };
	struct sos_pool *pool = pool_test_make_warm(3 * COUNT, COUNT, SOS_WARM_FIXED);
	struct sos_sandbox *sandboxes[2 * COUNT];
	pool_test_until_warm(pool, COUNT);
	for (int i = 0; i < COUNT; i++)
		sandboxes[i] = start_with(pool, NULL);
	ck_assert_uint_eq(pool_test_stats(pool).warm_hits, COUNT);
	pool_test_until_warm(pool, COUNT);
	for (int i = COUNT; i < 2 * COUNT; i++)
		sandboxes[i] = start_with(pool, NULL);
	ck_assert_uint_eq(pool_test_stats(pool).warm_hits, 2 * COUNT);
	pool_test_until_warm(pool, COUNT);
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
	struct sos_pool *pool = pool_test_make_warm(3, 3, SOS_WARM_FIXED);
	struct sos_sandbox_spec spec = SOS_SANDBOX_SPEC_INIT;
	struct sos_start_options now = SOS_START_OPTIONS_INIT;
	struct sos_sandbox *sandboxes[3];
	pool_test_until_warm(pool, 3);
	spec.memory_bytes = 64 << 20;
	for (int i = 0; i < 3; i++) {
		/* Also where a start may not wait for others. */
		now.queue_timeout_ms = i == 1 ? -1 : 0;
		sandboxes[i] = make_with(pool, &spec);
		ck_assert_int_eq(sos_sandbox_start(sandboxes[i], &now, NULL), 0);
	}
	ck_assert_uint_eq(pool_test_stats(pool).warm_hits, 0);
	pool_test_until_warm(pool, 0);
	now.queue_timeout_ms = -1;
	struct sos_sandbox *more = make_with(pool, &spec);
	ck_assert_int_eq(sos_sandbox_start(more, &now, NULL), SOS_ERROR_DEADLINE);
	sos_sandbox_unref(more);
	for (int i = 0; i < 3; i++) {
		ck_assert_int_eq(sos_sandbox_stop(sandboxes[i], NULL, NULL), 0);
		sos_sandbox_unref(sandboxes[i]);
	}
	pool_test_until_warm(pool, 3);
	ck_assert_int_eq(fake_most_containers(), 3);
	pool_test_end_pool(pool);
}
END_TEST

/* One that is still being made yields too. */
START_TEST(yields_while_it_is_made)
{
	fake_block(FAKE_WAIT);
	struct sos_pool *pool = pool_test_make_warm(1, 1, SOS_WARM_FIXED);
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
	struct sos_pool *pool = pool_test_make_warm(2, 1, SOS_WARM_FIXED);
	struct sos_sandbox_spec other = SOS_SANDBOX_SPEC_INIT;
	other.memory_bytes = 64 << 20;
	pool_test_until_warm(pool, 1);
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

/* A container that is being made when a start that it fits has to wait goes to that start. */
START_TEST(one_that_gets_ready_goes_to_who_waits)
{
	fake_block(FAKE_WAIT);
	struct sos_pool *pool = pool_test_make_warm(1, 1, SOS_WARM_FIXED);
	struct sos_sandbox *sandbox = make_with(pool, NULL);
	struct call call = {0};
	fake_wait_blocked(FAKE_WAIT, 1);
	pool_test_launch(&call, sandbox, pool_test_start_thread);
	pool_test_wait_event(SOS_EVENT_QUEUED, 1);
	usleep(50000); /* it could be taken down for it by now */
	fake_release(FAKE_WAIT);
	ck_assert_int_eq(pool_test_finish(&call), 0);
	ck_assert_int_eq(fake_most_containers(), 1);
	ck_assert_int_eq(fake_calls(FAKE_CREATE), 1 + 1); /* and the one that placed sos-init */
	ck_assert_uint_eq(pool_test_stats(pool).warm_hits, 1);
	ck_assert_uint_eq(pool_test_state(sandbox), SOS_STATE_STARTED);
	sos_sandbox_unref(sandbox);
	pool_test_end_pool(pool);
}
END_TEST

/* Once it is seen that the name stands for another image, none from the old one is handed over. */
START_TEST(images_change)
{
	struct sos_pool *pool = pool_test_make_warm(4, 3, SOS_WARM_FIXED);
	pool_test_until_warm(pool, 3);
	ck_assert_int_eq(fake_calls(FAKE_CREATE), 3 + 1); /* and the one that placed sos-init */
	fake_images_change();
	struct sos_sandbox *sandbox = pool_test_start(pool);
	while (fake_calls(FAKE_CREATE) < 4 + 3)
		usleep(1000);
	pool_test_until_warm(pool, 3);
	ck_assert_int_eq(fake_calls(FAKE_CREATE), 4 + 3);
	ck_assert_int_eq(fake_containers(), 4);
	ck_assert_int_le(fake_most_containers(), 4);
	sos_sandbox_unref(sandbox);
	pool_test_end_pool(pool);
}
END_TEST

/* ---- what dies ---- */

START_TEST(dead_ones_are_replaced)
{
	struct sos_pool *pool = pool_test_make_warm(4, 2, SOS_WARM_FIXED);
	pool_test_until_warm(pool, 2);
	fake_lose(SOS_ERROR_LOST, "the container ended");
	pool_test_wait_event(SOS_EVENT_WARM_FAILED, 1);
	/* A start in between gets one of its own. */
	struct sos_sandbox *sandbox = pool_test_start(pool);
	ck_assert_uint_eq(pool_test_stats(pool).warm_hits, 0);
	pool_test_until_warm(pool, 2);
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
	struct sos_pool *pool = pool_test_make_warm(3, 2, SOS_WARM_FIXED);
	pool_test_until_warm(pool, 2);
	fake_fail(FAKE_HAND_OVER, SOS_ERROR_LOST, _i + 1, false, "gone");
	struct sos_sandbox *sandbox = pool_test_start(pool);
	ck_assert_uint_eq(pool_test_state(sandbox), SOS_STATE_STARTED);
	ck_assert_int_le(fake_most_containers(), 3);
	pool_test_until_warm(pool, 2);
	ck_assert_int_eq(fake_containers(), 3);
	sos_sandbox_unref(sandbox);
	pool_test_end_pool(pool);
}
END_TEST

START_TEST(what_it_is_given_may_be_refused)
{
	struct sos_pool *pool = pool_test_make_warm(1, 1, SOS_WARM_FIXED);
	struct sos_sandbox *sandbox = pool_test_make(pool);
	struct sos_error error = SOS_ERROR_INIT;
	pool_test_until_warm(pool, 1);
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
	struct sos_pool *pool = pool_test_make_warm(1, 1, SOS_WARM_FIXED);
	struct sos_sandbox *sandbox = pool_test_make(pool);
	struct call call = {0};
	pool_test_until_warm(pool, 1);
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
	tcase_add_test(tcase, images_change);
	tcase_add_test(tcase, dead_ones_are_replaced);
	tcase_add_loop_test(tcase, dies_as_it_is_handed_over, 0, 3);
	tcase_add_test(tcase, what_it_is_given_may_be_refused);
	tcase_add_loop_test(tcase, a_hand_over_obeys, 0, 3);
	suite_add_tcase(suite, tcase);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_SILENT);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
