/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Pools over an Engine that does what the test wants. */

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

#include "core/thread.h"
#include "fake.h"
#include "../unit.h"

static char runtime_dir[64];
static atomic_int events[32];
static char last_message[1024];

static void on_event(void *data, const struct sos_event *event)
{
	(void)data;
	atomic_fetch_add(&events[event->type], 1);
	if (event->type == SOS_EVENT_LOST || event->type == SOS_EVENT_EXPIRED)
		snprintf(last_message, sizeof(last_message), "%s", event->message);
}

static struct sos_pool_options options_of(uint32_t capacity)
{
	struct sos_pool_options options = SOS_POOL_OPTIONS_INIT;
	snprintf(runtime_dir, sizeof(runtime_dir), "/tmp/sos-unit-%ld", (long)getpid());
	options.name = "unit";
	options.runtime_dir = runtime_dir;
	options.capacity = capacity;
	options.event = on_event;
	return options;
}

static struct sos_pool *make_pool(uint32_t capacity)
{
	struct sos_pool_options options = options_of(capacity);
	struct sos_pool *pool = NULL;
	struct sos_error error = SOS_ERROR_INIT;
	ck_assert_msg(!sos_pool_new(&options, &pool, &error), "%s", error.message);
	return pool;
}

/* The pool's end leaves nothing of anything. */
static void end_pool(struct sos_pool *pool)
{
	sos_pool_free(pool);
	ck_assert_int_eq(fake_containers(), 0);
	ck_assert_int_eq(fake_links(), 0);
	ck_assert_int_eq(fake_sessions(), 0);
	ck_assert_int_eq(fake_networks(), 0);
	ck_assert_int_eq(rmdir(runtime_dir), 0);
}

static struct sos_sandbox *make(struct sos_pool *pool)
{
	struct sos_sandbox *sandbox = NULL;
	ck_assert_int_eq(sos_sandbox_create(pool, NULL, &sandbox, NULL), 0);
	return sandbox;
}

static struct sos_sandbox *start(struct sos_pool *pool)
{
	struct sos_sandbox *sandbox = make(pool);
	struct sos_error error = SOS_ERROR_INIT;
	ck_assert_msg(!sos_sandbox_start(sandbox, NULL, &error), "%s", error.message);
	return sandbox;
}

static uint32_t state(struct sos_sandbox *sandbox)
{
	struct sos_sandbox_info *info = NULL;
	ck_assert_int_eq(sos_sandbox_get_info(sandbox, &info, NULL), 0);
	uint32_t state = info->state;
	sos_sandbox_info_free(info);
	return state;
}

static struct sos_pool_stats stats(struct sos_pool *pool)
{
	struct sos_pool_stats stats = { .size = sizeof(stats) };
	sos_pool_get_stats(pool, &stats);
	return stats;
}

/* Until `*value` reaches `want`: for what only an event tells of. */
static void wait_event(enum sos_event_type type, int want)
{
	for (int i = 0; i < 2000 && atomic_load(&events[type]) < want; i++)
		usleep(5000);
	ck_assert_int_ge(atomic_load(&events[type]), want);
}

/* A call on a thread of its own. */
struct call {
	struct sos_sandbox *sandbox;
	struct sos_start_options options;
	const char *command;
	const char *exec_id;
	int result;
	struct sos_error error;
	struct sos_result *got;
	pthread_t thread;
};

static void *start_thread(void *data)
{
	struct call *call = data;
	call->result = sos_sandbox_start(call->sandbox, &call->options, &call->error);
	return NULL;
}

static void *exec_thread(void *data)
{
	struct call *call = data;
	struct sos_exec_options options = SOS_EXEC_OPTIONS_INIT;
	options.command = call->command;
	options.exec_id = call->exec_id;
	call->result = sos_sandbox_exec(call->sandbox, &options, &call->got, &call->error);
	return NULL;
}

static void *stop_thread(void *data)
{
	struct call *call = data;
	call->result = sos_sandbox_stop(call->sandbox, 0, &call->error);
	return NULL;
}

static void launch(struct call *call, struct sos_sandbox *sandbox, void *(*run)(void *))
{
	call->sandbox = sandbox;
	call->options.size = sizeof(call->options);
	ck_assert_int_eq(sos_thread_start(&call->thread, run, call), 0);
}

