/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The way of a start, over an Engine that fails and hangs where the test wants it. */

#include "core/thread.h"
#include "fake.h"
#include "pool_test.h"
#include "../unit.h"

/* Every step fails once, with and without effect: nothing is left, the slot is free, and a second start succeeds. */
START_TEST(every_step_fails)
{
	static const enum fake_step at[] = {
		FAKE_IMAGE, FAKE_VOLUME,  FAKE_SIZE, FAKE_PUT,  FAKE_NETWORK, FAKE_CREATE, FAKE_ATTACH,
		FAKE_START, FAKE_INSPECT, FAKE_LINK, FAKE_WAIT, FAKE_SET_UP,  FAKE_OPEN,
	};
	static const int codes[] = {SOS_ERROR_ENGINE, SOS_ERROR_UNREACHABLE, SOS_ERROR_LOST, SOS_ERROR_MEMORY};
	enum fake_step step = at[_i / 8];
	int code = codes[_i % 8 / 2];
	struct sos_pool *pool = pool_test_make_pool(1);
	struct sos_sandbox *sandbox = pool_test_make(pool);
	struct sos_error error = SOS_ERROR_INIT;
	fake_fail(step, code, 1, _i % 2, NULL);
	ck_assert_int_eq(sos_sandbox_start(sandbox, NULL, &error), code);
	ck_assert_int_eq(error.code, code);
	ck_assert_ptr_nonnull(strstr(error.message, "made to fail"));
	ck_assert_uint_eq(pool_test_state(sandbox), SOS_STATE_CREATED);
	/* Waits for the slot where it is not sure yet that create did nothing. */
	ck_assert_msg(!sos_sandbox_start(sandbox, NULL, &error), "%s", error.message);
	ck_assert_int_eq(fake_containers(), 1);
	ck_assert_int_eq(fake_most_containers(), 1);
	sos_sandbox_unref(sandbox);
	pool_test_end_pool(pool);
}
END_TEST

/* Every step hangs: a cancel, its object, a stop and close each end it at once. */
START_TEST(every_step_hangs)
{
	static const enum fake_step at[] = {
		FAKE_IMAGE,  FAKE_PULL,  FAKE_VOLUME,  FAKE_SIZE, FAKE_PUT,    FAKE_NETWORK, FAKE_CREATE,
		FAKE_ATTACH, FAKE_START, FAKE_INSPECT, FAKE_WAIT, FAKE_SET_UP, FAKE_OPEN,
	};
	enum fake_step step = at[_i / 4];
	struct sos_pool *pool = pool_test_make_pool(1);
	struct sos_sandbox *sandbox = pool_test_make(pool);
	struct call call = {0};
	int want = SOS_ERROR_CANCELLED;
	fake_images_missing(step == FAKE_PULL);
	fake_block(step);
	ck_assert_int_eq(sos_cancel_new(&call.options.cancel, NULL), 0);
	pool_test_launch(&call, sandbox, pool_test_start_thread);
	fake_wait_blocked(step, 1);
	int64_t before = sos_clock_ns();
	if (_i % 4 == 0) {
		sos_sandbox_cancel_start(sandbox);
	} else if (_i % 4 == 1) {
		ck_assert_int_eq(sos_sandbox_stop(sandbox, 0, NULL), 0);
		want = SOS_ERROR_ENDED;
	} else if (_i % 4 == 2) {
		sos_cancel_fire(call.options.cancel);
	} else {
		sos_pool_close(pool);
	}
	ck_assert_int_eq(pool_test_finish(&call), want);
	/* Where create hung it takes two seconds until it is sure that there is no container. */
	ck_assert_int_lt(sos_clock_ns() - before, 4 * INT64_C(1000000000));
	ck_assert_uint_eq(pool_test_state(sandbox), _i % 4 == 1 ? SOS_STATE_STOPPED : SOS_STATE_CREATED);
	fake_release(step);
	sos_cancel_unref(call.options.cancel);
	sos_sandbox_unref(sandbox);
	pool_test_end_pool(pool);
}
END_TEST

START_TEST(setup_commands)
{
	const char *const good[] = {"a", "b", NULL}, *const bad[] = {"fail 3", NULL},
			  *const leaves[] = {"exit 0", NULL};
	struct sos_sandbox_spec spec = SOS_SANDBOX_SPEC_INIT;
	struct sos_pool *pool = pool_test_make_pool(1);
	struct sos_sandbox *sandbox = NULL;
	struct sos_error error = SOS_ERROR_INIT;
	spec.setup_commands = bad;
	ck_assert_int_eq(sos_sandbox_create(pool, &spec, &sandbox, NULL), 0);
	ck_assert_int_eq(sos_sandbox_start(sandbox, NULL, &error), SOS_ERROR_SETUP);
	ck_assert_ptr_nonnull(strstr(error.message, "code 3: fail 3"));
	ck_assert_int_eq(fake_containers(), 0);
	sos_sandbox_unref(sandbox);
	spec.setup_commands = leaves;
	ck_assert_int_eq(sos_sandbox_create(pool, &spec, &sandbox, NULL), 0);
	ck_assert_int_eq(sos_sandbox_start(sandbox, NULL, &error), SOS_ERROR_SETUP);
	sos_sandbox_unref(sandbox);
	spec.setup_commands = good;
	ck_assert_int_eq(sos_sandbox_create(pool, &spec, &sandbox, NULL), 0);
	/* It obeys cancel too. */
	struct call call = {0};
	fake_block(FAKE_EXEC);
	pool_test_launch(&call, sandbox, pool_test_start_thread);
	fake_wait_blocked(FAKE_EXEC, 1);
	sos_sandbox_cancel_start(sandbox);
	ck_assert_int_eq(pool_test_finish(&call), SOS_ERROR_CANCELLED);
	fake_release(FAKE_EXEC);
	ck_assert_int_eq(sos_sandbox_start(sandbox, NULL, NULL), 0);
	struct sos_trajectory *trajectory = NULL;
	ck_assert_int_eq(sos_sandbox_get_trajectory(sandbox, &trajectory, NULL), 0);
	ck_assert_uint_eq(sos_trajectory_count(trajectory), 0);
	sos_trajectory_free(trajectory);
	sos_sandbox_unref(sandbox);
	pool_test_end_pool(pool);
}
END_TEST

