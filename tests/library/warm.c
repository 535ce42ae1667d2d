/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Warm containers on the real Engine: nothing of the waiting may show in a
 * sandbox that got one, and what its description says must hold in it. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "lib/harness.h"
#include "lib/tap.h"

static uint32_t transport;

static struct sos_sandbox_spec base_spec(void)
{
	struct sos_sandbox_spec spec = SOS_SANDBOX_SPEC_INIT;
	spec.image = IMAGE_BASH;
	spec.network = SOS_NETWORK_NONE;
	return spec;
}

static struct sos_pool_stats stats_of(struct sos_pool *pool)
{
	struct sos_pool_stats stats = {.size = sizeof(stats)};
	sos_pool_get_stats(pool, &stats);
	return stats;
}

struct wanted {
	struct sos_pool *pool;
	uint32_t ready;
};

static bool is_ready(void *data)
{
	const struct wanted *wanted = data;
	struct sos_pool_stats stats = stats_of(wanted->pool);
	return stats.warm_ready == wanted->ready && !stats.warm_starting;
}

static bool wait_ready(struct sos_pool *pool, uint32_t ready)
{
	struct wanted wanted = {pool, ready};
	return harness_wait(is_ready, &wanted, 60000);
}

static struct sos_pool *warm_pool(uint32_t capacity, const struct sos_sandbox_spec *spec, uint32_t count)
{
	struct sos_pool_options options = SOS_POOL_OPTIONS_INIT;
	struct sos_warm_spec warm = {.size = sizeof(warm), .spec = spec, .count = count};
	const struct sos_warm_spec *const warms[] = {&warm, NULL};
	options.capacity = capacity;
	options.transport = transport;
	options.warm = warms;
	struct sos_pool *pool = harness_pool_with(&options);
	if (!wait_ready(pool, count))
		tap_bail("the warm containers did not come up");
	return pool;
}

/* Started, and by a warm container. */
static struct sos_sandbox *hit(struct sos_pool *pool, const struct sos_sandbox_spec *spec)
{
	uint64_t hits = stats_of(pool).warm_hits;
	struct sos_sandbox *sandbox = harness_start_spec(pool, spec);
	tap_ok(stats_of(pool).warm_hits == hits + 1, "a warm container was taken");
	return sandbox;
}

static char *output_of(struct sos_sandbox *sandbox, const char *command)
{
	struct sos_result *result = harness_run(sandbox, command);
	char *copy = strdup(sos_result_output(result, NULL));
	sos_result_unref(result);
	return copy;
}

/* ---- purity ---- */

/* Each the first command of a sandbox of its own. */
static const char *const probes[] = {
	"echo \"$?|$!|$-|$#|$0|${PIPESTATUS[*]}|$PPID|$((BASHPID - $$))\"; history; fc -l 2>&1",
	"set -o; shopt; alias; declare -F; jobs -l; trap; umask; ulimit -a",
	"env | sort | grep -v '^HOSTNAME='; declare -p | sed -E 's/^declare -[-a-zA-Z]+ //' | "
	"grep -Ev '^(RANDOM|SRANDOM|EPOCH|HOSTNAME|_=|BASH_EXECUTION|SECONDS)' | sort",
	"pwd; ls -A /tmp /root /home /run /var/tmp; for p in /proc/[0-9]*; do read -r l < $p/cmdline; echo ${p#/proc/}; "
	"done 2>/dev/null | wc -l; ls -l /proc/self/fd | wc -l",
	"echo $SECONDS; x='\\#'; echo ${x@P} $LINENO \"$_\" ${BASH_LINENO[*]} $HISTCMD",
};

static char *without_volatile(struct sos_sandbox *sandbox, const char *command)
{
	struct sos_result *result = harness_run(sandbox, command);
	char *all = NULL;
	if (asprintf(&all, "%llu %zu %s", (unsigned long long)sos_result_sequence(result),
		     strlen(sos_result_background(result, NULL)), sos_result_output(result, NULL)) < 0)
		tap_bail("memory");
	sos_result_unref(result);
	return all;
}

static void test_purity(void)
{
	struct sos_sandbox_spec spec = base_spec();
	const char *const environment[] = {"GIVEN=1", NULL};
	struct sos_pool *cold = harness_pool(2, transport);
	struct sos_pool *warm = warm_pool(2, &spec, 1);
	spec.environment = environment;
	for (size_t i = 0; i < sizeof(probes) / sizeof(probes[0]); i++) {
		if (!wait_ready(warm, 1))
			tap_bail("no refill");
		/* Long enough for the shell's clock to show it. */
		sleep(2);
		struct sos_sandbox *one = harness_start_spec(cold, &spec), *other = hit(warm, &spec);
		char *want = without_volatile(one, probes[i]), *got = without_volatile(other, probes[i]);
		tap_string(got, want, "probe %zu shows the same in a warm container as in one of its own", i);
		free(want);
		free(got);
		harness_stop(one);
		harness_stop(other);
	}
	sos_pool_free(cold);
	sos_pool_free(warm);
}

