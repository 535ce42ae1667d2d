/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The report for programs: `compare` and `markdown.py` read it. */

#include <stdlib.h>

#include <sos/sos.h>

#include "report.h"

/* Six significant digits; cJSON prints seventeen of what has no more in it. */
static double rounded(double value)
{
	char text[32];

	snprintf(text, sizeof(text), "%.6g", value);
	return strtod(text, NULL);
}

static void add(cJSON *json, const char *name, double value)
{
	cJSON_AddNumberToObject(json, name, rounded(value));
}

static cJSON *row_json(struct bench_report *report, struct bench_row *row)
{
	struct bench_row *base = bench_row_base(report, row);
	bool more = bench_row_more_is_better(row);
	cJSON *json = cJSON_CreateObject(), *rounds;

	cJSON_AddStringToObject(json, "name", row->name);
	cJSON_AddStringToObject(json, "title", row->title);
	cJSON_AddStringToObject(json, "unit", row->unit);
	cJSON_AddBoolToObject(json, "more_is_better", more);
	cJSON_AddNumberToObject(json, "n", (double)bench_row_calls(row));
	cJSON_AddNumberToObject(json, "failures", (double)row->samples.failures);
	if (row->note)
		cJSON_AddStringToObject(json, "note", row->note);
	if (!row->samples.count)
		return json;
	add(json, "p50", bench_row_p50(row));
	add(json, "p90", bench_samples_quantile(&row->samples, more ? 0.1 : 0.9));
	add(json, "p99", bench_row_p99(row));
	add(json, "mean", bench_samples_mean(&row->samples));
	add(json, "min", bench_samples_quantile(&row->samples, 0));
	add(json, "max", bench_samples_quantile(&row->samples, 1));
	if (base && bench_row_p50(base) > 0) {
		cJSON_AddStringToObject(json, "base", base->name);
		add(json, "ratio", bench_row_p50(row) / bench_row_p50(base));
	}
	rounds = cJSON_AddArrayToObject(json, "rounds");
	for (size_t i = 0; i < row->rounds.count; i++)
		cJSON_AddItemToArray(rounds, cJSON_CreateNumber(rounded(row->rounds.values[i])));
	return json;
}

static void add_limit(cJSON *json, const struct bench_target *target, const struct bench_verdict *verdict,
		      const char *name, const char *met_name, double limit, bool met)
{
	if (limit == 0 && target->measure != BENCH_FAILURES)
		return;
	add(json, name, limit);
	if (verdict->measured)
		cJSON_AddBoolToObject(json, met_name, met);
}

static cJSON *target_json(const struct bench_target *target, const struct bench_verdict *verdict)
{
	cJSON *json = cJSON_CreateObject();

	cJSON_AddStringToObject(json, "id", target->id);
	cJSON_AddStringToObject(json, "what", verdict->what);
	cJSON_AddStringToObject(json, "unit", verdict->unit);
	cJSON_AddBoolToObject(json, "at_least", target->at_least);
	if (verdict->measured)
		add(json, "is", verdict->value);
	add_limit(json, target, verdict, "must", "must_met", verdict->must, verdict->must_met);
	add_limit(json, target, verdict, "goal", "goal_met", verdict->goal, verdict->goal_met);
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
	cJSON_AddNumberToObject(json, "many", (double)report->many);
	list = cJSON_AddArrayToObject(json, "rows");
	for (size_t i = 0; i < report->count; i++)
		if (bench_row_belongs(report, &report->rows[i]))
			cJSON_AddItemToArray(list, row_json(report, &report->rows[i]));
	list = cJSON_AddArrayToObject(json, "targets");
	for (size_t i = 0; i < bench_target_count; i++) {
		struct bench_verdict verdict;

		if (bench_report_judge(report, &bench_targets[i], &verdict))
			cJSON_AddItemToArray(list, target_json(&bench_targets[i], &verdict));
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
