/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Waiting for a slot: order, position, deadline, cancellation, the bound. */

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "lib/harness.h"
#include "lib/tap.h"

static atomic_int turn; /* counts starts as they come back */

struct starter {
	struct sos_sandbox *sandbox;
	struct sos_start_options options;
	struct sos_error error;
	pthread_t thread;
	int code, place, first_position;
};

static void on_progress(void *data, const struct sos_progress *progress)
{
	struct starter *starter = data;

	if (progress->phase == SOS_PHASE_QUEUED && !starter->first_position)
		starter->first_position = (int)progress->current;
}

static void *run_start(void *data)
{
	struct starter *starter = data;

	starter->code = sos_sandbox_start(starter->sandbox, &starter->options, &starter->error);
	starter->place = ++turn;
	return NULL;
}

static struct starter *begin(struct sos_pool *pool)
{
	struct starter *starter = calloc(1, sizeof *starter);
	struct sos_sandbox_spec spec = SOS_SANDBOX_SPEC_INIT;
	struct sos_error error = SOS_ERROR_INIT;

	spec.image = IMAGE_BASH;
	spec.network = SOS_NETWORK_NONE;
	if (!starter || sos_sandbox_create(pool, &spec, &starter->sandbox, &error))
		tap_bail("create: %s", error.message);
	starter->options.size = sizeof starter->options;
	starter->options.progress = on_progress;
	starter->options.progress_data = starter;
	return starter;
}

static uint32_t position(struct sos_sandbox *sandbox)
{
	struct sos_sandbox_info *info = NULL;
	uint32_t value;

	if (sos_sandbox_get_info(sandbox, &info, NULL))
		abort();
	value = info->queue_position;
	sos_sandbox_info_free(info);
	return value;
}

static bool has_place(void *sandbox)
{
	return position(sandbox) > 0;
}

static struct starter *begin_and_queue(struct sos_pool *pool)
{
	struct starter *starter = begin(pool);

	if (pthread_create(&starter->thread, NULL, run_start, starter))
		abort();
	/* The state comes a moment before the place. */
	if (!harness_wait(has_place, starter->sandbox, 20000))
		tap_bail("a start beyond the capacity does not wait in the queue");
	return starter;
}

static int join(struct starter *starter)
{
	pthread_join(starter->thread, NULL);
	return starter->code;
}

static void drop(struct starter *starter)
{
	harness_stop(starter->sandbox);
	free(starter);
}

static uint32_t queued(struct sos_pool *pool)
{
	struct sos_pool_stats stats = { .size = sizeof stats };

	sos_pool_get_stats(pool, &stats);
	return stats.queued;
}

static void test_order(struct sos_pool *pool)
{
	struct sos_sandbox *first = harness_start(pool, IMAGE_BASH);
	struct starter *waiting[4];

	for (int i = 0; i < 4; i++) {
		waiting[i] = begin_and_queue(pool);
		tap_equal(position(waiting[i]->sandbox), i + 1, "position of waiter %d", i);
	}
	tap_equal(queued(pool), 4, "stats count the waiters");

	sos_sandbox_cancel_start(waiting[1]->sandbox);
	tap_equal(join(waiting[1]), SOS_ERROR_CANCELLED, "a cancelled start says so");
	tap_equal(waiting[1]->error.code, SOS_ERROR_CANCELLED, "and its error");
	tap_equal(position(waiting[2]->sandbox), 2, "the next one moved up");
	tap_equal(position(waiting[3]->sandbox), 3, "and the one behind it");
	tap_equal(harness_state(waiting[1]->sandbox), SOS_STATE_CREATED, "the cancelled one can be started again");

	if (sos_sandbox_stop(waiting[2]->sandbox, 0, NULL))
		tap_bail("stop of a waiting sandbox failed");
	tap_equal(join(waiting[2]), SOS_ERROR_ENDED, "a start whose sandbox is stopped says so");

	turn = 0;
	harness_stop(first);
	tap_equal(join(waiting[0]), 0, "the first one starts when the slot is free");
	tap_equal(harness_state(waiting[3]->sandbox), SOS_STATE_QUEUED, "the other one still waits");
	tap_equal(waiting[0]->first_position, 1, "progress told its position");
	tap_equal(waiting[3]->first_position, 4, "and that of the last");
	harness_expect(waiting[0]->sandbox, "echo a", "a\n");
	drop(waiting[0]);
	tap_equal(join(waiting[3]), 0, "then the last one");
	tap_equal(waiting[3]->place, 2, "in order");
	drop(waiting[3]);
	drop(waiting[1]);
	drop(waiting[2]);
}

