/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Many threads on one pool and on one session. Argument: the transport. */

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/harness.h"
#include "lib/tap.h"

/* ---- 200 commands at once on one session ---- */

#define COMMANDS 200

struct caller {
	struct sos_sandbox *sandbox;
	pthread_t thread;
	int number;
	uint64_t sequence;
	bool right;
};

static void *call(void *data)
{
	struct caller *caller = data;
	char command[160], want[64];
	struct sos_result *result;

	snprintf(command, sizeof command, "echo begin %d; echo $((++ran)) >&9; echo end %d; (exit %d)", caller->number,
		 caller->number, caller->number % 100);
	snprintf(want, sizeof want, "begin %d\nend %d\n", caller->number, caller->number);
	result = harness_run(caller->sandbox, command);
	caller->right = !strcmp(sos_result_output(result, NULL), want) &&
			sos_result_exit_code(result) == caller->number % 100;
	caller->sequence = sos_result_sequence(result);
	sos_result_unref(result);
	return NULL;
}

static void test_many_on_one_session(struct sos_sandbox *sandbox)
{
	struct caller callers[COMMANDS];
	bool seen[COMMANDS] = { false };
	struct sos_result *before;
	uint64_t first;
	int right = 0, distinct = 0;

	harness_expect(sandbox, "ran=0; exec 9>/tmp/ran", "");
	before = harness_run(sandbox, ":");
	first = sos_result_sequence(before) + 1;
	sos_result_unref(before);
	for (int i = 0; i < COMMANDS; i++) {
		callers[i] = (struct caller){ .sandbox = sandbox, .number = i };
		if (pthread_create(&callers[i].thread, NULL, call, &callers[i]))
			abort();
	}
	for (int i = 0; i < COMMANDS; i++) {
		pthread_join(callers[i].thread, NULL);
		right += callers[i].right;
		if (callers[i].sequence >= first && callers[i].sequence < first + COMMANDS &&
		    !seen[callers[i].sequence - first]) {
			seen[callers[i].sequence - first] = true;
			distinct++;
		}
	}
	tap_equal(right, COMMANDS, "every one of %d commands at once got its own answer", COMMANDS);
	tap_equal(distinct, COMMANDS, "each with a sequence number of its own, without gaps");
	harness_expect(sandbox, "exec 9>&-; seq 200 | cmp - /tmp/ran && echo in order", "in order\n");
}

/* ---- first come, first served ---- */

struct queued {
	struct sos_sandbox *sandbox;
	const char *command, *exec_id;
	pthread_t thread;
	struct sos_result *result;
	struct sos_error error;
	int code;
};

static void *run_queued(void *data)
{
	struct queued *queued = data;
	struct sos_exec_options options = SOS_EXEC_OPTIONS_INIT;

	options.command = queued->command;
	options.exec_id = queued->exec_id;
	queued->code = sos_sandbox_exec(queued->sandbox, &options, &queued->result, &queued->error);
	return NULL;
}

static void begin_as(struct queued *queued, struct sos_sandbox *sandbox, const char *command, const char *exec_id)
{
	*queued = (struct queued){ .sandbox = sandbox, .command = command, .exec_id = exec_id };
	if (pthread_create(&queued->thread, NULL, run_queued, queued))
		abort();
}

static void begin(struct queued *queued, struct sos_sandbox *sandbox, const char *command)
{
	begin_as(queued, sandbox, command, NULL);
}

/* The command has come to its sleep, seen from outside the session. */
static bool is_running(void *sandbox)
{
	struct sos_exec_options options = SOS_EXEC_OPTIONS_INIT;
	struct sos_result *result;
	int code;

	options.command = "test -e /tmp/running";
	options.flags = SOS_EXEC_STANDALONE;
	result = harness_exec(sandbox, &options);
	code = sos_result_exit_code(result);
	sos_result_unref(result);
	return code == 0;
}

