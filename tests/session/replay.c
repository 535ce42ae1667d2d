/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Replays session cases over the library on the real Engine, some at once, each
 * in a sandbox of its own. One TAP point a case.
 *
 *   replay [--transport socket|attach|auto] [--image REFERENCE] [--jobs N] [--only NAME] FILE...
 *
 * A step that has neither come back by its own limit nor by STEP_LIMIT_MS hangs,
 * which is a failure: the sandbox is stopped, and with it the call.
 */

#include <getopt.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/harness.h"
#include "lib/tap.h"
#include "session/expect.h"

#define STEP_LIMIT_MS 30000

struct run {
	const cJSON **cases;
	size_t count;
	const char *image;
	struct sos_pool *pool;
	pthread_mutex_t lock; /* next */
	size_t next;
};

/* Stops the sandbox when a step does not come back. */
struct watchdog {
	pthread_t thread;
	pthread_mutex_t lock; /* all below */
	pthread_cond_t changed;
	struct sos_sandbox *sandbox;
	int64_t deadline; /* 0: nothing runs */
	bool done, fired;
};

static struct timespec at(int64_t ms)
{
	return (struct timespec){ .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000 };
}

static void *watch(void *data)
{
	struct watchdog *dog = data;

	pthread_mutex_lock(&dog->lock);
	while (!dog->done && !dog->fired) {
		struct timespec until = at(dog->deadline);

		if (!dog->deadline) {
			pthread_cond_wait(&dog->changed, &dog->lock);
		} else if (harness_now_ms() < dog->deadline) {
			pthread_cond_timedwait(&dog->changed, &dog->lock, &until);
		} else {
			dog->fired = true;
			pthread_mutex_unlock(&dog->lock);
			sos_sandbox_stop(dog->sandbox, 0, NULL);
			pthread_mutex_lock(&dog->lock);
		}
	}
	pthread_mutex_unlock(&dog->lock);
	return NULL;
}

static void watchdog_start(struct watchdog *dog, struct sos_sandbox *sandbox)
{
	pthread_condattr_t attributes;

	*dog = (struct watchdog){ .lock = PTHREAD_MUTEX_INITIALIZER, .sandbox = sandbox };
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&dog->changed, &attributes);
	pthread_condattr_destroy(&attributes);
	if (pthread_create(&dog->thread, NULL, watch, dog))
		abort();
}

static void watchdog_set(struct watchdog *dog, int64_t deadline)
{
	pthread_mutex_lock(&dog->lock);
	dog->deadline = deadline;
	pthread_cond_signal(&dog->changed);
	pthread_mutex_unlock(&dog->lock);
}

static bool watchdog_end(struct watchdog *dog)
{
	pthread_mutex_lock(&dog->lock);
	dog->done = true;
	pthread_cond_signal(&dog->changed);
	pthread_mutex_unlock(&dog->lock);
	pthread_join(dog->thread, NULL);
	pthread_cond_destroy(&dog->changed);
	return dog->fired;
}

/* A NULL-terminated array of the strings of a list; they stay the JSON's. */
static const char **strings(const cJSON *list)
{
	const char **array = calloc((size_t)cJSON_GetArraySize(list) + 1, sizeof *array);
	size_t count = 0;
	const cJSON *item;

	if (!array)
		abort();
	cJSON_ArrayForEach(item, list)
		array[count++] = cJSON_GetStringValue(item);
	return array;
}

static struct sos_sandbox *start(const struct run *run, const cJSON *one, struct sos_error *error)
{
	struct sos_sandbox_spec spec = SOS_SANDBOX_SPEC_INIT;
	const char **setup = strings(cJSON_GetObjectItemCaseSensitive(one, "setup_commands"));
	const char **environment = strings(cJSON_GetObjectItemCaseSensitive(one, "environment"));
	struct sos_sandbox *sandbox = NULL;

	spec.image = expect_string(one, "image") ? expect_string(one, "image") : run->image;
	spec.user = expect_string(one, "user");
	spec.working_directory = expect_string(one, "working_directory");
	spec.network = SOS_NETWORK_NONE;
	spec.setup_commands = setup;
	spec.environment = environment;
	if (!sos_sandbox_create(run->pool, &spec, &sandbox, error) && sos_sandbox_start(sandbox, NULL, error)) {
		sos_sandbox_unref(sandbox);
		sandbox = NULL;
	}
	free(setup);
	free(environment);
	return sandbox;
}

static bool session_over(const struct sos_result *result)
{
	/* what a time limit killed did not exit by itself */
	return sos_result_session_lost(result) || (sos_result_exited(result) && !sos_result_timed_out(result));
}

