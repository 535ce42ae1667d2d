/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Starts one after the other, by turns: cold by the library, raw, and warm by a server that keeps some ready. */

#include <stdio.h>

#include "kind.h"
#include "warm.h"

/* A cycle's samples are rounds of one. */
static void add_round(struct bench_row *row)
{
	size_t rounds = row->rounds.count;

	if (row->samples.count > rounds)
		bench_row_round(row, row->samples.count - 1);
}

static void starts_by_turns(struct bench_kind *kind, const char *network)
{
	struct bench_report *report = &kind->bench->report;
	struct bench_row *raw_cycle = NULL, *sos_cycle = NULL, *raw, *sos;
	struct bench_http http;
	char name[32];

	snprintf(name, sizeof(name), "start.raw.%s", network);
	raw = bench_report_row(report, name);
	snprintf(name, sizeof(name), "start.sos.%s", network);
	sos = bench_report_row(report, name);
	if (kind->network == SOS_NETWORK_NONE) {
		raw_cycle = bench_report_row(report, "cycle.raw");
		sos_cycle = bench_report_row(report, "cycle.sos");
	}
	bench_http_init(&http, kind->bench->engine);
	for (size_t i = 0; i < kind->bench->cycles && !bench_stopped; i++) {
		bench_kind_cycle_raw(kind, &http, &raw->samples, raw_cycle ? &raw_cycle->samples : NULL);
		bench_kind_cycle_sos(kind, &sos->samples, sos_cycle ? &sos_cycle->samples : NULL);
		add_round(raw);
		add_round(sos);
		if (raw_cycle) {
			add_round(raw_cycle);
			add_round(sos_cycle);
		}
	}
	bench_http_close(&http);
}

/* Warm ones by turns with what the Engine takes for the same: create, start, first command. */
static void warm_by_turns(struct bench_kind *kind)
{
	struct bench *bench = kind->bench;
	struct bench_warm *warm = bench_warm_new(bench);
	struct bench_row *raw = bench_report_row(&bench->report, "engine.first");
	struct bench_http http;

	bench_http_init(&http, bench->engine);
	for (size_t round = 0; round < bench->cycles && !bench_stopped; round++) {
		size_t from = raw->samples.count;

		for (size_t i = 0; i < 2; i++)
			bench_kind_first_raw(kind, &http, &raw->samples);
		bench_row_round(raw, from);
		if (warm)
			bench_warm_first(warm, 10);
	}
	for (size_t burst = 0; warm && burst < (bench->quick ? 1 : 5) && !bench_stopped; burst++)
		bench_warm_burst(warm);
	bench_http_close(&http);
	bench_warm_free(warm);
}

void bench_starts(struct bench *bench)
{
	struct bench_kind kind;

	bench_say("starts, no network");
	if (bench_kind_open(&kind, bench, SOS_NETWORK_NONE, 1) == 0) {
		starts_by_turns(&kind, "none");
		bench_say("warm starts");
		warm_by_turns(&kind);
	}
	bench_kind_close(&kind);
	if (bench_stopped)
		return;
	bench_say("starts, bridge");
	if (bench_kind_open(&kind, bench, SOS_NETWORK_BRIDGE, 1) == 0)
		starts_by_turns(&kind, "bridge");
	bench_kind_close(&kind);
}
