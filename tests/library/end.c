/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Deadlines and cancels of the calls that talk to the Engine, and a pool that is
 * freed while calls run. Argument: the transport. */

#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

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
	struct sos_pool *pool;
	struct sos_start_options start;
	struct sos_cancel *cancel;
	pthread_t thread;
	struct sos_error error;
	int code;
	int64_t end_ms;
};

static void *run_start(void *data)
{
	struct call *call = data;

	call->code = sos_sandbox_start(call->sandbox, &call->start, &call->error);
	call->end_ms = harness_now_ms();
	return NULL;
}

static void *run_ready(void *data)
{
	struct call *call = data;

	call->code = sos_pool_ready(call->pool, 60000, call->cancel, &call->error);
	call->end_ms = harness_now_ms();
	return NULL;
}

static void launch(struct call *call, void *(*run)(void *))
{
	if (pthread_create(&call->thread, NULL, run, call))
		abort();
}

/* ---- start and stop ---- */

static void test_start(struct sos_pool *pool, const char *name)
{
	struct sos_sandbox_spec spec = SOS_SANDBOX_SPEC_INIT;
	const char *setup[] = { "sleep 100", NULL };
	struct sos_sandbox *sandboxes[2] = { NULL };
	struct sos_cancel *cancel = new_cancel();
	struct call calls[2];
	int64_t start;

	spec.image = IMAGE_BASH;
	spec.network = SOS_NETWORK_NONE;
	spec.setup_commands = setup;
	for (int i = 0; i < 2; i++) {
		if (sos_sandbox_create(pool, &spec, &sandboxes[i], NULL) < 0)
			tap_bail("create");
		calls[i] = (struct call){ .sandbox = sandboxes[i], .start = SOS_START_OPTIONS_INIT };
		calls[i].start.cancel = cancel;
		launch(&calls[i], run_start);
		tap_ok(harness_wait_state(sandboxes[i], i ? SOS_STATE_QUEUED : SOS_STATE_STARTING), i ? "one start waits" : "one runs");
	}
	start = harness_now_ms();
	sos_cancel_fire(cancel);
	for (int i = 0; i < 2; i++) {
		pthread_join(calls[i].thread, NULL);
		tap_equal(calls[i].code, SOS_ERROR_CANCELLED, "%s is cancelled: %s", i ? "the one that waited" : "the one that ran",
			  calls[i].error.message);
		tap_ok(calls[i].end_ms - start < 15000, "after %lld ms", (long long)(calls[i].end_ms - start));
		tap_equal(harness_state(sandboxes[i]), SOS_STATE_CREATED, "as it was before");
	}
	tap_equal(harness_pool_containers(name), 0, "nothing is left running");
	for (int i = 0; i < 2; i++)
		harness_stop(sandboxes[i]);
	sos_cancel_unref(cancel);
}

static void test_stop_deadline(struct sos_pool *pool, const char *name)
{
	struct sos_sandbox *sandbox = harness_start(pool, IMAGE_BASH);
	struct sos_stop_options stop = SOS_STOP_OPTIONS_INIT;
	struct sos_error error = SOS_ERROR_INIT;

	stop.timeout_ms = 1;
	stop.flags = SOS_STOP_FORGET;
	tap_equal(sos_sandbox_stop(sandbox, &stop, &error), SOS_ERROR_DEADLINE, "a stop of 1 ms: %s", error.message);
	stop.timeout_ms = -1;
	tap_equal(sos_sandbox_stop(sandbox, &stop, NULL), SOS_ERROR_INVALID, "a negative time");
	tap_equal(sos_sandbox_stop(sandbox, 0, &error), 0, "waited on: %s", error.message);
	tap_equal(harness_pool_containers(name), 0, "the container is gone");
	sos_sandbox_unref(sandbox);
}

/* ---- an Engine that takes connections and says nothing ---- */

static int silent_engine(char address[64])
{
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
	socklen_t length = sizeof in;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || bind(fd, (struct sockaddr *)&in, sizeof in) || listen(fd, 64) ||
	    getsockname(fd, (struct sockaddr *)&in, &length))
		tap_bail("listen");
	snprintf(address, 64, "tcp://127.0.0.1:%d", ntohs(in.sin_port));
	return fd;
}

struct making {
	struct sos_pool_options options;
	struct sos_error error;
	int code;
};

static void *make_pool(void *data)
{
	struct making *making = data;
	struct sos_pool *pool = NULL;

	making->code = sos_pool_new(&making->options, &pool, &making->error);
	return NULL;
}

