/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What ends calls that wait: cancels, deadlines, and the end of their pool. */

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/cancel.h"
#include "core/pool.h"
#include "core/thread.h"
#include "core/wait.h"
#include "fake.h"
#include "pool_test.h"
#include "../unit.h"

#define SECOND INT64_C(1000000000)

static struct sos_cancel *new_cancel(void)
{
	struct sos_cancel *cancel = NULL;
	ck_assert_int_eq(sos_cancel_new(&cancel, NULL), 0);
	return cancel;
}

/* ---- the parts ---- */

START_TEST(objects)
{
	struct sos_cancel *cancel = new_cancel(), *other = new_cancel();
	int either = -1;
	ck_assert(!sos_cancel_fired(cancel) && !sos_cancel_fired(NULL));
	ck_assert_int_eq(sos_cancel_fd(NULL), -1);
	ck_assert(!sos_cancel_fd_fired(-1) && !sos_cancel_fd_fired(sos_cancel_fd(cancel)));
	ck_assert_int_eq(fcntl(sos_cancel_fd(cancel), F_GETFD), FD_CLOEXEC);
	ck_assert_int_eq(sos_cancel_either(sos_cancel_fd(cancel), sos_cancel_fd(other), &either, NULL), 0);
	ck_assert(!sos_cancel_fd_fired(either));
	errno = EDOM;
	for (int i = 0; i < 3; i++)
		sos_cancel_fire(other);
	sos_cancel_fire(NULL);
	ck_assert_int_eq(errno, EDOM);
	/* It stays so for all who look. */
	for (int i = 0; i < 3; i++)
		ck_assert(sos_cancel_fired(other) && sos_cancel_fd_fired(sos_cancel_fd(other)) && sos_cancel_fd_fired(either));
	ck_assert(!sos_cancel_fired(cancel));
	close(either);
	ck_assert_ptr_eq(sos_cancel_ref(cancel), cancel);
	sos_cancel_unref(cancel);
	sos_cancel_fire(cancel);
	sos_cancel_unref(cancel);
	sos_cancel_unref(other);
	sos_cancel_unref(NULL);
}
END_TEST

struct room {
	pthread_mutex_t lock;
	struct sos_condition changed;
	struct sos_cancel *cancel;
	int waiting, ticks, results[3]; /* woken, cancelled, anything else */
};

static void *wait_in(void *data)
{
	struct room *room = data;
	pthread_mutex_lock(&room->lock);
	/* Half of them by descriptor. */
	int fd = room->waiting++ % 2 ? sos_cancel_fd(room->cancel) : -1, seen = room->ticks, r = 0;
	while (room->ticks == seen && !r)
		r = sos_condition_wait(&room->changed, &room->lock, sos_clock_deadline(60000), fd);
	room->results[room->ticks != seen ? 0 : r == SOS_ERROR_CANCELLED ? 1 : 2]++;
	pthread_mutex_unlock(&room->lock);
	return NULL;
}

static void until_waiting(struct room *room, int count)
{
	for (int now = 0; now < count; usleep(1000)) {
		pthread_mutex_lock(&room->lock);
		now = room->waiting;
		pthread_mutex_unlock(&room->lock);
	}
}

