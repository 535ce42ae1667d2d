/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Processes that the bench runs, and what /proc says of them. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#include "stats.h"

/*
 * Start argv with these descriptors as 0, 1 and 2; -1: /dev/null for `in`, ours for the others. In a process group of
 * its own, so that ^C reaches the bench alone and it can clean up. Its pid or -1.
 */
pid_t bench_spawn(const char *const *argv, int in, int out, int err);
/* Run argv with its stdout in `output` (NUL-terminated, cut at `room`), stdin /dev/null. The wait status, or -1. */
int bench_run(const char *const *argv, char *output, size_t room);
/* The same with the output counted and thrown away. */
int bench_run_count(const char *const *argv, uint64_t *bytes);

/*
 * A worker measures by itself: it is told "N\n" on stdin and answers with N
 * lines, each the nanoseconds of one call or -1 for a failed one. Its first
 * line is "ready". So a measurement inside a container or in another language
 * can be interleaved with ours.
 */
struct bench_worker {
	FILE *in, *out;
	pid_t pid;
};
int bench_worker_start(struct bench_worker *worker, const char *const *argv);
void bench_worker_run(struct bench_worker *worker, size_t count, struct bench_samples *samples);
void bench_worker_stop(struct bench_worker *worker);

/* Pin to one core, or with -1 to none. */
bool bench_pin(pid_t pid, int core);
/* The first child of a process; 0: it has none. */
pid_t bench_first_child(pid_t pid);
/* A field of /proc/PID/status or /proc/PID/smaps_rollup in kB; -1 if it is not there. */
int64_t bench_proc_kb(pid_t pid, const char *file, const char *field);
/*
 * The most memory that a process has at one time, in kB beyond what it had at bench_peak_start, which gives that or -1
 * where the kernel does not let us ask.
 */
int64_t bench_peak_start(pid_t pid);
int64_t bench_peak_end(pid_t pid, int64_t before);
/* Open descriptors; -1 where we may not look. */
int64_t bench_descriptors(pid_t pid);
