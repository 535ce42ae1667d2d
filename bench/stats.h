/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Samples of one row, in the row's unit, and their quantiles. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct bench_samples {
	double *values;
	size_t count, room;
	size_t failures; /* calls that gave no sample */
	bool sorted;
};

int64_t bench_now_ns(void); /* monotonic */
void bench_samples_add(struct bench_samples *samples, double value);
void bench_samples_add_ns(struct bench_samples *samples, int64_t ns); /* kept in milliseconds */
void bench_samples_clear(struct bench_samples *samples);
/* Nearest-rank quantile, 0 <= q <= 1; 0 without samples. Sorts in place. */
double bench_samples_quantile(struct bench_samples *samples, double q);
/* The median of the samples from index `from` on, which must not have been sorted yet; 0 if there are none. */
double bench_samples_median_from(const struct bench_samples *samples, size_t from);
double bench_samples_mean(const struct bench_samples *samples);