START_TEST(conditions)
{
	struct room room = {.cancel = new_cancel()};
	pthread_t threads[8];
	pthread_mutex_init(&room.lock, NULL);
	sos_condition_init(&room.changed);
	pthread_mutex_lock(&room.lock);
	ck_assert_int_eq(sos_condition_wait(&room.changed, &room.lock, sos_clock_deadline(20), -1), SOS_ERROR_DEADLINE);
	ck_assert_int_eq(sos_condition_wait(&room.changed, &room.lock, sos_clock_deadline(20), sos_cancel_fd(room.cancel)),
			 SOS_ERROR_DEADLINE);
	pthread_mutex_unlock(&room.lock);
	for (int i = 0; i < 8; i++)
		ck_assert_int_eq(sos_thread_start(&threads[i], wait_in, &room), 0);
	until_waiting(&room, 8);
	if (_i) {
		sos_cancel_fire(room.cancel);
		for (int cancelled = 0; cancelled < 4; usleep(1000)) {
			pthread_mutex_lock(&room.lock);
			cancelled = room.results[1];
			pthread_mutex_unlock(&room.lock);
		}
	}
	int64_t before = sos_clock_ns();
	pthread_mutex_lock(&room.lock);
	room.ticks++;
	sos_condition_notify(&room.changed);
	pthread_mutex_unlock(&room.lock);
	for (int i = 0; i < 8; i++)
		pthread_join(threads[i], NULL);
	ck_assert_int_lt(sos_clock_ns() - before, 10 * SECOND);
	ck_assert_int_eq(room.results[0], _i ? 4 : 8);
	ck_assert_int_eq(room.results[1], _i ? 4 : 0);
	sos_condition_clear(&room.changed);
	pthread_mutex_destroy(&room.lock);
	sos_cancel_unref(room.cancel);
}
END_TEST

/* ---- calls ---- */

struct stopping {
	struct sos_sandbox *sandbox;
	struct sos_stop_options options;
	int result;
};

static void *stop_it(void *data)
{
	struct stopping *stop = data;
	stop->result = sos_sandbox_stop(stop->sandbox, &stop->options, NULL);
	return NULL;
}

/* It is past the look at whether its cancel was fired before. */
static void until_inside(struct sos_pool *pool, const unsigned *calls)
{
	for (unsigned now = 0; !now; usleep(1000)) {
		pthread_mutex_lock(&pool->lock);
		now = *calls;
		pthread_mutex_unlock(&pool->lock);
	}
}

START_TEST(stop_that_does_not_wait)
{
	struct sos_pool *pool = pool_test_make_pool(1);
	struct stopping stop = {pool_test_start(pool), SOS_STOP_OPTIONS_INIT, 1};
	struct sos_sandbox *found = NULL;
	pthread_t thread;
	int removals = fake_calls(FAKE_REMOVE);
	fake_block(FAKE_REMOVE);
	stop.options.flags = SOS_STOP_FORGET;
	stop.options.timeout_ms = 20;
	stop_it(&stop);
	ck_assert_int_eq(stop.result, SOS_ERROR_DEADLINE);
	stop.options.timeout_ms = 0;
	stop.options.cancel = new_cancel();
	ck_assert_int_eq(sos_thread_start(&thread, stop_it, &stop), 0);
	until_inside(pool, &pool->stops);
	int64_t before = sos_clock_ns();
	sos_cancel_fire(stop.options.cancel);
	pthread_join(thread, NULL);
	ck_assert_int_eq(stop.result, SOS_ERROR_CANCELLED);
	ck_assert_int_lt(sos_clock_ns() - before, SECOND);
	/* Neither is forgotten, and the removal went on. */
	ck_assert_uint_eq(pool_test_state(stop.sandbox), SOS_STATE_STOPPING);
	ck_assert_int_eq(sos_sandbox_find(pool, sos_sandbox_id(stop.sandbox), &found, NULL), 0);
	sos_sandbox_unref(found);
	fake_release(FAKE_REMOVE);
	pool_test_wait_event(SOS_EVENT_STOPPED, 1);
	ck_assert_int_eq(fake_containers(), 0);
	ck_assert_int_eq(fake_calls(FAKE_REMOVE), removals + 1);
	sos_cancel_unref(stop.options.cancel);
	sos_sandbox_unref(stop.sandbox);
	pool_test_end_pool(pool);
}
END_TEST

struct asking {
	struct sos_pool *pool;
	struct sos_cancel *cancel;
	int64_t timeout_ms;
	int result;
};

static void *ask(void *data)
{
	struct asking *asking = data;
	asking->result = sos_pool_ready(asking->pool, asking->timeout_ms, asking->cancel, NULL);
	return NULL;
}