static int finish(struct call *call)
{
	pthread_join(call->thread, NULL);
	return call->result;
}

START_TEST(whole_life)
{
	struct sos_pool *pool = make_pool(2);
	struct sos_sandbox *sandbox = start(pool);
	ck_assert_uint_eq(state(sandbox), SOS_STATE_STARTED);
	ck_assert_uint_eq(stats(pool).transport, SOS_TRANSPORT_SOCKET);
	ck_assert_int_eq(fake_calls(FAKE_ATTACH), 1);
	struct sos_result *result = NULL;
	ck_assert_int_eq(sos_sandbox_run(sandbox, "echo", &result, NULL), 0);
	ck_assert_str_eq(sos_result_output(result, NULL), "echo");
	sos_result_unref(result);
	ck_assert_int_eq(sos_sandbox_start(sandbox, NULL, NULL), SOS_ERROR_STATE);
	ck_assert_int_eq(sos_sandbox_stop(sandbox, 0, NULL), 0);
	ck_assert_int_eq(fake_containers(), 0);
	ck_assert_uint_eq(stats(pool).containers, 0);
	ck_assert_uint_eq(state(sandbox), SOS_STATE_STOPPED);
	ck_assert_int_eq(sos_sandbox_stop(sandbox, 0, NULL), 0);
	ck_assert_int_eq(sos_sandbox_start(sandbox, NULL, NULL), SOS_ERROR_STATE);
	sos_sandbox_unref(sandbox);
	/* The second goes by the way that was found to work, and needs no other volume or network. */
	sandbox = start(pool);
	ck_assert_int_eq(fake_calls(FAKE_ATTACH), 1);
	ck_assert_int_eq(fake_calls(FAKE_PUT), 1);
	ck_assert_int_eq(fake_calls(FAKE_NETWORK), 1);
	char id[37];
	snprintf(id, sizeof(id), "%s", sos_sandbox_id(sandbox));
	ck_assert_int_eq(sos_sandbox_stop(sandbox, SOS_STOP_FORGET, NULL), 0);
	struct sos_sandbox *found = NULL;
	ck_assert_int_eq(sos_sandbox_find(pool, id, &found, NULL), SOS_ERROR_NOT_FOUND);
	sos_sandbox_unref(sandbox);
	end_pool(pool);
}
END_TEST

/* Every step fails once, with and without effect: nothing is left, the slot is free, and a second start succeeds. */
START_TEST(every_step_fails)
{
	static const enum fake_step at[] = {
		FAKE_IMAGE, FAKE_VOLUME, FAKE_SIZE, FAKE_PUT, FAKE_NETWORK, FAKE_CREATE, FAKE_ATTACH, FAKE_START,
		FAKE_INSPECT, FAKE_LINK, FAKE_WAIT, FAKE_SET_UP, FAKE_OPEN,
	};
	static const int codes[] = { SOS_ERROR_ENGINE, SOS_ERROR_UNREACHABLE, SOS_ERROR_LOST, SOS_ERROR_MEMORY };
	enum fake_step step = at[_i / 8];
	int code = codes[_i % 8 / 2];
	struct sos_pool *pool = make_pool(1);
	struct sos_sandbox *sandbox = make(pool);
	struct sos_error error = SOS_ERROR_INIT;
	fake_fail(step, code, 1, _i % 2, NULL);
	ck_assert_int_eq(sos_sandbox_start(sandbox, NULL, &error), code);
	ck_assert_int_eq(error.code, code);
	ck_assert_ptr_nonnull(strstr(error.message, "made to fail"));
	ck_assert_uint_eq(state(sandbox), SOS_STATE_CREATED);
	/* Waits for the slot where it is not sure yet that create did nothing. */
	ck_assert_msg(!sos_sandbox_start(sandbox, NULL, &error), "%s", error.message);
	ck_assert_int_eq(fake_containers(), 1);
	ck_assert_int_eq(fake_most_containers(), 1);
	sos_sandbox_unref(sandbox);
	end_pool(pool);
}
END_TEST

