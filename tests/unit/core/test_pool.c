/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Pools and running sandboxes over an Engine in memory. */

#include <pthread.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

#include "core/thread.h"
#include "fake.h"
#include "pool_test.h"
#include "../unit.h"

START_TEST(whole_life)
{
	struct sos_pool *pool = pool_test_make_pool(2);
	struct sos_sandbox *sandbox = pool_test_start(pool);
	ck_assert_uint_eq(pool_test_state(sandbox), SOS_STATE_STARTED);
	ck_assert_uint_eq(pool_test_stats(pool).transport, SOS_TRANSPORT_SOCKET);
	ck_assert_int_eq(fake_calls(FAKE_ATTACH), 1);
	struct sos_result *result = NULL;
	ck_assert_int_eq(sos_sandbox_run(sandbox, "echo", &result, NULL), 0);
	ck_assert_str_eq(sos_result_output(result, NULL), "echo");
	sos_result_unref(result);
	ck_assert_int_eq(sos_sandbox_start(sandbox, NULL, NULL), SOS_ERROR_STATE);
	ck_assert_int_eq(sos_sandbox_stop(sandbox, 0, NULL), 0);
	ck_assert_int_eq(fake_containers(), 0);
	ck_assert_uint_eq(pool_test_stats(pool).containers, 0);
	ck_assert_uint_eq(pool_test_state(sandbox), SOS_STATE_STOPPED);
	ck_assert_int_eq(sos_sandbox_stop(sandbox, 0, NULL), 0);
	ck_assert_int_eq(sos_sandbox_start(sandbox, NULL, NULL), SOS_ERROR_STATE);
	sos_sandbox_unref(sandbox);
	/* The second goes by the way that was found to work, and needs no other volume or network. */
	sandbox = pool_test_start(pool);
	ck_assert_int_eq(fake_calls(FAKE_ATTACH), 1);
	ck_assert_int_eq(fake_calls(FAKE_PUT), 1);
	ck_assert_int_eq(fake_calls(FAKE_NETWORK), 1);
	char id[37];
	snprintf(id, sizeof(id), "%s", sos_sandbox_id(sandbox));
	ck_assert_int_eq(sos_sandbox_stop(sandbox, &pool_test_forget, NULL), 0);
	struct sos_sandbox *found = NULL;
	ck_assert_int_eq(sos_sandbox_find(pool, id, &found, NULL), SOS_ERROR_NOT_FOUND);
	sos_sandbox_unref(sandbox);
	pool_test_end_pool(pool);
}
END_TEST

START_TEST(stop_ends_commands)
{
	struct sos_pool *pool = pool_test_make_pool(1);
	struct sos_sandbox *sandbox = pool_test_start(pool);
	struct call command = {.command = "sleep"}, stops[4] = {0};
	fake_block(FAKE_EXEC);
	pool_test_launch(&command, sandbox, pool_test_exec_thread);
	fake_wait_blocked(FAKE_EXEC, 1);
	struct sos_sandbox_info *info = NULL;
	ck_assert_int_eq(sos_sandbox_get_info(sandbox, &info, NULL), 0);
	ck_assert_uint_eq(info->session_busy, 1);
	sos_sandbox_info_free(info);
	for (int i = 0; i < 4; i++)
		pool_test_launch(&stops[i], sandbox, pool_test_stop_thread);
	for (int i = 0; i < 4; i++)
		ck_assert_int_eq(pool_test_finish(&stops[i]), 0);
	ck_assert_int_eq(pool_test_finish(&command), SOS_ERROR_ENDED);
	struct sos_result *result = NULL;
	ck_assert_int_eq(sos_sandbox_run(sandbox, "x", &result, NULL), SOS_ERROR_STATE);
	sos_sandbox_unref(sandbox);
	pool_test_end_pool(pool);
}
END_TEST