static void test_deadline(struct sos_pool *pool)
{
	struct sos_sandbox *first = harness_start(pool, IMAGE_BASH);
	struct starter *late = begin(pool), *never = begin(pool);
	int64_t start = harness_now_ms();

	late->options.queue_timeout_ms = 300;
	run_start(late);
	tap_equal(late->code, SOS_ERROR_DEADLINE, "the queue's deadline passed: %s", late->error.message);
	tap_ok(harness_now_ms() - start >= 290 && harness_now_ms() - start < 3000, "at its time");
	tap_equal(queued(pool), 0, "and left the queue");

	start = harness_now_ms();
	never->options.queue_timeout_ms = -1;
	run_start(never);
	tap_equal(never->code, SOS_ERROR_DEADLINE, "a start that does not want to wait: %s", never->error.message);
	tap_ok(harness_now_ms() - start < 1000, "did not wait");

	harness_stop(first);
	late->options.queue_timeout_ms = 0;
	run_start(late);
	tap_equal(late->code, 0, "it can be started later");
	drop(late);
	drop(never);
}

static void test_full(void)
{
	struct sos_pool_options options = SOS_POOL_OPTIONS_INIT;
	struct sos_pool *pool;
	struct sos_sandbox *first;
	struct starter *waiting[2], *refused;

	options.capacity = 1;
	options.queue_limit = 2;
	pool = harness_pool_with(&options);
	first = harness_start(pool, IMAGE_BASH);
	for (int i = 0; i < 2; i++)
		waiting[i] = begin_and_queue(pool);
	refused = begin(pool);
	run_start(refused);
	tap_equal(refused->code, SOS_ERROR_FULL, "the queue has a bound: %s", refused->error.message);

	sos_pool_close(pool);
	for (int i = 0; i < 2; i++)
		tap_equal(join(waiting[i]), SOS_ERROR_CANCELLED, "closing the pool cancels waiter %d", i);
	sos_pool_free(pool);
	for (int i = 0; i < 2; i++) {
		sos_sandbox_unref(waiting[i]->sandbox);
		free(waiting[i]);
	}
	sos_sandbox_unref(refused->sandbox);
	free(refused);
	sos_sandbox_unref(first);
}

/* ---- the bound, seen through the Engine ---- */

#define CAPACITY 3
#define CLIENTS 8
#define ROUNDS 3

struct storm {
	struct sos_pool *pool;
	const char *name;
	atomic_bool over;
	atomic_int bad;
	int most, looks;
};

static void *client(void *data)
{
	struct storm *storm = data;

	for (int i = 0; i < ROUNDS; i++) {
		struct sos_sandbox *sandbox = harness_start(storm->pool, IMAGE_BASH);
		struct sos_result *result = harness_run(sandbox, "echo $((6 * 7))");

		if (strcmp(sos_result_output(result, NULL), "42\n"))
			storm->bad++;
		sos_result_unref(result);
		harness_stop(sandbox);
	}
	return NULL;
}

static void *look(void *data)
{
	struct storm *storm = data;

	while (!storm->over) {
		struct sos_pool_stats stats = { .size = sizeof stats };
		int count = harness_pool_containers(storm->name);

		sos_pool_get_stats(storm->pool, &stats);
		if (count < 0 || stats.containers > CAPACITY || stats.starting + stats.running + stats.removing > CAPACITY)
			storm->bad++;
		if (count > storm->most)
			storm->most = count;
		storm->looks++;
	}
	return NULL;
}

static void test_bound(void)
{
	struct sos_pool_options options = SOS_POOL_OPTIONS_INIT;
	struct storm storm = { .name = harness_name() };
	pthread_t threads[CLIENTS], looker;

	options.name = storm.name;
	options.capacity = CAPACITY;
	storm.pool = harness_pool_with(&options);
	harness_stop(harness_start(storm.pool, IMAGE_BASH)); /* the helper that fills the volume has come and gone */
	pthread_create(&looker, NULL, look, &storm);
	for (int i = 0; i < CLIENTS; i++)
		pthread_create(&threads[i], NULL, client, &storm);
	for (int i = 0; i < CLIENTS; i++)
		pthread_join(threads[i], NULL);
	storm.over = true;
	pthread_join(looker, NULL);
	tap_equal(storm.bad, 0, "%d starts of %d clients, every answer right, the counters within the bound", CLIENTS * ROUNDS,
		  CLIENTS);
	tap_ok(storm.most <= CAPACITY, "never more than %d containers exist: at most %d in %d looks", CAPACITY, storm.most,
	       storm.looks);
	tap_ok(storm.most >= 2, "and more than one at once");
	tap_equal(harness_pool_containers(storm.name), 0, "none is left");
	sos_pool_free(storm.pool);
}

int main(void)
{
	struct sos_pool *pool = harness_pool(1, SOS_TRANSPORT_AUTO);

	test_order(pool);
	test_deadline(pool);
	sos_pool_free(pool);
	test_full();
	test_bound();
	return tap_done();
}
