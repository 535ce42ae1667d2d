/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * What a command costs while more and more sandboxes are open on one server.
 * The first one's commands are measured at each size, and once more with it
 * alone after the others are gone, so that a machine that grew slower in the
 * meantime does not pass for the cost of load.
 */

#include "members.h"

#define MOST 50

static void measure(struct bench *bench, struct bench_member *first, const char *name)
{
	struct bench_row *row = bench_report_row(&bench->report, name);

	for (size_t round = 0; round < bench->rounds && !bench_stopped; round++) {
		size_t from = row->samples.count;

		bench_member_hi(first, 50, &row->samples);
		bench_row_round(row, from);
	}
}

void bench_open(struct bench *bench)
{
	static const struct { size_t count; const char *row; } sizes[] = {
		{ 1, "open.1" }, { 10, "open.10" }, { MOST, "open.50" },
	};
	struct bench_server *server = bench_server_new(bench, MOST + 2, NULL, NULL);
	struct bench_member *members = server ? bench_members_new(server, MOST) : NULL;
	size_t open = 0;

	for (size_t i = 0; members && i < sizeof(sizes) / sizeof(sizes[0]) && !bench_stopped; i++) {
		size_t missing = sizes[i].count - open - bench_members_start(members, open, sizes[i].count);

		open = sizes[i].count;
		bench_report_row(&bench->report, sizes[i].row)->samples.failures += missing;
		if (missing == 0)
			measure(bench, &members[0], sizes[i].row);
	}
	if (members && !bench_stopped) {
		bench_members_remove(members, 1, open);
		measure(bench, &members[0], "open.1");
	}
	bench_members_free(members, MOST);
	bench_server_free(server);
}
