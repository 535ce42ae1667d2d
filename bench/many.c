/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * --many N --seconds S: N sandboxes alive at once on one server, each with a
 * client of its own that runs `echo hi` once a second, for S seconds; and on
 * the way there what a command costs with 1, 10, 100 and all of them open.
 */

#include <pthread.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <time.h>

#include "members.h"
#include "process.h"

#define SECOND_NS INT64_C(1000000000)
#define WINDOWS 10 /* parts of the run whose medians say how much it varies */

struct many {
	struct bench *bench;
	struct bench_server *server;
	struct bench_member *members;
	struct tick *ticks; /* seconds of the first, of the second, ... */
	int64_t begin;
};

/* One command: 0 where it was not run. */
struct tick {
	int64_t due_ns, sent_ns;
	bool failed;
};

static void sleep_until(int64_t ns)
{
	struct timespec when = { .tv_sec = ns / SECOND_NS, .tv_nsec = ns % SECOND_NS };

	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &when, NULL) != 0 && !bench_stopped)
		;
}

/*
 * Its second begins at a place of its own, so that the clients are spread over each second. A command that comes late
 * because the one before it took too long counts from when it was due.
 */
static void *run_member(void *data)
{
	struct bench_member *member = data;
	struct many *many = member->data;
	size_t seconds = many->bench->seconds;
	struct tick *ticks = &many->ticks[member->index * seconds];
	int64_t due = many->begin + SECOND_NS * (int64_t)member->index / (int64_t)many->bench->many;

	prctl(PR_SET_TIMERSLACK, 1);
	for (size_t i = 0; i < seconds && !bench_stopped; i++, due += SECOND_NS) {
		struct bench_samples one = { 0 };
		int64_t sent;

		sleep_until(due);
		sent = bench_now_ns();
		bench_member_hi(member, 1, &one);
		if (one.count) {
			ticks[i].sent_ns = (int64_t)(one.values[0] * 1e6);
			ticks[i].due_ns = sent - due + ticks[i].sent_ns;
		}
		ticks[i].failed = one.failures > 0;
		bench_samples_clear(&one);
	}
	return NULL;
}

static void *weigh_half_way(void *data)
{
	struct many *many = data;

	sleep_until(many->begin + SECOND_NS * (int64_t)many->bench->seconds / 2);
	if (!bench_stopped)
		bench_server_weigh(many->server, "many.memory.half", "RssAnon");
	return NULL;
}

static void collect(struct many *many)
{
	struct bench_row *due = bench_report_row(&many->bench->report, "many.due");
	struct bench_row *sent = bench_report_row(&many->bench->report, "many.sent");
	size_t seconds = many->bench->seconds;

	for (size_t window = 0; window < WINDOWS; window++) {
		size_t from_due = due->samples.count, from_sent = sent->samples.count;

		for (size_t i = 0; i < many->bench->many; i++)
			for (size_t s = window * seconds / WINDOWS; s < (window + 1) * seconds / WINDOWS; s++) {
				const struct tick *tick = &many->ticks[i * seconds + s];

				due->samples.failures += tick->failed;
				if (!tick->sent_ns)
					continue;
				bench_samples_add_ns(&due->samples, tick->due_ns);
				bench_samples_add_ns(&sent->samples, tick->sent_ns);
			}
		bench_row_round(due, from_due);
		bench_row_round(sent, from_sent);
	}
}

static void count_descriptors(struct many *many, const char *name)
{
	struct bench_row *row = bench_report_row(&many->bench->report, name);
	int64_t count = bench_descriptors(many->server->pid);

	if (count >= 0)
		bench_row_add(row, (double)count);
	else
		row->samples.failures++;
}

/* Commands are recorded, so memory that is not flat is told by what one of them leaves. */
static void weigh_commands(struct many *many)
{
	struct bench_report *report = &many->bench->report;
	struct bench_row *start = bench_report_row(report, "many.memory.start");
	struct bench_row *end = bench_report_row(report, "many.memory.end");
	struct bench_row *due = bench_report_row(report, "many.due");

	if (start->samples.count && end->samples.count && due->samples.count)
		bench_row_add(bench_report_row(report, "many.memory.command"),
			      (bench_row_p50(end) - bench_row_p50(start)) * 1024 / (double)due->samples.count);
}