START_TEST(same_exec_id)
{
	struct sos_pool *pool = pool_test_make_pool(1);
	struct sos_sandbox *sandbox = pool_test_start(pool);
	struct call calls[3] = {0};
	struct sos_result *result = NULL;
	fake_block(FAKE_EXEC);
	for (int i = 0; i < 3; i++) {
		calls[i] = (struct call){.command = "one", .exec_id = "same"};
		pool_test_launch(&calls[i], sandbox, pool_test_exec_thread);
	}
	fake_wait_blocked(FAKE_EXEC, 1);
	ck_assert_int_eq(sos_sandbox_get_result(sandbox, "same", 0, NULL, &result, NULL), SOS_ERROR_DEADLINE);
	ck_assert_int_eq(sos_sandbox_get_result(sandbox, "same", 20, NULL, &result, NULL), SOS_ERROR_DEADLINE);
	ck_assert_int_eq(sos_sandbox_get_result(sandbox, "other", 0, NULL, &result, NULL), SOS_ERROR_NOT_FOUND);
	fake_release(FAKE_EXEC);
	for (int i = 0; i < 3; i++) {
		ck_assert_int_eq(pool_test_finish(&calls[i]), 0);
		ck_assert_ptr_eq(calls[i].got, calls[0].got);
	}
	ck_assert_int_eq(fake_calls(FAKE_EXEC), 1);
	ck_assert_int_eq(sos_sandbox_get_result(sandbox, "same", -1, NULL, &result, NULL), 0);
	ck_assert_ptr_eq(result, calls[0].got);
	sos_result_unref(result);
	for (int i = 0; i < 3; i++)
		sos_result_unref(calls[i].got);
	sos_sandbox_unref(sandbox);
	pool_test_end_pool(pool);
}
END_TEST

START_TEST(session_ends)
{
	struct sos_pool *pool = pool_test_make_pool(1);
	struct sos_sandbox *sandbox = pool_test_start(pool);
	struct sos_result *result = NULL;
	ck_assert_int_eq(sos_sandbox_run(sandbox, "exit 4", &result, NULL), 0);
	sos_result_unref(result);
	ck_assert_uint_eq(pool_test_state(sandbox), SOS_STATE_EXITED);
	ck_assert_int_eq(sos_sandbox_run(sandbox, "x", &result, NULL), SOS_ERROR_STATE);
	struct sos_exec_options options = SOS_EXEC_OPTIONS_INIT;
	const char *const argv[] = {"true", NULL};
	options.argv = argv;
	options.flags = SOS_EXEC_STANDALONE;
	ck_assert_int_eq(sos_sandbox_exec(sandbox, &options, &result, NULL), 0);
	sos_result_unref(result);
	sos_sandbox_unref(sandbox);
	pool_test_end_pool(pool);
}
END_TEST

START_TEST(container_goes_by_itself)
{
	struct sos_pool *pool = pool_test_make_pool(1);
	struct sos_sandbox *sandbox = pool_test_start(pool), *next = pool_test_make(pool);
	struct call command = {.command = "sleep"}, waits = {0};
	pool_test_launch(&waits, next, pool_test_start_thread);
	pool_test_wait_event(SOS_EVENT_QUEUED, 1);
	fake_block(FAKE_EXEC);
	pool_test_launch(&command, sandbox, pool_test_exec_thread);
	fake_wait_blocked(FAKE_EXEC, 1);
	fake_lose(SOS_ERROR_LOST, "connection lost");
	ck_assert_int_eq(pool_test_finish(&command), SOS_ERROR_LOST);
	/* Its slot goes to the one that waits. */
	ck_assert_int_eq(pool_test_finish(&waits), 0);
	pool_test_wait_event(SOS_EVENT_LOST, 1);
	ck_assert_str_eq(pool_test_message, "connection lost (out of memory)");
	ck_assert_uint_eq(pool_test_state(sandbox), SOS_STATE_LOST);
	ck_assert_int_eq(sos_sandbox_stop(sandbox, 0, NULL), 0);
	ck_assert_uint_eq(pool_test_state(sandbox), SOS_STATE_STOPPED);
	sos_sandbox_unref(sandbox);
	sos_sandbox_unref(next);
	pool_test_end_pool(pool);
}
END_TEST