START_TEST(falls_back_to_attach)
{
	struct sos_pool *pool = pool_test_make_pool(1);
	fake_no_socket(_i);
	struct sos_sandbox *sandbox = pool_test_start(pool);
	ck_assert_uint_eq(pool_test_stats(pool).transport, SOS_TRANSPORT_ATTACH);
	ck_assert_int_eq(atomic_load(&pool_test_events[SOS_EVENT_FALLBACK]), 1);
	ck_assert_int_eq(fake_most_containers(), 1);
	sos_sandbox_unref(sandbox);
	pool_test_end_pool(pool);
}
END_TEST

/* The volume or the network was taken away while the pool runs. */
START_TEST(mends_what_is_gone)
{
	static const char *const words[] = {
		"exec: \"/.sos/sos-init\": stat /.sos/sos-init: no such file or directory: unknown",
		"network sos-unit not found",
	};
	struct sos_pool *pool = pool_test_make_pool(2);
	struct sos_sandbox *first = pool_test_start(pool), *second;
	fake_fail(FAKE_START, SOS_ERROR_ENGINE, 1, false, words[_i]);
	second = pool_test_start(pool);
	ck_assert_int_eq(fake_calls(FAKE_PUT), _i ? 1 : 2);
	ck_assert_int_eq(fake_calls(FAKE_NETWORK), _i ? 2 : 1);
	sos_sandbox_unref(second);
	second = pool_test_make(pool);
	ck_assert_int_eq(sos_sandbox_stop(first, 0, NULL), 0);
	fake_fail(FAKE_START, SOS_ERROR_ENGINE, 2, false, words[_i]);
	ck_assert_int_eq(sos_sandbox_start(second, NULL, NULL), SOS_ERROR_ENGINE);
	sos_sandbox_unref(first);
	sos_sandbox_unref(second);
	pool_test_end_pool(pool);
}
END_TEST

START_TEST(slots_are_bounded)
{
	struct sos_pool *pool = pool_test_make_pool(1);
	struct sos_sandbox *holder = pool_test_start(pool), *others[3];
	struct call calls[3] = {0};
	struct sos_start_options now = SOS_START_OPTIONS_INIT;
	now.queue_timeout_ms = -1;
	for (int i = 0; i < 3; i++) {
		others[i] = pool_test_make(pool);
		ck_assert_int_eq(sos_sandbox_start(others[i], &now, NULL), SOS_ERROR_DEADLINE);
		pool_test_launch(&calls[i], others[i], pool_test_start_thread);
		pool_test_wait_event(SOS_EVENT_QUEUED, i + 1);
	}
	struct sos_sandbox_info *info = NULL;
	ck_assert_int_eq(sos_sandbox_get_info(others[2], &info, NULL), 0);
	ck_assert_uint_eq(info->queue_position, 3);
	ck_assert_uint_eq(info->state, SOS_STATE_QUEUED);
	sos_sandbox_info_free(info);
	ck_assert_uint_eq(pool_test_stats(pool).queued, 3);
	sos_sandbox_cancel_start(others[1]);
	ck_assert_int_eq(pool_test_finish(&calls[1]), SOS_ERROR_CANCELLED);
	/* A container that does not go keeps its slot. */
	fake_fail(FAKE_REMOVE, SOS_ERROR_ENGINE, 3, false, NULL);
	ck_assert_int_eq(sos_sandbox_stop(holder, 0, NULL), 0);
	pool_test_wait_event(SOS_EVENT_REMOVE_FAILED, 1);
	ck_assert_int_eq(pool_test_finish(&calls[0]), 0);
	ck_assert_uint_eq(pool_test_stats(pool).queued, 1);
	ck_assert_int_eq(sos_sandbox_stop(others[2], 0, NULL), 0);
	ck_assert_int_eq(pool_test_finish(&calls[2]), SOS_ERROR_ENDED);
	ck_assert_int_eq(fake_most_containers(), 1);
	sos_sandbox_unref(holder);
	for (int i = 0; i < 3; i++)
		sos_sandbox_unref(others[i]);
	pool_test_end_pool(pool);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("start");
	TCase *tcase = tcase_create("start");
	tcase_set_timeout(tcase, 120);
	tcase_add_loop_test(tcase, every_step_fails, 0, 13 * 8);
	tcase_add_loop_test(tcase, every_step_hangs, 0, 13 * 4);
	tcase_add_test(tcase, setup_commands);
	tcase_add_loop_test(tcase, falls_back_to_attach, 0, 2);
	tcase_add_loop_test(tcase, mends_what_is_gone, 0, 2);
	tcase_add_test(tcase, slots_are_bounded);
	suite_add_tcase(suite, tcase);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_SILENT);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
