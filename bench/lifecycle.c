/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Starts and life cycles, ours and raw by turns. The raw ones are made from the
 * configuration of a sandbox of ours that stays up meanwhile (same mounts,
 * capabilities, limits and network; the same program as PID 1), so that the
 * Engine has the same to do in both.
 */

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sos/sos.h>

#include "bench.h"
#include "engine_raw.h"

#define CLIENTS_MAX 8

struct kind {
	struct bench *bench;
	struct sos_pool *pool;
	struct sos_sandbox *model;
	cJSON *configuration; /* the model's, for the raw ones */
	uint32_t network;
};

static void complain(struct bench_samples *samples, const char *what, const struct sos_error *error)
{
	if (samples->failures++ == 0)
		fprintf(stderr, "bench: %s: %s\n", what, error->message);
}

/* One sandbox from nothing to nothing; `start` and `cycle` may be NULL. */
static void cycle_sos(struct kind *kind, struct bench_samples *start, struct bench_samples *cycle)
{
	struct sos_sandbox_spec spec = SOS_SANDBOX_SPEC_INIT;
	struct sos_stop_options forget = SOS_STOP_OPTIONS_INIT;
	struct sos_error error = SOS_ERROR_INIT;
	struct bench_samples unused = { 0 };
	struct sos_sandbox *sandbox = NULL;
	struct sos_result *result = NULL;
	int64_t begin = bench_now_ns(), first;
	int r;

	forget.flags = SOS_STOP_FORGET;
	spec.image = kind->bench->image;
	spec.network = kind->network;
	r = sos_sandbox_create(kind->pool, &spec, &sandbox, &error);
	if (r == 0)
		r = sos_sandbox_start(sandbox, NULL, &error);
	if (r == 0)
		r = sos_sandbox_run(sandbox, "echo hi", &result, &error);
	first = bench_now_ns();
	if (r == 0 && strcmp(sos_result_output(result, NULL), "hi\n") != 0)
		r = -1;
	if (r == 0)
		bench_samples_add_ns(start ? start : &unused, first - begin);
	if (sandbox && sos_sandbox_stop(sandbox, &forget, &error) < 0)
		r = -1;
	if (r == 0)
		bench_samples_add_ns(cycle ? cycle : &unused, bench_now_ns() - begin);
	else
		complain(cycle ? cycle : start ? start : &unused, "life cycle", &error);
	sos_result_unref(result);
	sos_sandbox_unref(sandbox);
	bench_samples_clear(&unused);
}

static void cycle_raw(struct kind *kind, struct bench_http *http, struct bench_samples *start,
		      struct bench_samples *cycle)
{
	int64_t begin = bench_now_ns(), first;
	char id[65] = "";
	int r = bench_raw_create(http, kind->configuration, id);

	if (r == 0)
		r = bench_raw_start(http, id);
	first = bench_now_ns();
	if (r == 0 && start)
		bench_samples_add_ns(start, first - begin);
	if (id[0] && bench_raw_remove(http, id) < 0)
		r = -1;
	if (r == 0 && cycle)
		bench_samples_add_ns(cycle, bench_now_ns() - begin);
	else if (r < 0)
		(cycle ? cycle : start)->failures++;
}

struct race {
	struct kind *kind;
	pthread_mutex_t lock; /* of `left` and `done` */
	size_t left;
	struct bench_samples done;
	bool raw;
};

static bool take(struct race *race)
{
	bool taken;

	pthread_mutex_lock(&race->lock);
	taken = race->left > 0 && !bench_stopped;
	race->left -= taken;
	pthread_mutex_unlock(&race->lock);
	return taken;
}

static void *client(void *data)
{
	struct race *race = data;
	struct bench_samples cycle = { 0 };
	struct bench_http http;

	bench_http_init(&http, race->kind->bench->engine);
	while (take(race)) {
		if (race->raw)
			cycle_raw(race->kind, &http, NULL, &cycle);
		else
			cycle_sos(race->kind, NULL, &cycle);
	}
	bench_http_close(&http);
	pthread_mutex_lock(&race->lock);
	race->done.count += cycle.count; /* only counted */
	race->done.failures += cycle.failures;
	pthread_mutex_unlock(&race->lock);
	bench_samples_clear(&cycle);
	return NULL;
}

