/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What an exec takes and what a result says. Argument: the transport. */

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "lib/harness.h"
#include "lib/tap.h"

static void has_output(const struct sos_result *result, const char *output, const char *out, const char *err,
		       const char *name)
{
	size_t length;
	const char *bytes = sos_result_output(result, &length);

	if (output)
		tap_bytes(bytes, length, output, strlen(output), "%s: output", name);
	bytes = sos_result_stdout(result, &length);
	tap_bytes(bytes, length, out, strlen(out), "%s: stdout", name);
	bytes = sos_result_stderr(result, &length);
	tap_bytes(bytes, length, err, strlen(err), "%s: stderr", name);
}

static struct sos_result *standalone(struct sos_sandbox *sandbox, const char *command, uint32_t streams)
{
	struct sos_exec_options options = SOS_EXEC_OPTIONS_INIT;

	options.command = command;
	options.flags = SOS_EXEC_STANDALONE;
	options.streams = streams;
	return harness_exec(sandbox, &options);
}

static void test_streams(struct sos_pool *pool, struct sos_sandbox *merged)
{
	struct sos_sandbox_spec spec = SOS_SANDBOX_SPEC_INIT;
	struct sos_sandbox *separate;
	struct sos_result *result = harness_run(merged, "echo o; echo e >&2; echo o2");

	has_output(result, "o\ne\no2\n", "o\ne\no2\n", "", "merged session");
	sos_result_unref(result);

	spec.image = IMAGE_BASH;
	spec.network = SOS_NETWORK_NONE;
	spec.streams = SOS_STREAMS_SEPARATE;
	separate = harness_start_spec(pool, &spec);
	result = harness_run(separate, "echo o; echo e >&2; echo o2; cd /nope");
	has_output(result, NULL, "o\no2\n", "e\nbash: cd: /nope: No such file or directory\n", "separate session");
	tap_equal(sos_result_exit_code(result), 1, "separate session: exit code");
	sos_result_unref(result);
	result = harness_run(separate, "echo a > /dev/stderr; echo b > /dev/stdout");
	has_output(result, NULL, "b\n", "a\n", "separate session, by device");
	sos_result_unref(result);
	harness_stop(separate);

	result = standalone(merged, "echo o; echo e >&2", SOS_STREAMS_SEPARATE);
	has_output(result, NULL, "o\n", "e\n", "separate standalone");
	sos_result_unref(result);
	result = standalone(merged, "echo o; echo e >&2; exit 3", SOS_STREAMS_DEFAULT);
	has_output(result, "o\ne\n", "o\ne\n", "", "merged standalone");
	tap_equal(sos_result_exit_code(result), 3, "standalone exit code");
	tap_ok(sos_result_standalone(result) && !sos_result_sequence(result), "standalone result says so");
	sos_result_unref(result);
}

static void test_cap(struct sos_sandbox *sandbox)
{
	struct sos_exec_options options = SOS_EXEC_OPTIONS_INIT;
	struct sos_result *result;
	size_t length;

	options.command = "printf 0123456789; head -c 999990 /dev/zero | tr '\\0' x";
	options.max_output_bytes = 1000;
	result = harness_exec(sandbox, &options);
	tap_ok(!memcmp(sos_result_output(result, &length), "0123456789xxx", 13), "the first bytes are kept");
	tap_equal((long long)length, 1000, "as many as the cap says");
	tap_equal((long long)sos_result_dropped_bytes(result), 999000, "the others are counted exactly");
	tap_equal((long long)sos_result_dropped_stdout(result), 999000, "as stdout");
	tap_equal(sos_result_exit_code(result), 0, "the command did not notice");
	sos_result_unref(result);

	options.command = "head -c 3000 /dev/zero; head -c 5000 /dev/zero >&2";
	options.flags = SOS_EXEC_STANDALONE;
	options.streams = SOS_STREAMS_SEPARATE;
	result = harness_exec(sandbox, &options);
	tap_equal((long long)sos_result_dropped_stdout(result), 2000, "the cap is one of each stream: stdout");
	tap_equal((long long)sos_result_dropped_stderr(result), 4000, "stderr");
	tap_equal((long long)sos_result_dropped_bytes(result), 6000, "and their sum");
	sos_result_unref(result);

	options = (struct sos_exec_options)SOS_EXEC_OPTIONS_INIT;
	options.command = "head -c 20000000 /dev/zero";
	result = harness_exec(sandbox, &options);
	sos_result_output(result, &length);
	tap_equal((long long)length, 8 << 20, "the default cap is 8 MiB");
	tap_equal((long long)sos_result_dropped_bytes(result), 20000000 - (8 << 20), "the rest of 20 MB is counted");
	sos_result_unref(result);

	options.max_output_bytes = 64 << 20;
	options.command = "head -c 40000000 /dev/zero";
	result = harness_exec(sandbox, &options);
	sos_result_output(result, &length);
	tap_equal((long long)length, 40000000, "a higher cap keeps all");
	tap_equal((long long)sos_result_dropped_bytes(result), 0, "nothing dropped");
	sos_result_unref(result);
	harness_expect(sandbox, "echo in step", "in step\n");
}

