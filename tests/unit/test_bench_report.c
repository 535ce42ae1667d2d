/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What the bench calls a median, a round, met and missed. */

#include "../../bench/report.h"

#include "unit.h"

static void fill(struct bench_report *report, const char *name, double value)
{
	struct bench_row *row = bench_report_row(report, name);

	bench_samples_clear(&row->samples);
	for (int i = 0; i < 9; i++)
		bench_row_add(row, value);
}

static struct bench_verdict judge(struct bench_report *report, struct bench_target target)
{
	struct bench_verdict verdict;

	ck_assert(bench_report_judge(report, &target, &verdict));
	return verdict;
}

START_TEST(quantiles)
{
	struct bench_samples samples = { 0 };

	ck_assert_double_eq(bench_samples_quantile(&samples, 0.5), 0);
	for (int i = 100; i > 0; i--)
		bench_samples_add(&samples, i);
	ck_assert_double_eq(bench_samples_median_from(&samples, 90), 5); /* 10 to 1 */
	ck_assert_double_eq(bench_samples_quantile(&samples, 0.5), 50);
	ck_assert_double_eq(bench_samples_quantile(&samples, 0.99), 99);
	ck_assert_double_eq(bench_samples_quantile(&samples, 0), 1);
	ck_assert_double_eq(bench_samples_quantile(&samples, 1), 100);
	bench_samples_clear(&samples);
}
END_TEST

START_TEST(rounds)
{
	struct bench_report report;
	struct bench_row *row;

	bench_report_init(&report);
	row = bench_report_row(&report, "session.library");
	bench_row_round(row, 0); /* a turn in which everything failed leaves no round */
	ck_assert_uint_eq(row->rounds.count, 0);
	for (int i = 1; i <= 3; i++)
		bench_samples_add(&row->samples, i);
	bench_row_round(row, 0);
	for (int i = 10; i <= 30; i += 10)
		bench_samples_add(&row->samples, i);
	bench_row_round(row, 3);
	ck_assert_uint_eq(row->rounds.count, 2);
	ck_assert_double_eq(row->rounds.values[0], 2);
	ck_assert_double_eq(row->rounds.values[1], 20);
	bench_report_clear(&report);
}
END_TEST

START_TEST(the_bad_side)
{
	struct bench_report report;
	struct bench_row *time, *rate;

	bench_report_init(&report);
	time = bench_report_row(&report, "session.library");
	rate = bench_report_row(&report, "crowd.http");
	for (int i = 1; i <= 100; i++) {
		bench_row_add(time, i);
		bench_row_add(rate, i);
	}
	ck_assert_double_eq(bench_row_p99(time), 99);
	ck_assert_double_eq(bench_row_p99(rate), 1);
	ck_assert(!bench_row_more_is_better(time) && bench_row_more_is_better(rate));
	bench_report_clear(&report);
}
END_TEST

START_TEST(measures)
{
	struct bench_report report;
	struct bench_verdict v;

	bench_report_init(&report);
	fill(&report, "session.http", 0.2);
	fill(&report, "session.library", 0.1);
	fill(&report, "healthz", 0.05);
	v = judge(&report, (struct bench_target){ "T", BENCH_P50, "session.http", .must = 0.2, .goal = 0.1 });
	ck_assert(v.measured && v.must_met && !v.goal_met);
	v = judge(&report, (struct bench_target){ "T", BENCH_RATIO, "session.http", "session.library", .must = 1.9, .goal = 2.1 });
	ck_assert_double_eq_tol(v.value, 2, 1e-9);
	ck_assert(!v.must_met && v.goal_met);
	v = judge(&report, (struct bench_target){ "T", BENCH_TIMES, "session.library", "session.http", .at_least = true, .must = 2,
						  .goal = 2.1 });
	ck_assert_double_eq_tol(v.value, 2, 1e-9);
	ck_assert(v.must_met && !v.goal_met);
	v = judge(&report, (struct bench_target){ "T", BENCH_ABOVE, "session.http", "session.library", "healthz", .must = 0.06,
						  .goal = 0.04 });
	ck_assert_double_eq_tol(v.value, 0.05, 1e-9);
	ck_assert(v.must_met && !v.goal_met);
	bench_row_add(bench_report_row(&report, "session.http"), 0.8);
	v = judge(&report, (struct bench_target){ "T", BENCH_TAIL, "session.http", .goal = 3.9 });
	ck_assert_double_eq_tol(v.value, 4, 1e-9);
	ck_assert(!v.goal_met);
	v = judge(&report, (struct bench_target){ "T", BENCH_P99, "session.http", .must = 0.8 });
	ck_assert(v.must_met);
	bench_report_clear(&report);
}
END_TEST

START_TEST(failures)
{
	struct bench_report report;
	struct bench_target none = { "T", BENCH_FAILURES, "session.http" };

	bench_report_init(&report);
	fill(&report, "session.http", 1);
	ck_assert(judge(&report, none).must_met);
	bench_report_row(&report, "session.http")->samples.failures = 1;
	ck_assert(!judge(&report, none).must_met);
	ck_assert_uint_eq(bench_report_failures(&report), 1);
	bench_report_clear(&report);
}
END_TEST

START_TEST(what_was_not_measured)
{
	struct bench_report report;
	struct bench_target ratio = { "T", BENCH_RATIO, "session.http", "session.library", .must = 2 };
	struct bench_target many = { "T", BENCH_P50, "many.memory.start", .must = 100, .must_each = 10 };
	struct bench_verdict v;

	bench_report_init(&report);
	ck_assert(!judge(&report, ratio).measured);
	fill(&report, "session.http", 1);
	ck_assert(!judge(&report, ratio).measured); /* the base is missing */
	ck_assert(!bench_report_judge(&report, &many, &v)); /* of the other kind of run */
	report.many = 5;
	ck_assert(!bench_report_judge(&report, &ratio, &v));
	fill(&report, "many.memory.start", 150);
	v = judge(&report, many);
	ck_assert_double_eq(v.must, 150);
	ck_assert(v.must_met);
	bench_report_clear(&report);
}
END_TEST

/* A run of which only a part was asked for says nothing of the rest. */
START_TEST(a_part)
{
	struct bench_report report;
	struct bench_row *row;

	bench_report_init(&report);
	row = bench_report_row(&report, "session.http");
	ck_assert(bench_row_belongs(&report, row));
	report.partial = true;
	ck_assert(!bench_row_belongs(&report, row));
	row->samples.failures = 1;
	ck_assert(bench_row_belongs(&report, row)); /* but of what went wrong */
	bench_report_clear(&report);
}
END_TEST

/* Every target of the project can be judged once its rows are filled. */
START_TEST(all_targets)
{
	for (size_t i = 0; i < bench_target_count; i++) {
		const struct bench_target *target = &bench_targets[i];
		struct bench_report report;
		struct bench_verdict v;

		bench_report_init(&report);
		report.many = bench_report_row(&report, target->row)->many ? 500 : 0;
		fill(&report, target->row, 1);
		if (target->base)
			fill(&report, target->base, 1);
		if (target->plus)
			fill(&report, target->plus, 1);
		v = judge(&report, *target);
		ck_assert_msg(v.measured, "%s: %s", target->id, v.what);
		ck_assert_msg(target->must != 0 || target->goal != 0 || target->measure == BENCH_FAILURES, "%s: %s", target->id,
			      v.what);
		bench_report_clear(&report);
	}
}
END_TEST

UNIT_MAIN("bench report", quantiles, rounds, the_bad_side, measures, failures, what_was_not_measured, a_part, all_targets)