/* It was let in: from now on it runs or waits for its turn. */
static bool is_known(void *data)
{
	const struct queued *queued = data;
	struct sos_result *result = NULL;
	int code = sos_sandbox_get_result(queued->sandbox, queued->exec_id, 0, NULL, &result, NULL);

	sos_result_unref(result);
	return code != SOS_ERROR_NOT_FOUND;
}

static void test_nobody_waits_for_a_command(struct sos_pool *pool, struct sos_sandbox *busy, struct sos_sandbox *other)
{
	struct sos_error error = SOS_ERROR_INIT;
	struct sos_sandbox **all = NULL;
	struct queued running, waiting;
	size_t count = 0;
	int64_t start;

	begin(&running, busy, "echo partial; touch /tmp/running; sleep 100");
	tap_ok(harness_wait(is_running, busy, 10000), "a command runs");
	begin_as(&waiting, busy, "echo never", "waiting");
	tap_ok(harness_wait(is_known, &waiting, 10000), "another one waits for it");
	start = harness_now_ms();
	tap_equal(sos_pool_list(pool, &all, &count, &error), 0, "list while it runs");
	tap_equal((long long)count, 2, "all are listed");
	sos_sandbox_list_free(all, count);
	tap_equal(harness_state(busy), SOS_STATE_STARTED, "info while it runs");
	harness_expect(other, "echo other", "other\n");
	tap_ok(harness_now_ms() - start < 5000, "nobody waited for it");

	start = harness_now_ms();
	tap_equal(sos_sandbox_stop(busy, 0, &error), 0, "stop while it runs: %s", error.message);
	pthread_join(running.thread, NULL);
	pthread_join(waiting.thread, NULL);
	tap_ok(harness_now_ms() - start < 15000, "stop did not wait for it");
	tap_equal(running.code, SOS_ERROR_ENDED, "the running command ends with a typed error: %s", running.error.message);
	tap_equal(waiting.code, SOS_ERROR_ENDED, "and so does the one that waited: %s", waiting.error.message);
	tap_ok(!running.result && !waiting.result, "without a result");
	tap_equal(harness_state(busy), SOS_STATE_STOPPED, "it is stopped");
	begin(&waiting, busy, "echo never");
	pthread_join(waiting.thread, NULL);
	tap_equal(waiting.code, SOS_ERROR_STATE, "a command after the stop: %s", waiting.error.message);
}

/* ---- merged order on a machine under full load ---- */

static atomic_bool burn;

static void *burner(void *data)
{
	volatile unsigned long spin = 0;

	while (burn)
		spin++;
	return data;
}

static void test_order_under_load(struct sos_sandbox *sandbox)
{
	static const char command[] =
		"for ((i = 0; i < 500; i++)); do echo o$i; echo e$i >&2; done; "
		"for ((i = 0; i < 20; i++)); do /bin/echo p$i; /bin/echo q$i >&2; cd /nope; done";
	pthread_t threads[8];
	char want[32768], *at = want;
	int right = 0;

	for (int i = 0; i < 500; i++)
		at += sprintf(at, "o%d\ne%d\n", i, i);
	for (int i = 0; i < 20; i++)
		at += sprintf(at, "p%d\nq%d\nbash: cd: /nope: No such file or directory\n", i, i);
	burn = true;
	for (int i = 0; i < 8; i++)
		pthread_create(&threads[i], NULL, burner, NULL);
	for (int i = 0; i < 20; i++) {
		struct sos_result *result = harness_run(sandbox, command);
		size_t length;
		const char *output = sos_result_output(result, &length);

		right += length == (size_t)(at - want) && !memcmp(output, want, length);
		sos_result_unref(result);
	}
	burn = false;
	for (int i = 0; i < 8; i++)
		pthread_join(threads[i], NULL);
	tap_equal(right, 20, "two streams in the order written, 20 times of 20, with 8 threads burning");
}

/* ---- background output ---- */