static void test_binary(struct sos_sandbox *sandbox)
{
	struct sos_exec_options options = SOS_EXEC_OPTIONS_INIT;
	struct sos_result *result = harness_run(sandbox, "printf '\\0\\377\\n\\0'");
	size_t length;
	const char *bytes = sos_result_output(result, &length);
	char input[70000];

	tap_bytes(bytes, length, "\0\377\n\0", 4, "binary output untouched and untrimmed");
	sos_result_unref(result);

	options.command = "printf %s '\xff\xfe' | od -An -tx1";
	result = harness_exec(sandbox, &options);
	tap_string(sos_result_output(result, NULL), " ff fe\n", "a command that is no UTF-8");
	sos_result_unref(result);

	for (size_t i = 0; i < sizeof input; i++)
		input[i] = (char)(i * 7 % 256);
	options.command = "cat";
	options.flags = SOS_EXEC_STANDALONE;
	options.stdin_data = input;
	options.stdin_length = sizeof input;
	result = harness_exec(sandbox, &options);
	bytes = sos_result_output(result, &length);
	tap_bytes(bytes, length, input, sizeof input, "standalone stdin comes back by cat");
	sos_result_unref(result);
	options.command = "exit 4";
	result = harness_exec(sandbox, &options);
	tap_equal(sos_result_exit_code(result), 4, "a command that does not read its stdin");
	sos_result_unref(result);
}

static void test_argv(struct sos_sandbox *sandbox)
{
	struct sos_exec_options options = SOS_EXEC_OPTIONS_INIT;
	struct sos_error error = SOS_ERROR_INIT;
	struct sos_result *result = NULL;
	const char *argv[] = { "printf", "<%s>", "a b", "", "$x", "\n", NULL };
	const char *nothing[] = { "/no/such/program", NULL };
	const char *by_signal[] = { "probe", "signal", "15", NULL };

	options.flags = SOS_EXEC_STANDALONE;
	options.argv = argv;
	result = harness_exec(sandbox, &options);
	tap_string(sos_result_output(result, NULL), "<a b><><$x><\n>", "argv is passed as it is");
	sos_result_unref(result);

	options.argv = by_signal;
	result = harness_exec(sandbox, &options);
	tap_equal(sos_result_signal(result), 15, "the signal that ended it");
	tap_equal(sos_result_exit_code(result), 128 + 15, "and its code");
	sos_result_unref(result);

	options.argv = nothing;
	result = harness_exec(sandbox, &options);
	tap_equal(sos_result_exit_code(result), 127, "a program that is not there ends with 127 like in a shell");
	sos_result_unref(result);

	result = NULL;
	options.argv = argv + 6;
	tap_equal(sos_sandbox_exec(sandbox, &options, &result, &error), SOS_ERROR_INVALID, "empty argv: %s", error.message);
	options.flags = 0;
	options.argv = argv;
	tap_equal(sos_sandbox_exec(sandbox, &options, &result, &error), SOS_ERROR_INVALID, "argv in the session: %s",
		  error.message);
	options.argv = NULL;
	tap_equal(sos_sandbox_exec(sandbox, &options, &result, &error), SOS_ERROR_INVALID, "neither command nor argv: %s",
		  error.message);
	options.command = "echo a\0b";
	options.command_length = 8;
	tap_equal(sos_sandbox_exec(sandbox, &options, &result, &error), SOS_ERROR_INVALID, "NUL in the command");
	tap_ok(strstr(error.message, "6") != NULL, "with its position: %s", error.message);
	options = (struct sos_exec_options)SOS_EXEC_OPTIONS_INIT;
	options.command = "true";
	options.flags = SOS_EXEC_JUDGE;
	tap_equal(sos_sandbox_exec(sandbox, &options, &result, &error), SOS_ERROR_INVALID, "judge in the session: %s",
		  error.message);
	options.flags = 0;
	options.exec_id = "a b";
	tap_equal(sos_sandbox_exec(sandbox, &options, &result, &error), SOS_ERROR_INVALID, "bad exec_id: %s", error.message);
	tap_ok(result == NULL, "outputs are untouched by failures");
}

