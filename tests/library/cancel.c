/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Commands that are cancelled, waiting or running, and those whose turn does not
 * come in time. Argument: the transport. */

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/harness.h"
#include "lib/tap.h"

static struct sos_cancel *new_cancel(void)
{
	struct sos_error error = SOS_ERROR_INIT;
	struct sos_cancel *cancel = NULL;

	if (sos_cancel_new(&cancel, &error) < 0)
		tap_bail("make a cancel: %s", error.message);
	return cancel;
}

/* ---- calls on threads of their own ---- */

struct call {
	struct sos_sandbox *sandbox;
	struct sos_exec_options exec;
	struct sos_cancel *cancel;
	pthread_t thread;
	struct sos_result *result;
	struct sos_error error;
	int code;
	int64_t end_ms;
};

static void *run_exec(void *data)
{
	struct call *call = data;

	call->code = sos_sandbox_exec(call->sandbox, &call->exec, &call->result, &call->error);
	call->end_ms = harness_now_ms();
	return NULL;
}

static void *run_get(void *data)
{
	struct call *call = data;

	call->code = sos_sandbox_get_result(call->sandbox, call->exec.exec_id, -1, call->cancel, &call->result, &call->error);
	call->end_ms = harness_now_ms();
	return NULL;
}

static void launch(struct call *call, void *(*run)(void *))
{
	if (pthread_create(&call->thread, NULL, run, call))
		abort();
}

static struct call exec_of(struct sos_sandbox *sandbox, const char *command, const char *id, struct sos_cancel *cancel)
{
	struct call call = { .sandbox = sandbox, .exec = SOS_EXEC_OPTIONS_INIT };

	call.exec.command = command;
	call.exec.exec_id = id;
	call.exec.cancel = cancel;
	return call;
}

/* ---- what is seen from outside ---- */

struct file {
	struct sos_sandbox *sandbox;
	const char *name;
};

static bool file_exists(void *data)
{
	struct file *file = data;
	struct sos_exec_options options = SOS_EXEC_OPTIONS_INIT;
	const char *argv[] = { "test", "-e", file->name, NULL };
	struct sos_result *result;
	int code;

	options.argv = argv;
	options.flags = SOS_EXEC_STANDALONE;
	result = harness_exec(file->sandbox, &options);
	code = sos_result_exit_code(result);
	sos_result_unref(result);
	return code == 0;
}

static bool runs(struct sos_sandbox *sandbox, const char *name)
{
	struct file file = { sandbox, name };

	return harness_wait(file_exists, &file, 10000);
}

/* It got into the registry; whether it waits or runs. */
static bool is_known(void *data)
{
	struct call *call = data;
	struct sos_result *result = NULL;
	int code = sos_sandbox_get_result(call->sandbox, call->exec.exec_id, 0, NULL, &result, NULL);

	sos_result_unref(result);
	return code == SOS_ERROR_DEADLINE;
}

static size_t commands(struct sos_sandbox *sandbox)
{
	struct sos_trajectory *trajectory = NULL;
	size_t count;

	if (sos_sandbox_get_trajectory(sandbox, &trajectory, NULL) < 0)
		tap_bail("the trajectory");
	count = sos_trajectory_count(trajectory);
	sos_trajectory_free(trajectory);
	return count;
}

/* ---- commands ---- */