/* ---- what the caller sees of it ---- */

static void test_info(void)
{
	struct sos_sandbox_spec spec = base_spec();
	const char *const labels[] = {"task=42", NULL};
	struct sos_pool *pool = warm_pool(2, &spec, 1);
	sleep(2);
	spec.labels = labels;
	spec.lifetime_ms = 77000;
	struct timespec now;
	struct sos_sandbox *sandbox = hit(pool, &spec);
	struct sos_sandbox_info *info = NULL;
	clock_gettime(CLOCK_REALTIME, &now);
	int64_t now_ms = now.tv_sec * 1000 + now.tv_nsec / 1000000;
	if (sos_sandbox_get_info(sandbox, &info, NULL))
		tap_bail("info");
	tap_equal(info->state, SOS_STATE_STARTED, "it is started");
	tap_ok(now_ms - info->started_unix_ms < 1000, "since the hand-over: %lld ms ago",
	       (long long)(now_ms - info->started_unix_ms));
	tap_equal(info->expires_unix_ms, info->started_unix_ms + 77000, "and expires by its own lifetime");
	tap_ok(harness_container_exists(info->container_id), "its container is one that the Engine knows");
	tap_string(info->shell, "bash", "the shell is known");
	tap_ok(info->transport == SOS_TRANSPORT_SOCKET || info->transport == SOS_TRANSPORT_ATTACH, "the transport too");
	tap_string(info->labels[0], "task=42", "the labels are its own");
	tap_equal((long long)info->session_commands, 0, "no command was counted");
	harness_expect(sandbox, "echo first", "first\n");
	struct sos_trajectory *trajectory = NULL;
	if (sos_sandbox_get_trajectory(sandbox, &trajectory, NULL))
		tap_bail("trajectory");
	tap_ok(sos_trajectory_count(trajectory) == 1 && sos_trajectory_get(trajectory, 0)->timestamp_ms < 1000,
	       "its trajectory begins with its first command, by its own clock");
	sos_trajectory_free(trajectory);
	char *id = strdup(info->container_id);
	sos_sandbox_info_free(info);
	harness_stop(sandbox);
	tap_ok(!harness_container_exists(id), "a stop removes it");
	free(id);
	tap_ok(wait_ready(pool, 1), "another one has taken its place");
	sos_pool_free(pool);
}

/* ---- environment ---- */

static void expect_standalone(struct sos_sandbox *sandbox, const char *command, const char *want, const char *what)
{
	struct sos_exec_options options = SOS_EXEC_OPTIONS_INIT;
	options.command = command;
	options.flags = SOS_EXEC_STANDALONE;
	struct sos_result *result = harness_exec(sandbox, &options);
	tap_string(sos_result_output(result, NULL), want, "%s", what);
	sos_result_unref(result);
}

static void test_environment(void)
{
	static const char *const environments[][4] = {
		{"PLAIN=it's \"a\" $b `c` \\ !x", "LINES_2=one\ntwo\n\nthree ", "EMPTY=", NULL},
		{"HOME=/tmp", "PATH=/usr/local/bin:/usr/bin:/bin", "a.b=odd name", NULL},
		{"TWICE=1", "TWICE=2", "LANG=C", NULL},
	};
	static const char *const commands[] = {
		"printf '%s|%s|%s|' \"$PLAIN\" \"$LINES_2\" \"$EMPTY\"; env | grep -c '^EMPTY=$'",
		"cd; pwd; echo $PATH; env | grep '^a.b='", "echo $TWICE $LANG; env | grep -c TWICE"};
	static const char *const wants[] = {"it's \"a\" $b `c` \\ !x|one\ntwo\n\nthree ||1\n",
					    "/tmp\n/usr/local/bin:/usr/bin:/bin\na.b=odd name\n", "2 C\n1\n"};
	struct sos_sandbox_spec spec = base_spec();
	struct sos_pool *pool = warm_pool(2, &spec, 1);
	for (size_t i = 0; i < 3; i++) {
		if (!wait_ready(pool, 1))
			tap_bail("no refill");
		spec.environment = environments[i];
		struct sos_sandbox *sandbox = hit(pool, &spec);
		harness_expect(sandbox, commands[i], wants[i]);
		expect_standalone(sandbox, commands[i], wants[i], "and so do standalone commands");
		harness_stop(sandbox);
	}
	/* Another one shows nothing of it. */
	if (!wait_ready(pool, 1))
		tap_bail("no refill");
	spec.environment = NULL;
	struct sos_sandbox *sandbox = hit(pool, &spec);
	harness_expect(sandbox, "env | sed -n '/PLAIN/p; /TWICE/p; /a.b=/p'", "");
	harness_stop(sandbox);
	sos_pool_free(pool);
}

