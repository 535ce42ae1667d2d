/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The floor of a session: a bare bash in the container of the rivals, on
 * pipes that this process made and passed in, so that the same process talks to
 * the same bash in the same kind of container as with the library, and only
 * what is said differs. Text is typed in and its line of output is read; or a
 * second line is typed that reports $? on a pipe of its own, so that the caller
 * knows the exit code and the end as well. No safety in either.
 *
 * And one more of them on the host, for what the container itself costs.
 */

#include <sys/types.h>

#include <cjson/cJSON.h>

#include "bench.h"

struct bench_floor {
	char directory[32]; /* of the socket; "" before listen */
	int listener, control, to, from, status;
	pid_t shell; /* as the host sees it; 0: not found, no pinned rows */
	bool host;   /* the one on the host, a child of ours */
};

#define BENCH_FLOOR_LONG "long"
#define BENCH_FLOOR_HEREDOC "heredoc"
#define BENCH_FLOOR_INIT { .listener = -1, .control = -1, .to = -1, .from = -1, .status = -1 }

int bench_floor_listen(struct bench_floor *floor);
/* Add the socket's directory to the body of a create request. */
void bench_floor_mount(const struct bench_floor *floor, cJSON *body);
/* The path in the container of a file with `text` and a newline, made in the socket's directory; NULL: not made. */
const char *bench_floor_file(struct bench_floor *floor, const char *name, const char *text, char path[96]);
int bench_floor_start(struct bench_floor *floor, const char *docker, const char *id);
int bench_floor_start_host(struct bench_floor *floor);
void bench_floor_add(struct bench_floor *floor, struct bench_report *report, struct bench_groups *groups);
void bench_floor_stop(struct bench_floor *floor);
