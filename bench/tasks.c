/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdio.h>
#include <stdlib.h>

#include "bench.h"

atomic_bool bench_stopped;

void bench_say(const char *what)
{
	fprintf(stderr, "bench: %s\n", what);
}

void bench_tasks_add(struct bench_tasks *tasks, struct bench_row *row, void *state,
		     void (*run)(void *state, size_t count, struct bench_samples *samples), size_t per_round)
{
	if (tasks->count == sizeof(tasks->list) / sizeof(tasks->list[0])) {
		bench_say("too many tasks");
		exit(2);
	}
	tasks->list[tasks->count++] =
		(struct bench_task){ .row = row, .state = state, .run = run, .per_round = per_round, .every = 1 };
}

void bench_tasks_add_seldom(struct bench_tasks *tasks, struct bench_row *row, void *state,
			    void (*run)(void *state, size_t count, struct bench_samples *samples))
{
	bench_tasks_add(tasks, row, state, run, 1);
	tasks->list[tasks->count - 1].every = 4;
}

void bench_tasks_run(struct bench_tasks *tasks, size_t rounds)
{
	for (size_t i = 0; i < tasks->count && !bench_stopped; i++) {
		struct bench_task *task = &tasks->list[i];
		struct bench_samples unused = { 0 };

		task->run(task->state, task->per_round < 5 ? 1 : 5, &unused);
		bench_samples_clear(&unused);
	}
	for (size_t round = 0; round < rounds; round++)
		for (size_t i = 0; i < tasks->count && !bench_stopped; i++) {
			struct bench_task *task = &tasks->list[i];
			size_t from = task->row->samples.count;

			if (round % task->every != 0)
				continue;
			task->run(task->state, task->per_round, &task->row->samples);
			bench_row_round(task->row, from);
		}
}