START_TEST(clocks)
{
	struct sos_sandbox_spec spec = SOS_SANDBOX_SPEC_INIT;
	struct sos_pool *pool = pool_test_make_pool(1);
	struct sos_sandbox *sandbox = NULL;
	const char *want = "lifetime of 50 ms is over";
	if (_i == 1) {
		spec.idle_timeout_ms = 50;
		want = "idle timeout of 50 ms is over";
	} else if (_i == 0) {
		spec.lifetime_ms = 50;
	} else {
		want = "lifetime of 3600 s is over"; /* sos-init was first */
	}
	ck_assert_int_eq(sos_sandbox_create(pool, &spec, &sandbox, NULL), 0);
	ck_assert_int_eq(sos_sandbox_start(sandbox, NULL, NULL), 0);
	if (_i == 2)
		fake_lose(SOS_ERROR_LOST, "lifetime");
	pool_test_wait_event(SOS_EVENT_STOPPED, 1);
	pool_test_wait_event(SOS_EVENT_EXPIRED, 1);
	ck_assert_str_eq(pool_test_message, want);
	ck_assert_uint_eq(pool_test_state(sandbox), SOS_STATE_STOPPED);
	ck_assert_int_eq(fake_containers(), 0);
	sos_sandbox_unref(sandbox);
	pool_test_end_pool(pool);
}
END_TEST

START_TEST(busy_is_not_idle)
{
	struct sos_sandbox_spec spec = SOS_SANDBOX_SPEC_INIT;
	struct sos_pool *pool = pool_test_make_pool(1);
	struct sos_sandbox *sandbox = NULL;
	struct call command = {.command = "sleep"};
	spec.idle_timeout_ms = 60;
	ck_assert_int_eq(sos_sandbox_create(pool, &spec, &sandbox, NULL), 0);
	fake_block(FAKE_EXEC);
	ck_assert_int_eq(sos_sandbox_start(sandbox, NULL, NULL), 0);
	pool_test_launch(&command, sandbox, pool_test_exec_thread);
	fake_wait_blocked(FAKE_EXEC, 1);
	usleep(250000);
	ck_assert_uint_eq(pool_test_state(sandbox), SOS_STATE_STARTED);
	fake_release(FAKE_EXEC);
	ck_assert_int_eq(pool_test_finish(&command), 0);
	sos_result_unref(command.got);
	pool_test_wait_event(SOS_EVENT_EXPIRED, 1);
	sos_sandbox_unref(sandbox);
	pool_test_end_pool(pool);
}
END_TEST

START_TEST(leftovers)
{
	struct sos_pool_options options = pool_test_options_of(2);
	struct sos_pool *pool = NULL, *second = NULL;
	fake_leave("unit");
	fake_leave("unit");
	fake_fail(FAKE_REMOVE, SOS_ERROR_ENGINE, 1, false, "busy");
	ck_assert_int_eq(sos_pool_new(&options, &pool, NULL), 0);
	pool_test_wait_event(SOS_EVENT_LEFTOVER_REMOVED, 1);
	struct sos_error error = SOS_ERROR_INIT;
	ck_assert_int_eq(sos_pool_new(&options, &second, &error), SOS_ERROR_OWNED);
	char pid[32];
	snprintf(pid, sizeof(pid), "%ld", (long)getpid());
	ck_assert_ptr_nonnull(strstr(error.message, pid));
	pool_test_end_pool(pool);
	/* The name is free again. */
	ck_assert_int_eq(sos_pool_new(&options, &second, NULL), 0);
	pool_test_end_pool(second);
}
END_TEST

