/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Descriptors, threads, memory and files of the process are back where they
 * were; a pool that cannot have enough descriptors says so. Argument: the transport. */

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "lib/harness.h"
#include "lib/tap.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define MEMORY_IS_MEASURED 0 /* a sanitizer keeps freed memory; it finds leaks itself */
#else
#define MEMORY_IS_MEASURED 1
#endif

static uint32_t transport;

static void use(struct sos_pool *pool, int commands)
{
	struct sos_sandbox *sandbox = harness_start(pool, IMAGE_BASH);
	struct sos_exec_options options = SOS_EXEC_OPTIONS_INIT;
	struct sos_trajectory *trajectory = NULL;
	struct sos_error error = SOS_ERROR_INIT;
	struct sos_result *result = NULL;

	for (int i = 0; i < commands; i++)
		sos_result_unref(harness_run(sandbox, "echo hello; ls / >/dev/null"));
	options.command = "cat; exit 3";
	options.flags = SOS_EXEC_STANDALONE;
	options.stdin_data = "input";
	options.stdin_length = 5;
	for (int i = 0; i < 5; i++)
		sos_result_unref(harness_exec(sandbox, &options));
	options = (struct sos_exec_options)SOS_EXEC_OPTIONS_INIT;
	options.command = "yes";
	options.timeout_ms = 200;
	options.max_output_bytes = 1 << 20;
	sos_result_unref(harness_exec(sandbox, &options));
	if (sos_sandbox_get_trajectory(sandbox, &trajectory, NULL) == 0)
		sos_trajectory_free(trajectory);
	sos_result_unref(harness_run(sandbox, "exit 1"));
	if (!harness_wait_state(sandbox, SOS_STATE_EXITED))
		tap_ok(false, "after exit the state is exited: %s", sos_state_name((int)harness_state(sandbox)));
	if (sos_sandbox_run(sandbox, "true", &result, &error) == 0)
		tap_bail("a command after exit was not refused");
	harness_stop(sandbox);
}

static void fail_to_start(struct sos_pool *pool)
{
	struct sos_sandbox_spec spec = SOS_SANDBOX_SPEC_INIT;
	const char *setup[] = { "false", NULL };
	struct sos_sandbox *sandbox = NULL;

	spec.image = IMAGE_BASH;
	spec.network = SOS_NETWORK_NONE;
	spec.setup_commands = setup;
	if (sos_sandbox_create(pool, &spec, &sandbox, NULL) || sos_sandbox_start(sandbox, NULL, NULL) != SOS_ERROR_SETUP)
		tap_bail("a start with a failing setup did not fail");
	harness_stop(sandbox);
}

static void test_process(void)
{
	int descriptors = harness_descriptors(), threads = harness_threads(), inside;
	struct sos_pool *pool = harness_pool(2, transport);

	use(pool, 3);
	fail_to_start(pool);
	inside = harness_descriptors();
	for (int i = 0; i < 4; i++)
		use(pool, 3);
	fail_to_start(pool);
	tap_ok(harness_descriptors() <= inside + 1, "a pool that was used keeps no more descriptors: %d, %d before",
	       harness_descriptors(), inside);
	sos_pool_free(pool);
	tap_equal(harness_descriptors(), descriptors, "descriptors are back after the pool is freed");
	tap_equal(harness_threads(), threads, "threads are back");
	for (int i = 0; i < 3; i++)
		sos_pool_free(harness_pool(2, transport));
	tap_equal(harness_descriptors(), descriptors, "descriptors are back after three more pools");
	tap_equal(harness_threads(), threads, "threads are back");
}

