/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What ends a container and who may own a pool: the three clocks, SIGKILL of the
 * controller, a second owner, leftovers, close and free. */

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/harness.h"
#include "lib/tap.h"

static uint32_t transport;

static bool gone(void *name)
{
	return harness_pool_containers(name) == 0;
}

/* A child process with a pool of that name and one started sandbox; returns its pid once it stands. A program of its
 * own, since after fork() only the parent may use a pool. */
static pid_t controller(const char *program, const char *name, const char *lease_ms)
{
	int ready[2];
	pid_t pid;
	char byte;

	if (pipe(ready))
		tap_bail("pipe");
	pid = fork();
	if (pid == 0) {
		dup2(ready[1], 1);
		close(ready[0]);
		close(ready[1]);
		execl(program, program, "--controller", name, lease_ms, transport == SOS_TRANSPORT_ATTACH ? "attach" : "auto",
		      (char *)NULL);
		_exit(127);
	}
	close(ready[1]);
	if (pid < 0 || read(ready[0], &byte, 1) != 1)
		tap_bail("the controller process did not come up");
	close(ready[0]);
	return pid;
}

static int be_controller(char **argv)
{
	struct sos_pool_options options = SOS_POOL_OPTIONS_INIT;
	struct sos_sandbox *sandbox;

	options.name = argv[2];
	options.lease_ms = atoll(argv[3]);
	options.transport = harness_transport(argv[4]);
	sandbox = harness_start(harness_pool_with(&options), IMAGE_BASH);
	sos_result_unref(harness_run(sandbox, "trap '' INT TERM HUP; sleep 1000 &"));
	if (write(1, "r", 1) != 1)
		return 1;
	pause();
	return 0;
}

static void test_killed_controller(const char *program)
{
	const char *name = harness_name();
	pid_t pid = controller(program, name, "1000");
	int64_t start;
	bool ended;

	tap_equal(harness_pool_containers(name), 1, "the controller has a container");
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	start = harness_now_ms();
	/* by attach the loss is only seen by the keep-alive that does not come, one every 10 s */
	ended = harness_wait(gone, (void *)name, transport == SOS_TRANSPORT_ATTACH ? 30000 : 10000);
	tap_ok(ended, "its lease of 1 s ends it when the controller is killed: after %lld ms",
	       (long long)(harness_now_ms() - start));
}

static void test_owner(const char *program)
{
	const char *name = harness_name();
	pid_t pid = controller(program, name, "60000");
	struct sos_pool_options options = SOS_POOL_OPTIONS_INIT;
	struct sos_error error = SOS_ERROR_INIT;
	struct sos_pool *pool = NULL;
	char number[32];

	options.name = name;
	snprintf(number, sizeof number, "%d", (int)pid);
	tap_equal(sos_pool_new(&options, &pool, &error), SOS_ERROR_OWNED, "a second owner is refused: %s", error.message);
	tap_ok(strstr(error.message, number) != NULL, "with the pid of the first");
	tap_equal(harness_pool_containers(name), 1, "and nothing was touched");

	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	pool = harness_pool_with(&options);
	tap_ok(harness_wait(gone, (void *)name, 10000), "the next owner removes what the killed one left");
	sos_pool_free(pool);
	pool = harness_pool_with(&options);
	tap_ok(pool != NULL, "the name is free again after the pool is freed");
	sos_pool_free(pool);
}

static void test_lifetime(void)
{
	struct sos_pool_options options = SOS_POOL_OPTIONS_INIT;
	struct sos_sandbox_spec spec = SOS_SANDBOX_SPEC_INIT;
	struct sos_sandbox *sandbox, *idle;
	struct sos_error error = SOS_ERROR_INIT;
	struct sos_result *result = NULL;
	struct sos_pool_stats stats = { .size = sizeof stats };
	struct sos_pool *pool;
	int64_t start;

	options.name = harness_name();
	options.capacity = 2;
	options.transport = transport;
	pool = harness_pool_with(&options);
	spec.image = IMAGE_BASH;
	spec.network = SOS_NETWORK_NONE;
	spec.lifetime_ms = 3000;
	sandbox = harness_start_spec(pool, &spec);
	start = harness_now_ms();
	tap_ok(sos_sandbox_run(sandbox, "trap '' INT TERM; sleep 100", &result, &error) < 0,
	       "a command that outlives the sandbox ends: %s", error.message);
	tap_ok(error.code == SOS_ERROR_LOST || error.code == SOS_ERROR_ENDED, "with a typed error: %s",
	       sos_code_name(error.code));
	tap_ok(harness_now_ms() - start < 10000, "when the lifetime of 3 s is over: %lld ms",
	       (long long)(harness_now_ms() - start));
	tap_ok(harness_wait(gone, (void *)options.name, 10000), "and the container is gone");

	spec.lifetime_ms = 0;
	spec.idle_timeout_ms = 1500;
	idle = harness_start_spec(pool, &spec);
	start = harness_now_ms();
	for (int i = 0; i < 4; i++)
		harness_expect(idle, "sleep 0.7; echo busy", "busy\n");
	tap_equal(harness_pool_containers(options.name), 1, "a busy one is not idle");
	tap_ok(harness_wait(gone, (void *)options.name, 10000), "the idle timeout ends it");
	tap_ok(harness_wait_state(idle, SOS_STATE_STOPPED), "the library knows: %s", sos_state_name((int)harness_state(idle)));
	sos_pool_get_stats(pool, &stats);
	tap_equal(stats.containers, 0, "and the slots are free");
	sos_sandbox_unref(sandbox);
	sos_sandbox_unref(idle);
	sos_pool_free(pool);
}

