/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Commands, rollouts and output over HTTP, in one sandbox of a private sos-server. */

#include <stdlib.h>
#include <string.h>

#include "process.h"
#include "server.h"
#include "texts.h"

#define TEXT_BYTES 67108864
#define TEXT_FILE "/dev/shm/sos-bench"
/* Half of it in a file, since a container's /dev/shm holds 64 MiB and no more; lines of 64 bytes. */
#define MAKE_TEXT \
	"head -c 33554432 <(yes 'a line of output such as a build prints, 63 characters in all..') >" TEXT_FILE

struct bench_daemon {
	struct bench *bench;
	struct bench_server *server;
	char exec[128]; /* path of the sandbox's exec */
};

struct bench_daemon *bench_daemon_new(struct bench *bench)
{
	struct bench_daemon *daemon = calloc(1, sizeof(*daemon));

	if (!daemon)
		return NULL;
	daemon->bench = bench;
	daemon->server = bench_server_new(bench, 4, NULL, NULL);
	if (daemon->server && bench_server_sandbox(daemon->server, &daemon->server->http, daemon->exec) == 0)
		return daemon;
	if (daemon->server)
		bench_server_show_log(daemon->server);
	bench_daemon_free(daemon);
	return NULL;
}

void bench_daemon_free(struct bench_daemon *daemon)
{
	if (!daemon)
		return;
	bench_server_free(daemon->server);
	free(daemon);
}

static void run_healthz(void *state, size_t count, struct bench_samples *samples)
{
	struct bench_daemon *daemon = state;

	bench_server_measure(&daemon->server->http, "/healthz", NULL, NULL, count, samples);
}

static void run_session(void *state, size_t count, struct bench_samples *samples)
{
	struct bench_daemon *daemon = state;

	bench_server_measure(&daemon->server->http, daemon->exec, BENCH_HI, "hi", count, samples);
}

static void run_standalone(void *state, size_t count, struct bench_samples *samples)
{
	struct bench_daemon *daemon = state;

	bench_server_measure(&daemon->server->http, daemon->exec, "{\"command\":\"echo hi\",\"standalone\":true}", "hi\n",
			     count, samples);
}

static void run_rollout(void *state, size_t count, struct bench_samples *samples)
{
	struct bench_daemon *daemon = state;

	for (size_t i = 0; i < count && !bench_stopped; i++) {
		struct bench_samples steps = { 0 };
		int64_t start = bench_now_ns();

		bench_server_measure(&daemon->server->http, daemon->exec, "{\"command\":\"" BENCH_ROLLOUT_STEP "\"}",
				     "", BENCH_ROLLOUT_STEPS, &steps);
		if (steps.failures == 0)
			bench_samples_add_ns(samples, bench_now_ns() - start);
		samples->failures += steps.failures;
		bench_samples_clear(&steps);
	}
}

/* The text's last newline is trimmed, as of every session command. */
static bool is_text(const struct bench_answer *answer)
{
	cJSON *json = answer->status == 200 ? cJSON_Parse(answer->body) : NULL;
	const cJSON *output = cJSON_GetObjectItemCaseSensitive(json, "output");
	bool is = cJSON_IsString(output) && strlen(output->valuestring) == TEXT_BYTES - 1;

	cJSON_Delete(json);
	return is;
}

static void run_output(void *state, size_t count, struct bench_samples *samples)
{
	static const char body[] = "{\"command\":\"cat " TEXT_FILE " " TEXT_FILE "\",\"max_output_bytes\":67108864}";
	struct bench_daemon *daemon = state;
	struct bench_row *peak = bench_report_row(&daemon->bench->report, "memory.output.http");

	for (size_t i = 0; i < count && !bench_stopped; i++) {
		struct bench_answer answer = { .body = "" };
		int64_t before = bench_peak_start(daemon->server->pid);
		int64_t start = bench_now_ns(), end;
		int r = bench_http_call(&daemon->server->http, "POST", daemon->exec, body, &answer);

		end = bench_now_ns();
		if (before >= 0)
			bench_row_add(peak, (double)(bench_peak_end(daemon->server->pid, before) - TEXT_BYTES / 1024));
		if (r == 0 && is_text(&answer))
			bench_samples_add(samples, (double)TEXT_BYTES * 1e3 / (double)(end - start));
		else if (samples->failures++ == 0)
			fprintf(stderr, "bench: 64 MiB: %d, %zu bytes, %.80s\n", answer.status, answer.length,
				answer.body);
	}
}

void bench_daemon_add(struct bench_daemon *daemon, struct bench_groups *groups)
{
	struct bench_report *report = &daemon->bench->report;
	struct bench_tasks *commands = &groups->commands;
	struct bench_row *output = bench_report_row(report, "output.http");
	struct bench_answer answer = { .body = "" };

	bench_tasks_add(commands, bench_report_row(report, "healthz"), daemon, run_healthz, 100);
	bench_tasks_add(commands, bench_report_row(report, "session.http"), daemon, run_session, 100);
	bench_tasks_add(commands, bench_report_row(report, "standalone.http"), daemon, run_standalone, 50);
	bench_tasks_add(&groups->rollouts, bench_report_row(report, "rollout.http"), daemon, run_rollout, 1);
	if (bench_http_call(&daemon->server->http, "POST", daemon->exec, "{\"command\":\"" MAKE_TEXT "\"}",
			    &answer) == 0 &&
	    bench_server_is(&answer, ""))
		bench_tasks_add(&groups->outputs, output, daemon, run_output, 1);
	else
		output->note = "the image could not make the text";
}