static void test_memory(void)
{
	struct sos_pool *pool = harness_pool(1, transport);
	struct sos_sandbox *sandbox = harness_start(pool, IMAGE_BASH);
	int64_t before, after;

	for (int i = 0; i < 3000; i++)
		sos_result_unref(harness_run(sandbox, "echo hello"));
	before = harness_resident_bytes();
	for (int i = 0; i < 6000; i++)
		sos_result_unref(harness_run(sandbox, "echo hello"));
	after = harness_resident_bytes();
	/* the trajectory keeps every command: some hundred bytes each, as it must */
	if (MEMORY_IS_MEASURED)
		tap_ok(after - before < (int64_t)6000 * 1024, "6000 commands leave less than 1 KiB each: %lld bytes",
		       (long long)(after - before));
	else
		tap_ok(true, "6000 commands ran; memory is the sanitizer's business");
	harness_stop(sandbox);

	for (int i = 0; i < 3; i++)
		use(pool, 1);
	before = harness_resident_bytes();
	for (int i = 0; i < 12; i++)
		use(pool, 1);
	after = harness_resident_bytes();
	if (MEMORY_IS_MEASURED)
		tap_ok(after - before < (2 << 20), "12 sandboxes come and go within 2 MiB: %lld bytes",
		       (long long)(after - before));
	else
		tap_ok(true, "12 sandboxes came and went; memory is the sanitizer's business");
	sos_pool_free(pool);
}

/* What the runtime directory holds, locks of pool names excepted: they may stay. */
static int runtime_entries(const char *path)
{
	DIR *directory = opendir(path);
	struct dirent *entry;
	int count = 0;

	if (!directory)
		return 0;
	while ((entry = readdir(directory)))
		if (entry->d_name[0] != '.' && !strstr(entry->d_name, "lock"))
			count++;
	closedir(directory);
	return count;
}

static void test_files(void)
{
	struct sos_pool_options options = SOS_POOL_OPTIONS_INIT;
	char directory[] = "/run/sos-test-XXXXXX", command[64];
	struct sos_pool *pool;

	if (geteuid() != 0)
		memcpy(directory, "/tmp/sos-test-XXXXXX", sizeof "/tmp/sos-test-XXXXXX");
	if (!mkdtemp(directory))
		tap_bail("mkdtemp");
	options.runtime_dir = directory;
	options.transport = transport;
	pool = harness_pool_with(&options);
	use(pool, 1);
	sos_pool_free(pool);
	tap_equal(runtime_entries(directory), 0, "nothing but locks is left in the runtime directory");
	snprintf(command, sizeof command, "rm -rf %s", directory);
	tap_ok(system(command) == 0, "the runtime directory can be removed");
}

static void test_limit(void)
{
	struct sos_pool_options options = SOS_POOL_OPTIONS_INIT;
	struct sos_error error = SOS_ERROR_INIT;
	struct rlimit limit, small;
	struct sos_pool *pool = NULL;

	getrlimit(RLIMIT_NOFILE, &limit);
	small = limit;
	small.rlim_cur = 256;
	setrlimit(RLIMIT_NOFILE, &small);
	options.capacity = 1000;
	tap_equal(sos_pool_new(&options, &pool, &error), SOS_ERROR_LIMIT, "a pool too big for the limit of descriptors: %s",
		  error.message);
	tap_ok(strpbrk(error.message, "123456789") != NULL, "its message has the number that it needs");

	/* a pool that fits, at its capacity, with the limit as it is */
	options.capacity = 3;
	pool = harness_pool_with(&options);
	for (int round = 0; round < 2; round++) {
		struct sos_sandbox *sandboxes[3];
		struct sos_result *result;

		for (int i = 0; i < 3; i++)
			sandboxes[i] = harness_start(pool, IMAGE_BASH);
		for (int i = 0; i < 3; i++) {
			result = harness_run(sandboxes[i], "echo fits");
			tap_string(sos_result_output(result, NULL), "fits\n", "sandbox %d of a full pool under a low limit", i);
			sos_result_unref(result);
		}
		for (int i = 0; i < 3; i++)
			harness_stop(sandboxes[i]);
	}
	sos_pool_free(pool);
	setrlimit(RLIMIT_NOFILE, &limit);
}

int main(int argc, char **argv)
{
	transport = harness_transport(argc > 1 ? argv[1] : "auto");
	sos_pool_free(harness_pool(1, transport)); /* what libcurl sets up once for the process is there now */
	test_process();
	test_memory();
	test_files();
	test_limit();
	return tap_done();
}