static void test_waiting(struct sos_sandbox *sandbox)
{
	struct sos_cancel *cancel = new_cancel();
	struct call busy = exec_of(sandbox, "touch /tmp/busy; sleep 3; echo slept", NULL, NULL);
	struct call waiting = exec_of(sandbox, "touch /tmp/never", "waits", cancel);
	struct call late = exec_of(sandbox, "touch /tmp/never", NULL, NULL);
	struct file never = { sandbox, "/tmp/never" };
	struct sos_result *result = NULL;
	int64_t start;

	launch(&busy, run_exec);
	tap_ok(runs(sandbox, "/tmp/busy"), "a command runs");
	launch(&waiting, run_exec);
	tap_ok(harness_wait(is_known, &waiting, 5000), "another waits for its turn");
	start = harness_now_ms();
	late.exec.queue_timeout_ms = 200;
	run_exec(&late);
	tap_equal(late.code, SOS_ERROR_DEADLINE, "a turn that does not come within 200 ms: %s", late.error.message);
	tap_ok(late.end_ms - start >= 190 && late.end_ms - start < 2000, "after %lld ms", (long long)(late.end_ms - start));
	late.exec.queue_timeout_ms = -1;
	start = harness_now_ms();
	run_exec(&late);
	tap_equal(late.code, SOS_ERROR_DEADLINE, "a command that may not wait at all");
	tap_ok(late.end_ms - start < 1000, "is told at once");

	start = harness_now_ms();
	sos_cancel_fire(cancel);
	pthread_join(waiting.thread, NULL);
	tap_equal(waiting.code, SOS_ERROR_CANCELLED, "the one that waited is cancelled: %s", waiting.error.message);
	tap_ok(waiting.end_ms - start < 1000, "at once: %lld ms", (long long)(waiting.end_ms - start));
	tap_equal(sos_sandbox_get_result(sandbox, "waits", 0, NULL, &result, NULL), SOS_ERROR_NOT_FOUND, "its id is free again");
	pthread_join(busy.thread, NULL);
	tap_equal(busy.code, 0, "the one that ran is not touched");
	tap_string(sos_result_output(busy.result, NULL), "slept\n", "its output");
	sos_result_unref(busy.result);
	tap_ok(!file_exists(&never), "none of the others was run");
	harness_expect(sandbox, "echo in step", "in step\n");

	/* in time */
	busy = exec_of(sandbox, "sleep 0.5", "holds", NULL);
	launch(&busy, run_exec);
	tap_ok(harness_wait(is_known, &busy, 5000), "the session is busy again");
	late = exec_of(sandbox, "echo came", NULL, cancel);
	late.exec.cancel = new_cancel();
	late.exec.queue_timeout_ms = 10000;
	run_exec(&late);
	tap_equal(late.code, 0, "a turn that comes in time, with a cancel that is not fired: %s", late.error.message);
	sos_result_unref(late.result);
	sos_cancel_unref(late.exec.cancel);
	pthread_join(busy.thread, NULL);
	sos_result_unref(busy.result);
	sos_cancel_unref(cancel);
}

/* Cancelled when the file `mark` is there. */
static void test_running(struct sos_sandbox *sandbox, const char *what, const char *command, const char *id, uint32_t flags,
			 const char *mark)
{
	struct sos_cancel *cancel = new_cancel();
	struct call call = exec_of(sandbox, command, id, cancel);
	struct sos_result *result = NULL;
	size_t before = commands(sandbox);
	int64_t start;

	call.exec.flags = flags;
	launch(&call, run_exec);
	tap_ok(runs(sandbox, mark), "%s runs", what);
	start = harness_now_ms();
	sos_cancel_fire(cancel);
	pthread_join(call.thread, NULL);
	tap_equal(call.code, SOS_ERROR_CANCELLED, "%s is cancelled: %s", what, call.error.message);
	tap_ok(!call.result, "without a result");
	tap_ok(call.end_ms - start < 5000, "%s ended within %lld ms", what, (long long)(call.end_ms - start));
	tap_equal(sos_sandbox_get_result(sandbox, id, 0, NULL, &result, NULL), 0, "its result is to be had by its id");
	if (result) {
		tap_ok(sos_result_cancelled(result) && !sos_result_timed_out(result), "it says cancelled, not timed out");
		/* the shell may speak of what was killed after it */
		tap_ok(!strncmp(sos_result_output(result, NULL), "partial\n", 8), "its partial output");
		tap_ok(sos_result_exit_code(result) != 0, "its exit code: %d", sos_result_exit_code(result));
	}
	sos_result_unref(result);
	/* again: the same result, by a call that is not cancelled */
	call.exec.cancel = NULL;
	run_exec(&call);
	tap_ok(call.code == 0 && sos_result_cancelled(call.result), "the same id asked again gives that result");
	sos_result_unref(call.result);
	tap_equal((long long)(commands(sandbox) - before), flags & SOS_EXEC_STANDALONE ? 0 : 1, "the trajectory has it");
	harness_expect(sandbox, "echo \"$kept\"; kill -0 $job && echo job lives", "kept\njob lives\n");
	sos_cancel_unref(cancel);
}