START_TEST(lazy)
{
	struct sos_pool_options options = pool_test_options_of(1);
	struct sos_pool *pool = NULL;
	struct sos_error error = SOS_ERROR_INIT;
	fake_fail(FAKE_CONNECT, SOS_ERROR_UNREACHABLE, 3, false, "no socket");
	ck_assert_int_eq(sos_pool_new(&options, &pool, &error), SOS_ERROR_UNREACHABLE);
	options.flags = SOS_POOL_LAZY;
	ck_assert_int_eq(sos_pool_new(&options, &pool, &error), 0);
	ck_assert_int_eq(sos_pool_ready(pool, 0, NULL, &error), SOS_ERROR_UNREACHABLE);
	/* It gets there by itself. */
	pool_test_wait_event(SOS_EVENT_POOL_READY, 1);
	ck_assert_int_eq(sos_pool_ready(pool, 0, NULL, &error), 0);
	fake_fail(FAKE_CONNECT, SOS_ERROR_UNREACHABLE, 2, false, "no socket");
	ck_assert_int_eq(sos_pool_ready(pool, 0, NULL, &error), SOS_ERROR_UNREACHABLE);
	ck_assert_int_eq(sos_pool_ready(pool, 0, NULL, &error), SOS_ERROR_UNREACHABLE);
	pool_test_wait_event(SOS_EVENT_ENGINE_LOST, 1);
	ck_assert_int_eq(sos_pool_ready(pool, 0, NULL, &error), 0);
	pool_test_wait_event(SOS_EVENT_POOL_READY, 2);
	pool_test_end_pool(pool);
}
END_TEST

START_TEST(closing)
{
	struct sos_pool *pool = pool_test_make_pool(1);
	struct sos_sandbox *sandbox = pool_test_start(pool), *queued = pool_test_make(pool), *late = NULL;
	struct call command = {.command = "sleep"}, waits = {0};
	fake_block(FAKE_EXEC);
	pool_test_launch(&command, sandbox, pool_test_exec_thread);
	fake_wait_blocked(FAKE_EXEC, 1);
	pool_test_launch(&waits, queued, pool_test_start_thread);
	pool_test_wait_event(SOS_EVENT_QUEUED, 1);
	sos_pool_close(pool);
	ck_assert_int_eq(pool_test_finish(&command), SOS_ERROR_ENDED);
	ck_assert_int_eq(pool_test_finish(&waits), SOS_ERROR_CANCELLED);
	ck_assert_int_eq(sos_sandbox_start(queued, NULL, NULL), SOS_ERROR_ENDED);
	ck_assert_int_eq(sos_sandbox_create(pool, NULL, &late, NULL), SOS_ERROR_ENDED);
	pool_test_end_pool(pool);
	/* References outlive the pool. */
	ck_assert_uint_eq(strlen(sos_sandbox_id(sandbox)), 36);
	sos_sandbox_unref(sandbox);
	sos_sandbox_unref(queued);
}
END_TEST

START_TEST(free_with_calls_running)
{
	struct sos_pool *pool = pool_test_make_pool(3);
	struct sos_sandbox *sandbox = pool_test_start(pool), *starting = pool_test_make(pool);
	struct call command = {.command = "sleep"}, begins = {0};
	fake_block(FAKE_EXEC);
	fake_block(FAKE_SET_UP);
	pool_test_launch(&command, sandbox, pool_test_exec_thread);
	pool_test_launch(&begins, starting, pool_test_start_thread);
	fake_wait_blocked(FAKE_EXEC, 1);
	fake_wait_blocked(FAKE_SET_UP, 1);
	pool_test_end_pool(pool);
	ck_assert_int_eq(pool_test_finish(&command), SOS_ERROR_ENDED);
	ck_assert_int_eq(pool_test_finish(&begins), SOS_ERROR_CANCELLED);
	sos_sandbox_unref(sandbox);
	sos_sandbox_unref(starting);
}
END_TEST

/* Callbacks that stop the very sandbox they are told of, ten at once: none waits for itself. */
static struct sos_pool *told_pool;
static atomic_int stops_done;

static void stop_it(void *data, const struct sos_event *event)
{
	(void)data;
	struct sos_sandbox *sandbox = NULL;
	if (event->type != SOS_EVENT_LOST && event->type != SOS_EVENT_EXPIRED && event->type != SOS_EVENT_COMMAND)
		return;
	if (sos_sandbox_find(told_pool, event->sandbox_id, &sandbox, NULL))
		return;
	if (!sos_sandbox_stop(sandbox, &pool_test_forget, NULL))
		atomic_fetch_add(&stops_done, 1);
	sos_sandbox_unref(sandbox);
}