/* Every step hangs: cancel, stop and close each end it at once. */
START_TEST(every_step_hangs)
{
	static const enum fake_step at[] = {
		FAKE_IMAGE, FAKE_PULL, FAKE_VOLUME, FAKE_SIZE, FAKE_PUT, FAKE_NETWORK, FAKE_CREATE, FAKE_ATTACH, FAKE_START,
		FAKE_INSPECT, FAKE_WAIT, FAKE_SET_UP, FAKE_OPEN,
	};
	enum fake_step step = at[_i / 3];
	struct sos_pool *pool = make_pool(1);
	struct sos_sandbox *sandbox = make(pool);
	struct call call = { 0 };
	int want = SOS_ERROR_CANCELLED;
	fake_images_missing(step == FAKE_PULL);
	fake_block(step);
	launch(&call, sandbox, start_thread);
	fake_wait_blocked(step, 1);
	int64_t before = sos_clock_ns();
	if (_i % 3 == 0) {
		sos_sandbox_cancel_start(sandbox);
	} else if (_i % 3 == 1) {
		ck_assert_int_eq(sos_sandbox_stop(sandbox, 0, NULL), 0);
		want = SOS_ERROR_ENDED;
	} else {
		sos_pool_close(pool);
	}
	ck_assert_int_eq(finish(&call), want);
	/* Where create hung it takes two seconds until it is sure that there is no container. */
	ck_assert_int_lt(sos_clock_ns() - before, 4 * INT64_C(1000000000));
	ck_assert_uint_eq(state(sandbox), _i % 3 == 1 ? SOS_STATE_STOPPED : SOS_STATE_CREATED);
	fake_release(step);
	sos_sandbox_unref(sandbox);
	end_pool(pool);
}
END_TEST

START_TEST(setup_commands)
{
	const char *const good[] = { "a", "b", NULL }, *const bad[] = { "fail 3", NULL }, *const leaves[] = { "exit 0", NULL };
	struct sos_sandbox_spec spec = SOS_SANDBOX_SPEC_INIT;
	struct sos_pool *pool = make_pool(1);
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
	struct call call = { 0 };
	fake_block(FAKE_EXEC);
	launch(&call, sandbox, start_thread);
	fake_wait_blocked(FAKE_EXEC, 1);
	sos_sandbox_cancel_start(sandbox);
	ck_assert_int_eq(finish(&call), SOS_ERROR_CANCELLED);
	fake_release(FAKE_EXEC);
	ck_assert_int_eq(sos_sandbox_start(sandbox, NULL, NULL), 0);
	struct sos_trajectory *trajectory = NULL;
	ck_assert_int_eq(sos_sandbox_get_trajectory(sandbox, &trajectory, NULL), 0);
	ck_assert_uint_eq(sos_trajectory_count(trajectory), 0);
	sos_trajectory_free(trajectory);
	sos_sandbox_unref(sandbox);
	end_pool(pool);
}
END_TEST

START_TEST(falls_back_to_attach)
{
	struct sos_pool *pool = make_pool(1);
	fake_no_socket(_i);
	struct sos_sandbox *sandbox = start(pool);
	ck_assert_uint_eq(stats(pool).transport, SOS_TRANSPORT_ATTACH);
	ck_assert_int_eq(atomic_load(&events[SOS_EVENT_FALLBACK]), 1);
	ck_assert_int_eq(fake_most_containers(), 1);
	sos_sandbox_unref(sandbox);
	end_pool(pool);
}
END_TEST

/* The volume or the network was taken away while the pool runs. */
START_TEST(mends_what_is_gone)
{
	static const char *const words[] = {
		"exec: \"/.sos/sos-init\": stat /.sos/sos-init: no such file or directory: unknown", "network sos-unit not found",
	};
	struct sos_pool *pool = make_pool(2);
	struct sos_sandbox *first = start(pool), *second;
	fake_fail(FAKE_START, SOS_ERROR_ENGINE, 1, false, words[_i]);
	second = start(pool);
	ck_assert_int_eq(fake_calls(FAKE_PUT), _i ? 1 : 2);
	ck_assert_int_eq(fake_calls(FAKE_NETWORK), _i ? 2 : 1);
	sos_sandbox_unref(second);
	second = make(pool);
	ck_assert_int_eq(sos_sandbox_stop(first, 0, NULL), 0);
	fake_fail(FAKE_START, SOS_ERROR_ENGINE, 2, false, words[_i]);
	ck_assert_int_eq(sos_sandbox_start(second, NULL, NULL), SOS_ERROR_ENGINE);
	sos_sandbox_unref(first);
	sos_sandbox_unref(second);
	end_pool(pool);
}
END_TEST

