/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A private sos-server on a free port, and its sandboxes, by keep-alive clients in C. */

#include <stdio.h>
#include <sys/types.h>

#include "bench.h"

struct bench_server {
	struct bench *bench;
	struct bench_http http; /* for whoever has no connection of its own */
	FILE *log;
	pid_t pid;
	char port[8];
};

/* What the daemon answers to `echo hi`. */
#define BENCH_HI "{\"command\":\"echo hi\"}"

/*
 * Started and ready, for so many sandboxes that have no network; `option` and `value` (NULL: none) are one more option
 * of it. NULL: it did not come up, its log was shown.
 */
struct bench_server *bench_server_new(struct bench *bench, size_t sandboxes, const char *option, const char *value);
void bench_server_free(struct bench_server *server);
void bench_server_show_log(struct bench_server *server);

/* One that is made but not started: its path, "/sandboxes/ID". 0 or -1. */
int bench_server_create(struct bench_server *server, struct bench_http *http, char path[96]);
int bench_server_start(struct bench_http *http, const char *path);
/* Stopped and forgotten. */
int bench_server_remove(struct bench_http *http, const char *path);
/* Create and start; the path of its exec. */
int bench_server_sandbox(struct bench_server *server, struct bench_http *http, char path[128]);

/* True where the answer is a result with that output and exit code 0. */
bool bench_server_is(const struct bench_answer *answer, const char *expected);
/* POST `body`, or GET without one; `expected` NULL: only the status counts. */
void bench_server_measure(struct bench_http *http, const char *path, const char *body, const char *expected,
			  size_t count, struct bench_samples *samples);
/* A line of the daemon's /proc/PID/status, as a sample of that row. */
void bench_server_weigh(struct bench_server *server, const char *row, const char *field);
/* Private memory in kB of PID 1 of a sandbox's container, by the path of its exec; -1: not known. */
int64_t bench_server_init_kb(struct bench_server *server, const char *path);