static void test_all_running(struct sos_sandbox *sandbox)
{
	sos_result_unref(harness_run(sandbox, "kept=kept; sleep 1000 & job=$!; disown"));
	test_running(sandbox, "a session command", "echo partial; touch /tmp/r1; sleep 100", "run-1", 0, "/tmp/r1");
	test_running(sandbox, "a builtin loop", "echo partial; touch /tmp/r2; while :; do :; done", "run-2", 0, "/tmp/r2");
	test_running(sandbox, "one that ignores ^C",
		     "bash -c 'trap \"\" INT TERM; echo partial; touch /tmp/r3; while :; do sleep 1; done'", "run-3", 0, "/tmp/r3");
	test_running(sandbox, "a standalone command", "echo partial; touch /tmp/r4; sleep 100", "run-4", SOS_EXEC_STANDALONE,
		     "/tmp/r4");
	test_running(sandbox, "a standalone one that ignores ^C",
		     "trap '' INT TERM; echo partial; touch /tmp/r5; while :; do sleep 1; done", "run-5", SOS_EXEC_STANDALONE,
		     "/tmp/r5");
}

/* One object for calls of all kinds, fired by a signal handler. */
static struct sos_cancel *shared;

static void fire_shared(int number)
{
	(void)number;
	sos_cancel_fire(shared);
}

static void test_shared(struct sos_sandbox *sandbox)
{
	struct call running, standalone, waiting[3], getter;
	struct sigaction action = { .sa_handler = fire_shared }, before;
	struct file never = { sandbox, "/tmp/never2" };
	char ids[3][16];

	shared = new_cancel();
	running = exec_of(sandbox, "touch /tmp/s1; sleep 100", "shared", shared);
	standalone = exec_of(sandbox, "touch /tmp/s2; sleep 100", NULL, shared);
	standalone.exec.flags = SOS_EXEC_STANDALONE;
	launch(&running, run_exec);
	tap_ok(runs(sandbox, "/tmp/s1"), "one runs in the session");
	launch(&standalone, run_exec);
	tap_ok(runs(sandbox, "/tmp/s2"), "one beside it");
	for (int i = 0; i < 3; i++) {
		snprintf(ids[i], sizeof ids[i], "waits-%d", i);
		waiting[i] = exec_of(sandbox, "touch /tmp/never2", ids[i], shared);
		launch(&waiting[i], run_exec);
		tap_ok(harness_wait(is_known, &waiting[i], 5000), "one more waits");
	}
	getter = exec_of(sandbox, NULL, "shared", NULL);
	getter.cancel = shared;
	launch(&getter, run_get);
	sigaction(SIGUSR1, &action, &before);
	raise(SIGUSR1);
	sigaction(SIGUSR1, &before, NULL);
	pthread_join(running.thread, NULL);
	pthread_join(standalone.thread, NULL);
	pthread_join(getter.thread, NULL);
	tap_equal(running.code, SOS_ERROR_CANCELLED, "fired by a signal handler: the running one");
	tap_equal(standalone.code, SOS_ERROR_CANCELLED, "the standalone one");
	tap_equal(getter.code, SOS_ERROR_CANCELLED, "who asked for a result");
	for (int i = 0; i < 3; i++) {
		pthread_join(waiting[i].thread, NULL);
		tap_equal(waiting[i].code, SOS_ERROR_CANCELLED, "and one that waited");
	}
	tap_ok(!file_exists(&never), "which were not run");
	harness_expect(sandbox, "echo in step", "in step\n");
}