START_TEST(ready_that_does_not_wait)
{
	struct asking asking = {pool_test_make_pool(1), new_cancel(), 0, 1};
	pthread_t thread;
	fake_block(FAKE_CONNECT);
	asking.timeout_ms = 20;
	ask(&asking);
	ck_assert_int_eq(asking.result, SOS_ERROR_UNREACHABLE);
	asking.timeout_ms = -1;
	ask(&asking);
	ck_assert_int_eq(asking.result, SOS_ERROR_INVALID);
	asking.timeout_ms = 60000;
	for (int i = 0; i < 2; i++) {
		ck_assert_int_eq(sos_thread_start(&thread, ask, &asking), 0);
		fake_wait_blocked(FAKE_CONNECT, 1);
		int64_t before = sos_clock_ns();
		if (i)
			sos_pool_close(asking.pool);
		else
			sos_cancel_fire(asking.cancel);
		pthread_join(thread, NULL);
		ck_assert_int_lt(sos_clock_ns() - before, SECOND);
		ck_assert_int_eq(asking.result, i ? SOS_ERROR_ENDED : SOS_ERROR_CANCELLED);
		if (!i) {
			ask(&asking);
			ck_assert_int_eq(asking.result, SOS_ERROR_CANCELLED);
			sos_cancel_unref(asking.cancel);
			asking.cancel = NULL;
		}
	}
	pool_test_end_pool(asking.pool);
}
END_TEST

START_TEST(new_that_does_not_wait)
{
	struct sos_pool_options options = pool_test_options_of(1);
	struct sos_pool *pool = NULL;
	fake_block(FAKE_CONNECT);
	options.timeout_ms = 20;
	ck_assert_int_eq(sos_pool_new(&options, &pool, NULL), SOS_ERROR_DEADLINE);
	options.timeout_ms = -1;
	ck_assert_int_eq(sos_pool_new(&options, &pool, NULL), SOS_ERROR_INVALID);
	options.timeout_ms = 0;
	options.cancel = new_cancel();
	sos_cancel_fire(options.cancel);
	ck_assert_int_eq(sos_pool_new(&options, &pool, NULL), SOS_ERROR_CANCELLED);
	ck_assert_ptr_null(pool);
	sos_cancel_unref(options.cancel);
}
END_TEST

static void *exec_it(void *data)
{
	struct call *call = data;
	struct sos_exec_options options = SOS_EXEC_OPTIONS_INIT;
	options.command = call->command;
	options.exec_id = call->exec_id;
	options.cancel = call->options.cancel;
	call->result = sos_sandbox_exec(call->sandbox, &options, &call->got, &call->error);
	return NULL;
}

/* The fake session's command ends as a time limit would end it. */
START_TEST(cancelled_command)
{
	struct sos_pool *pool = pool_test_make_pool(1);
	struct sos_sandbox *sandbox = pool_test_start(pool);
	struct call call = {.command = "x", .exec_id = "id"};
	struct sos_result *result = NULL;
	struct sos_trajectory *trajectory = NULL;
	fake_block(FAKE_EXEC);
	call.options.cancel = new_cancel();
	pool_test_launch(&call, sandbox, exec_it);
	fake_wait_blocked(FAKE_EXEC, 1);
	sos_cancel_fire(call.options.cancel);
	ck_assert_int_eq(pool_test_finish(&call), SOS_ERROR_CANCELLED);
	ck_assert_ptr_null(call.got);
	ck_assert_int_eq(sos_sandbox_get_result(sandbox, "id", 0, NULL, &result, NULL), 0);
	ck_assert(sos_result_cancelled(result) && !sos_result_timed_out(result));
	sos_result_unref(result);
	ck_assert_int_eq(sos_sandbox_get_trajectory(sandbox, &trajectory, NULL), 0);
	ck_assert_uint_eq(sos_trajectory_count(trajectory), 1);
	ck_assert(sos_result_cancelled(sos_trajectory_get(trajectory, 0)->result));
	sos_trajectory_free(trajectory);
	sos_cancel_unref(call.options.cancel);
	sos_sandbox_unref(sandbox);
	pool_test_end_pool(pool);
}
END_TEST

