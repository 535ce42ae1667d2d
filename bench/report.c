/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdlib.h>
#include <string.h>

#include "report.h"

void bench_report_init(struct bench_report *report)
{
	*report = (struct bench_report){ .count = bench_row_count };
	if (report->count > sizeof(report->rows) / sizeof(report->rows[0])) {
		fprintf(stderr, "bench: too many rows\n");
		exit(2);
	}
	for (size_t i = 0; i < report->count; i++)
		report->rows[i] = bench_rows[i];
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

void bench_row_round(struct bench_row *row, size_t from)
{
	if (row->samples.count > from)
		bench_samples_add(&row->rounds, bench_samples_median_from(&row->samples, from));
}

void bench_row_add(struct bench_row *row, double value)
{
	bench_samples_add(&row->samples, value);
	bench_samples_add(&row->rounds, value);
}

bool bench_row_more_is_better(const struct bench_row *row)
{
	return strstr(row->unit, "/s") != NULL;
}

double bench_row_p99(struct bench_row *row)
{
	return bench_samples_quantile(&row->samples, bench_row_more_is_better(row) ? 0.01 : 0.99);
}

double bench_row_p50(struct bench_row *row)
{
	return bench_samples_quantile(&row->samples, 0.5);
}

size_t bench_row_calls(const struct bench_row *row)
{
	return row->calls ? row->calls : row->samples.count;
}

struct bench_row *bench_row_base(struct bench_report *report, const struct bench_row *row)
{
	struct bench_row *base = row->base ? find(report, row->base) : NULL;

	return base && base->samples.count ? base : NULL;
}

bool bench_row_belongs(const struct bench_report *report, const struct bench_row *row)
{
	return row->many == (report->many > 0) &&
	       (!report->partial || row->samples.count || row->samples.failures || row->note);
}

static int digits(double value)
{
	return value < 10 ? 3 : value < 1000 ? 1 : 0;
}

static void print_row(struct bench_report *report, struct bench_row *row, FILE *f)
{
	struct bench_row *base = bench_row_base(report, row);
	double p50, p99;

	if (!row->samples.count) {
		fprintf(f, "%-54s %8s  %s", row->title, "-", row->note ? row->note : "not measured");
		if (row->samples.failures)
			fprintf(f, " (%zu failed)", row->samples.failures);
		fputc('\n', f);
		return;
	}
	p50 = bench_row_p50(row);
	p99 = bench_row_p99(row);
	fprintf(f, "%-54s %8zu %6zu %10.*f %10.*f %-5s", row->title, bench_row_calls(row), row->samples.failures,
		digits(p50), p50, digits(p99), p99, row->unit);
	if (base && bench_row_p50(base) > 0)
		fprintf(f, " %7.*f x %s", p50 < bench_row_p50(base) / 10 ? 4 : 2, p50 / bench_row_p50(base),
			base->name);
	fprintf(f, "%s%s\n", row->note ? "  " : "", row->note ? row->note : "");
}

/* What is compared with the limits; false where a row that it needs is missing. */
static bool measure(struct bench_report *report, const struct bench_target *target, double *value)
{
	struct bench_row *row = find(report, target->row);
	struct bench_row *base = target->base ? find(report, target->base) : NULL;
	struct bench_row *plus = target->plus ? find(report, target->plus) : NULL;

	if (!row || !row->samples.count || (target->base && (!base || !base->samples.count)) ||
	    (target->plus && (!plus || !plus->samples.count)))
		return false;
	switch (target->measure) {
	case BENCH_P50: *value = bench_row_p50(row); break;
	case BENCH_P99: *value = bench_row_p99(row); break;
	case BENCH_RATIO: *value = bench_row_p50(row) / bench_row_p50(base); break;
	case BENCH_TIMES: *value = bench_row_p50(base) / bench_row_p50(row); break;
	case BENCH_ABOVE: *value = bench_row_p50(row) - bench_row_p50(base) - (plus ? bench_row_p50(plus) : 0); break;
	case BENCH_TAIL: *value = bench_row_p99(row) / bench_row_p50(row); break;
	case BENCH_FAILURES: *value = (double)row->samples.failures; break;
	}
	return true;
}

static void describe(const struct bench_target *target, char *text, size_t room)
{
	switch (target->measure) {
	case BENCH_P50: snprintf(text, room, "%s", target->row); break;
	case BENCH_P99: snprintf(text, room, "%s, p99", target->row); break;
	case BENCH_RATIO: snprintf(text, room, "%s / %s", target->row, target->base); break;
	case BENCH_TIMES: snprintf(text, room, "%s / %s", target->base, target->row); break;
	case BENCH_ABOVE:
		snprintf(text, room, "%s - %s%s%s", target->row, target->base, target->plus ? " - " : "",
			 target->plus ? target->plus : "");
		break;
	case BENCH_TAIL: snprintf(text, room, "%s, p99 / p50", target->row); break;
	case BENCH_FAILURES: snprintf(text, room, "%s, failed calls", target->row); break;
	}
}

bool bench_report_judge(struct bench_report *report, const struct bench_target *target, struct bench_verdict *verdict)
{
	struct bench_row *row = bench_report_row(report, target->row);
	bool times = target->measure == BENCH_RATIO || target->measure == BENCH_TIMES || target->measure == BENCH_TAIL;

	if (!bench_row_belongs(report, row))
		return false;
	*verdict = (struct bench_verdict){ .unit = times ? "x" : target->measure == BENCH_FAILURES ? "" : row->unit };
	describe(target, verdict->what, sizeof(verdict->what));
	verdict->must = target->must + target->must_each * (double)report->many;
	verdict->goal = target->goal + target->goal_each * (double)report->many;
	verdict->measured = measure(report, target, &verdict->value);
	if (!verdict->measured)
		return true;
	verdict->must_met = target->at_least ? verdict->value >= verdict->must : verdict->value <= verdict->must;
	verdict->goal_met = target->at_least ? verdict->value >= verdict->goal : verdict->value <= verdict->goal;
	return true;
}

static void print_limit(const struct bench_target *target, const struct bench_verdict *verdict, double limit, bool met,
			FILE *f)
{
	char text[32];

	snprintf(text, sizeof(text), "%s %g", target->at_least ? ">=" : "<=", limit);
	if (limit == 0 && target->measure != BENCH_FAILURES)
		fprintf(f, " %-10s %-7s", "", "");
	else
		fprintf(f, " %-10s %-7s", text, !verdict->measured ? "" : met ? "met" : "MISSED");
}

static size_t print_targets(struct bench_report *report, FILE *f)
{
	size_t missed = 0;

	fprintf(f, "\n%-4s %-52s %10s %-5s %-18s %s\n", "", "", "is", "", "must", "goal");
	for (size_t i = 0; i < bench_target_count; i++) {
		const struct bench_target *target = &bench_targets[i];
		struct bench_verdict verdict;

		if (!bench_report_judge(report, target, &verdict))
			continue;
		if (verdict.measured)
			fprintf(f, "%-4s %-52s %10.*f %-5s", target->id, verdict.what, digits(verdict.value),
				verdict.value, verdict.unit);
		else
			fprintf(f, "%-4s %-52s %10s %-5s", target->id, verdict.what, "-", "");
		print_limit(target, &verdict, verdict.must, verdict.must_met, f);
		print_limit(target, &verdict, verdict.goal, verdict.goal_met, f);
		fprintf(f, "%s\n", verdict.measured ? "" : "not measured");
		missed += verdict.measured && !verdict.must_met &&
			  (target->must != 0 || target->measure == BENCH_FAILURES);
	}
	return missed;
}

size_t bench_report_print(struct bench_report *report, FILE *f)
{
	fprintf(f, "%-54s %8s %6s %10s %10s %-5s   ratio\n", "", "n", "failed", "p50", "p99", "");
	for (size_t i = 0; i < report->count; i++)
		if (bench_row_belongs(report, &report->rows[i]))
			print_row(report, &report->rows[i], f);
	return print_targets(report, f);
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
	for (size_t i = 0; i < report->count; i++) {
		bench_samples_clear(&report->rows[i].samples);
		bench_samples_clear(&report->rows[i].rounds);
	}
	cJSON_Delete(report->machine);
	*report = (struct bench_report){ 0 };
}
