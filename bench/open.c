/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * What a command costs while more and more sandboxes are open in one pool, and
 * on one server. The first one's commands are measured at each size, and once
 * more with it alone after the others are gone, so that a machine that grew
 * slower in the meantime does not pass for the cost of load.
 */

#include <string.h>

#include <sos/sos.h>

#include "members.h"

#define MOST 50
#define PER_ROUND 50

static const size_t sizes[] = { 1, 10, MOST };
#define SIZES (sizeof(sizes) / sizeof(sizes[0]))

static struct bench_row *row_of(struct bench *bench, const char *way, size_t size)
{
	char name[32];

	snprintf(name, sizeof(name), "open.%s.%zu", way, size);
	return bench_report_row(&bench->report, name);
}

static void measure_http(struct bench *bench, struct bench_member *first, size_t size)
{
	struct bench_row *row = row_of(bench, "http", size);

	for (size_t round = 0; round < bench->rounds && !bench_stopped; round++) {
		size_t from = row->samples.count;

		bench_member_hi(first, PER_ROUND, &row->samples);
		bench_row_round(row, from);
	}
}

static void open_http(struct bench *bench)
{
	struct bench_server *server = bench_server_new(bench, MOST + 2, NULL, NULL);
	struct bench_member *members = server ? bench_members_new(server, MOST) : NULL;
	size_t open = 0;

	for (size_t i = 0; members && i < SIZES && !bench_stopped; i++) {
		size_t missing = sizes[i] - open - bench_members_start(members, open, sizes[i]);

		open = sizes[i];
		row_of(bench, "http", open)->samples.failures += missing;
		if (missing == 0)
			measure_http(bench, &members[0], open);
	}
	if (members && !bench_stopped) {
		bench_members_remove(members, 1, open);
		measure_http(bench, &members[0], 1);
	}
	bench_members_free(members, MOST);
	bench_server_free(server);
}

static void run_one(struct sos_sandbox *sandbox, struct bench_samples *samples)
{
	struct sos_error error = SOS_ERROR_INIT;
	struct sos_result *result = NULL;
	int64_t start = bench_now_ns(), end;
	int r = sos_sandbox_run(sandbox, "echo hi", &result, &error);

	end = bench_now_ns();
	if (r == 0 && sos_result_exit_code(result) == 0 && strcmp(sos_result_output(result, NULL), "hi\n") == 0)
		bench_samples_add_ns(samples, end - start);
	else if (samples->failures++ == 0)
		fprintf(stderr, "bench: open: %s\n", r < 0 ? error.message : "wrong output or exit code");
	sos_result_unref(result);
}

static void measure_library(struct bench *bench, struct sos_sandbox *first, size_t size)
{
	struct bench_row *row = row_of(bench, "library", size);

	for (size_t round = 0; round < bench->rounds && !bench_stopped; round++) {
		size_t from = row->samples.count;

		for (size_t i = 0; i < PER_ROUND; i++)
			run_one(first, &row->samples);
		bench_row_round(row, from);
	}
}

/* One more in the pool, its session used once. NULL where it failed. */
static struct sos_sandbox *add(struct bench *bench, struct sos_pool *pool)
{
	struct sos_sandbox_spec spec = SOS_SANDBOX_SPEC_INIT;
	struct sos_error error = SOS_ERROR_INIT;
	struct sos_sandbox *sandbox = NULL;
	struct bench_samples greeting = { 0 };

	spec.image = bench->image;
	spec.network = SOS_NETWORK_NONE;
	if (sos_sandbox_create(pool, &spec, &sandbox, &error) < 0 || sos_sandbox_start(sandbox, NULL, &error) < 0) {
		fprintf(stderr, "bench: open: %s\n", error.message);
		sos_sandbox_unref(sandbox);
		return NULL;
	}
	run_one(sandbox, &greeting);
	bench_samples_clear(&greeting);
	return sandbox;
}

static void open_library(struct bench *bench)
{
	struct sos_pool_options options = SOS_POOL_OPTIONS_INIT;
	struct sos_error error = SOS_ERROR_INIT;
	struct sos_sandbox *open[MOST] = { NULL };
	struct sos_pool *pool = NULL;
	char engine[160];
	size_t count = 0;

	snprintf(engine, sizeof(engine), "unix://%s", bench->engine);
	options.engine = engine;
	options.capacity = MOST;
	if (sos_pool_new(&options, &pool, &error) < 0) {
		fprintf(stderr, "bench: open: %s\n", error.message);
		row_of(bench, "library", 1)->samples.failures++;
		return;
	}
	for (size_t i = 0; i < SIZES && !bench_stopped; i++) {
		while (count < sizes[i] && !bench_stopped && (open[count] = add(bench, pool)))
			count++;
		if (count == sizes[i])
			measure_library(bench, open[0], count);
		else
			row_of(bench, "library", sizes[i])->samples.failures += !bench_stopped;
	}
	for (size_t i = 1; i < count; i++)
		sos_sandbox_stop(open[i], NULL, NULL);
	if (count == MOST && !bench_stopped)
		measure_library(bench, open[0], 1);
	for (size_t i = 0; i < count; i++)
		sos_sandbox_unref(open[i]);
	sos_pool_free(pool);
}

void bench_open(struct bench *bench)
{
	open_library(bench);
	if (!bench_stopped)
		open_http(bench);
}
