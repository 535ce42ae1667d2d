/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Many sandboxes of one server, each with a client of its own. */

#include "server.h"

struct bench_member {
	struct bench_server *server;
	struct bench_http http;
	struct bench_samples samples; /* of its own thread, until they are collected */
	char path[128];               /* of its exec */
	size_t index;
	bool up;
	void *data;                   /* of who runs them */
};

struct bench_member *bench_members_new(struct bench_server *server, size_t count);
void bench_members_free(struct bench_member *members, size_t count);
/* Start those from `from` to before `to`, 16 at a time, and run one command in each. How many are up of them. */
size_t bench_members_start(struct bench_member *members, size_t from, size_t to);
/* Stop and forget them, likewise. */
void bench_members_remove(struct bench_member *members, size_t from, size_t to);
/* `function` once for each, on a thread of its own. */
void bench_members_all(struct bench_member *members, size_t count, void *(*function)(void *member));
/* `count` times `echo hi` on one of them. */
void bench_member_hi(struct bench_member *member, size_t count, struct bench_samples *samples);