START_TEST(slots_are_bounded)
{
	struct sos_pool *pool = make_pool(1);
	struct sos_sandbox *holder = start(pool), *others[3];
	struct call calls[3] = { 0 };
	struct sos_start_options now = SOS_START_OPTIONS_INIT;
	now.queue_timeout_ms = -1;
	for (int i = 0; i < 3; i++) {
		others[i] = make(pool);
		ck_assert_int_eq(sos_sandbox_start(others[i], &now, NULL), SOS_ERROR_DEADLINE);
		launch(&calls[i], others[i], start_thread);
		wait_event(SOS_EVENT_QUEUED, i + 1);
	}
	struct sos_sandbox_info *info = NULL;
	ck_assert_int_eq(sos_sandbox_get_info(others[2], &info, NULL), 0);
	ck_assert_uint_eq(info->queue_position, 3);
	ck_assert_uint_eq(info->state, SOS_STATE_QUEUED);
	sos_sandbox_info_free(info);
	ck_assert_uint_eq(stats(pool).queued, 3);
	sos_sandbox_cancel_start(others[1]);
	ck_assert_int_eq(finish(&calls[1]), SOS_ERROR_CANCELLED);
	/* A container that does not go keeps its slot. */
	fake_fail(FAKE_REMOVE, SOS_ERROR_ENGINE, 3, false, NULL);
	ck_assert_int_eq(sos_sandbox_stop(holder, 0, NULL), 0);
	ck_assert_int_eq(atomic_load(&events[SOS_EVENT_REMOVE_FAILED]), 1);
	ck_assert_int_eq(finish(&calls[0]), 0);
	ck_assert_uint_eq(stats(pool).queued, 1);
	ck_assert_int_eq(sos_sandbox_stop(others[2], 0, NULL), 0);
	ck_assert_int_eq(finish(&calls[2]), SOS_ERROR_ENDED);
	ck_assert_int_eq(fake_most_containers(), 1);
	sos_sandbox_unref(holder);
	for (int i = 0; i < 3; i++)
		sos_sandbox_unref(others[i]);
	end_pool(pool);
}
END_TEST

START_TEST(stop_ends_commands)
{
	struct sos_pool *pool = make_pool(1);
	struct sos_sandbox *sandbox = start(pool);
	struct call command = { .command = "sleep" }, stops[4] = { 0 };
	fake_block(FAKE_EXEC);
	launch(&command, sandbox, exec_thread);
	fake_wait_blocked(FAKE_EXEC, 1);
	struct sos_sandbox_info *info = NULL;
	ck_assert_int_eq(sos_sandbox_get_info(sandbox, &info, NULL), 0);
	ck_assert_uint_eq(info->session_busy, 1);
	sos_sandbox_info_free(info);
	for (int i = 0; i < 4; i++)
		launch(&stops[i], sandbox, stop_thread);
	for (int i = 0; i < 4; i++)
		ck_assert_int_eq(finish(&stops[i]), 0);
	ck_assert_int_eq(finish(&command), SOS_ERROR_ENDED);
	struct sos_result *result = NULL;
	ck_assert_int_eq(sos_sandbox_run(sandbox, "x", &result, NULL), SOS_ERROR_STATE);
	sos_sandbox_unref(sandbox);
	end_pool(pool);
}
END_TEST

START_TEST(same_exec_id)
{
	struct sos_pool *pool = make_pool(1);
	struct sos_sandbox *sandbox = start(pool);
	struct call calls[3] = { 0 };
	struct sos_result *result = NULL;
	fake_block(FAKE_EXEC);
	for (int i = 0; i < 3; i++) {
		calls[i] = (struct call){ .command = "one", .exec_id = "same" };
		launch(&calls[i], sandbox, exec_thread);
	}
	fake_wait_blocked(FAKE_EXEC, 1);
	ck_assert_int_eq(sos_sandbox_get_result(sandbox, "same", 0, &result, NULL), SOS_ERROR_DEADLINE);
	ck_assert_int_eq(sos_sandbox_get_result(sandbox, "same", 20, &result, NULL), SOS_ERROR_DEADLINE);
	ck_assert_int_eq(sos_sandbox_get_result(sandbox, "other", 0, &result, NULL), SOS_ERROR_NOT_FOUND);
	fake_release(FAKE_EXEC);
	for (int i = 0; i < 3; i++) {
		ck_assert_int_eq(finish(&calls[i]), 0);
		ck_assert_ptr_eq(calls[i].got, calls[0].got);
	}
	ck_assert_int_eq(fake_calls(FAKE_EXEC), 1);
	ck_assert_int_eq(sos_sandbox_get_result(sandbox, "same", -1, &result, NULL), 0);
	ck_assert_ptr_eq(result, calls[0].got);
	sos_result_unref(result);
	for (int i = 0; i < 3; i++)
		sos_result_unref(calls[i].got);
	sos_sandbox_unref(sandbox);
	end_pool(pool);
}
END_TEST