static void test_silent_engine(void)
{
	struct making making = { .options = SOS_POOL_OPTIONS_INIT };
	struct sos_error error = SOS_ERROR_INIT;
	struct sos_pool *pool = NULL;
	struct call calls[2] = { 0 };
	pthread_t thread;
	char address[64];
	int64_t start = harness_now_ms();
	int fd = silent_engine(address);

	making.options.engine = address;
	making.options.timeout_ms = 200;
	make_pool(&making);
	tap_equal(making.code, SOS_ERROR_DEADLINE, "sos_pool_new on an Engine that is silent: %s", making.error.message);
	tap_ok(harness_now_ms() - start < 3000, "after %lld ms", (long long)(harness_now_ms() - start));
	making.options.timeout_ms = 0;
	making.options.cancel = new_cancel();
	if (pthread_create(&thread, NULL, make_pool, &making))
		abort();
	sos_cancel_fire(making.options.cancel);
	pthread_join(thread, NULL);
	tap_equal(making.code, SOS_ERROR_CANCELLED, "cancelled: %s", making.error.message);
	sos_cancel_unref(making.options.cancel);

	making.options.cancel = NULL;
	making.options.timeout_ms = 100;
	making.options.flags = SOS_POOL_LAZY;
	if (sos_pool_new(&making.options, &pool, &error) < 0)
		tap_bail("a lazy pool: %s", error.message);
	start = harness_now_ms();
	tap_equal(sos_pool_ready(pool, 200, NULL, &error), SOS_ERROR_UNREACHABLE, "ready within 200 ms: %s", error.message);
	tap_ok(harness_now_ms() - start < 3000, "after %lld ms", (long long)(harness_now_ms() - start));
	for (int i = 0; i < 2; i++) {
		calls[i].pool = pool;
		calls[i].cancel = new_cancel();
		launch(&calls[i], run_ready);
	}
	sos_cancel_fire(calls[0].cancel);
	pthread_join(calls[0].thread, NULL);
	tap_equal(calls[0].code, SOS_ERROR_CANCELLED, "ready is cancelled: %s", calls[0].error.message);
	start = harness_now_ms();
	sos_pool_ref(pool);
	sos_pool_free(pool);
	tap_ok(harness_now_ms() - start < 10000, "free does not wait for it: %lld ms", (long long)(harness_now_ms() - start));
	pthread_join(calls[1].thread, NULL);
	tap_equal(calls[1].code, SOS_ERROR_ENDED, "the other one is ended by free: %s", calls[1].error.message);
	sos_pool_unref(pool);
	for (int i = 0; i < 2; i++)
		sos_cancel_unref(calls[i].cancel);
	close(fd);
}

/* ---- free while calls run ---- */

#define THREADS 8

struct caller {
	struct sos_pool *pool;       /* a reference */
	struct sos_sandbox *sandbox; /* a reference */
	struct sos_cancel *cancel;
	pthread_t thread;
	int kind, rounds;
	int last; /* what ended it */
};

static int call_once(struct caller *caller)
{
	struct sos_exec_options options = SOS_EXEC_OPTIONS_INIT;
	struct sos_sandbox **all = NULL, *other = NULL;
	struct sos_result *result = NULL;
	size_t count = 0;
	int code;

	options.cancel = caller->cancel;
	switch (caller->kind) {
	case 0:
		options.command = "sleep 100";
		code = sos_sandbox_exec(caller->sandbox, &options, &result, NULL);
		break;
	case 1:
	case 2:
		options.command = "echo queued";
		code = sos_sandbox_exec(caller->sandbox, &options, &result, NULL);
		break;
	case 3:
		options.command = "echo beside";
		options.flags = SOS_EXEC_STANDALONE;
		code = sos_sandbox_exec(caller->sandbox, &options, &result, NULL);
		break;
	case 4:
		code = sos_pool_list(caller->pool, &all, &count, NULL);
		sos_sandbox_list_free(all, count);
		break;
	case 5:
		code = sos_pool_ready(caller->pool, 0, caller->cancel, NULL);
		break;
	case 6: {
		struct sos_start_options start = SOS_START_OPTIONS_INIT;

		code = sos_sandbox_create(caller->pool, NULL, &other, NULL);
		start.cancel = caller->cancel;
		start.queue_timeout_ms = 100;
		if (!code && (code = sos_sandbox_start(other, &start, NULL)) == SOS_ERROR_DEADLINE)
			code = 0;
		sos_sandbox_unref(other);
		break;
	}
	default:
		code = sos_sandbox_find(caller->pool, sos_sandbox_id(caller->sandbox), &other, NULL);
		if (!code)
			harness_state(other);
		sos_sandbox_unref(other);
	}
	sos_result_unref(result);
	return code;
}