/* ---- clocks ---- */

static void test_clocks(void)
{
	struct sos_sandbox_spec spec = base_spec();
	struct sos_pool *pool = warm_pool(3, &spec, 2);
	sleep(3);
	spec.lifetime_ms = 2500;
	struct sos_sandbox *brief = hit(pool, &spec);
	spec.lifetime_ms = 0;
	spec.idle_timeout_ms = 1500;
	struct sos_sandbox *idle = hit(pool, &spec);
	int64_t start = harness_now_ms();
	harness_expect(brief, "echo alive", "alive\n");
	harness_expect(idle, "sleep 2; echo busy", "busy\n");
	bool ended = harness_wait_state(brief, SOS_STATE_STOPPED);
	int64_t took = harness_now_ms() - start;
	tap_ok(ended && took >= 2000 && took < 10000, "a lifetime runs from the hand-over: %lld ms", (long long)took);
	ended = harness_wait_state(idle, SOS_STATE_STOPPED);
	took = harness_now_ms() - start;
	tap_ok(ended && took >= 3000, "an idle timeout from the end of the last command: %lld ms", (long long)took);
	harness_stop(brief);
	harness_stop(idle);
	sos_pool_free(pool);
}

/* ---- setup ---- */

static void test_setup(void)
{
	static const char *const first[] = {"cd /tmp && echo once >> log && X=1", "set -e", NULL};
	static const char *const more[] = {"cd /tmp && echo once >> log && X=1", "set -e", "Y=$X$Z", "echo more >> log", NULL};
	static const char *const bad[] = {"cd /tmp && echo once >> log && X=1", "set -e", "echo why; false", NULL};
	static const char *const other[] = {"cd /", NULL};
	static const char *const environment[] = {"Z=2", NULL};
	struct sos_sandbox_spec spec = base_spec();
	spec.setup_commands = first;
	struct sos_pool *pool = warm_pool(3, &spec, 2);
	struct sos_sandbox *sandbox = hit(pool, &spec);
	struct sos_result *result = harness_run(sandbox, "echo $X $PWD $- | sed 's/ [^ ]*e[^ ]*$/ e/'; cat log");
	tap_string(sos_result_output(result, NULL), "1 /tmp e\nonce\n", "the setup has run, once");
	tap_equal((long long)sos_result_sequence(result), 1, "and is not counted");
	sos_result_unref(result);
	harness_stop(sandbox);
	wait_ready(pool, 2);
	spec.setup_commands = more;
	spec.environment = environment;
	sandbox = hit(pool, &spec);
	harness_expect(sandbox, "echo $X $Y $PWD; cat log", "1 12 /tmp\nonce\nmore\n");
	harness_stop(sandbox);
	wait_ready(pool, 2);
	spec.setup_commands = bad;
	struct sos_error error = SOS_ERROR_INIT;
	if (sos_sandbox_create(pool, &spec, &sandbox, NULL))
		tap_bail("create");
	tap_equal(sos_sandbox_start(sandbox, NULL, &error), SOS_ERROR_SETUP, "what is left of the setup may fail");
	tap_ok(strstr(error.message, "why") != NULL, "and shows its output: %s", error.message);
	tap_equal(harness_state(sandbox), SOS_STATE_CREATED, "the sandbox can be started again");
	harness_stop(sandbox);
	wait_ready(pool, 2);
	uint64_t hits = stats_of(pool).warm_hits;
	spec.setup_commands = other;
	sandbox = harness_start_spec(pool, &spec);
	tap_ok(stats_of(pool).warm_hits == hits, "another setup gets no container that has run this one");
	harness_stop(sandbox);
	sos_pool_free(pool);
}

/* ---- stock ---- */

static void test_refill(void)
{
	enum { COUNT = 4 };
	struct sos_sandbox_spec spec = base_spec();
	struct sos_pool *pool = warm_pool(2 * COUNT, &spec, COUNT);
	struct sos_sandbox *sandboxes[COUNT];
	for (int i = 0; i < COUNT; i++)
		sandboxes[i] = hit(pool, &spec);
	tap_ok(wait_ready(pool, COUNT), "all of them taken at once, as many are made again");
	for (int i = 0; i < COUNT; i++) {
		char *text = output_of(sandboxes[i], "echo mine > /tmp/mine; ls /tmp");
		tap_string(text, "mine\n", "each sandbox has a container of its own");
		free(text);
		harness_stop(sandboxes[i]);
	}
	struct sos_sandbox *again = hit(pool, &spec);
	harness_expect(again, "ls -A /tmp | wc -l", "0\n");
	harness_stop(again);
	tap_equal(sos_pool_set_warm(pool, &spec, 1, NULL), 0, "a smaller number");
	tap_ok(wait_ready(pool, 1), "is kept");
	tap_equal(sos_pool_set_warm(pool, &spec, 0, NULL), 0, "none");
	tap_ok(wait_ready(pool, 0), "too");
	sos_pool_free(pool);
}