static void run_race(struct kind *kind, bool raw, size_t clients, size_t cycles)
{
	struct race race = { .kind = kind, .lock = PTHREAD_MUTEX_INITIALIZER, .left = cycles, .raw = raw };
	pthread_t threads[CLIENTS_MAX];
	struct bench_row *row;
	char name[32];
	int64_t start = bench_now_ns();
	size_t started = 0;

	snprintf(name, sizeof(name), "cycles.%s.%zu", raw ? "raw" : "sos", clients);
	row = bench_report_row(&kind->bench->report, name);
	while (started < clients && pthread_create(&threads[started], NULL, client, &race) == 0)
		started++;
	for (size_t i = 0; i < started; i++)
		pthread_join(threads[i], NULL);
	row->calls += race.done.count;
	row->samples.failures += race.done.failures;
	if (race.done.count)
		bench_samples_add(&row->samples, (double)race.done.count * 1e9 / (double)(bench_now_ns() - start));
}

static int kind_open(struct kind *kind, struct bench *bench, uint32_t network)
{
	struct sos_pool_options options = SOS_POOL_OPTIONS_INIT;
	struct sos_sandbox_spec spec = SOS_SANDBOX_SPEC_INIT;
	struct sos_error error = SOS_ERROR_INIT;
	struct sos_sandbox_info *info = NULL;
	struct bench_http http;
	char engine[160];

	*kind = (struct kind){ .bench = bench, .network = network };
	snprintf(engine, sizeof(engine), "unix://%s", bench->engine);
	options.engine = engine;
	options.capacity = CLIENTS_MAX + 1;
	spec.image = bench->image;
	spec.network = network;
	if (sos_pool_new(&options, &kind->pool, &error) < 0 ||
	    sos_sandbox_create(kind->pool, &spec, &kind->model, &error) < 0 ||
	    sos_sandbox_start(kind->model, NULL, &error) < 0 || sos_sandbox_get_info(kind->model, &info, &error) < 0) {
		fprintf(stderr, "bench: life cycles: %s\n", error.message);
		return -1;
	}
	bench_http_init(&http, bench->engine);
	kind->configuration = bench_raw_likeness(&http, info->container_id, bench->label);
	bench_http_close(&http);
	sos_sandbox_info_free(info);
	return kind->configuration ? 0 : -1;
}

static void kind_close(struct kind *kind)
{
	struct bench_http http;

	bench_http_init(&http, kind->bench->engine);
	bench_raw_sweep(&http, kind->bench->label);
	bench_http_close(&http);
	cJSON_Delete(kind->configuration);
	sos_sandbox_unref(kind->model);
	sos_pool_free(kind->pool);
}

static void starts_by_turns(struct kind *kind, const char *network)
{
	struct bench_report *report = &kind->bench->report;
	struct bench_samples *raw_cycle = NULL, *sos_cycle = NULL, *raw, *sos;
	struct bench_http http;
	char name[32];

	snprintf(name, sizeof(name), "start.raw.%s", network);
	raw = &bench_report_row(report, name)->samples;
	snprintf(name, sizeof(name), "start.sos.%s", network);
	sos = &bench_report_row(report, name)->samples;
	if (kind->network == SOS_NETWORK_NONE) {
		raw_cycle = &bench_report_row(report, "cycle.raw")->samples;
		sos_cycle = &bench_report_row(report, "cycle.sos")->samples;
	}
	bench_http_init(&http, kind->bench->engine);
	for (size_t i = 0; i < kind->bench->cycles && !bench_stopped; i++) {
		cycle_raw(kind, &http, raw, raw_cycle);
		cycle_sos(kind, sos, sos_cycle);
	}
	bench_http_close(&http);
}

void bench_lifecycles(struct bench *bench)
{
	static const size_t clients[] = { 1, 4, 8 };
	size_t turns = bench->quick ? 1 : 2, cycles = bench->quick ? 4 : 16;
	struct kind kind;

	bench_say("starts, no network");
	if (kind_open(&kind, bench, SOS_NETWORK_NONE) == 0) {
		starts_by_turns(&kind, "none");
		bench_say("life cycles by 1, 4 and 8 clients");
		for (size_t turn = 0; turn < turns; turn++)
			for (size_t i = 0; i < sizeof(clients) / sizeof(clients[0]); i++) {
				run_race(&kind, true, clients[i], cycles);
				run_race(&kind, false, clients[i], cycles);
			}
	}
	kind_close(&kind);
	if (bench_stopped)
		return;
	bench_say("starts, bridge");
	if (kind_open(&kind, bench, SOS_NETWORK_BRIDGE) == 0)
		starts_by_turns(&kind, "bridge");
	kind_close(&kind);
}
