/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Commands, rollouts and output by the library, in one sandbox. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sos/sos.h>

#include "bench.h"
#include "engine_raw.h"
#include "process.h"
#include "texts.h"

#define OUTPUT_BYTES 1073741824
#define DEFAULT_CAP 8388608

struct bench_library {
	struct bench *bench;
	struct sos_pool *pool;
	struct sos_sandbox *sandbox;
	pid_t shell; /* as the host sees it; 0: not found, no pinned rows */
};

/* The session's shell: the only child of the container's PID 1 once it started. */
static pid_t find_shell(struct bench *bench, struct sos_sandbox *sandbox)
{
	struct sos_error error = SOS_ERROR_INIT;
	struct sos_sandbox_info *info = NULL;
	struct bench_http http;
	char path[128];
	pid_t shell = 0;
	cJSON *json, *state;

	if (sos_sandbox_get_info(sandbox, &info, &error) < 0)
		return 0;
	snprintf(path, sizeof(path), "/containers/%s/json", info->container_id);
	sos_sandbox_info_free(info);
	bench_http_init(&http, bench->engine);
	json = bench_raw_get(&http, path);
	bench_http_close(&http);
	state = cJSON_GetObjectItemCaseSensitive(cJSON_GetObjectItemCaseSensitive(json, "State"), "Pid");
	if (cJSON_IsNumber(state))
		shell = bench_first_child((pid_t)state->valuedouble);
	cJSON_Delete(json);
	return shell;
}

static struct bench_library *fail(struct bench_library *library, const struct sos_error *error)
{
	fprintf(stderr, "bench: library: %s\n", error->message);
	bench_library_free(library);
	return NULL;
}

struct bench_library *bench_library_new(struct bench *bench)
{
	struct bench_library *library = calloc(1, sizeof(*library));
	struct sos_pool_options options = SOS_POOL_OPTIONS_INIT;
	struct sos_sandbox_spec spec = SOS_SANDBOX_SPEC_INIT;
	struct sos_error error = SOS_ERROR_INIT;
	char engine[160];

	if (!library)
		return NULL;
	library->bench = bench;
	snprintf(engine, sizeof(engine), "unix://%s", bench->engine);
	options.engine = engine;
	options.capacity = 1;
	spec.image = bench->image;
	spec.network = SOS_NETWORK_NONE;
	if (sos_pool_new(&options, &library->pool, &error) < 0 ||
	    sos_sandbox_create(library->pool, &spec, &library->sandbox, &error) < 0 ||
	    sos_sandbox_start(library->sandbox, NULL, &error) < 0)
		return fail(library, &error);
	library->shell = find_shell(bench, library->sandbox);
	return library;
}

void bench_library_free(struct bench_library *library)
{
	if (!library)
		return;
	sos_sandbox_unref(library->sandbox);
	sos_pool_free(library->pool);
	free(library);
}

static void measure(struct bench_library *library, const struct sos_exec_options *options, const char *expected,
		    size_t count, struct bench_samples *samples)
{
	for (size_t i = 0; i < count; i++) {
		struct sos_error error = SOS_ERROR_INIT;
		struct sos_result *result = NULL;
		int64_t start = bench_now_ns(), end;
		int r = sos_sandbox_exec(library->sandbox, options, &result, &error);

		end = bench_now_ns();
		if (r == 0 && sos_result_exit_code(result) == 0 && strcmp(sos_result_output(result, NULL), expected) == 0)
			bench_samples_add_ns(samples, end - start);
		else if (samples->failures++ == 0)
			fprintf(stderr, "bench: library: %s\n", r < 0 ? error.message : "wrong output or exit code");
		sos_result_unref(result);
	}
}

static void run_session(void *state, size_t count, struct bench_samples *samples)
{
	struct sos_exec_options options = SOS_EXEC_OPTIONS_INIT;

	options.command = "echo hi";
	measure(state, &options, "hi\n", count, samples);
}

static void run_pinned(struct bench_library *library, int core, size_t count, struct bench_samples *samples)
{
	if (bench_pin(0, 0) && bench_pin(library->shell, core))
		run_session(library, count, samples);
	else
		samples->failures += count;
	bench_pin(0, -1);
	bench_pin(library->shell, -1);
}

static void run_session_one(void *state, size_t count, struct bench_samples *samples)
{
	run_pinned(state, 0, count, samples);
}

static void run_session_two(void *state, size_t count, struct bench_samples *samples)
{
	run_pinned(state, 1, count, samples);
}

static void run_program(void *state, size_t count, struct bench_samples *samples)
{
	struct sos_exec_options options = SOS_EXEC_OPTIONS_INIT;

	options.command = "/bin/true";
	measure(state, &options, "", count, samples);
}

