/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdlib.h>
#include <string.h>

#include <sos/sos.h>

#include "report.h"

/* What the project promises for this release. */
static const struct bench_target targets[] = {
	{ "session.library", "floor.typed", false, false, 2.5 },
	{ "session.library.two", "floor.typed.two", false, false, 2.5 },
	{ "session.http", NULL, false, false, 0.35 },
	{ "session.http", "docker.exec", true, true, 200 },
	{ "standalone.library", "floor.spawn", false, false, 2 },
	{ "start.sos.none", "start.raw.none", false, false, 1.25 },
	{ "start.sos.bridge", "start.raw.bridge", false, false, 1.25 },
	{ "output.library", NULL, true, false, 200 },
	{ "memory.daemon.anon", NULL, false, false, 4096 },
};

/* Name, what a person reads, unit, and the row that the ratio is taken to. */
static const struct bench_row rows[] = {
	{ "floor.typed", "floor: `echo hi` typed into a bare bash", "ms", NULL },
	{ "floor.status", "floor: the same, then `echo $? >&3`", "ms", NULL },
	{ "session.library", "session, `echo hi`, library", "ms", "floor.typed" },
	{ "session.http", "session, `echo hi`, HTTP", "ms", "floor.typed" },
	{ "floor.typed.one", "floor: the same, both on one core", "ms", NULL },
	{ "session.library.one", "session, library, both on one core", "ms", "floor.typed.one" },
	{ "floor.typed.two", "floor: the same, on two cores", "ms", NULL },
	{ "session.library.two", "session, library, on two cores", "ms", "floor.typed.two" },
	{ "healthz", "GET /healthz", "ms", "floor.typed" },
	{ "swerex.session", "SWE-ReX: session, `echo hi`", "ms", "floor.typed" },
	{ "floor.program", "floor: `/bin/true; echo $?` typed into a bare bash", "ms", NULL },
	{ "program.library", "session, `/bin/true`, library", "ms", "floor.program" },
	{ "floor.spawn", "floor: posix_spawn of `bash -c` in the container", "ms", NULL },
	{ "standalone.library", "standalone, `echo hi`, library", "ms", "floor.spawn" },
	{ "standalone.http", "standalone, `echo hi`, HTTP", "ms", "floor.spawn" },
	{ "engine.exec", "Engine exec API: create, start, inspect", "ms", "floor.spawn" },
	{ "docker.exec", "docker exec (CLI)", "ms", "floor.spawn" },
	{ "swerex.execute", "SWE-ReX: execute, `bash -c`", "ms", "floor.spawn" },
	{ "start.raw.none", "raw create+start, no network", "ms", NULL },
	{ "start.sos.none", "create+start+first command, no network", "ms", "start.raw.none" },
	{ "start.raw.bridge", "raw create+start, bridge", "ms", NULL },
	{ "start.sos.bridge", "create+start+first command, bridge", "ms", "start.raw.bridge" },
	{ "swerex.start", "SWE-ReX: container, server, session, first command", "ms", "start.raw.bridge" },
	{ "cycle.raw", "raw create+start+remove, no network", "ms", NULL },
	{ "cycle.sos", "create+start+first command+stop, no network", "ms", "cycle.raw" },
	{ "cycles.raw.1", "raw life cycles, 1 client", "1/s", NULL },
	{ "cycles.sos.1", "life cycles, 1 client", "1/s", "cycles.raw.1" },
	{ "cycles.raw.4", "raw life cycles, 4 clients", "1/s", NULL },
	{ "cycles.sos.4", "life cycles, 4 clients", "1/s", "cycles.raw.4" },
	{ "cycles.raw.8", "raw life cycles, 8 clients", "1/s", NULL },
	{ "cycles.sos.8", "life cycles, 8 clients", "1/s", "cycles.raw.8" },
	{ "crowd.http", "16 sandboxes, 16 HTTP clients (ours, in C), `echo hi`", "1/s", NULL },
	{ "floor.flow", "floor: 256 MiB through a pipe in the container", "MB/s", NULL },
	{ "output.library", "256 MiB of output, all kept, library", "MB/s", "floor.flow" },
	{ "output.library.capped", "256 MiB of output, 8 MiB kept, library", "MB/s", "floor.flow" },
	{ "output.docker.exec", "256 MiB of output, docker exec (CLI)", "MB/s", "floor.flow" },
	{ "memory.daemon.anon", "sos-server with 16 used sandboxes: RssAnon", "kB", NULL },
	{ "memory.daemon.rss", "sos-server with 16 used sandboxes: VmRSS", "kB", NULL },
	{ "memory.daemon.after", "the same after the 16 clients' commands: RssAnon", "kB", NULL },
	{ "memory.init", "sos-init with its session: private memory", "kB", NULL },
};