START_TEST(session_ends)
{
	struct sos_pool *pool = make_pool(1);
	struct sos_sandbox *sandbox = start(pool);
	struct sos_result *result = NULL;
	ck_assert_int_eq(sos_sandbox_run(sandbox, "exit 4", &result, NULL), 0);
	sos_result_unref(result);
	ck_assert_uint_eq(state(sandbox), SOS_STATE_EXITED);
	ck_assert_int_eq(sos_sandbox_run(sandbox, "x", &result, NULL), SOS_ERROR_STATE);
	struct sos_exec_options options = SOS_EXEC_OPTIONS_INIT;
	const char *const argv[] = { "true", NULL };
	options.argv = argv;
	options.flags = SOS_EXEC_STANDALONE;
	ck_assert_int_eq(sos_sandbox_exec(sandbox, &options, &result, NULL), 0);
	sos_result_unref(result);
	sos_sandbox_unref(sandbox);
	end_pool(pool);
}
END_TEST

START_TEST(container_goes_by_itself)
{
	struct sos_pool *pool = make_pool(1);
	struct sos_sandbox *sandbox = start(pool), *next = make(pool);
	struct call command = { .command = "sleep" }, waits = { 0 };
	launch(&waits, next, start_thread);
	wait_event(SOS_EVENT_QUEUED, 1);
	fake_block(FAKE_EXEC);
	launch(&command, sandbox, exec_thread);
	fake_wait_blocked(FAKE_EXEC, 1);
	fake_lose(SOS_ERROR_LOST, "connection lost");
	ck_assert_int_eq(finish(&command), SOS_ERROR_LOST);
	/* Its slot goes to the one that waits. */
	ck_assert_int_eq(finish(&waits), 0);
	wait_event(SOS_EVENT_LOST, 1);
	ck_assert_str_eq(last_message, "connection lost (out of memory)");
	ck_assert_uint_eq(state(sandbox), SOS_STATE_LOST);
	ck_assert_int_eq(sos_sandbox_stop(sandbox, 0, NULL), 0);
	ck_assert_uint_eq(state(sandbox), SOS_STATE_STOPPED);
	sos_sandbox_unref(sandbox);
	sos_sandbox_unref(next);
	end_pool(pool);
}
END_TEST

START_TEST(clocks)
{
	struct sos_sandbox_spec spec = SOS_SANDBOX_SPEC_INIT;
	struct sos_pool *pool = make_pool(1);
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
	wait_event(SOS_EVENT_STOPPED, 1);
	ck_assert_int_eq(atomic_load(&events[SOS_EVENT_EXPIRED]), 1);
	ck_assert_str_eq(last_message, want);
	ck_assert_uint_eq(state(sandbox), SOS_STATE_STOPPED);
	ck_assert_int_eq(fake_containers(), 0);
	sos_sandbox_unref(sandbox);
	end_pool(pool);
}
END_TEST

START_TEST(busy_is_not_idle)
{
	struct sos_sandbox_spec spec = SOS_SANDBOX_SPEC_INIT;
	struct sos_pool *pool = make_pool(1);
	struct sos_sandbox *sandbox = NULL;
	struct call command = { .command = "sleep" };
	spec.idle_timeout_ms = 60;
	ck_assert_int_eq(sos_sandbox_create(pool, &spec, &sandbox, NULL), 0);
	fake_block(FAKE_EXEC);
	ck_assert_int_eq(sos_sandbox_start(sandbox, NULL, NULL), 0);
	launch(&command, sandbox, exec_thread);
	fake_wait_blocked(FAKE_EXEC, 1);
	usleep(250000);
	ck_assert_uint_eq(state(sandbox), SOS_STATE_STARTED);
	fake_release(FAKE_EXEC);
	ck_assert_int_eq(finish(&command), 0);
	sos_result_unref(command.got);
	wait_event(SOS_EVENT_EXPIRED, 1);
	sos_sandbox_unref(sandbox);
	end_pool(pool);
}
END_TEST

