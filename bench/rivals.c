/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * What the same work costs without us, on one container that is made raw: the
 * floors (floor.h, and by the helper inside it), `docker exec`, the Engine's
 * exec API, and SWE-ReX (by a worker that talks to its server in a container).
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"
#include "engine_raw.h"
#include "floor.h"
#include "process.h"
#include "texts.h"

enum { SPAWN, FILE_LONG, FILE_HEREDOC, FLOW, SWEREX_SESSION, SWEREX_EXECUTE, SWEREX_START, WORKERS };

#define FLOW_BYTES 1073741824 /* what output.library reads too */
#define DOCKER_BYTES 268435456

struct bench_rivals {
	struct bench *bench;
	struct bench_http http;
	struct bench_worker workers[WORKERS];
	struct bench_floor floor, host;
	char id[65];
};

/*
 * What every command of a sandbox has where the image says nothing, so that the programs of both have the same to do: a
 * locale is a dozen of files that each program opens.
 */
static void add_environment(cJSON *body)
{
	static const char *const environment[] = { "HOME=/root", "USER=root", "SHELL=/bin/bash", "TERM=dumb",
						   "LANG=C.UTF-8" };

	cJSON_AddItemToObject(body, "Env",
			      cJSON_CreateStringArray(environment, sizeof(environment) / sizeof(environment[0])));
}

static int start_container(struct bench_rivals *rivals)
{
	struct bench *bench = rivals->bench;
	const char *copy[] = { bench->docker, "cp", bench->inside, NULL, NULL };
	char target[96], output[256], *equals = strchr(bench->label, '=');
	cJSON *body = cJSON_CreateObject(), *list;
	int r;

	cJSON_AddStringToObject(body, "Image", bench->image);
	list = cJSON_AddArrayToObject(body, "Entrypoint");
	cJSON_AddItemToArray(list, cJSON_CreateString("/sos-bench-inside"));
	list = cJSON_AddArrayToObject(body, "Cmd");
	cJSON_AddItemToArray(list, cJSON_CreateString("pause"));
	*equals = '\0';
	cJSON_AddStringToObject(cJSON_AddObjectToObject(body, "Labels"), bench->label, equals + 1);
	*equals = '=';
	cJSON_AddBoolToObject(body, "NetworkDisabled", true);
	add_environment(body);
	bench_floor_mount(&rivals->floor, body);
	r = bench_raw_create(&rivals->http, body, rivals->id);
	cJSON_Delete(body);
	if (r < 0)
		return -1;
	snprintf(target, sizeof(target), "%s:/sos-bench-inside", rivals->id);
	copy[3] = target;
	if (bench_run(copy, output, sizeof(output)) != 0)
		return -1;
	return bench_raw_start(&rivals->http, rivals->id);
}

/* `second` may be NULL. */
static int start_inside(struct bench_rivals *rivals, int which, const char *mode, const char *first, const char *second)
{
	const char *argv[] = { rivals->bench->docker, "exec", "-i",   rivals->id, "/sos-bench-inside",
			       mode,		      first,  second, NULL };

	return bench_worker_start(&rivals->workers[which], argv);
}

static int start_file(struct bench_rivals *rivals, int which, const char *name, const char *text, const char *output)
{
	char path[96], bytes[32];

	snprintf(bytes, sizeof(bytes), "%zu", strlen(output));
	if (!bench_floor_file(&rivals->floor, name, text, path))
		return -1;
	return start_inside(rivals, which, "file", bytes, path);
}

/* The floors and what runs inside the container of the rivals. */
static int start_all(struct bench_rivals *rivals)
{
	char bytes[32];

	snprintf(bytes, sizeof(bytes), "%d", FLOW_BYTES);
	if (bench_floor_listen(&rivals->floor) < 0 || start_container(rivals) < 0 ||
	    bench_floor_start(&rivals->floor, rivals->bench->docker, rivals->id) < 0 ||
	    bench_floor_start_host(&rivals->host) < 0)
		return -1;
	if (start_inside(rivals, SPAWN, "spawn", "3", "echo hi") < 0 ||
	    start_inside(rivals, FLOW, "flow", bytes, NULL) < 0)
		return -1;
	if (start_file(rivals, FILE_LONG, BENCH_FLOOR_LONG, bench_text_long(), BENCH_TEXT_LONG_OUTPUT) < 0)
		return -1;
	return start_file(rivals, FILE_HEREDOC, BENCH_FLOOR_HEREDOC, bench_text_heredoc(), BENCH_TEXT_HEREDOC_OUTPUT);
}

static int start_swerex(struct bench_rivals *rivals, int which, const char *const *swerex, const char *mode)
{
	const char *argv[16];
	size_t n = 0;

	while (swerex[n] && n < 14) {
		argv[n] = swerex[n];
		n++;
	}
	argv[n++] = mode;
	argv[n] = NULL;
	return bench_worker_start(&rivals->workers[which], argv);
}

struct bench_rivals *bench_rivals_new(struct bench *bench, const char *const *swerex)
{
	struct bench_rivals *rivals = calloc(1, sizeof(*rivals));

