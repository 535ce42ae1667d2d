/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A start that has to pull first, and what becomes of it when that fails. Run by
 * ../engine/run.py, which has a registry with a good image and a bad registry,
 * and makes the Engine reachable by socket, TCP and TLS. */

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "lib/harness.h"
#include "lib/tap.h"

static const char *setting(const char *name)
{
	const char *value = getenv(name);

	if (!value)
		tap_bail("%s is not set: start ../engine/run.py with this program", name);
	return value;
}

struct seen {
	unsigned phases; /* a bit each */
	uint32_t last;
	int64_t most;
	int words;
};

static void on_progress(void *data, const struct sos_progress *progress)
{
	struct seen *seen = data;

	seen->phases |= 1u << progress->phase;
	seen->last = progress->phase;
	if (progress->phase == SOS_PHASE_PULLING) {
		seen->words += progress->text[0] != 0;
		if (progress->current > seen->most)
			seen->most = progress->current;
	}
}

static struct sos_sandbox *create(struct sos_pool *pool, const char *image)
{
	struct sos_sandbox_spec spec = SOS_SANDBOX_SPEC_INIT;
	const char *setup[] = { "cd /tmp || cd /", NULL };
	struct sos_sandbox *sandbox = NULL;
	struct sos_error error = SOS_ERROR_INIT;

	spec.image = image;
	spec.network = SOS_NETWORK_NONE;
	spec.setup_commands = setup;
	if (sos_sandbox_create(pool, &spec, &sandbox, &error))
		tap_bail("create: %s", error.message);
	return sandbox;
}

static void test_pull(struct sos_pool *pool)
{
	struct sos_start_options options = SOS_START_OPTIONS_INIT;
	struct sos_sandbox *sandbox = create(pool, setting("SOS_TEST_PULL"));
	struct sos_error error = SOS_ERROR_INIT;
	struct seen seen = { 0 };

	options.progress = on_progress;
	options.progress_data = &seen;
	if (!tap_ok(sos_sandbox_start(sandbox, &options, &error) == 0, "a start that pulls: %s", error.message))
		exit(tap_done());
	tap_ok(seen.phases & 1u << SOS_PHASE_PULLING && seen.phases & 1u << SOS_PHASE_STARTING, "progress tells of it");
	tap_equal(seen.last, SOS_PHASE_SETUP, "and of the setup at last");
	tap_ok(seen.words > 0, "with the Engine's words");
	harness_expect(sandbox, "echo $OF_THE_IMAGE", "yes\n");
	harness_stop(sandbox);

	memset(&seen, 0, sizeof seen);
	sandbox = create(pool, setting("SOS_TEST_PULL"));
	tap_equal(sos_sandbox_start(sandbox, &options, &error), 0, "a start of an image that is there");
	tap_ok(!(seen.phases & 1u << SOS_PHASE_PULLING), "does not pull");
	harness_stop(sandbox);
}

static void test_failure(struct sos_pool *pool, const char *name, const char *image, int code, int64_t timeout_ms)
{
	struct sos_start_options options = SOS_START_OPTIONS_INIT;
	struct sos_sandbox *sandbox = create(pool, image);
	struct sos_error error = SOS_ERROR_INIT;
	struct sos_pool_stats stats = { .size = sizeof stats };
	int64_t start = harness_now_ms();

	options.timeout_ms = timeout_ms;
	tap_equal(sos_sandbox_start(sandbox, &options, &error), code, "%s: %s", name, error.message);
	tap_ok(strstr(error.message, image) != NULL, "%s: the message names the image", name);
	tap_ok(harness_now_ms() - start < 10000, "%s: in time", name);
	tap_equal(harness_state(sandbox), SOS_STATE_CREATED, "%s: it can be started again", name);
	sos_pool_get_stats(pool, &stats);
	tap_equal(stats.containers, 0, "%s: the slot is free", name);
	harness_stop(sandbox);
}

static void *run_start(void *sandbox)
{
	return (void *)(intptr_t)sos_sandbox_start(sandbox, NULL, NULL);
}

/* Two that share a pull: the end of one is not the other's. */
static void test_cancel(struct sos_pool *pool)
{
	struct sos_sandbox *sandboxes[2];
	pthread_t threads[2];
	void *code;
	int64_t start;

	for (int i = 0; i < 2; i++) {
		sandboxes[i] = create(pool, setting("SOS_TEST_HANGING"));
		pthread_create(&threads[i], NULL, run_start, sandboxes[i]);
		tap_ok(harness_wait_state(sandboxes[i], SOS_STATE_PULLING), "a pull that hangs");
	}
	for (int i = 0; i < 2; i++) {
		start = harness_now_ms();
		sos_sandbox_cancel_start(sandboxes[i]);
		pthread_join(threads[i], &code);
		tap_equal((intptr_t)code, SOS_ERROR_CANCELLED, "is cancelled");
		tap_ok(harness_now_ms() - start < 3000, "at once");
		harness_stop(sandboxes[i]);
		if (i == 0)
			tap_equal(harness_state(sandboxes[1]), SOS_STATE_PULLING, "the other one goes on");
	}
}

int main(void)
{
	struct sos_pool_options options = SOS_POOL_OPTIONS_INIT;
	struct sos_pool *pool;

	options.engine = setting("SOS_TEST_ADDRESS");
	options.name = harness_name();
	options.capacity = 2;
	pool = harness_pool_with(&options);
	test_pull(pool);
	test_failure(pool, "no such tag", setting("SOS_TEST_ABSENT"), SOS_ERROR_IMAGE, 0);
	test_failure(pool, "a layer is missing", setting("SOS_TEST_BROKEN"), SOS_ERROR_IMAGE, 0);
	test_failure(pool, "a registry that hangs", setting("SOS_TEST_HANGING"), SOS_ERROR_DEADLINE, 1500);
	test_cancel(pool);
	sos_pool_free(pool);
	tap_equal(harness_pool_containers(options.name), 0, "nothing is left of the pool");
	return tap_done();
}