/* ---- the end of a pool ---- */

/* Somebody frees it while others use it, by references of their own. */
struct user {
	struct sos_pool *pool;
	struct sos_sandbox *sandbox;
	pthread_t thread;
	int kind, last;
};

static int use(struct user *user)
{
	struct sos_exec_options options = SOS_EXEC_OPTIONS_INIT;
	struct sos_start_options start = SOS_START_OPTIONS_INIT;
	struct sos_sandbox **all = NULL, *made = NULL;
	struct sos_result *result = NULL;
	size_t count = 0;
	int r = 0;
	options.command = "x";
	switch (user->kind % 6) {
	case 0:
		r = sos_sandbox_exec(user->sandbox, &options, &result, NULL);
		break;
	case 1:
		start.queue_timeout_ms = 5;
		r = sos_sandbox_create(user->pool, NULL, &made, NULL);
		if (!r && (r = sos_sandbox_start(made, &start, NULL)) == SOS_ERROR_DEADLINE)
			r = 0;
		if (made && !r)
			sos_sandbox_stop(made, &pool_test_forget, NULL);
		sos_sandbox_unref(made);
		break;
	case 2:
		r = sos_pool_list(user->pool, &all, &count, NULL);
		sos_sandbox_list_free(all, count);
		break;
	case 3:
		r = sos_pool_ready(user->pool, 0, NULL, NULL);
		break;
	case 4:
		pool_test_stats(user->pool);
		r = sos_sandbox_find(user->pool, sos_sandbox_id(user->sandbox), &made, NULL);
		sos_sandbox_unref(made);
		break;
	case 5:
		pool_test_state(user->sandbox);
		r = sos_sandbox_create(user->pool, NULL, &made, NULL);
		if (!r)
			sos_sandbox_stop(made, &pool_test_forget, NULL);
		sos_sandbox_unref(made);
	}
	sos_result_unref(result);
	return r;
}

static void *use_up(void *data)
{
	struct user *user = data;
	while (!(user->last = use(user)))
		;
	if (user->last == SOS_ERROR_CANCELLED)
		user->last = use(user);
	/* Some of them free it too, and one may be the last. */
	if (user->kind % 2)
		sos_pool_free(user->pool);
	else
		sos_pool_unref(user->pool);
	sos_sandbox_unref(user->sandbox);
	return NULL;
}

static atomic_bool freed;
static atomic_int late;

static void told(void *data, const struct sos_event *event)
{
	(void)data;
	(void)event;
	usleep(200);
	if (atomic_load(&freed))
		atomic_fetch_add(&late, 1);
}

START_TEST(freed_under_its_users)
{
	struct sos_pool_options options = pool_test_options_of(4);
	struct sos_pool *pool = NULL;
	struct user users[12];
	options.event = told;
	ck_assert_int_eq(sos_pool_new(&options, &pool, NULL), 0);
	struct sos_sandbox *sandbox = pool_test_start(pool);
	for (int i = 0; i < 12; i++) {
		users[i] = (struct user){sos_pool_ref(pool), sos_sandbox_ref(sandbox), 0, i, 0};
		ck_assert_int_eq(sos_thread_start(&users[i].thread, use_up, &users[i]), 0);
	}
	usleep(50000);
	sos_pool_free(pool);
	/* No callback once it returned. */
	atomic_store(&freed, true);
	for (int i = 0; i < 12; i++) {
		pthread_join(users[i].thread, NULL);
		ck_assert_int_eq(users[i].last, SOS_ERROR_ENDED);
	}
	ck_assert_int_eq(atomic_load(&late), 0);
	ck_assert_int_eq(fake_containers(), 0);
	ck_assert_int_eq(fake_links(), 0);
	ck_assert_int_eq(fake_sessions(), 0);
	struct sos_result *result = NULL;
	ck_assert_int_eq(sos_sandbox_run(sandbox, "x", &result, NULL), SOS_ERROR_ENDED);
	ck_assert_int_eq(sos_sandbox_start(sandbox, NULL, NULL), SOS_ERROR_ENDED);
	ck_assert_int_eq(sos_sandbox_stop(sandbox, &pool_test_forget, NULL), 0);
	sos_sandbox_cancel_start(sandbox);
	ck_assert_uint_eq(pool_test_state(sandbox), SOS_STATE_STOPPED);
	sos_sandbox_unref(sandbox);
}
END_TEST