START_TEST(leftovers)
{
	struct sos_pool_options options = options_of(2);
	struct sos_pool *pool = NULL, *second = NULL;
	fake_leave("unit");
	fake_leave("unit");
	fake_fail(FAKE_REMOVE, SOS_ERROR_ENGINE, 1, false, "busy");
	ck_assert_int_eq(sos_pool_new(&options, &pool, NULL), 0);
	ck_assert_int_eq(atomic_load(&events[SOS_EVENT_LEFTOVER_REMOVED]), 1);
	struct sos_error error = SOS_ERROR_INIT;
	ck_assert_int_eq(sos_pool_new(&options, &second, &error), SOS_ERROR_OWNED);
	char pid[32];
	snprintf(pid, sizeof(pid), "%ld", (long)getpid());
	ck_assert_ptr_nonnull(strstr(error.message, pid));
	end_pool(pool);
	/* The name is free again. */
	ck_assert_int_eq(sos_pool_new(&options, &second, NULL), 0);
	end_pool(second);
}
END_TEST

START_TEST(lazy)
{
	struct sos_pool_options options = options_of(1);
	struct sos_pool *pool = NULL;
	struct sos_error error = SOS_ERROR_INIT;
	fake_fail(FAKE_CONNECT, SOS_ERROR_UNREACHABLE, 3, false, "no socket");
	ck_assert_int_eq(sos_pool_new(&options, &pool, &error), SOS_ERROR_UNREACHABLE);
	options.flags = SOS_POOL_LAZY;
	ck_assert_int_eq(sos_pool_new(&options, &pool, &error), 0);
	ck_assert_int_eq(sos_pool_ready(pool, &error), SOS_ERROR_UNREACHABLE);
	/* It gets there by itself. */
	wait_event(SOS_EVENT_POOL_READY, 1);
	ck_assert_int_eq(sos_pool_ready(pool, &error), 0);
	fake_fail(FAKE_CONNECT, SOS_ERROR_UNREACHABLE, 2, false, "no socket");
	ck_assert_int_eq(sos_pool_ready(pool, &error), SOS_ERROR_UNREACHABLE);
	ck_assert_int_eq(sos_pool_ready(pool, &error), SOS_ERROR_UNREACHABLE);
	ck_assert_int_eq(atomic_load(&events[SOS_EVENT_ENGINE_LOST]), 1);
	ck_assert_int_eq(sos_pool_ready(pool, &error), 0);
	ck_assert_int_eq(atomic_load(&events[SOS_EVENT_POOL_READY]), 2);
	end_pool(pool);
}
END_TEST

START_TEST(closing)
{
	struct sos_pool *pool = make_pool(1);
	struct sos_sandbox *sandbox = start(pool), *queued = make(pool), *late = NULL;
	struct call command = { .command = "sleep" }, waits = { 0 };
	fake_block(FAKE_EXEC);
	launch(&command, sandbox, exec_thread);
	fake_wait_blocked(FAKE_EXEC, 1);
	launch(&waits, queued, start_thread);
	wait_event(SOS_EVENT_QUEUED, 1);
	sos_pool_close(pool);
	ck_assert_int_eq(finish(&command), SOS_ERROR_ENDED);
	ck_assert_int_eq(finish(&waits), SOS_ERROR_CANCELLED);
	ck_assert_int_eq(sos_sandbox_start(queued, NULL, NULL), SOS_ERROR_CANCELLED);
	ck_assert_int_eq(sos_sandbox_create(pool, NULL, &late, NULL), SOS_ERROR_ENDED);
	end_pool(pool);
	/* References outlive the pool. */
	ck_assert_uint_eq(strlen(sos_sandbox_id(sandbox)), 36);
	sos_sandbox_unref(sandbox);
	sos_sandbox_unref(queued);
}
END_TEST

