/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* 16 sandboxes at once: commands a second, what one of them takes then, and what all of it weighs. */

#include <stdlib.h>

#include "members.h"

#define CROWD 16

struct crowd {
	int64_t until; /* monotonic; set before the clients run */
};

static void *run_member(void *data)
{
	struct bench_member *member = data;
	struct crowd *crowd = member->data;

	while (bench_now_ns() < crowd->until && !bench_stopped)
		bench_member_hi(member, 20, &member->samples);
	return NULL;
}

/* Commands of all members for a second; one sample of the rate, all of the latency. */
static void run_second(struct bench *bench, struct crowd *crowd, struct bench_member *members)
{
	struct bench_row *rate = bench_report_row(&bench->report, "crowd.http");
	struct bench_row *latency = bench_report_row(&bench->report, "crowd.latency");
	size_t from = latency->samples.count, commands = 0;
	int64_t start = bench_now_ns(), end;

	crowd->until = start + INT64_C(1000000000);
	bench_members_all(members, CROWD, run_member);
	end = bench_now_ns();
	for (size_t i = 0; i < CROWD; i++) {
		commands += members[i].samples.count;
		rate->samples.failures += members[i].samples.failures;
		for (size_t j = 0; j < members[i].samples.count; j++)
			bench_samples_add(&latency->samples, members[i].samples.values[j]);
		bench_samples_clear(&members[i].samples);
	}
	bench_row_round(latency, from);
	bench_row_add(rate, (double)commands * 1e9 / (double)(end - start));
	rate->calls += commands;
}

static void weigh_inits(struct bench_server *server, struct bench_member *members)
{
	struct bench_row *row = bench_report_row(&server->bench->report, "memory.init");

	for (size_t i = 0; i < CROWD; i++) {
		int64_t kb = bench_server_init_kb(server, members[i].path);

		if (kb >= 0)
			bench_row_add(row, (double)kb);
		else
			row->samples.failures++;
	}
}

/* One fresh server: what it weighs shall not be what rounds before left in its trajectories. */
static void run_server(struct bench *bench, struct bench_server *server, struct bench_member *members, size_t seconds)
{
	struct crowd crowd = { 0 };
	size_t up;

	bench_server_weigh(server, "memory.daemon.0", "RssAnon");
	up = bench_members_start(members, 0, CROWD);
	if (up < CROWD) {
		bench_report_row(&bench->report, "crowd.http")->samples.failures += CROWD - up;
		bench_server_show_log(server);
		return;
	}
	bench_server_weigh(server, "memory.daemon.anon", "RssAnon");
	bench_server_weigh(server, "memory.daemon.rss", "VmRSS");
	weigh_inits(server, members);
	for (size_t i = 0; i < CROWD; i++)
		members[i].data = &crowd;
	for (size_t second = 0; second < seconds && !bench_stopped; second++)
		run_second(bench, &crowd, members);
	bench_server_weigh(server, "memory.daemon.after", "RssAnon");
}

void bench_crowd(struct bench *bench)
{
	for (size_t turn = 0; turn < (bench->quick ? 1 : 3) && !bench_stopped; turn++) {
		struct bench_server *server = bench_server_new(bench, CROWD + 4, NULL, NULL);
		struct bench_member *members = server ? bench_members_new(server, CROWD) : NULL;

		if (members)
			run_server(bench, server, members, bench->quick ? 2 : 4);
		bench_members_free(members, CROWD);
		bench_server_free(server);
	}
}