/* ---- free with everything in flight ---- */

struct flight {
	struct sos_sandbox *sandbox;
	pthread_t thread;
	int code;
};

static void *fly(void *data)
{
	struct flight *flight = data;
	struct sos_result *result = NULL;

	flight->code = sos_sandbox_run(flight->sandbox, "sleep 100", &result, NULL);
	sos_result_unref(result);
	return NULL;
}

static void *fly_start(void *data)
{
	struct flight *flight = data;

	flight->code = sos_sandbox_start(flight->sandbox, NULL, NULL);
	return NULL;
}

static bool is_busy(void *sandbox)
{
	struct sos_sandbox_info *info = NULL;
	bool busy = sos_sandbox_get_info(sandbox, &info, NULL) == 0 && info->session_busy;

	sos_sandbox_info_free(info);
	return busy;
}

static void test_close(void)
{
	struct sos_pool_options options = SOS_POOL_OPTIONS_INIT;
	struct sos_sandbox_spec spec = SOS_SANDBOX_SPEC_INIT;
	struct flight running = { 0 }, waiting = { 0 };
	struct sos_pool *pool, *other;
	struct sos_sandbox *untouched;
	int64_t start;

	options.name = harness_name();
	options.capacity = 1;
	options.transport = transport;
	pool = harness_pool_with(&options);
	other = harness_pool(1, transport);
	untouched = harness_start(other, IMAGE_BASH);
	running.sandbox = harness_start(pool, IMAGE_BASH);
	spec.image = IMAGE_BASH;
	spec.network = SOS_NETWORK_NONE;
	if (sos_sandbox_create(pool, &spec, &waiting.sandbox, NULL))
		tap_bail("create");
	pthread_create(&running.thread, NULL, fly, &running);
	pthread_create(&waiting.thread, NULL, fly_start, &waiting);
	harness_wait(is_busy, running.sandbox, 10000);
	harness_wait_state(waiting.sandbox, SOS_STATE_QUEUED);
	start = harness_now_ms();
	sos_pool_close(pool);
	pthread_join(running.thread, NULL);
	pthread_join(waiting.thread, NULL);
	tap_equal(running.code, SOS_ERROR_ENDED, "closing the pool ends a running command");
	tap_equal(waiting.code, SOS_ERROR_CANCELLED, "and a waiting start");
	sos_pool_free(pool);
	tap_ok(harness_now_ms() - start < 15000, "freeing takes bounded time: %lld ms", (long long)(harness_now_ms() - start));
	tap_equal(harness_pool_containers(options.name), 0, "and leaves no container");
	sos_sandbox_unref(running.sandbox);
	sos_sandbox_unref(waiting.sandbox);
	harness_expect(untouched, "echo other", "other\n");
	harness_stop(untouched);
	sos_pool_free(other);
}

static void test_container_killed(void)
{
	struct sos_pool *pool = harness_pool(1, transport);
	struct flight running = { .sandbox = harness_start(pool, IMAGE_BASH) };
	struct sos_sandbox_info *info = NULL;
	int64_t start;

	if (sos_sandbox_get_info(running.sandbox, &info, NULL))
		tap_bail("info");
	pthread_create(&running.thread, NULL, fly, &running);
	harness_wait(is_busy, running.sandbox, 10000);
	start = harness_now_ms();
	if (!harness_remove_container(info->container_id))
		tap_bail("cannot remove the container behind the library's back");
	pthread_join(running.thread, NULL);
	tap_equal(running.code, SOS_ERROR_LOST, "a container removed by somebody else: its command ends");
	tap_ok(harness_now_ms() - start < 10000, "soon: %lld ms", (long long)(harness_now_ms() - start));
	tap_ok(harness_wait_state(running.sandbox, SOS_STATE_LOST), "its sandbox is lost");
	sos_sandbox_info_free(info);
	harness_stop(running.sandbox);
	running.sandbox = harness_start(pool, IMAGE_BASH);
	harness_expect(running.sandbox, "echo next", "next\n");
	harness_stop(running.sandbox);
	sos_pool_free(pool);
}

int main(int argc, char **argv)
{
	if (argc == 5 && !strcmp(argv[1], "--controller"))
		return be_controller(argv);
	transport = harness_transport(argc > 1 ? argv[1] : "auto");
	test_killed_controller(argv[0]);
	test_owner(argv[0]);
	test_lifetime();
	test_close();
	test_container_killed();
	return tap_done();
}