START_TEST(callbacks_that_stop)
{
	struct sos_pool_options options = pool_test_options_of(10);
	struct sos_sandbox_spec spec = SOS_SANDBOX_SPEC_INIT;
	struct sos_sandbox *sandbox = NULL;
	options.event = stop_it;
	ck_assert_int_eq(sos_pool_new(&options, &told_pool, NULL), 0);
	int64_t before = sos_clock_ns();
	for (int i = 0; i < 10; i++)
		sos_sandbox_unref(pool_test_start(told_pool));
	fake_lose(SOS_ERROR_LOST, "gone");
	/* Expires while those are told of. */
	spec.lifetime_ms = 20;
	ck_assert_int_eq(sos_sandbox_create(told_pool, &spec, &sandbox, NULL), 0);
	ck_assert_int_eq(sos_sandbox_start(sandbox, NULL, NULL), 0);
	sos_sandbox_unref(sandbox);
	sandbox = pool_test_start(told_pool);
	struct sos_result *result = NULL;
	ck_assert_int_eq(sos_sandbox_run(sandbox, "x", &result, NULL), 0);
	sos_result_unref(result);
	sos_sandbox_unref(sandbox);
	while (atomic_load(&stops_done) < 12)
		usleep(1000);
	ck_assert_int_lt(sos_clock_ns() - before, 5 * INT64_C(1000000000));
	pool_test_end_pool(told_pool);
}
END_TEST

/* A progress callback of the start itself cannot wait for its end. */
static void stop_own(void *data, const struct sos_progress *progress)
{
	struct call *call = data;
	if (progress->phase == SOS_PHASE_STARTING)
		call->result = sos_sandbox_stop(call->sandbox, 0, NULL);
}

START_TEST(start_that_stops_itself)
{
	struct sos_pool *pool = pool_test_make_pool(1);
	struct call call = {.sandbox = pool_test_make(pool)};
	struct sos_start_options options = SOS_START_OPTIONS_INIT;
	options.progress = stop_own;
	options.progress_data = &call;
	ck_assert_int_eq(sos_sandbox_start(call.sandbox, &options, NULL), SOS_ERROR_ENDED);
	ck_assert_int_eq(call.result, SOS_ERROR_STATE);
	ck_assert_uint_eq(pool_test_state(call.sandbox), SOS_STATE_STOPPED);
	sos_sandbox_unref(call.sandbox);
	pool_test_end_pool(pool);
}
END_TEST

/* Whatever the Engine does not do, it is left to the leases in the end; stops that wait are told. */
START_TEST(free_is_bounded)
{
	struct sos_pool *pool = pool_test_make_pool(2);
	struct sos_sandbox *sandbox = pool_test_start(pool), *other = pool_test_start(pool);
	struct call stop = {0};
	fake_block(FAKE_REMOVE);
	pool_test_launch(&stop, other, pool_test_stop_thread);
	fake_wait_blocked(FAKE_REMOVE, 1);
	int64_t before = sos_clock_ns();
	sos_pool_free(pool);
	ck_assert_int_le(sos_clock_ns() - before, 30 * INT64_C(1000000000));
	ck_assert_int_eq(fake_links(), 0);
	ck_assert_int_eq(fake_sessions(), 0);
	ck_assert_int_eq(fake_containers(), 2);
	ck_assert_int_eq(pool_test_finish(&stop), SOS_ERROR_UNREACHABLE);
	sos_sandbox_unref(sandbox);
	sos_sandbox_unref(other);
}
END_TEST