static void run_seconds(struct many *many)
{
	struct bench_row *due = bench_report_row(&many->bench->report, "many.due");
	pthread_t half;
	bool halving;

	many->ticks = calloc(many->bench->many * many->bench->seconds, sizeof(*many->ticks));
	if (!many->ticks)
		return;
	bench_server_weigh(many->server, "many.memory.start", "RssAnon");
	count_descriptors(many, "many.descriptors.start");
	/* Time for every thread to be there. */
	many->begin = bench_now_ns() + 2 * SECOND_NS;
	halving = pthread_create(&half, NULL, weigh_half_way, many) == 0;
	bench_members_all(many->members, many->bench->many, run_member);
	if (halving)
		pthread_join(half, NULL);
	for (size_t i = 0; i < many->bench->many; i++)
		due->samples.failures += many->members[i].samples.failures;
	collect(many);
	bench_server_weigh(many->server, "many.memory.end", "RssAnon");
	weigh_commands(many);
	bench_server_weigh(many->server, "many.rss.end", "VmRSS");
	count_descriptors(many, "many.descriptors.end");
	free(many->ticks);
}

static void measure_open(struct many *many, const char *name)
{
	struct bench_row *row = bench_report_row(&many->bench->report, name);

	for (size_t round = 0; round < 20 && !bench_stopped; round++) {
		size_t from = row->samples.count;

		bench_member_hi(&many->members[0], 50, &row->samples);
		bench_row_round(row, from);
	}
}

/* Up to `to` of them. False where some did not start. */
static bool grow(struct many *many, size_t *open, size_t to)
{
	struct bench_row *row = bench_report_row(&many->bench->report, "many.starts");
	int64_t start = bench_now_ns();
	size_t up = bench_members_start(many->members, *open, to), missing = to - *open - up;

	if (up >= 10)
		bench_row_add(row, (double)up * 1e9 / (double)(bench_now_ns() - start));
	row->calls += up;
	row->samples.failures += missing;
	*open = to;
	return missing == 0;
}

static bool grow_to_all(struct many *many)
{
	static const struct { size_t count; const char *row; } sizes[] = {
		{ 1, "many.open.1" }, { 10, "many.open.10" }, { 100, "many.open.100" },
	};
	size_t open = 0;

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]) && sizes[i].count < many->bench->many; i++) {
		if (bench_stopped || !grow(many, &open, sizes[i].count))
			return false;
		measure_open(many, sizes[i].row);
	}
	/* In steps, so that the rate of starts has samples and whoever waits sees how far it is. */
	while (open < many->bench->many && !bench_stopped) {
		size_t to = open + 50 < many->bench->many ? open + 50 : many->bench->many;

		if (!grow(many, &open, to))
			return false;
		fprintf(stderr, "bench: %zu open\n", open);
	}
	measure_open(many, "many.open.all");
	return !bench_stopped;
}

static void weigh_inits(struct many *many)
{
	struct bench_row *row = bench_report_row(&many->bench->report, "many.init");

	for (size_t i = 0; i < many->bench->many && i < 20; i++) {
		int64_t kb = bench_server_init_kb(many->server, many->members[i].path);

		if (kb >= 0)
			bench_row_add(row, (double)kb);
		else
			row->samples.failures++;
	}
}

void bench_many(struct bench *bench)
{
	struct many many = { .bench = bench };

	many.server = bench_server_new(bench, bench->many + 2, NULL, NULL);
	many.members = many.server ? bench_members_new(many.server, bench->many) : NULL;
	if (!many.members) {
		bench_report_row(&bench->report, "many.starts")->samples.failures++;
		bench_server_free(many.server);
		return;
	}
	for (size_t i = 0; i < bench->many; i++)
		many.members[i].data = &many;
	bench_server_weigh(many.server, "many.memory.0", "RssAnon");
	bench_say("starting them");
	if (grow_to_all(&many)) {
		weigh_inits(&many);
		bench_say("each once a second");
		run_seconds(&many);
		bench_say("with one again");
		bench_members_remove(many.members, 1, bench->many);
		measure_open(&many, "many.open.1");
	} else if (!bench_stopped) {
		bench_server_show_log(many.server);
	}
	bench_members_free(many.members, bench->many);
	bench_server_free(many.server);
}
