/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Typed errors: each with its code, a line that says what to do, and nothing left behind. */

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "lib/harness.h"
#include "lib/tap.h"

static char directory[] = "/tmp/sos-test-XXXXXX";

static void says(const struct sos_error *error, int code, const char *word, const char *name)
{
	tap_equal(error->code, code, "%s: %s", name, sos_code_name(code));
	tap_ok(strstr(error->message, word) != NULL, "%s: its message names %s: %s", name, word, error->message);
	tap_ok(!strchr(error->message, '\n') && error->message[0], "%s: one line", name);
}

static int pool_of(const char *address, uint32_t flags, struct sos_pool **pool, struct sos_error *error)
{
	struct sos_pool_options options = SOS_POOL_OPTIONS_INIT;

	*error = (struct sos_error)SOS_ERROR_INIT;
	options.engine = address;
	options.flags = flags;
	return sos_pool_new(&options, pool, error);
}

static void test_socket(void)
{
	struct sos_pool *pool = NULL;
	struct sos_error error;
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	char path[64], url[80];
	int fd;

	tap_ok(pool_of("unix:///no/such/engine.sock", 0, &pool, &error) < 0 && !pool, "no socket");
	says(&error, SOS_ERROR_UNREACHABLE, "/no/such/engine.sock", "no socket");

	snprintf(path, sizeof path, "%s/dead.sock", directory);
	snprintf(url, sizeof url, "unix://%s", path);
	memcpy(address.sun_path, path, strlen(path) + 1);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (bind(fd, (struct sockaddr *)&address, sizeof address))
		tap_bail("bind");
	tap_ok(pool_of(url, 0, &pool, &error) < 0 && !pool, "nobody listens");
	says(&error, SOS_ERROR_UNREACHABLE, path, "nobody listens");

	chmod(path, 0600);
	chmod(directory, 0755);
	listen(fd, 1);
	if (geteuid() == 0 && seteuid(65534))
		tap_bail("seteuid");
	tap_ok(pool_of(url, 0, &pool, &error) < 0 && !pool, "no permission");
	says(&error, SOS_ERROR_UNREACHABLE, "ermission", "no permission");
	if (getuid() == 0 && seteuid(0))
		tap_bail("seteuid back");
	close(fd);
	unlink(path);

	tap_ok(pool_of("tcp://127.0.0.1:1", 0, &pool, &error) < 0, "refused over TCP");
	says(&error, SOS_ERROR_UNREACHABLE, "127.0.0.1", "refused over TCP");
	tap_ok(pool_of("ftp://x", 0, &pool, &error) < 0, "nonsense address");
	says(&error, SOS_ERROR_INVALID, "ftp", "nonsense address");

	tap_equal(pool_of("unix:///no/such/engine.sock", SOS_POOL_LAZY, &pool, &error), 0, "a lazy pool comes up without");
	if (pool) {
		struct sos_sandbox *sandbox = NULL;
		int64_t start = harness_now_ms();

		tap_ok(sos_pool_ready(pool, 0, NULL, &error) < 0, "but is not ready");
		says(&error, SOS_ERROR_UNREACHABLE, "/no/such/engine.sock", "lazy pool");
		tap_equal(sos_sandbox_create(pool, NULL, &sandbox, NULL), 0, "a sandbox can be created");
		tap_ok(sos_sandbox_start(sandbox, NULL, &error) < 0, "not started");
		says(&error, SOS_ERROR_UNREACHABLE, "/no/such/engine.sock", "start without an Engine");
		sos_sandbox_unref(sandbox);
		sos_pool_free(pool);
		tap_ok(harness_now_ms() - start < 20000, "all that in bounded time");
	}
}

static struct sos_sandbox *create(struct sos_pool *pool, const struct sos_sandbox_spec *spec)
{
	struct sos_sandbox *sandbox = NULL;
	struct sos_error error = SOS_ERROR_INIT;

	if (sos_sandbox_create(pool, spec, &sandbox, &error))
		tap_bail("create: %s", error.message);
	return sandbox;
}

static void nothing_left(struct sos_pool *pool, const char *name, const char *what)
{
	struct sos_pool_stats stats = { .size = sizeof stats };

	sos_pool_get_stats(pool, &stats);
	tap_equal(stats.containers, 0, "%s: the slot is free", what);
	tap_equal(harness_pool_containers(name), 0, "%s: no container is left", what);
}