static void test_background(struct sos_sandbox *sandbox)
{
	struct sos_exec_options pause = SOS_EXEC_OPTIONS_INIT;
	struct sos_result *result;
	const char *bytes;
	size_t length;
	int64_t start;

	harness_expect(sandbox, "(sleep 0.3; printf early; head -c 300000 /dev/zero | tr '\\0' b; printf late) &", "");
	pause.command = "sleep 2";
	pause.flags = SOS_EXEC_STANDALONE;
	sos_result_unref(harness_exec(sandbox, &pause));
	result = harness_run(sandbox, "wait; echo own");
	tap_string(sos_result_output(result, NULL), "own\n", "background output does not mix in");
	bytes = sos_result_background(result, &length);
	tap_equal((long long)length, 64 << 10, "it is bounded");
	tap_ok(length >= 4 && !memcmp(bytes + length - 4, "late", 4), "the newest is kept");
	tap_equal((long long)sos_result_dropped_background(result), 300009 - (64 << 10), "the rest is counted");
	sos_result_unref(result);

	start = harness_now_ms();
	sos_result_unref(harness_run(sandbox, "yes & Y=$!"));
	for (int i = 0; i < 20; i++) {
		result = harness_run(sandbox, "true");
		tap_ok(!sos_result_exit_code(result) && !sos_result_timed_out(result), "a command beside yes & (%d)", i);
		sos_result_unref(result);
	}
	tap_ok(harness_now_ms() - start < 20000, "a job that writes for ever delays nobody: %lld ms",
	       (long long)(harness_now_ms() - start));
	sos_result_unref(harness_run(sandbox, "kill $Y; wait $Y 2>/dev/null"));
	sos_result_unref(harness_run(sandbox, "true"));
	harness_expect(sandbox, "echo clean", "clean\n");
}

/* ---- many sandboxes, each with its own words ---- */

#define SANDBOXES 4
#define ROUNDS 200

static void *chat(void *data)
{
	struct sos_sandbox *sandbox = data;
	int64_t wrong = 0;

	for (int i = 0; i < ROUNDS; i++) {
		char command[128], want[128];
		struct sos_result *result;

		snprintf(want, sizeof want, "%s %d\n", sos_sandbox_id(sandbox), i);
		snprintf(command, sizeof command, "echo %s %d", sos_sandbox_id(sandbox), i);
		result = harness_run(sandbox, command);
		wrong += strcmp(sos_result_output(result, NULL), want) != 0;
		sos_result_unref(result);
	}
	return (void *)(intptr_t)wrong;
}

static void test_many_sandboxes(struct sos_pool *pool)
{
	struct sos_sandbox *sandboxes[SANDBOXES];
	pthread_t threads[2 * SANDBOXES];
	intptr_t wrong = 0;

	for (int i = 0; i < SANDBOXES; i++)
		sandboxes[i] = harness_start(pool, IMAGE_BASH);
	for (int i = 0; i < 2 * SANDBOXES; i++)
		pthread_create(&threads[i], NULL, chat, sandboxes[i % SANDBOXES]);
	for (int i = 0; i < 2 * SANDBOXES; i++) {
		void *count;

		pthread_join(threads[i], &count);
		wrong += (intptr_t)count;
	}
	tap_equal((long long)wrong, 0, "%d commands of %d threads in %d sandboxes, none with another's output",
		  2 * SANDBOXES * ROUNDS, 2 * SANDBOXES, SANDBOXES);
	for (int i = 0; i < SANDBOXES; i++)
		harness_stop(sandboxes[i]);
}

int main(int argc, char **argv)
{
	uint32_t transport = harness_transport(argc > 1 ? argv[1] : "auto");
	struct sos_pool *pool = harness_pool(SANDBOXES, transport);
	struct sos_sandbox *one = harness_start(pool, IMAGE_BASH), *other = harness_start(pool, IMAGE_BASH);

	test_many_on_one_session(one);
	test_order_under_load(one);
	test_background(one);
	test_nobody_waits_for_a_command(pool, one, other);
	harness_stop(one);
	harness_stop(other);
	test_many_sandboxes(pool);
	sos_pool_free(pool);
	return tap_done();
}
