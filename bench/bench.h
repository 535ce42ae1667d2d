/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The bench: tasks that fill rows, run in turns, so that a busy moment of the
 * machine hits all of them alike.
 */

#include <stdatomic.h>
#include <stdbool.h>

#include "http.h"
#include "report.h"

struct bench {
	struct bench_report report;
	const char *image;      /* of every sandbox and container; has bash, head, wc, yes and sleep */
	const char *engine;     /* the Engine's socket, a path */
	const char *inside;     /* the static helper's path */
	const char *server;     /* sos-server's path */
	const char *docker;     /* the docker program */
	const char *only;       /* names of groups, comma-separated; NULL: all */
	char label[64];         /* NAME=VALUE, on every container made here without the library */
	size_t rounds, cycles;  /* rounds of turns; of those whose samples are whole life cycles */
	size_t many, seconds;   /* --many: sandboxes, and how long; 0: the usual run */
	bool quick;
};

/* Set by SIGINT, SIGTERM and SIGHUP: what runs winds up and cleans up. */
extern atomic_bool bench_stopped;

struct bench_task {
	void *state;
	struct bench_row *row;
	/* Add `count` samples (or failures) to `samples`. */
	void (*run)(void *state, size_t count, struct bench_samples *samples);
	size_t per_round;
	size_t every; /* it has its turn in every so-manieth round */
};

struct bench_tasks {
	struct bench_task list[32];
	size_t count;
};

void bench_tasks_add(struct bench_tasks *tasks, struct bench_row *row, void *state,
		     void (*run)(void *state, size_t count, struct bench_samples *samples), size_t per_round);
/* For what only explains others and takes long: a turn in every fourth round. */
void bench_tasks_add_seldom(struct bench_tasks *tasks, struct bench_row *row, void *state,
			    void (*run)(void *state, size_t count, struct bench_samples *samples));
/* A short warm-up that is not counted, then all of them by turns. */
void bench_tasks_run(struct bench_tasks *tasks, size_t rounds);

/* One line on stderr of what goes on. */
void bench_say(const char *what);

/* The tasks whose turns are taken together: what belongs side by side. */
struct bench_groups {
	struct bench_tasks commands, rollouts, outputs;
};

/* rivals.c: what the same thing costs without us. */
struct bench_rivals;
struct bench_rivals *bench_rivals_new(struct bench *bench, const char *const *swerex);
void bench_rivals_add(struct bench_rivals *rivals, struct bench_groups *groups);
void bench_rivals_free(struct bench_rivals *rivals);

/* library.c: the same by sos.h. */
struct bench_library;
struct bench_library *bench_library_new(struct bench *bench);
void bench_library_add(struct bench_library *library, struct bench_groups *groups);
void bench_library_free(struct bench_library *library);

/* daemon.c: the same over HTTP. */
struct bench_daemon;
struct bench_daemon *bench_daemon_new(struct bench *bench);
void bench_daemon_add(struct bench_daemon *daemon, struct bench_groups *groups);
void bench_daemon_free(struct bench_daemon *daemon);

/* crowd.c: 16 sandboxes at once, commands a second, memory. */
void bench_crowd(struct bench *bench);
/* open.c: what a command costs while 1, 10 and 50 sandboxes are open. */
void bench_open(struct bench *bench);
/* many.c: --many sandboxes at once, each executing once a second. */
void bench_many(struct bench *bench);
/* starts.c: starts one after the other, warm, cold and raw, by turns. */
void bench_starts(struct bench *bench);
/* cycles.c: life cycles a second by 1 to 64 clients, ours and raw by turns. */
void bench_cycles(struct bench *bench);