static void test_start(struct sos_pool *pool, const char *name)
{
	struct sos_sandbox_spec spec = SOS_SANDBOX_SPEC_INIT;
	const char *fails[] = { "echo first", "echo broken >&2; (exit 5)", "echo never", NULL };
	const char *exits[] = { "exit 6", NULL }, *hangs[] = { "sleep 1000", NULL };
	struct sos_start_options options = SOS_START_OPTIONS_INIT;
	struct sos_error error = SOS_ERROR_INIT;
	struct sos_sandbox *sandbox;
	int64_t start;

	spec.image = "sos-test-nope:nope";
	spec.network = SOS_NETWORK_NONE;
	sandbox = create(pool, &spec);
	tap_ok(sos_sandbox_start(sandbox, NULL, &error) < 0, "an image that cannot be had");
	says(&error, SOS_ERROR_IMAGE, "sos-test-nope", "image");
	tap_equal(harness_state(sandbox), SOS_STATE_CREATED, "image: it can be started again");
	nothing_left(pool, name, "image");
	harness_stop(sandbox);

	spec.image = IMAGE_BASH;
	spec.setup_commands = fails;
	sandbox = create(pool, &spec);
	tap_ok(sos_sandbox_start(sandbox, NULL, &error) < 0, "a setup command that fails");
	says(&error, SOS_ERROR_SETUP, "broken", "setup");
	tap_ok(strstr(error.message, "5") != NULL, "setup: with its code");
	nothing_left(pool, name, "setup");
	harness_stop(sandbox);

	spec.setup_commands = exits;
	sandbox = create(pool, &spec);
	tap_ok(sos_sandbox_start(sandbox, NULL, &error) < 0, "a setup command that exits");
	says(&error, SOS_ERROR_SETUP, "6", "setup exit");
	nothing_left(pool, name, "setup exit");
	harness_stop(sandbox);

	spec.setup_commands = hangs;
	options.timeout_ms = 1500;
	sandbox = create(pool, &spec);
	start = harness_now_ms();
	tap_ok(sos_sandbox_start(sandbox, &options, &error) < 0, "a setup command that hangs");
	tap_equal(error.code, SOS_ERROR_DEADLINE, "setup deadline: %s", error.message);
	tap_ok(harness_now_ms() - start < 8000, "setup deadline: at its time, %lld ms", (long long)(harness_now_ms() - start));
	nothing_left(pool, name, "setup deadline");
	harness_stop(sandbox);

	spec.setup_commands = NULL;
	spec.user = "no-such-user";
	sandbox = create(pool, &spec);
	tap_ok(sos_sandbox_start(sandbox, NULL, &error) < 0, "a user that is not there: %s", error.message);
	tap_ok(strstr(error.message, "no-such-user") != NULL, "user: its message names it");
	nothing_left(pool, name, "user");
	harness_stop(sandbox);
}

static void test_states(struct sos_pool *pool)
{
	struct sos_sandbox *sandbox, *found = NULL;
	struct sos_sandbox_spec spec = SOS_SANDBOX_SPEC_INIT;
	struct sos_error error = SOS_ERROR_INIT;
	struct sos_result *result = NULL;
	char id[64];

	spec.image = IMAGE_BASH;
	spec.network = SOS_NETWORK_NONE;
	sandbox = create(pool, &spec);
	tap_equal(sos_sandbox_run(sandbox, "true", &result, &error), SOS_ERROR_STATE, "exec before start: %s", error.message);
	tap_equal(sos_sandbox_start(sandbox, NULL, &error), 0, "start");
	tap_equal(sos_sandbox_start(sandbox, NULL, &error), SOS_ERROR_STATE, "start twice: %s", error.message);
	snprintf(id, sizeof id, "%s", sos_sandbox_id(sandbox));
	tap_equal(sos_sandbox_find(pool, id, &found, &error), 0, "found by its id");
	tap_ok(found == sandbox, "the same object");
	sos_sandbox_unref(found);
	result = harness_run(sandbox, "exit 3");
	sos_result_unref(result);
	result = NULL;
	tap_ok(harness_wait_state(sandbox, SOS_STATE_EXITED), "exited");
	tap_equal(sos_sandbox_run(sandbox, "true", &result, &error), SOS_ERROR_STATE, "exec after exit: %s", error.message);
	tap_equal(sos_sandbox_stop(sandbox, 0, &error), 0, "stop");
	tap_equal(sos_sandbox_stop(sandbox, 0, &error), 0, "stop twice");
	tap_equal(sos_sandbox_start(sandbox, NULL, &error), SOS_ERROR_STATE, "start after stop: %s", error.message);
	tap_equal(sos_sandbox_stop(sandbox, &harness_forget, &error), 0, "forget");
	found = NULL;
	tap_equal(sos_sandbox_find(pool, id, &found, &error), SOS_ERROR_NOT_FOUND, "find what is forgotten: %s", error.message);
	tap_ok(!found, "nothing found");
	sos_sandbox_unref(sandbox);
	tap_equal(sos_sandbox_find(pool, "not an id", &found, &error), SOS_ERROR_NOT_FOUND, "find nonsense: %s", error.message);
}

struct bad_spec {
	const char *name, *word;
	struct sos_sandbox_spec spec;
};