/* Ids of the pool's containers that wait, by what the Engine says. */
static char *first_warm_container(const char *pool_name)
{
	char path[400];
	snprintf(path, sizeof path, "/containers/json?filters={\"label\":[\"sos.pool=%s\",\"sos.warm\"]}", pool_name);
	char *json = harness_get(path), *id = json ? strstr(json, "\"Id\":\"") : NULL;
	char *copy = id ? strndup(id + 6, 64) : NULL;
	free(json);
	return copy;
}

static void test_dead(void)
{
	struct sos_sandbox_spec spec = base_spec();
	struct sos_pool_options options = SOS_POOL_OPTIONS_INIT;
	struct sos_warm_spec warm = {.size = sizeof(warm), .spec = &spec, .count = 2};
	const struct sos_warm_spec *const warms[] = {&warm, NULL};
	const char *name = harness_name();
	options.name = name;
	options.capacity = 3;
	options.transport = transport;
	options.warm = warms;
	struct sos_pool *pool = harness_pool_with(&options);
	wait_ready(pool, 2);
	tap_equal(harness_pool_containers(name), 2, "two wait");
	char *id = first_warm_container(name);
	if (!id || !harness_remove_container(id))
		tap_bail("no warm container to remove");
	struct sos_sandbox *sandbox = hit(pool, &spec);
	harness_expect(sandbox, "echo alive", "alive\n");
	tap_ok(wait_ready(pool, 2), "one that was removed behind our back is replaced");
	free(id);
	harness_stop(sandbox);
	sos_pool_free(pool);
	tap_equal(harness_pool_containers(name), 0, "the pool's end removes those that wait");
}

static void test_yield(void)
{
	struct sos_sandbox_spec spec = base_spec();
	struct sos_pool *pool = warm_pool(2, &spec, 2);
	spec.memory_bytes = 64 << 20;
	struct sos_start_options now = SOS_START_OPTIONS_INIT;
	now.queue_timeout_ms = -1;
	struct sos_sandbox *sandboxes[2];
	for (int i = 0; i < 2; i++) {
		struct sos_error error = SOS_ERROR_INIT;
		if (sos_sandbox_create(pool, &spec, &sandboxes[i], NULL))
			tap_bail("create");
		int r = sos_sandbox_start(sandboxes[i], i ? &now : NULL, &error);
		tap_ok(!r, "a start that nothing fits gets the slot of a warm container %s", error.message);
		tap_ok(stats_of(pool).containers <= 2, "and there are no more than may be");
		harness_expect(sandboxes[i], "echo mine", "mine\n");
	}
	tap_equal(stats_of(pool).warm_ready, 0, "none waits any more");
	harness_stop(sandboxes[0]);
	tap_ok(wait_ready(pool, 1), "a slot that comes free is used for one again");
	harness_stop(sandboxes[1]);
	tap_ok(wait_ready(pool, 2), "and the next too");
	sos_pool_free(pool);
}

static void test_secrets(void)
{
	static const char *const environment[] = {"TOKEN=topsecret", NULL};
	struct sos_sandbox_spec spec = base_spec();
	struct sos_pool *pool = warm_pool(2, &spec, 1);
	spec.environment = environment;
	struct sos_sandbox *sandbox = hit(pool, &spec);
	struct sos_sandbox_info *info = NULL;
	char path[128];
	if (sos_sandbox_get_info(sandbox, &info, NULL))
		tap_bail("info");
	snprintf(path, sizeof path, "/containers/%s/json", info->container_id);
	char *json = harness_get(path);
	tap_ok(json && !strstr(json, "topsecret"), "what it was given is not in the container's configuration");
	tap_ok(json && strstr(json, "\"sos.warm\":") && !strstr(json, "\"sos.sandbox\":"),
	       "whose labels say what it was made for");
	free(json);
	sos_sandbox_info_free(info);
	harness_stop(sandbox);
	sos_pool_free(pool);
}

int main(int argc, char **argv)
{
	transport = harness_transport(argc > 1 ? argv[1] : "auto");
	test_purity();
	test_info();
	test_environment();
	test_clocks();
	test_setup();
	test_refill();
	test_dead();
	test_yield();
	test_secrets();
	return tap_done();
}