static void run_standalone(void *state, size_t count, struct bench_samples *samples)
{
	struct sos_exec_options options = SOS_EXEC_OPTIONS_INIT;

	options.command = "echo hi";
	options.flags = SOS_EXEC_STANDALONE;
	measure(state, &options, "hi\n", count, samples);
}

static void run_long(void *state, size_t count, struct bench_samples *samples)
{
	struct sos_exec_options options = SOS_EXEC_OPTIONS_INIT;

	options.command = bench_text_long();
	measure(state, &options, BENCH_TEXT_LONG_OUTPUT, count, samples);
}

static void run_heredoc(void *state, size_t count, struct bench_samples *samples)
{
	struct sos_exec_options options = SOS_EXEC_OPTIONS_INIT;

	options.command = bench_text_heredoc();
	measure(state, &options, BENCH_TEXT_HEREDOC_OUTPUT, count, samples);
}

/* A sample is a whole rollout; a step that fails spoils it. */
static void run_rollout(void *state, size_t count, struct bench_samples *samples)
{
	struct sos_exec_options options = SOS_EXEC_OPTIONS_INIT;

	options.command = BENCH_ROLLOUT_STEP;
	for (size_t i = 0; i < count && !bench_stopped; i++) {
		struct bench_samples steps = { 0 };
		int64_t start = bench_now_ns();

		measure(state, &options, "", BENCH_ROLLOUT_STEPS, &steps);
		if (steps.failures == 0)
			bench_samples_add_ns(samples, bench_now_ns() - start);
		samples->failures += steps.failures;
		bench_samples_clear(&steps);
	}
}

/* `peak` takes what memory rose beyond what is kept; NULL: not asked. */
static void measure_output(struct bench_library *library, int64_t cap, int64_t kept, struct bench_row *peak,
			   size_t count, struct bench_samples *samples)
{
	struct sos_exec_options options = SOS_EXEC_OPTIONS_INIT;
	char command[64];

	snprintf(command, sizeof(command), "head -c %d /dev/zero", OUTPUT_BYTES);
	options.command = command;
	options.max_output_bytes = cap;
	for (size_t i = 0; i < count && !bench_stopped; i++) {
		struct sos_error error = SOS_ERROR_INIT;
		struct sos_result *result = NULL;
		int64_t before = bench_peak_start(getpid());
		int64_t start = bench_now_ns(), end;
		size_t length = 0;
		int r = sos_sandbox_exec(library->sandbox, &options, &result, &error);

		end = bench_now_ns();
		if (r == 0)
			sos_result_output(result, &length);
		if (r == 0 && sos_result_exit_code(result) == 0 && (int64_t)length == kept &&
		    length + sos_result_dropped_bytes(result) == OUTPUT_BYTES)
			bench_samples_add(samples, (double)OUTPUT_BYTES * 1e3 / (double)(end - start));
		else if (samples->failures++ == 0)
			fprintf(stderr, "bench: library: %s\n", r < 0 ? error.message : "wrong length or exit code");
		if (peak && before >= 0)
			bench_row_add(peak, (double)(bench_peak_end(getpid(), before) - kept / 1024));
		sos_result_unref(result);
	}
}

static void run_output(void *state, size_t count, struct bench_samples *samples)
{
	struct bench_library *library = state;

	measure_output(library, OUTPUT_BYTES, OUTPUT_BYTES,
		       bench_report_row(&library->bench->report, "memory.output.library"), count, samples);
}

static void run_output_capped(void *state, size_t count, struct bench_samples *samples)
{
	measure_output(state, 0, DEFAULT_CAP, NULL, count, samples);
}

void bench_library_add(struct bench_library *library, struct bench_groups *groups)
{
	struct bench_report *report = &library->bench->report;
	struct bench_tasks *commands = &groups->commands, *outputs = &groups->outputs;

	bench_tasks_add(commands, bench_report_row(report, "session.library"), library, run_session, 100);
	if (library->shell > 0)
		bench_tasks_add(commands, bench_report_row(report, "session.library.one"), library, run_session_one, 100);
	if (library->shell > 0 && sysconf(_SC_NPROCESSORS_ONLN) > 1)
		bench_tasks_add(commands, bench_report_row(report, "session.library.two"), library, run_session_two, 100);
	bench_tasks_add(commands, bench_report_row(report, "program.library"), library, run_program, 50);
	bench_tasks_add(commands, bench_report_row(report, "standalone.library"), library, run_standalone, 50);
	bench_tasks_add(commands, bench_report_row(report, "long.library"), library, run_long, 50);
	bench_tasks_add(commands, bench_report_row(report, "heredoc.library"), library, run_heredoc, 20);
	bench_tasks_add(&groups->rollouts, bench_report_row(report, "rollout.library"), library, run_rollout, 1);
	bench_tasks_add(outputs, bench_report_row(report, "output.library"), library, run_output, 1);
	bench_tasks_add(outputs, bench_report_row(report, "output.library.capped"), library, run_output_capped, 1);
}
