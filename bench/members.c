/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "members.h"

#define AT_A_TIME 16

struct bench_member *bench_members_new(struct bench_server *server, size_t count)
{
	struct bench_member *members = calloc(count, sizeof(*members));

	for (size_t i = 0; members && i < count; i++) {
		members[i].server = server;
		members[i].index = i;
		bench_http_init(&members[i].http, server->port);
	}
	return members;
}

void bench_members_free(struct bench_member *members, size_t count)
{
	for (size_t i = 0; members && i < count; i++) {
		bench_http_close(&members[i].http);
		bench_samples_clear(&members[i].samples);
	}
	free(members);
}

void bench_member_hi(struct bench_member *member, size_t count, struct bench_samples *samples)
{
	bench_server_measure(&member->http, member->path, BENCH_HI, "hi", count, samples);
}

/* What several threads take their members from. */
struct line {
	struct bench_member *members;
	atomic_size_t next;
	size_t to;
	void (*function)(struct bench_member *member);
};

static void *serve(void *data)
{
	struct line *line = data;
	size_t i;

	while ((i = atomic_fetch_add(&line->next, 1)) < line->to)
		line->function(&line->members[i]);
	return NULL;
}

static void work_through(struct bench_member *members, size_t from, size_t to, void (*function)(struct bench_member *))
{
	struct line line = { .members = members, .to = to, .function = function };
	pthread_t threads[AT_A_TIME];
	size_t started = 0;

	atomic_init(&line.next, from);
	while (started < AT_A_TIME && pthread_create(&threads[started], NULL, serve, &line) == 0)
		started++;
	for (size_t i = 0; i < started; i++)
		pthread_join(threads[i], NULL);
}

static void start(struct bench_member *member)
{
	struct bench_samples greeting = { 0 };

	if (bench_stopped || bench_server_sandbox(member->server, &member->http, member->path) < 0)
		return;
	bench_member_hi(member, 1, &greeting);
	member->up = greeting.count == 1;
	bench_samples_clear(&greeting);
}

static void remove_one(struct bench_member *member)
{
	char *slash = strrchr(member->path, '/');

	if (!slash)
		return;
	*slash = '\0'; /* from its exec's path to its own */
	if (bench_server_remove(&member->http, member->path) < 0)
		fprintf(stderr, "bench: %s was not removed\n", member->path);
	member->path[0] = '\0';
	member->up = false;
}

size_t bench_members_start(struct bench_member *members, size_t from, size_t to)
{
	size_t up = 0;

	work_through(members, from, to, start);
	for (size_t i = from; i < to; i++)
		up += members[i].up;
	return up;
}

void bench_members_remove(struct bench_member *members, size_t from, size_t to)
{
	work_through(members, from, to, remove_one);
}

void bench_members_all(struct bench_member *members, size_t count, void *(*function)(void *member))
{
	pthread_t *threads = calloc(count, sizeof(*threads));
	size_t started = 0;

	while (threads && started < count && pthread_create(&threads[started], NULL, function, &members[started]) == 0)
		started++;
	if (started < count)
		bench_say("not every client got a thread");
	for (size_t i = started; i < count; i++)
		members[i].samples.failures++; /* it did not run */
	for (size_t i = 0; i < started; i++)
		pthread_join(threads[i], NULL);
	free(threads);
}