START_TEST(free_with_calls_running)
{
	struct sos_pool *pool = make_pool(3);
	struct sos_sandbox *sandbox = start(pool), *starting = make(pool);
	struct call command = { .command = "sleep" }, begins = { 0 };
	fake_block(FAKE_EXEC);
	fake_block(FAKE_SET_UP);
	launch(&command, sandbox, exec_thread);
	launch(&begins, starting, start_thread);
	fake_wait_blocked(FAKE_EXEC, 1);
	fake_wait_blocked(FAKE_SET_UP, 1);
	end_pool(pool);
	ck_assert_int_eq(finish(&command), SOS_ERROR_ENDED);
	ck_assert_int_eq(finish(&begins), SOS_ERROR_CANCELLED);
	sos_sandbox_unref(sandbox);
	sos_sandbox_unref(starting);
}
END_TEST

/* Whatever the Engine does not do, it is left to the leases in the end; stops that wait are told. */
START_TEST(free_is_bounded)
{
	struct sos_pool *pool = make_pool(2);
	struct sos_sandbox *sandbox = start(pool), *other = start(pool);
	struct call stop = { 0 };
	fake_block(FAKE_REMOVE);
	launch(&stop, other, stop_thread);
	fake_wait_blocked(FAKE_REMOVE, 1);
	int64_t before = sos_clock_ns();
	sos_pool_free(pool);
	ck_assert_int_le(sos_clock_ns() - before, 30 * INT64_C(1000000000));
	ck_assert_int_eq(fake_links(), 0);
	ck_assert_int_eq(fake_sessions(), 0);
	ck_assert_int_eq(fake_containers(), 2);
	ck_assert_int_eq(finish(&stop), SOS_ERROR_UNREACHABLE);
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
		struct sos_sandbox *sandbox = make(pool);
		struct call begins = { 0 };
		struct sos_result *result = NULL;
		begins.options.queue_timeout_ms = unit_random(&random) % 50 + 1;
		launch(&begins, sandbox, start_thread);
		if (unit_random(&random) % 4 == 0)
			sos_sandbox_cancel_start(sandbox);
		if (unit_random(&random) % 4 == 0)
			sos_sandbox_stop(sandbox, 0, NULL);
		if (!finish(&begins) && !sos_sandbox_run(sandbox, unit_random(&random) % 2 ? "x" : "exit 1", &result, NULL))
			sos_result_unref(result);
		state(sandbox);
		stats(pool);
		if (unit_random(&random) % 2)
			ck_assert_int_eq(sos_sandbox_stop(sandbox, SOS_STOP_FORGET, NULL), 0);
		sos_sandbox_unref(sandbox);
	}
	return NULL;
}

START_TEST(churning)
{
	struct sos_pool *pool = make_pool(3);
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
	end_pool(pool);
}
END_TEST

START_TEST(options)
{
	struct sos_pool_options o = options_of(1);
	struct sos_pool *pool = NULL;
	struct sos_error error = SOS_ERROR_INIT;
	o.name = "a/b";
	ck_assert_int_eq(sos_pool_new(&o, &pool, &error), SOS_ERROR_INVALID);
	o = options_of(10001);
	ck_assert_int_eq(sos_pool_new(&o, &pool, &error), SOS_ERROR_INVALID);
	o = options_of(1);
	o.lease_ms = 5;
	ck_assert_int_eq(sos_pool_new(&o, &pool, &error), SOS_ERROR_INVALID);
	o = options_of(1);
	o.runtime_dir = "relative";
	ck_assert_int_eq(sos_pool_new(&o, &pool, &error), SOS_ERROR_INVALID);
	o.runtime_dir = "/a/directory/whose/name/is/much/too/long/for/a/socket/to/be/made/somewhere/below/it/in/a/nonce";
	ck_assert_int_eq(sos_pool_new(&o, &pool, &error), SOS_ERROR_LIMIT);
	struct rlimit limit, few = { 100, 4096 };
	getrlimit(RLIMIT_NOFILE, &limit);
	few.rlim_max = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &few);
	o = options_of(10);
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
	tcase_add_loop_test(tcase, every_step_fails, 0, 13 * 8);
	tcase_add_loop_test(tcase, every_step_hangs, 0, 13 * 3);
	tcase_add_test(tcase, setup_commands);
	tcase_add_loop_test(tcase, falls_back_to_attach, 0, 2);
	tcase_add_loop_test(tcase, mends_what_is_gone, 0, 2);
	tcase_add_test(tcase, slots_are_bounded);
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
