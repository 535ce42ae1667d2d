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
	const char *unit;  /* of the samples: "ms", "MB/s", "kB", "1/s" */
	const char *base;  /* the row that its ratio is taken to, or NULL */
	const char *note;  /* why there is nothing here, or NULL */
	struct bench_samples samples;
	size_t calls;      /* where one sample stands for many calls: how many in all */
};

struct bench_target {
	const char *row;
	const char *base; /* the ratio of medians row / base counts; NULL: the row's own median */
	bool at_least;    /* else at most */
	bool inverse;     /* base / row: "so many times faster than" */
	double limit;
};

struct bench_report {
	struct bench_row rows[64];
	size_t count;
	cJSON *machine; /* owned */
};

/* All rows, empty. */
void bench_report_init(struct bench_report *report);
/* The row of that name; naming one that is not there ends the program. */
struct bench_row *bench_report_row(struct bench_report *report, const char *name);
/* The table, then one line a target. The number of targets missed. */
size_t bench_report_print(struct bench_report *report, FILE *f);
/* 0 or -1. */
int bench_report_write_json(struct bench_report *report, const char *path);
size_t bench_report_failures(const struct bench_report *report);
void bench_report_clear(struct bench_report *report);

/* machine.c: facts and load of this machine; `version` and `info` are the Engine's own answers or NULL. */
cJSON *bench_machine_facts(const cJSON *engine_version, const cJSON *engine_info);
void bench_machine_load(cJSON *machine, const char *when);