static void *run_same_id(void *data)
{
	struct sos_exec_options options = SOS_EXEC_OPTIONS_INIT;

	options.command = "sleep 0.5; echo $((++count))";
	options.exec_id = "the-same";
	return harness_exec(data, &options);
}

static void test_exec_id(struct sos_sandbox *sandbox)
{
	struct sos_exec_options options = SOS_EXEC_OPTIONS_INIT;
	struct sos_error error = SOS_ERROR_INIT;
	struct sos_result *results[3], *again = NULL;
	pthread_t threads[2];
	void *joined;

	harness_expect(sandbox, "count=0", "");
	for (int i = 0; i < 2; i++)
		pthread_create(&threads[i], NULL, run_same_id, sandbox);
	for (int i = 0; i < 2; i++) {
		pthread_join(threads[i], &joined);
		results[i] = joined;
		tap_string(sos_result_output(results[i], NULL), "1\n", "the same id at once runs once (%d)", i);
		tap_string(sos_result_exec_id(results[i]), "the-same", "and keeps its id (%d)", i);
	}
	results[2] = run_same_id(sandbox);
	tap_string(sos_result_output(results[2], NULL), "1\n", "the same id later gives the same result");
	tap_ok(sos_result_sequence(results[2]) == sos_result_sequence(results[0]), "of the same command");
	tap_equal(sos_sandbox_get_result(sandbox, "the-same", 0, NULL, &again, &error), 0, "and can be asked for");
	tap_string(again ? sos_result_output(again, NULL) : NULL, "1\n", "with its output");
	sos_result_unref(again);
	for (int i = 0; i < 3; i++)
		sos_result_unref(results[i]);
	again = NULL;
	tap_equal(sos_sandbox_get_result(sandbox, "unheard-of", 0, NULL, &again, &error), SOS_ERROR_NOT_FOUND, "unknown id: %s",
		  error.message);
	options.command = "echo another";
	options.exec_id = "the-same";
	tap_equal(sos_sandbox_exec(sandbox, &options, &again, &error), SOS_ERROR_INVALID, "the same id for another command: %s",
		  error.message);
	options.command = "sleep 0.5; echo $((++count))";
	options.flags = SOS_EXEC_STANDALONE;
	tap_equal(sos_sandbox_exec(sandbox, &options, &again, NULL), SOS_ERROR_INVALID, "or for a standalone one");
	harness_expect(sandbox, "echo $count", "1\n");

	options = (struct sos_exec_options)SOS_EXEC_OPTIONS_INIT;
	options.command = "true";
	results[0] = harness_exec(sandbox, &options);
	results[1] = harness_exec(sandbox, &options);
	tap_ok(strcmp(sos_result_exec_id(results[0]), sos_result_exec_id(results[1])) && *sos_result_exec_id(results[0]),
	       "generated ids differ");
	tap_ok(sos_result_sequence(results[1]) == sos_result_sequence(results[0]) + 1, "sequence numbers count");
	sos_result_unref(results[0]);
	sos_result_unref(results[1]);
	for (int i = 0; i < 70; i++) {
		results[0] = harness_run(sandbox, ":");
		sos_result_unref(results[0]);
	}
	tap_equal(sos_sandbox_get_result(sandbox, "the-same", 0, NULL, &again, &error), SOS_ERROR_NOT_FOUND,
		  "results are kept in bounds");
}

static void *run_slow(void *data)
{
	struct sos_exec_options options = SOS_EXEC_OPTIONS_INIT;

	options.command = "echo go; sleep 1; echo done";
	options.exec_id = "slow";
	return harness_exec(data, &options);
}

static bool is_busy(void *sandbox)
{
	struct sos_sandbox_info *info = NULL;
	bool busy = sos_sandbox_get_info(sandbox, &info, NULL) == 0 && info->session_busy;

	sos_sandbox_info_free(info);
	return busy;
}

static void test_waiting_for_a_result(struct sos_sandbox *sandbox)
{
	struct sos_result *again = NULL;
	pthread_t thread;
	void *joined;

	pthread_create(&thread, NULL, run_slow, sandbox);
	harness_wait(is_busy, sandbox, 5000);
	tap_equal(sos_sandbox_get_result(sandbox, "slow", 50, NULL, &again, NULL), SOS_ERROR_DEADLINE, "still running");
	tap_equal(sos_sandbox_get_result(sandbox, "slow", -1, NULL, &again, NULL), 0, "waited for");
	tap_string(again ? sos_result_output(again, NULL) : NULL, "go\ndone\n", "its output");
	pthread_join(thread, &joined);
	sos_result_unref(joined);
	sos_result_unref(again);
}