void bench_report_init(struct bench_report *report)
{
	*report = (struct bench_report){ .count = sizeof(rows) / sizeof(rows[0]) };
	for (size_t i = 0; i < report->count; i++)
		report->rows[i] = rows[i];
}

static struct bench_row *find(struct bench_report *report, const char *name)
{
	for (size_t i = 0; i < report->count; i++)
		if (strcmp(report->rows[i].name, name) == 0)
			return &report->rows[i];
	return NULL;
}

struct bench_row *bench_report_row(struct bench_report *report, const char *name)
{
	struct bench_row *row = find(report, name);

	if (!row) {
		fprintf(stderr, "bench: no row %s\n", name);
		exit(2);
	}
	return row;
}

static bool more_is_better(const struct bench_row *row)
{
	return strstr(row->unit, "/s") != NULL;
}

/* The 99th percentile from the bad side. */
static double worst(struct bench_row *row)
{
	return bench_samples_quantile(&row->samples, more_is_better(row) ? 0.01 : 0.99);
}

static double median(struct bench_row *row)
{
	return bench_samples_quantile(&row->samples, 0.5);
}

static size_t calls(const struct bench_row *row)
{
	return row->calls ? row->calls : row->samples.count;
}

static struct bench_row *base_of(struct bench_report *report, const struct bench_row *row)
{
	struct bench_row *base = row->base ? find(report, row->base) : NULL;

	return base && base->samples.count ? base : NULL;
}

static int digits(double value)
{
	return value < 10 ? 3 : value < 1000 ? 1 : 0;
}

static void print_row(struct bench_report *report, struct bench_row *row, FILE *f)
{
	struct bench_row *base = base_of(report, row);
	double p50, p99;

	if (!row->samples.count) {
		fprintf(f, "%-54s %8s  %s", row->title, "-", row->note ? row->note : "not measured");
		if (row->samples.failures)
			fprintf(f, " (%zu failed)", row->samples.failures);
		fputc('\n', f);
		return;
	}
	p50 = median(row);
	p99 = worst(row);
	fprintf(f, "%-54s %8zu %6zu %10.*f %10.*f %-5s", row->title, calls(row), row->samples.failures, digits(p50), p50,
		digits(p99), p99, row->unit);
	if (base && median(base) > 0)
		fprintf(f, " %7.2f x %s", p50 / median(base), base->name);
	fputc('\n', f);
}

/* False where a row is missing; else value and verdict. */
static bool judge(struct bench_report *report, const struct bench_target *target, double *value, bool *met)
{
	struct bench_row *row = find(report, target->row);
	struct bench_row *base = target->base ? find(report, target->base) : NULL;

	if (!row || !row->samples.count || (target->base && (!base || !base->samples.count)))
		return false;
	*value = median(row);
	if (base)
		*value = target->inverse ? median(base) / *value : *value / median(base);
	*met = target->at_least ? *value >= target->limit : *value <= target->limit;
	return true;
}

static void describe(struct bench_report *report, const struct bench_target *target, char *text, size_t room)
{
	struct bench_row *row = find(report, target->row);

	if (!target->base)
		snprintf(text, room, "%s %s %g %s", target->row, target->at_least ? ">=" : "<=", target->limit,
			 row ? row->unit : "");
	else if (target->inverse)
		snprintf(text, room, "%s >= %g times faster than %s", target->row, target->limit, target->base);
	else
		snprintf(text, room, "%s %s %g x %s", target->row, target->at_least ? ">=" : "<=", target->limit,
			 target->base);
}