/* A command whose sandbox was stopped and forgotten still tells of its end: free waits for that callback. */
static atomic_bool telling, let_go, told_all;

static void slow_to_hear(void *data, const struct sos_event *event)
{
	(void)data;
	if (event->type != SOS_EVENT_COMMAND)
		return;
	atomic_store(&telling, true);
	while (!atomic_load(&let_go))
		usleep(1000);
	usleep(20000);
	atomic_store(&told_all, true);
}

static void *free_it(void *pool)
{
	sos_pool_free(pool);
	ck_assert(atomic_load(&told_all));
	return NULL;
}

START_TEST(free_waits_for_callbacks)
{
	struct sos_pool_options options = pool_test_options_of(1);
	struct sos_pool *pool = NULL;
	struct call call = {.command = "x"};
	pthread_t thread;
	options.event = slow_to_hear;
	ck_assert_int_eq(sos_pool_new(&options, &pool, NULL), 0);
	struct sos_sandbox *sandbox = pool_test_start(pool);
	pool_test_launch(&call, sandbox, exec_it);
	while (!atomic_load(&telling))
		usleep(1000);
	ck_assert_int_eq(sos_sandbox_stop(sandbox, &pool_test_forget, NULL), 0);
	ck_assert_int_eq(sos_thread_start(&thread, free_it, pool), 0);
	usleep(50000);
	atomic_store(&let_go, true);
	pthread_join(thread, NULL);
	ck_assert_int_eq(pool_test_finish(&call), 0);
	sos_result_unref(call.got);
	sos_sandbox_unref(sandbox);
}
END_TEST

/* Without sos_pool_free the last reference does it. */
START_TEST(last_reference)
{
	struct sos_pool *pool = pool_test_make_pool(1);
	struct sos_sandbox *sandbox = pool_test_start(pool);
	ck_assert_ptr_eq(sos_pool_ref(pool), pool);
	sos_pool_unref(pool);
	ck_assert_uint_eq(pool_test_state(sandbox), SOS_STATE_STARTED);
	sos_pool_unref(pool);
	ck_assert_uint_eq(pool_test_state(sandbox), SOS_STATE_STOPPED);
	ck_assert_int_eq(fake_containers(), 0);
	sos_sandbox_unref(sandbox);
	sos_pool_unref(NULL);
	ck_assert_ptr_null(sos_pool_ref(NULL));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("cancel");
	TCase *tcase = tcase_create("cancel");
	tcase_set_timeout(tcase, 120);
	tcase_add_test(tcase, objects);
	tcase_add_loop_test(tcase, conditions, 0, 2);
	tcase_add_test(tcase, stop_that_does_not_wait);
	tcase_add_test(tcase, ready_that_does_not_wait);
	tcase_add_test(tcase, new_that_does_not_wait);
	tcase_add_test(tcase, cancelled_command);
	tcase_add_loop_test(tcase, freed_under_its_users, 0, 5);
	tcase_add_test(tcase, free_waits_for_callbacks);
	tcase_add_test(tcase, last_reference);
	suite_add_tcase(suite, tcase);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_SILENT);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
