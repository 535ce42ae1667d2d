/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A whole workflow by an ordinary user who may use the Engine's socket: run as
 * root this program gives up root first, for uid 65534 with the socket's group. */

#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/harness.h"
#include "lib/tap.h"

static char directory[] = "/tmp/sos-user-XXXXXX";

static void become_ordinary(void)
{
	const char *host = getenv("DOCKER_HOST");
	struct stat socket;
	gid_t group;

	if (!mkdtemp(directory))
		tap_bail("mkdtemp");
	if (geteuid() == 0) {
		if (stat(host && !strncmp(host, "unix://", 7) ? host + 7 : "/var/run/docker.sock", &socket))
			tap_bail("the Engine's socket is not there");
		group = socket.st_gid;
		if ((socket.st_mode & 0060) != 0060 || group == 0)
			tap_diag("the Engine's socket is root's only: mode %o, group %d", socket.st_mode & 07777, (int)group);
		if (chown(directory, 65534, 65534) || setgroups(1, &group) || setgid(65534) || setuid(65534))
			tap_bail("cannot become an ordinary user");
		prctl(PR_SET_DUMPABLE, 1); /* as a login would have it */
	}
	setenv("XDG_RUNTIME_DIR", directory, 1);
	setenv("HOME", directory, 1);
}

static void workflow(uint32_t transport)
{
	struct sos_pool *pool = harness_pool(2, transport);
	struct sos_sandbox_spec spec = SOS_SANDBOX_SPEC_INIT;
	const char *setup[] = { "cd /tmp", "export X=1", NULL };
	struct sos_pool_stats stats = { .size = sizeof stats };
	struct sos_exec_options options = SOS_EXEC_OPTIONS_INIT;
	struct sos_sandbox *sandbox;
	struct sos_result *result;

	spec.image = IMAGE_BASH;
	spec.network = SOS_NETWORK_NONE;
	spec.setup_commands = setup;
	sandbox = harness_start_spec(pool, &spec);
	sos_pool_get_stats(pool, &stats);
	tap_equal(stats.transport, transport, "the transport asked for is used");
	harness_expect(sandbox, "pwd; echo $X; id -u", "/tmp\n1\n0\n");
	harness_expect(sandbox, "echo 'Hello World' > test.txt", "");
	harness_expect(sandbox, "cat test.txt; echo a > /dev/stderr", "Hello World\na\n");
	options.command = "sleep 100";
	options.timeout_ms = 300;
	result = harness_exec(sandbox, &options);
	tap_ok(sos_result_timed_out(result), "a time limit");
	sos_result_unref(result);
	options = (struct sos_exec_options)SOS_EXEC_OPTIONS_INIT;
	options.command = "cat /tmp/test.txt";
	options.flags = SOS_EXEC_STANDALONE;
	result = harness_exec(sandbox, &options);
	tap_string(sos_result_output(result, NULL), "Hello World\n", "a standalone command");
	sos_result_unref(result);
	harness_stop(sandbox);

	spec.setup_commands = NULL;
	spec.user = "agent";
	sandbox = harness_start_spec(pool, &spec);
	harness_expect(sandbox, "id -un; echo a > /dev/stderr; cd; touch f; ls", "agent\na\nf\n");
	harness_stop(sandbox);
	sos_pool_free(pool);
}

int main(void)
{
	char command[64];

	become_ordinary();
	tap_ok(geteuid() != 0, "not root: uid %d", (int)geteuid());
	workflow(SOS_TRANSPORT_SOCKET);
	workflow(SOS_TRANSPORT_ATTACH);
	snprintf(command, sizeof command, "rm -rf %s", directory);
	tap_ok(system(command) == 0, "what it made it can remove");
	return tap_done();
}
