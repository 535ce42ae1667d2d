/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Fresh sandboxes a second, sustained by 1 to 64 clients: as many cycles as
 * they can, ours and raw in turns, each going first as often as second.
 */

#include <pthread.h>
#include <stdio.h>

#include "kind.h"

#define CLIENTS_MAX 64

struct race {
	struct bench_kind *kind;
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
			bench_kind_cycle_raw(race->kind, &http, NULL, &cycle);
		else
			bench_kind_cycle_sos(race->kind, NULL, &cycle);
	}
	bench_http_close(&http);
	pthread_mutex_lock(&race->lock);
	race->done.count += cycle.count; /* only counted */
	race->done.failures += cycle.failures;
	pthread_mutex_unlock(&race->lock);
	bench_samples_clear(&cycle);
	return NULL;
}

static void run_race(struct bench_kind *kind, bool raw, size_t clients, size_t cycles)
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
		bench_row_add(row, (double)race.done.count * 1e9 / (double)(bench_now_ns() - start));
}

static void leave_out(struct bench *bench, size_t clients)
{
	static const char *const who[] = { "raw", "sos" };
	char name[32];

	for (size_t i = 0; i < 2; i++) {
		snprintf(name, sizeof(name), "cycles.%s.%zu", who[i], clients);
		bench_report_row(&bench->report, name)->note = "not in a quick run";
	}
}

void bench_cycles(struct bench *bench)
{
	static const size_t clients[] = { 1, 4, 16, CLIENTS_MAX };
	/* So many each: enough to be in full swing for most of the time. */
	static const size_t cycles[] = { 8, 24, 48, 128 }, quick[] = { 2, 4, 16, 0 };
	size_t turns = bench->quick ? 1 : 3;
	struct bench_kind kind;

	if (bench_kind_open(&kind, bench, SOS_NETWORK_NONE, CLIENTS_MAX) == 0)
		for (size_t turn = 0; turn < turns; turn++)
			for (size_t i = 0; i < sizeof(clients) / sizeof(clients[0]) && !bench_stopped; i++) {
				size_t count = bench->quick ? quick[i] : cycles[i];

				if (count == 0) {
					leave_out(bench, clients[i]);
					continue;
				}
				run_race(&kind, turn % 2 == 0, clients[i], count);
				run_race(&kind, turn % 2 != 0, clients[i], count);
			}
	bench_kind_close(&kind);
}