static void *call_on(void *data)
{
	struct caller *caller = data;

	while ((caller->last = call_once(caller)) == 0)
		caller->rounds++;
	/* whatever it was that met the end, the next one is told plainly */
	if (caller->last == SOS_ERROR_CANCELLED)
		caller->last = call_once(caller);
	sos_sandbox_unref(caller->sandbox);
	sos_pool_unref(caller->pool);
	return NULL;
}

static void test_free(uint32_t transport)
{
	const char *name = harness_name();
	struct sos_pool_options options = SOS_POOL_OPTIONS_INIT;
	struct caller callers[THREADS];
	struct sos_trajectory *trajectory = NULL;
	struct sos_sandbox_info *info = NULL;
	struct sos_sandbox *sandbox, *other;
	struct sos_result *result, *none = NULL;
	struct sos_cancel *cancel = new_cancel();
	struct sos_pool *pool;
	int64_t start;

	options.name = name;
	options.capacity = 2;
	options.transport = transport;
	pool = harness_pool_with(&options);
	sandbox = harness_start(pool, IMAGE_BASH);
	/* One that the threads leave alone: they run more commands than are kept. */
	other = harness_start(pool, IMAGE_BASH);
	result = harness_run(other, "echo outlives");
	for (int i = 0; i < THREADS; i++) {
		callers[i] = (struct caller){ .pool = sos_pool_ref(pool), .sandbox = sos_sandbox_ref(sandbox), .kind = i };
		callers[i].cancel = i & 1 ? cancel : NULL;
		if (pthread_create(&callers[i].thread, NULL, call_on, &callers[i]))
			abort();
	}
	usleep(300000); /* whatever they are in */
	start = harness_now_ms();
	sos_pool_free(pool);
	tap_ok(harness_now_ms() - start < 20000, "free with calls of %d threads: %lld ms", THREADS,
	       (long long)(harness_now_ms() - start));
	tap_equal(harness_pool_containers(name), 0, "nothing is left");
	for (int i = 0; i < THREADS; i++) {
		pthread_join(callers[i].thread, NULL);
		tap_equal(callers[i].last, SOS_ERROR_ENDED, "caller %d ended, after %d rounds", i, callers[i].rounds);
	}
	/* this thread has a sandbox and no pool any more */
	tap_equal(sos_sandbox_run(sandbox, "echo", &none, NULL), SOS_ERROR_ENDED, "exec after free");
	tap_equal(sos_sandbox_start(sandbox, NULL, NULL), SOS_ERROR_ENDED, "start after free");
	tap_equal(sos_sandbox_stop(sandbox, 0, NULL), 0, "what is stopped can be stopped");
	tap_string(sos_result_output(result, NULL), "outlives\n", "a result outlives the pool");
	tap_equal(sos_sandbox_get_result(other, sos_result_exec_id(result), 0, NULL, &none, NULL), 0, "and is found by its id");
	sos_result_unref(none);
	tap_equal(sos_sandbox_get_info(sandbox, &info, NULL), 0, "so is its info");
	tap_equal(info ? info->state : 0, SOS_STATE_STOPPED, "which says stopped");
	tap_ok(!sos_sandbox_get_trajectory(other, &trajectory, NULL) && sos_trajectory_count(trajectory) >= 1,
	       "and its trajectory");
	sos_sandbox_unref(other);
	sos_sandbox_unref(sandbox);
	tap_string(sos_trajectory_get(trajectory, 0)->command, "echo outlives", "also without the sandbox");
	sos_trajectory_free(trajectory);
	sos_sandbox_info_free(info);
	sos_result_unref(result);
	sos_cancel_unref(cancel);
}

int main(int argc, char **argv)
{
	struct sos_pool_options options = SOS_POOL_OPTIONS_INIT;
	struct sos_pool *pool;

	options.name = harness_name();
	options.capacity = 1;
	options.transport = harness_transport(argc > 1 ? argv[1] : "auto");
	pool = harness_pool_with(&options);
	test_start(pool, options.name);
	test_stop_deadline(pool, options.name);
	sos_pool_free(pool);
	test_silent_engine();
	test_free(options.transport);
	return tap_done();
}
