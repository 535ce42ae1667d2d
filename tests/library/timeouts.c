/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Time limits: partial output, the whole tree dead within a second, earlier jobs
 * spared, the session in step. Argument: the transport. */

#include <stdlib.h>
#include <string.h>

#include "lib/harness.h"
#include "lib/tap.h"

#define LIMIT_MS 400

static struct sos_result *limited(struct sos_sandbox *sandbox, const char *command, uint32_t flags)
{
	struct sos_exec_options options = SOS_EXEC_OPTIONS_INIT;

	options.command = command;
	options.timeout_ms = LIMIT_MS;
	options.flags = flags;
	return harness_exec(sandbox, &options);
}

/* Processes whose command line has `mark`, seen by ps in a process of its own. */
static int alive(struct sos_sandbox *sandbox, const char *mark)
{
	struct sos_exec_options options = SOS_EXEC_OPTIONS_INIT;
	struct sos_result *result;
	const char *at;
	int count = 0;

	options.command = "ps axo args";
	options.flags = SOS_EXEC_STANDALONE;
	result = harness_exec(sandbox, &options);
	for (at = sos_result_output(result, NULL); (at = strstr(at, mark)); at++)
		count++;
	sos_result_unref(result);
	return count;
}

struct kind {
	const char *name, *command, *mark;
	const char *output; /* NULL: endless; with what bash itself says of a job, as on a terminal */
};

static const struct kind kinds[] = {
	{ "sleeping", "echo part; sleep 1011", "sleep 1011", "part\n" },
	{ "spinning in the shell", "while :; do :; done", "no process of that name", "" },
	{ "spinning in a child", "bash -c ': 1012; while :; do :; done'", "1012", "" },
	{ "deaf", "probe stubborn 1013", "stubborn 1013", "Killed\n" },
	{ "stopped", "bash -c 'kill -STOP $$; : 1014' ; sleep 1014", "1014",
	  "\n[2]+  Stopped                 bash -c 'kill -STOP $$; : 1014'\n" },
	{ "in a pipeline", "probe stubborn 1015 | probe stubborn 1015 | cat", "stubborn 1015", "" },
	{ "with children of its own", "bash -c 'probe stubborn 1016 & sleep 1016 & wait'", "1016", "" },
	{ "forking", "probe fork 50 1017; sleep 1017", "1017", "" },
	{ "with a job of its own", "sleep 1018 & sleep 1018", "sleep 1018", "" },
	{ "with a session of its own", "setsid -w sleep 1019", "sleep 1019", "" },
	{ "writing", "yes 1020", "yes 1020", NULL },
	{ "reading the terminal", "cat 1021 /dev/tty 2>/dev/null", "cat 1021", "" },
};

static void test_session(struct sos_sandbox *sandbox)
{
	harness_expect(sandbox, "sleep 2000 & V=kept", "");
	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
		const struct kind *kind = &kinds[i];
		struct sos_result *result = limited(sandbox, kind->command, 0);
		int64_t took = sos_result_duration_ns(result) / 1000000;

		tap_ok(sos_result_timed_out(result) && !sos_result_session_lost(result) && !sos_result_exited(result),
		       "%s: timed out, the session goes on", kind->name);
		tap_ok(took >= LIMIT_MS - 5 && took < LIMIT_MS + 1000, "%s: came back in time, after %lld ms", kind->name,
		       (long long)took);
		if (kind->output)
			tap_string(sos_result_output(result, NULL), kind->output, "%s: partial output", kind->name);
		sos_result_unref(result);
		tap_equal(alive(sandbox, kind->mark), 0, "%s: all of it is dead", kind->name);
		harness_expect(sandbox, "echo $V", "kept\n");
	}
	tap_equal(alive(sandbox, "sleep 2000"), 1, "the job from before lives");
}

static void test_standalone(struct sos_sandbox *sandbox)
{
	struct sos_result *result = limited(sandbox, "echo part; probe stubborn 1031 & sleep 1031", SOS_EXEC_STANDALONE);

	tap_ok(sos_result_timed_out(result), "standalone: timed out");
	tap_string(sos_result_output(result, NULL), "part\n", "standalone: partial output");
	tap_ok(sos_result_duration_ns(result) / 1000000 < LIMIT_MS + 1000, "standalone: came back in time");
	sos_result_unref(result);
	tap_equal(alive(sandbox, "1031"), 0, "standalone: all of it is dead");
	tap_equal(alive(sandbox, "sleep 2000"), 1, "standalone: the session's job lives");
	result = limited(sandbox, "sleep 0.05; echo quick", SOS_EXEC_STANDALONE);
	tap_ok(!sos_result_timed_out(result), "standalone: a quick one does not time out");
	sos_result_unref(result);
}

static void test_deaf_shell(struct sos_sandbox *sandbox)
{
	struct sos_result *result;

	harness_expect(sandbox, "trap '' INT TERM HUP QUIT", "");
	result = limited(sandbox, "while :; do :; done", 0);
	tap_ok(sos_result_timed_out(result) && sos_result_session_lost(result),
	       "a shell that does not come back is killed, and the result says so");
	tap_ok(sos_result_duration_ns(result) / 1000000 < LIMIT_MS + 3000, "soon: after %lld ms",
	       (long long)(sos_result_duration_ns(result) / 1000000));
	sos_result_unref(result);
	tap_ok(harness_wait_state(sandbox, SOS_STATE_SESSION_LOST), "the state says so too");
	result = limited(sandbox, "echo alive", SOS_EXEC_STANDALONE);
	tap_string(sos_result_output(result, NULL), "alive\n", "standalone commands still work");
	sos_result_unref(result);
}

int main(int argc, char **argv)
{
	struct sos_pool *pool = harness_pool(1, harness_transport(argc > 1 ? argv[1] : "auto"));
	struct sos_sandbox *sandbox = harness_start(pool, IMAGE_BASH);

	test_session(sandbox);
	test_standalone(sandbox);
	test_deaf_shell(sandbox);
	harness_stop(sandbox);
	sos_pool_free(pool);
	return tap_done();
}
