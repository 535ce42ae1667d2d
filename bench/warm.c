/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "engine_raw.h"
#include "process.h"
#include "server.h"
#include "warm.h"

#define WARM 8
#define WAIT_NS INT64_C(60000000000)

struct bench_warm {
	struct bench *bench;
	struct bench_server *server;
	bool broken; /* it did not get full in time: no more waiting */
};

static const char *const rows[] = { "warm.first", "warm.burst", "warm.dry", "warm.rate" };

static void say_of_rows(struct bench *bench, const char *note)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		bench_report_row(&bench->report, rows[i])->note = note;
}

/* Whether this sos-server has the option at all. */
static bool knows_warm(struct bench *bench)
{
	const char *argv[] = { bench->server, "--help", NULL };
	char output[16384];

	return bench_run(argv, output, sizeof(output)) == 0 && strstr(output, "--warm") != NULL;
}

struct bench_warm *bench_warm_new(struct bench *bench)
{
	struct bench_warm *warm;
	char value[256];

	if (!knows_warm(bench)) {
		say_of_rows(bench, "left out: this sos-server has no --warm");
		return NULL;
	}
	warm = calloc(1, sizeof(*warm));
	if (!warm)
		return NULL;
	warm->bench = bench;
	snprintf(value, sizeof(value), "%s=%d", bench->image, WARM);
	/* Room for a burst, for what is being removed, and for a full pool beside it. */
	warm->server = bench_server_new(bench, 5 * WARM, "--warm", value);
	if (warm->server)
		return warm;
	bench_report_row(&bench->report, "warm.first")->samples.failures++;
	bench_warm_free(warm);
	return NULL;
}

void bench_warm_free(struct bench_warm *warm)
{
	if (!warm)
		return;
	bench_server_free(warm->server);
	free(warm);
}

static double number(const cJSON *json, const char *name)
{
	const cJSON *value = cJSON_GetObjectItemCaseSensitive(json, name);

	return cJSON_IsNumber(value) ? value->valuedouble : 0;
}

/* What GET /pool says of our image: hits, and whether all are warm and nothing is under way. */
static bool is_full(struct bench_warm *warm, double *hits)
{
	cJSON *json = bench_raw_get(&warm->server->http, "/pool"), *one;
	bool full = false;

	cJSON_ArrayForEach(one, cJSON_GetObjectItemCaseSensitive(json, "warm")) {
		const cJSON *image = cJSON_GetObjectItemCaseSensitive(one, "image");

		if (!cJSON_IsString(image) || strcmp(image->valuestring, warm->bench->image) != 0)
			continue;
		full = number(one, "ready") >= WARM && number(one, "starting") == 0;
		*hits = number(one, "hits");
	}
	cJSON_Delete(json);
	return full;
}

/* The daemon tells nobody when it is full again, so ask until it is. */
static bool wait_full(struct bench_warm *warm, double *hits)
{
	struct timespec pause = { .tv_nsec = 5000000 };
	int64_t deadline = bench_now_ns() + WAIT_NS;

	while (!warm->broken && !bench_stopped && bench_now_ns() < deadline) {
		if (is_full(warm, hits))
			return true;
		nanosleep(&pause, NULL);
	}
	if (!warm->broken && !bench_stopped) {
		bench_say("the server's warm ones did not get ready:");
		bench_server_show_log(warm->server);
		warm->broken = true;
	}
	return false;
}

/* Create, start, first command on one connection; its path for the removal. Nanoseconds or -1. */
static int64_t take(struct bench_warm *warm, char path[96])
{
	struct bench_http *http = &warm->server->http;
	struct bench_answer answer = { .body = "" };
	char exec[128];
	int64_t start = bench_now_ns(), end;

	if (bench_server_create(warm->server, http, path) < 0 || bench_server_start(http, path) < 0)
		return -1;
	snprintf(exec, sizeof(exec), "%s/exec", path);
	if (bench_http_call(http, "POST", exec, BENCH_HI, &answer) < 0)
		return -1;
	end = bench_now_ns();
	return bench_server_is(&answer, "hi") ? end - start : -1;
}

static void add(struct bench_row *row, int64_t ns)
{
	if (ns >= 0)
		bench_samples_add_ns(&row->samples, ns);
	else
		row->samples.failures++;
}

static void remove_one(struct bench_warm *warm, const char *path, struct bench_row *row)
{
	if (path[0] && bench_server_remove(&warm->server->http, path) < 0)
		row->samples.failures++;
}

void bench_warm_first(struct bench_warm *warm, size_t count)
{
	struct bench_row *row = bench_report_row(&warm->bench->report, "warm.first");
	size_t from = row->samples.count;
	char path[96];
	double hits;

	for (size_t i = 0; i < count && !bench_stopped; i++) {
		if (!wait_full(warm, &hits)) {
			row->samples.failures += !bench_stopped;
			break;
		}
		add(row, take(warm, path));
		remove_one(warm, path, row);
	}
	bench_row_round(row, from);
}

void bench_warm_burst(struct bench_warm *warm)
{
	struct bench_row *first = bench_report_row(&warm->bench->report, "warm.burst");
	struct bench_row *dry = bench_report_row(&warm->bench->report, "warm.dry");
	size_t from_first = first->samples.count, from_dry = dry->samples.count;
	char paths[2 * WARM][96] = { 0 };
	struct bench_row *rate = bench_report_row(&warm->bench->report, "warm.rate");
	double before = 0, after = 0;
	int64_t start;

	if (!wait_full(warm, &before)) {
		first->samples.failures += !bench_stopped;
		return;
	}
	start = bench_now_ns();
	for (size_t i = 0; i < 2 * WARM && !bench_stopped; i++)
		add(i < WARM ? first : dry, take(warm, paths[i]));
	bench_row_add(rate, 2 * WARM * 1e9 / (double)(bench_now_ns() - start));
	rate->calls += 2 * WARM;
	is_full(warm, &after);
	bench_row_round(first, from_first);
	bench_row_round(dry, from_dry);
	for (size_t i = 0; i < 2 * WARM; i++)
		remove_one(warm, paths[i], dry);
	fprintf(stderr, "bench: burst: %g of %d were warm\n", after - before, 2 * WARM);
}