static void test_specs(struct sos_pool *pool)
{
	static const char *const bad_variable[] = { "=x", NULL }, *const no_equals[] = { "A", NULL };
	const struct bad_spec specs[] = {
		{ "memory", "memory", { .size = sizeof specs->spec, .memory_bytes = 1000 } },
		{ "pids", "pids", { .size = sizeof specs->spec, .pids_limit = 3 } },
		{ "negative CPUs", "cpu", { .size = sizeof specs->spec, .cpu_millis = -5 } },
		{ "lifetime", "lifetime", { .size = sizeof specs->spec, .lifetime_ms = (int64_t)1 << 50 } },
		{ "network", "network", { .size = sizeof specs->spec, .network = 77 } },
		{ "streams", "streams", { .size = sizeof specs->spec, .streams = 77 } },
		{ "profile", "profile", { .size = sizeof specs->spec, .profile = 77 } },
		{ "flags", "flags", { .size = sizeof specs->spec, .flags = 0x80000000u } },
		{ "relative directory", "working_directory", { .size = sizeof specs->spec, .working_directory = "tmp" } },
		{ "variable without a name", "environment", { .size = sizeof specs->spec, .environment = bad_variable } },
		{ "variable without =", "environment", { .size = sizeof specs->spec, .environment = no_equals } },
		{ "image", "image", { .size = sizeof specs->spec, .image = "UPPER case:?" } },
		{ "size", "size", { .size = 3 } },
	};

	for (size_t i = 0; i < sizeof specs / sizeof *specs; i++) {
		struct sos_sandbox *sandbox = NULL;
		struct sos_error error = SOS_ERROR_INIT;

		tap_ok(sos_sandbox_create(pool, &specs[i].spec, &sandbox, &error) < 0 && !sandbox, "refused: %s", specs[i].name);
		says(&error, SOS_ERROR_INVALID, specs[i].word, specs[i].name);
	}
}

/* No room for a command's text: it was not run, and the session goes on. A limit on the size of files does what a full
 * disk does. */
static void test_no_room(struct sos_pool *pool)
{
	struct sos_sandbox *sandbox = harness_start(pool, "sos-test:bash");
	struct sos_exec_options options = SOS_EXEC_OPTIONS_INIT;
	struct sos_error error = SOS_ERROR_INIT;
	struct sos_result *result = NULL;
	struct rlimit before, small;
	size_t length = 200000;
	char *text = malloc(length);

	memset(text, 'x', length);
	memcpy(text, "kept=2; : ", 10);
	options.command = text;
	options.command_length = length;
	tap_ok(harness_expect(sandbox, "kept=1", ""), "a command before");
	signal(SIGXFSZ, SIG_IGN);
	getrlimit(RLIMIT_FSIZE, &before);
	small = before;
	small.rlim_cur = 65536;
	setrlimit(RLIMIT_FSIZE, &small);
	tap_ok(sos_sandbox_exec(sandbox, &options, &result, &error) < 0 && !result, "a text that has no room");
	setrlimit(RLIMIT_FSIZE, &before);
	says(&error, SOS_ERROR_SYSTEM, "cannot write the command", "a text that has no room");
	tap_ok(harness_expect(sandbox, "echo \"$kept\"", "1\n"), "it was not run, and the session goes on");
	tap_equal(sos_sandbox_exec(sandbox, &options, &result, &error), 0, "once there is room it is run");
	sos_result_unref(result);
	tap_ok(harness_expect(sandbox, "echo \"$kept\"", "2\n"), "as it should");
	free(text);
	harness_stop(sandbox);
}

static void test_options(void)
{
	struct sos_pool_options options = SOS_POOL_OPTIONS_INIT;
	struct sos_error error = SOS_ERROR_INIT;
	struct sos_pool *pool = NULL;

	options.name = "a/b";
	tap_ok(sos_pool_new(&options, &pool, &error) < 0, "a bad pool name");
	says(&error, SOS_ERROR_INVALID, "name", "pool name");
	options.name = NULL;
	options.capacity = 10001;
	tap_ok(sos_pool_new(&options, &pool, &error) < 0, "too much capacity");
	says(&error, SOS_ERROR_INVALID, "capacity", "capacity");
	options.capacity = 1;
	options.lease_ms = 5;
	tap_ok(sos_pool_new(&options, &pool, &error) < 0, "too short a lease");
	says(&error, SOS_ERROR_INVALID, "lease", "lease");
	options.lease_ms = 0;
	options.transport = 9;
	tap_ok(sos_pool_new(&options, &pool, &error) < 0, "no such transport");
	says(&error, SOS_ERROR_INVALID, "transport", "transport");
	tap_ok(pool == NULL, "outputs are untouched by failures");
	sos_pool_free(NULL);
	sos_sandbox_unref(NULL);
	sos_result_unref(NULL);
	sos_trajectory_free(NULL);
	sos_sandbox_info_free(NULL);
	sos_sandbox_list_free(NULL, 0);
	tap_string(sos_code_name(SOS_ERROR_NOT_FOUND), "not-found", "names of codes");
	tap_ok(sos_code_name(-1000) && sos_state_name(1000) && sos_version()[0], "never NULL");
}

int main(void)
{
	struct sos_pool_options options = SOS_POOL_OPTIONS_INIT;
	struct sos_pool *pool;

	if (!mkdtemp(directory))
		tap_bail("mkdtemp");
	test_options();
	test_socket();
	options.name = harness_name();
	options.capacity = 2;
	pool = harness_pool_with(&options);
	test_start(pool, options.name);
	test_states(pool);
	test_specs(pool);
	test_no_room(pool);
	sos_pool_free(pool);
	tap_equal(harness_pool_containers(options.name), 0, "nothing is left of the pool");
	rmdir(directory);
	return tap_done();
}