/* NULL: the step went as the case says. `*lost`: the session is gone, as the case allows. */
static char *run_step(struct sos_sandbox *sandbox, struct watchdog *dog, const cJSON *step, bool *lost)
{
	struct sos_exec_options options = SOS_EXEC_OPTIONS_INIT;
	struct sos_error error = SOS_ERROR_INIT;
	const char *refused = expect_string(step, "error");
	struct sos_result *result = NULL;
	struct text command = expect_text(cJSON_GetObjectItemCaseSensitive(step, "command"));
	char *why = NULL;
	int code;

	options.command = command.bytes;
	options.command_length = command.length;
	options.timeout_ms = (int64_t)expect_number(step, "timeout_ms", 0);
	if (expect_true(step, "standalone"))
		options.flags |= SOS_EXEC_STANDALONE;
	watchdog_set(dog, harness_now_ms() + options.timeout_ms + STEP_LIMIT_MS);
	code = sos_sandbox_exec(sandbox, &options, &result, &error);
	watchdog_set(dog, 0);
	if (expect_true(step, "any")) {
		/* whatever it is, it came back */
	} else if (refused) {
		if (!code || strcmp(sos_code_name(code), refused))
			why = strdup(code ? error.message : "it was not refused");
	} else if (expect_true(step, "may_lose_session") && (code ? code == SOS_ERROR_STATE : session_over(result))) {
		*lost = true;
	} else if (code) {
		if (asprintf(&why, "exec failed: %s: %s", sos_code_name(code), error.message) < 0)
			abort();
	} else {
		why = expect_check(step, result);
	}
	sos_result_unref(result);
	free(command.bytes);
	return why;
}

static void run_case(const struct run *run, const cJSON *one)
{
	struct sos_error error = SOS_ERROR_INIT;
	const char *name = expect_string(one, "name");
	struct sos_sandbox *sandbox = start(run, one, &error);
	const cJSON *step;
	struct watchdog dog;
	bool lost = false;
	char *why = NULL;
	int number = 0;

	if (!sandbox) {
		tap_ok(false, "%s", name);
		tap_diag("start failed: %s", error.message);
		return;
	}
	watchdog_start(&dog, sandbox);
	cJSON_ArrayForEach(step, cJSON_GetObjectItemCaseSensitive(one, "steps")) {
		number++;
		if (lost && !expect_true(step, "standalone"))
			continue;
		why = run_step(sandbox, &dog, step, &lost);
		if (why)
			break;
	}
	if (watchdog_end(&dog) && !why)
		why = strdup("it hung");
	if (sos_sandbox_stop(sandbox, &harness_forget, &error) && !why)
		why = strdup(error.message);
	sos_sandbox_unref(sandbox);
	tap_ok(!why, "%s", name);
	if (why)
		tap_diag("%s, step %d: %s", name, number, why);
	free(why);
}

static void *worker(void *data)
{
	struct run *run = data;

	for (;;) {
		const cJSON *one;

		pthread_mutex_lock(&run->lock);
		one = run->next < run->count ? run->cases[run->next++] : NULL;
		pthread_mutex_unlock(&run->lock);
		if (!one)
			return NULL;
		run_case(run, one);
	}
}

static void add_cases(struct run *run, const cJSON *file, const char *only)
{
	const cJSON *one;

	cJSON_ArrayForEach(one, file) {
		if (only && strcmp(only, expect_string(one, "name")))
			continue;
		run->cases = realloc(run->cases, (run->count + 1) * sizeof *run->cases);
		if (!run->cases)
			abort();
		run->cases[run->count++] = one;
	}
}

int main(int argc, char **argv)
{
	static const struct option options[] = { { "transport", required_argument, NULL, 't' },
						 { "image", required_argument, NULL, 'i' },
						 { "jobs", required_argument, NULL, 'j' },
						 { "only", required_argument, NULL, 'o' },
						 { 0 } };
	struct run run = { .image = IMAGE_BASH, .lock = PTHREAD_MUTEX_INITIALIZER };
	const char *only = NULL;
	uint32_t transport = SOS_TRANSPORT_AUTO, jobs = 4;
	cJSON *files[16];
	pthread_t threads[64];
	int option, count = 0;

	while ((option = getopt_long(argc, argv, "t:i:j:o:", options, NULL)) >= 0) {
		switch (option) {
		case 't': transport = harness_transport(optarg); break;
		case 'i': run.image = optarg; break;
		case 'j': jobs = (uint32_t)atoi(optarg); break;
		case 'o': only = optarg; break;
		default: return 2;
		}
	}
	if (jobs < 1 || jobs > 64 || optind == argc || argc - optind > 16)
		tap_bail("usage: replay [--transport T] [--image I] [--jobs 1-64] [--only NAME] FILE...");
	for (; optind < argc; optind++, count++)
		add_cases(&run, files[count] = expect_read_file(argv[optind]), only);

	run.pool = harness_pool(jobs, transport);
	for (uint32_t i = 0; i < jobs; i++)
		if (pthread_create(&threads[i], NULL, worker, &run))
			abort();
	for (uint32_t i = 0; i < jobs; i++)
		pthread_join(threads[i], NULL);
	sos_pool_free(run.pool);
	free(run.cases);
	while (count)
		cJSON_Delete(files[--count]);
	return tap_done();
}
