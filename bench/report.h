/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Rows, targets, and their two printed forms: a table and JSON. */

#include <stdbool.h>
#include <stdio.h>

#include <cjson/cJSON.h>

#include "stats.h"

struct bench_row {
	const char *name;  /* "session.library": the key for comparing runs */
	const char *title; /* what a person reads */
	const char *unit;  /* of the samples: "ms", "MB/s", "kB", "1/s", "" */
	const char *base;  /* the row that its ratio is taken to, or NULL */
	bool many;         /* a row of --many, not of the usual run */
	const char *note;  /* what there is to say: why it was left out, how it came about; or NULL */
	struct bench_samples samples;
	struct bench_samples rounds; /* the median of each round of turns: what the run's noise is judged by */
	size_t calls;      /* where one sample stands for many calls: how many in all */
};

enum bench_measure {
	BENCH_P50,      /* of the row */
	BENCH_P99,
	BENCH_RATIO,    /* p50 / p50 of the base */
	BENCH_TIMES,    /* the other way round: "so many times faster than" */
	BENCH_ABOVE,    /* p50 - p50 of the base - p50 of `plus` */
	BENCH_TAIL,     /* p99 / p50 of the row itself */
	BENCH_FAILURES  /* failed calls of the row */
};

/* What the project promises. A limit of 0 is none; but for BENCH_FAILURES, where it means what it says. */
struct bench_target {
	const char *id; /* "G2" */
	enum bench_measure measure;
	const char *row, *base, *plus;
	bool at_least;  /* else at most */
	double must, goal;
	double must_each, goal_each; /* on top of it for each sandbox of --many */
};

struct bench_report {
	struct bench_row rows[96];
	size_t count;
	size_t many;    /* sandboxes of --many; 0: the usual run */
	bool partial;   /* only some groups were asked for: what was not measured is not mentioned */
	bool incomplete; /* a part of it could not be measured at all */
	cJSON *machine; /* owned */
};

/* What became of a target. */
struct bench_verdict {
	char what[160]; /* a person reads it: "session.library / floor.typed" */
	const char *unit;
	double value, must, goal;
	bool measured, must_met, goal_met;
};

/* rows.c: the tables themselves. */
extern const struct bench_row bench_rows[];
extern const size_t bench_row_count;
extern const struct bench_target bench_targets[];
extern const size_t bench_target_count;

/* All rows, empty. */
void bench_report_init(struct bench_report *report);
/* The row of that name; naming one that is not there ends the program. */
struct bench_row *bench_report_row(struct bench_report *report, const char *name);
/* A round of turns is over: its samples are those from index `from` on. */
void bench_row_round(struct bench_row *row, size_t from);
/* A sample that is a round of its own. */
void bench_row_add(struct bench_row *row, double value);
bool bench_row_more_is_better(const struct bench_row *row);
/* The median; the 99th percentile from the bad side. */
double bench_row_p50(struct bench_row *row);
double bench_row_p99(struct bench_row *row);
/* Calls that the row stands for. */
size_t bench_row_calls(const struct bench_row *row);
/* The row that this one's ratio is taken to; NULL: none, or it was not measured. */
struct bench_row *bench_row_base(struct bench_report *report, const struct bench_row *row);
/* False for a row of the other kind of run, or that nobody asked for. */
bool bench_row_belongs(const struct bench_report *report, const struct bench_row *row);
/* False likewise. */
bool bench_report_judge(struct bench_report *report, const struct bench_target *target, struct bench_verdict *verdict);

/* The table, then one line a target. The number of musts missed. */
size_t bench_report_print(struct bench_report *report, FILE *f);
/* report_json.c: 0 or -1. */
int bench_report_write_json(struct bench_report *report, const char *path);
size_t bench_report_failures(const struct bench_report *report);
void bench_report_clear(struct bench_report *report);

/* machine.c: facts and load of this machine; `version` and `info` are the Engine's own answers or NULL. */
cJSON *bench_machine_facts(const cJSON *engine_version, const cJSON *engine_info);
void bench_machine_load(cJSON *machine, const char *when);
