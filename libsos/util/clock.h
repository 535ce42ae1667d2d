/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Monotonic time. Deadlines are absolute nanoseconds of CLOCK_MONOTONIC;
 * SOS_CLOCK_NEVER is later than any. */

#include <stdint.h>
#include <time.h>

#define SOS_CLOCK_NEVER INT64_MAX

static inline int64_t sos_clock_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static inline int64_t sos_clock_unix_ms(void)
{
	struct timespec t;
	clock_gettime(CLOCK_REALTIME, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* The deadline `ms` from now; ms <= 0 is none. Saturates. */
static inline int64_t sos_clock_deadline(int64_t ms)
{
	int64_t now = sos_clock_ns();
	if (ms <= 0 || ms > (SOS_CLOCK_NEVER - now) / 1000000)
		return SOS_CLOCK_NEVER;
	return now + ms * 1000000;
}

/* What poll() takes: milliseconds left, rounded up, 0 when past, -1 for never. */
static inline int sos_clock_poll_ms(int64_t deadline)
{
	if (deadline == SOS_CLOCK_NEVER)
		return -1;
	int64_t left = deadline - sos_clock_ns();
	if (left <= 0)
		return 0;
	left = (left + 999999) / 1000000;
	return left > 3600000 ? 3600000 : (int)left;
}

static inline struct timespec sos_clock_timespec(int64_t ns)
{
	struct timespec t = { .tv_sec = (time_t)(ns / 1000000000), .tv_nsec = (long)(ns % 1000000000) };
	return t;
}