static void test_trajectory(struct sos_pool *pool)
{
	struct sos_sandbox_spec spec = SOS_SANDBOX_SPEC_INIT;
	const char *setup[] = { "cd /tmp", "export X=1", NULL };
	struct sos_trajectory *trajectory = NULL;
	struct sos_sandbox_info *info = NULL;
	const struct sos_trajectory_entry *entry;
	struct sos_sandbox *sandbox;
	struct sos_result *kept;

	spec.image = IMAGE_BASH;
	spec.network = SOS_NETWORK_NONE;
	spec.setup_commands = setup;
	sandbox = harness_start_spec(pool, &spec);
	harness_expect(sandbox, "pwd; echo $X", "/tmp\n1\n");
	kept = standalone(sandbox, "exit 9", SOS_STREAMS_DEFAULT);
	sos_result_unref(kept);
	kept = harness_run(sandbox, "echo err >&2; false");
	if (sos_sandbox_get_trajectory(sandbox, &trajectory, NULL) || sos_sandbox_get_info(sandbox, &info, NULL))
		tap_bail("trajectory or info");
	tap_equal((long long)sos_trajectory_count(trajectory), 2, "the trajectory has the session's commands only");
	entry = sos_trajectory_get(trajectory, 1);
	tap_string(entry->command, "echo err >&2; false", "a command of it");
	tap_equal((long long)entry->index, 1, "its index");
	tap_string(sos_result_output(entry->result, NULL), "err\n", "its output");
	tap_equal(sos_result_exit_code(entry->result), 1, "its code");
	tap_ok(entry->timestamp_ms >= sos_trajectory_get(trajectory, 0)->timestamp_ms, "timestamps grow");
	tap_ok(sos_trajectory_get(trajectory, 2) == NULL, "nothing beyond its end");
	tap_equal((long long)info->session_commands, 2, "the count of commands");
	tap_ok(info->has_standalone_exit_code && info->last_standalone_exit_code == 9, "the last standalone code");
	tap_equal(info->state, SOS_STATE_STARTED, "state");
	tap_string(info->shell, "bash", "shell");
	tap_ok(harness_container_exists(info->container_id), "the container of that id exists");
	sos_sandbox_info_free(info);
	sos_trajectory_free(trajectory);

	tap_equal(sos_sandbox_stop(sandbox, 0, NULL), 0, "stop without forgetting");
	trajectory = NULL;
	tap_equal(sos_sandbox_get_trajectory(sandbox, &trajectory, NULL), 0, "the trajectory outlives the container");
	tap_equal((long long)sos_trajectory_count(trajectory), 2, "whole");
	sos_trajectory_free(trajectory);
	tap_string(sos_result_output(kept, NULL), "err\n", "a result outlives it too");
	sos_result_unref(kept);
	harness_stop(sandbox);
}

static void test_judge(struct sos_sandbox *sandbox)
{
	struct sos_exec_options options = SOS_EXEC_OPTIONS_INIT;
	struct sos_result *result;

	harness_expect(sandbox, "probe stubborn 300 & (setsid probe sleep 300 &); export LD_PRELOAD=/nope.so", "");
	options.command = "ps ax | grep -c '[p]robe'; env | grep -c LD_PRELOAD; exit 6";
	options.flags = SOS_EXEC_STANDALONE | SOS_EXEC_JUDGE;
	result = harness_exec(sandbox, &options);
	tap_string(sos_result_output(result, NULL), "0\n0\n", "the judge is alone");
	tap_equal(sos_result_exit_code(result), 6, "its verdict");
	sos_result_unref(result);
	tap_ok(harness_wait_state(sandbox, SOS_STATE_SESSION_LOST), "the session did not survive it, and says so: %s",
	       sos_state_name((int)harness_state(sandbox)));
}

int main(int argc, char **argv)
{
	uint32_t transport = harness_transport(argc > 1 ? argv[1] : "auto");
	struct sos_pool *pool = harness_pool(2, transport);
	struct sos_sandbox *sandbox = harness_start(pool, IMAGE_BASH);
	struct sos_result *kept;

	test_streams(pool, sandbox);
	test_cap(sandbox);
	test_binary(sandbox);
	test_argv(sandbox);
	test_exec_id(sandbox);
	test_waiting_for_a_result(sandbox);
	test_trajectory(pool);
	kept = harness_run(sandbox, "echo kept");
	test_judge(sandbox);
	sos_sandbox_unref(sandbox);
	sos_pool_free(pool);
	tap_string(sos_result_output(kept, NULL), "kept\n", "a result outlives its pool");
	sos_result_unref(kept);
	return tap_done();
}