size_t bench_report_print(struct bench_report *report, FILE *f)
{
	size_t missed = 0;
	char text[160];

	fprintf(f, "%-54s %8s %6s %10s %10s %-5s   ratio\n", "", "n", "failed", "p50", "p99", "");
	for (size_t i = 0; i < report->count; i++)
		print_row(report, &report->rows[i], f);
	fprintf(f, "\n%-64s %10s  %s\n", "must", "is", "");
	for (size_t i = 0; i < sizeof(targets) / sizeof(targets[0]); i++) {
		double value = 0;
		bool met = false;

		describe(report, &targets[i], text, sizeof(text));
		if (!judge(report, &targets[i], &value, &met)) {
			fprintf(f, "%-64s %10s  not measured\n", text, "-");
			continue;
		}
		fprintf(f, "%-64s %10.*f  %s\n", text, digits(value), value, met ? "met" : "MISSED");
		missed += !met;
	}
	return missed;
}

static cJSON *row_json(struct bench_report *report, struct bench_row *row)
{
	struct bench_row *base = base_of(report, row);
	cJSON *json = cJSON_CreateObject();

	cJSON_AddStringToObject(json, "name", row->name);
	cJSON_AddStringToObject(json, "title", row->title);
	cJSON_AddStringToObject(json, "unit", row->unit);
	cJSON_AddBoolToObject(json, "more_is_better", more_is_better(row));
	cJSON_AddNumberToObject(json, "n", (double)calls(row));
	cJSON_AddNumberToObject(json, "failures", (double)row->samples.failures);
	if (row->note)
		cJSON_AddStringToObject(json, "note", row->note);
	if (!row->samples.count)
		return json;
	cJSON_AddNumberToObject(json, "p50", median(row));
	cJSON_AddNumberToObject(json, "p90", bench_samples_quantile(&row->samples, more_is_better(row) ? 0.1 : 0.9));
	cJSON_AddNumberToObject(json, "p99", worst(row));
	cJSON_AddNumberToObject(json, "mean", bench_samples_mean(&row->samples));
	cJSON_AddNumberToObject(json, "min", bench_samples_quantile(&row->samples, 0));
	cJSON_AddNumberToObject(json, "max", bench_samples_quantile(&row->samples, 1));
	if (base && median(base) > 0) {
		cJSON_AddStringToObject(json, "base", base->name);
		cJSON_AddNumberToObject(json, "ratio", median(row) / median(base));
	}
	return json;
}

int bench_report_write_json(struct bench_report *report, const char *path)
{
	cJSON *json = cJSON_CreateObject(), *list;
	char *text;
	FILE *f;
	int r = -1;

	cJSON_AddStringToObject(json, "sos_version", sos_version());
	cJSON_AddItemToObject(json, "machine", cJSON_Duplicate(report->machine, true));
	list = cJSON_AddArrayToObject(json, "rows");
	for (size_t i = 0; i < report->count; i++)
		cJSON_AddItemToArray(list, row_json(report, &report->rows[i]));
	list = cJSON_AddArrayToObject(json, "targets");
	for (size_t i = 0; i < sizeof(targets) / sizeof(targets[0]); i++) {
		cJSON *target = cJSON_CreateObject();
		char what[160];
		double value;
		bool met;

		describe(report, &targets[i], what, sizeof(what));
		cJSON_AddStringToObject(target, "must", what);
		if (judge(report, &targets[i], &value, &met)) {
			cJSON_AddNumberToObject(target, "is", value);
			cJSON_AddBoolToObject(target, "met", met);
		}
		cJSON_AddItemToArray(list, target);
	}
	text = cJSON_Print(json);
	cJSON_Delete(json);
	f = fopen(path, "we");
	if (f && text && fprintf(f, "%s\n", text) > 0)
		r = 0;
	if (f && fclose(f) != 0)
		r = -1;
	free(text);
	return r;
}

size_t bench_report_failures(const struct bench_report *report)
{
	size_t failures = 0;

	for (size_t i = 0; i < report->count; i++)
		failures += report->rows[i].samples.failures;
	return failures;
}

void bench_report_clear(struct bench_report *report)
{
	for (size_t i = 0; i < report->count; i++)
		bench_samples_clear(&report->rows[i].samples);
	cJSON_Delete(report->machine);
	*report = (struct bench_report){ 0 };
}