/* `shared` is fired by now. */
static void test_fired_before(struct sos_pool *pool, struct sos_sandbox *sandbox)
{
	struct call call = exec_of(sandbox, "touch /tmp/never3", "fired", shared);
	struct sos_stop_options stop = SOS_STOP_OPTIONS_INIT;
	struct sos_start_options start = SOS_START_OPTIONS_INIT;
	struct file never = { sandbox, "/tmp/never3" };
	struct sos_sandbox *fresh = NULL;

	run_exec(&call);
	tap_equal(call.code, SOS_ERROR_CANCELLED, "exec with a cancel that was fired before");
	call.exec.flags = SOS_EXEC_STANDALONE;
	run_exec(&call);
	tap_equal(call.code, SOS_ERROR_CANCELLED, "standalone");
	tap_ok(!file_exists(&never), "neither was run");
	stop.cancel = shared;
	tap_equal(sos_sandbox_stop(sandbox, &stop, NULL), SOS_ERROR_CANCELLED, "stop");
	tap_equal(harness_state(sandbox), SOS_STATE_STARTED, "it is not stopped");
	tap_equal(sos_sandbox_get_result(sandbox, "run-1", 0, shared, &call.result, NULL), SOS_ERROR_CANCELLED, "get_result");
	tap_equal(sos_pool_ready(pool, 0, shared, NULL), SOS_ERROR_CANCELLED, "ready");
	start.cancel = shared;
	if (sos_sandbox_create(pool, NULL, &fresh, NULL) < 0)
		tap_bail("create");
	tap_equal(sos_sandbox_start(fresh, &start, NULL), SOS_ERROR_CANCELLED, "start");
	tap_equal(harness_state(fresh), SOS_STATE_CREATED, "it is not started");
	harness_stop(fresh);
}

/* Who only waits for somebody else's command does not end it. */
static void test_waiting_for_another(struct sos_sandbox *sandbox)
{
	struct sos_cancel *cancel = new_cancel();
	struct call runs_it = exec_of(sandbox, "touch /tmp/a1; sleep 2; echo whole", "another", NULL);
	struct call same = exec_of(sandbox, runs_it.exec.command, "another", cancel), getter = same;
	int64_t start;

	launch(&runs_it, run_exec);
	tap_ok(runs(sandbox, "/tmp/a1"), "a command runs");
	getter.cancel = cancel;
	launch(&same, run_exec);
	launch(&getter, run_get);
	start = harness_now_ms();
	sos_cancel_fire(cancel);
	pthread_join(same.thread, NULL);
	pthread_join(getter.thread, NULL);
	tap_equal(same.code, SOS_ERROR_CANCELLED, "a call of the same id stops waiting: %s", same.error.message);
	tap_equal(getter.code, SOS_ERROR_CANCELLED, "and one that asks for its result");
	tap_ok(same.end_ms - start < 1000 && getter.end_ms - start < 1000, "at once");
	pthread_join(runs_it.thread, NULL);
	tap_ok(runs_it.code == 0 && !strcmp(sos_result_output(runs_it.result, NULL), "whole\n"), "the command is not touched");
	sos_result_unref(runs_it.result);
	sos_cancel_unref(cancel);
}

int main(int argc, char **argv)
{
	struct sos_pool *pool = harness_pool(1, harness_transport(argc > 1 ? argv[1] : "auto"));
	struct sos_sandbox *sandbox = harness_start(pool, IMAGE_BASH);

	test_waiting(sandbox);
	test_all_running(sandbox);
	test_shared(sandbox);
	test_fired_before(pool, sandbox);
	test_waiting_for_another(sandbox);
	harness_stop(sandbox);
	sos_cancel_unref(shared);
	sos_pool_free(pool);
	return tap_done();
}