/* Everything at once, from many threads. */
static void *churn(void *data)
{
	struct sos_pool *pool = data;
	uint32_t random = (uint32_t)(uintptr_t)&random;
	for (int i = 0; i < 40; i++) {
		struct sos_sandbox *sandbox = pool_test_make(pool);
		struct call begins = {0};
		struct sos_result *result = NULL;
		begins.options.queue_timeout_ms = unit_random(&random) % 50 + 1;
		pool_test_launch(&begins, sandbox, pool_test_start_thread);
		if (unit_random(&random) % 4 == 0)
			sos_sandbox_cancel_start(sandbox);
		if (unit_random(&random) % 4 == 0)
			sos_sandbox_stop(sandbox, 0, NULL);
		if (!pool_test_finish(&begins) &&
		    !sos_sandbox_run(sandbox, unit_random(&random) % 2 ? "x" : "exit 1", &result, NULL))
			sos_result_unref(result);
		pool_test_state(sandbox);
		pool_test_stats(pool);
		if (unit_random(&random) % 2)
			ck_assert_int_eq(sos_sandbox_stop(sandbox, &pool_test_forget, NULL), 0);
		sos_sandbox_unref(sandbox);
	}
	return NULL;
}

START_TEST(churning)
{
	struct sos_pool *pool = pool_test_make_pool(3);
	pthread_t threads[8];
	for (int i = 0; i < 8; i++)
		ck_assert_int_eq(sos_thread_start(&threads[i], churn, pool), 0);
	for (int i = 0; i < 40; i++) {
		usleep(5000);
		if (i % 8 == 0)
			fake_lose(SOS_ERROR_LOST, "gone");
		if (i % 10 == 0)
			fake_fail(FAKE_REMOVE, SOS_ERROR_ENGINE, 1, false, NULL);
	}
	for (int i = 0; i < 8; i++)
		pthread_join(threads[i], NULL);
	ck_assert_int_le(fake_most_containers(), 3);
	pool_test_end_pool(pool);
}
END_TEST

START_TEST(options)
{
	struct sos_pool_options o = pool_test_options_of(1);
	struct sos_pool *pool = NULL;
	struct sos_error error = SOS_ERROR_INIT;
	o.name = "a/b";
	ck_assert_int_eq(sos_pool_new(&o, &pool, &error), SOS_ERROR_INVALID);
	o = pool_test_options_of(10001);
	ck_assert_int_eq(sos_pool_new(&o, &pool, &error), SOS_ERROR_INVALID);
	o = pool_test_options_of(1);
	o.lease_ms = 5;
	ck_assert_int_eq(sos_pool_new(&o, &pool, &error), SOS_ERROR_INVALID);
	o = pool_test_options_of(1);
	o.runtime_dir = "relative";
	ck_assert_int_eq(sos_pool_new(&o, &pool, &error), SOS_ERROR_INVALID);
	o.runtime_dir =
		"/a/directory/whose/name/is/much/too/long/for/a/socket/to/be/made/somewhere/below/it/in/a/nonce";
	ck_assert_int_eq(sos_pool_new(&o, &pool, &error), SOS_ERROR_LIMIT);
	struct rlimit limit, few = {100, 4096};
	getrlimit(RLIMIT_NOFILE, &limit);
	few.rlim_max = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &few);
	o = pool_test_options_of(10);
	ck_assert_int_eq(sos_pool_new(&o, &pool, &error), SOS_ERROR_LIMIT);
	ck_assert_ptr_nonnull(strstr(error.message, "184"));
	setrlimit(RLIMIT_NOFILE, &limit);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("pool");
	TCase *tcase = tcase_create("pool");
	tcase_set_timeout(tcase, 120);
	tcase_add_test(tcase, whole_life);
	tcase_add_test(tcase, stop_ends_commands);
	tcase_add_test(tcase, same_exec_id);
	tcase_add_test(tcase, session_ends);
	tcase_add_test(tcase, container_goes_by_itself);
	tcase_add_loop_test(tcase, clocks, 0, 3);
	tcase_add_test(tcase, busy_is_not_idle);
	tcase_add_test(tcase, leftovers);
	tcase_add_test(tcase, lazy);
	tcase_add_test(tcase, closing);
	tcase_add_test(tcase, free_with_calls_running);
	tcase_add_test(tcase, callbacks_that_stop);
	tcase_add_test(tcase, start_that_stops_itself);
	tcase_add_test(tcase, free_is_bounded);
	tcase_add_test(tcase, churning);
	tcase_add_test(tcase, options);
	suite_add_tcase(suite, tcase);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_SILENT);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