	if (!rivals)
		return NULL;
	rivals->bench = bench;
	rivals->floor = rivals->host = (struct bench_floor)BENCH_FLOOR_INIT;
	for (size_t i = 0; i < WORKERS; i++)
		rivals->workers[i].pid = -1;
	bench_http_init(&rivals->http, bench->engine);
	if (start_all(rivals) < 0) {
		bench_say("no floors to measure");
		bench_rivals_free(rivals);
		return NULL;
	}
	if (swerex) {
		start_swerex(rivals, SWEREX_SESSION, swerex, "session");
		start_swerex(rivals, SWEREX_EXECUTE, swerex, "execute");
		start_swerex(rivals, SWEREX_START, swerex, "start");
	}
	return rivals;
}

void bench_rivals_free(struct bench_rivals *rivals)
{
	if (!rivals)
		return;
	for (size_t i = 0; i < WORKERS; i++)
		bench_worker_stop(&rivals->workers[i]);
	bench_floor_stop(&rivals->floor);
	bench_floor_stop(&rivals->host);
	bench_raw_sweep(&rivals->http, rivals->bench->label);
	bench_http_close(&rivals->http);
	free(rivals);
}

static void run_worker(void *state, size_t count, struct bench_samples *samples)
{
	bench_worker_run(state, count, samples);
}

static void run_docker_exec(void *state, size_t count, struct bench_samples *samples)
{
	struct bench_rivals *rivals = state;
	const char *argv[] = { rivals->bench->docker, "exec", rivals->id, "bash", "-c", "echo hi", NULL };
	char output[64];

	for (size_t i = 0; i < count; i++) {
		int64_t start = bench_now_ns();

		if (bench_run(argv, output, sizeof(output)) == 0 && strcmp(output, "hi\n") == 0)
			bench_samples_add_ns(samples, bench_now_ns() - start);
		else
			samples->failures++;
	}
}

static void run_engine_exec(void *state, size_t count, struct bench_samples *samples)
{
	struct bench_rivals *rivals = state;

	for (size_t i = 0; i < count; i++) {
		int64_t start = bench_now_ns();

		if (bench_raw_exec(&rivals->http, rivals->id, "echo hi", "hi\n"))
			bench_samples_add_ns(samples, bench_now_ns() - start);
		else
			samples->failures++;
	}
}

static void add_rate(struct bench_samples *samples, uint64_t bytes, double ms)
{
	bench_samples_add(samples, (double)bytes / 1e3 / ms);
}

static void run_flow(void *state, size_t count, struct bench_samples *samples)
{
	struct bench_samples times = { 0 };

	bench_worker_run(state, count, &times);
	samples->failures += times.failures;
	for (size_t i = 0; i < times.count; i++)
		add_rate(samples, FLOW_BYTES, times.values[i]);
	bench_samples_clear(&times);
}

static void run_docker_output(void *state, size_t count, struct bench_samples *samples)
{
	struct bench_rivals *rivals = state;
	char command[64];
	const char *argv[] = { rivals->bench->docker, "exec", rivals->id, "bash", "-c", command, NULL };

	snprintf(command, sizeof(command), "head -c %d /dev/zero", DOCKER_BYTES);
	for (size_t i = 0; i < count; i++) {
		int64_t start = bench_now_ns();
		uint64_t bytes = 0;

		if (bench_run_count(argv, &bytes) == 0 && bytes == DOCKER_BYTES)
			add_rate(samples, bytes, (double)(bench_now_ns() - start) / 1e6);
		else
			samples->failures++;
	}
}

static void add_worker(struct bench_rivals *rivals, struct bench_tasks *tasks, int which, const char *name,
		       size_t per_round)
{
	struct bench_row *row = bench_report_row(&rivals->bench->report, name);

	if (rivals->workers[which].pid > 0)
		bench_tasks_add(tasks, row, &rivals->workers[which], run_worker, per_round);
	else
		row->note = "left out";
}

void bench_rivals_add(struct bench_rivals *rivals, struct bench_groups *groups)
{
	struct bench_report *report = &rivals->bench->report;
	struct bench_tasks *commands = &groups->commands, *outputs = &groups->outputs;

	bench_floor_add(&rivals->floor, report, groups);
	bench_floor_add(&rivals->host, report, groups);
	add_worker(rivals, commands, SPAWN, "floor.spawn", 50);
	add_worker(rivals, commands, FILE_LONG, "floor.file.long", 20);
	add_worker(rivals, commands, FILE_HEREDOC, "floor.file.heredoc", 20);
	bench_tasks_add(commands, bench_report_row(report, "docker.exec"), rivals, run_docker_exec, 10);
	bench_tasks_add(commands, bench_report_row(report, "engine.exec"), rivals, run_engine_exec, 10);
	add_worker(rivals, commands, SWEREX_SESSION, "swerex.session", 10);
	add_worker(rivals, commands, SWEREX_EXECUTE, "swerex.execute", 10);
	add_worker(rivals, commands, SWEREX_START, "swerex.start", 1);
	bench_tasks_add(outputs, bench_report_row(report, "floor.flow"), &rivals->workers[FLOW], run_flow, 1);
	bench_tasks_add_seldom(outputs, bench_report_row(report, "output.docker.exec"), rivals, run_docker_output);
}
