/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "stats.h"

int64_t bench_now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

void bench_samples_add(struct bench_samples *samples, double value)
{
	if (samples->count == samples->room) {
		size_t room = samples->room ? samples->room * 2 : 256;
		double *values = realloc(samples->values, room * sizeof(*values));

		if (!values) {
			perror("bench: samples");
			exit(2);
		}
		samples->values = values;
		samples->room = room;
	}
	samples->values[samples->count++] = value;
	samples->sorted = false;
}

void bench_samples_add_ns(struct bench_samples *samples, int64_t ns)
{
	bench_samples_add(samples, (double)ns / 1e6);
}

void bench_samples_clear(struct bench_samples *samples)
{
	free(samples->values);
	*samples = (struct bench_samples){ 0 };
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

double bench_samples_quantile(struct bench_samples *samples, double q)
{
	size_t rank;

	if (!samples->count)
		return 0;
	if (!samples->sorted) {
		qsort(samples->values, samples->count, sizeof(*samples->values), compare);
		samples->sorted = true;
	}
	rank = (size_t)ceil(q * (double)samples->count);
	if (rank < 1)
		rank = 1;
	return samples->values[rank - 1];
}

double bench_samples_median_from(const struct bench_samples *samples, size_t from)
{
	struct bench_samples part = { 0 };
	double median;

	for (size_t i = from; i < samples->count; i++)
		bench_samples_add(&part, samples->values[i]);
	median = bench_samples_quantile(&part, 0.5);
	bench_samples_clear(&part);
	return median;
}

double bench_samples_mean(const struct bench_samples *samples)
{
	double sum = 0;

	for (size_t i = 0; i < samples->count; i++)
		sum += samples->values[i];
	return samples->count ? sum / (double)samples->count : 0;
}
