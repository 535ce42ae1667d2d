/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Images with bash, with only a POSIX sh, with no shell; one with a user, a
 * directory and an entrypoint of its own. Argument: the transport. */

#include <string.h>

#include "lib/harness.h"
#include "lib/tap.h"

static void shell_is(struct sos_sandbox *sandbox, const char *shell)
{
	struct sos_sandbox_info *info = NULL;

	if (sos_sandbox_get_info(sandbox, &info, NULL))
		tap_bail("info");
	tap_string(info->shell, shell, "%s: shell", info->image);
	sos_sandbox_info_free(info);
}

static struct sos_result *run_argv(struct sos_sandbox *sandbox, const char *const *argv)
{
	struct sos_exec_options options = SOS_EXEC_OPTIONS_INIT;

	options.argv = argv;
	options.flags = SOS_EXEC_STANDALONE;
	return harness_exec(sandbox, &options);
}

static void standalone_says(struct sos_sandbox *sandbox, const char *command, const char *output)
{
	struct sos_exec_options options = SOS_EXEC_OPTIONS_INIT;
	struct sos_result *result;

	options.command = command;
	options.flags = SOS_EXEC_STANDALONE;
	result = harness_exec(sandbox, &options);
	tap_string(sos_result_output(result, NULL), output, "standalone %s", command);
	sos_result_unref(result);
}

static void test_bash(struct sos_pool *pool)
{
	struct sos_sandbox *sandbox = harness_start(pool, IMAGE_BASH);

	shell_is(sandbox, "bash");
	harness_expect(sandbox, "a=(1 2 3); echo ${#a[@]} ${BASH_VERSION:+bash}", "3 bash\n");
	standalone_says(sandbox, "echo ${BASH_VERSION:+bash}", "bash\n");
	harness_stop(sandbox);
}

static void test_busybox(struct sos_pool *pool)
{
	struct sos_sandbox *sandbox = harness_start(pool, IMAGE_BUSYBOX);

	shell_is(sandbox, "sh");
	harness_expect(sandbox, "cd /tmp; X=1", "");
	harness_expect(sandbox, "pwd; echo $X${BASH_VERSION:+bash}", "/tmp\n1\n");
	standalone_says(sandbox, "pwd", "/\n");
	harness_stop(sandbox);
}

static void test_noshell(struct sos_pool *pool)
{
	struct sos_sandbox *sandbox = harness_start(pool, IMAGE_NOSHELL);
	const char *show[] = { "/probe", "show", "a b", NULL }, *code[] = { "/probe", "exit", "3", NULL };
	struct sos_exec_options options = SOS_EXEC_OPTIONS_INIT;
	struct sos_sandbox_spec spec = SOS_SANDBOX_SPEC_INIT;
	const char *setup[] = { "true", NULL };
	struct sos_error error = SOS_ERROR_INIT;
	struct sos_sandbox *with_setup = NULL;
	struct sos_result *result = NULL;

	shell_is(sandbox, "none");
	tap_equal(sos_sandbox_run(sandbox, "echo a", &result, &error), SOS_ERROR_UNSUPPORTED, "session: %s", error.message);
	options.command = "echo a";
	options.flags = SOS_EXEC_STANDALONE;
	tap_equal(sos_sandbox_exec(sandbox, &options, &result, &error), SOS_ERROR_UNSUPPORTED, "shell text: %s",
		  error.message);
	result = run_argv(sandbox, show);
	tap_ok(strstr(sos_result_output(result, NULL), "argv[2]=a b\n") != NULL, "argv runs");
	tap_ok(strstr(sos_result_output(result, NULL), "env PATH=") != NULL, "with a PATH");
	tap_ok(strstr(sos_result_output(result, NULL), "SOS_") == NULL, "and nothing of ours in its environment");
	tap_ok(strstr(sos_result_output(result, NULL), "cwd /\n") != NULL, "in the image's directory");
	sos_result_unref(result);
	result = run_argv(sandbox, code);
	tap_equal(sos_result_exit_code(result), 3, "its exit code");
	sos_result_unref(result);
	harness_stop(sandbox);

	spec.image = IMAGE_NOSHELL;
	spec.network = SOS_NETWORK_NONE;
	spec.setup_commands = setup;
	if (sos_sandbox_create(pool, &spec, &with_setup, NULL))
		tap_bail("create");
	tap_equal(sos_sandbox_start(with_setup, NULL, &error), SOS_ERROR_UNSUPPORTED, "setup without a shell: %s",
		  error.message);
	harness_stop(with_setup);
}

static void test_user(struct sos_pool *pool)
{
	struct sos_sandbox *sandbox = harness_start(pool, IMAGE_USER);
	struct sos_sandbox_spec spec = SOS_SANDBOX_SPEC_INIT;

	shell_is(sandbox, "bash");
	harness_expect(sandbox, "id -un; pwd; echo $HOME $USER; echo $FROM_IMAGE; echo $PATH",
		       "agent\n/home/agent\n/home/agent agent\nof the image\n/usr/bin:/home/agent/bin\n");
	harness_expect(sandbox, "echo a > /dev/stderr; echo b > /dev/stdout", "a\nb\n");
	harness_expect(sandbox, "kill -9 1 2>/dev/null; echo $?", "1\n");
	standalone_says(sandbox, "id -u; pwd; echo $FROM_IMAGE", "1000\n/home/agent\nof the image\n");
	harness_stop(sandbox);

	spec.image = IMAGE_USER;
	spec.network = SOS_NETWORK_NONE;
	spec.user = "0:0";
	spec.working_directory = "/var";
	spec.environment = (const char *const[]){ "FROM_IMAGE=overwritten", "SECRET=s3cret", NULL };
	sandbox = harness_start_spec(pool, &spec);
	harness_expect(sandbox, "id -u; pwd; echo $HOME $FROM_IMAGE $SECRET", "0\n/var\n/root overwritten s3cret\n");
	harness_stop(sandbox);

	spec.user = "12345:100";
	spec.working_directory = NULL;
	sandbox = harness_start_spec(pool, &spec);
	harness_expect(sandbox, "id -u; id -g; echo a > /dev/stderr", "12345\n100\na\n");
	harness_stop(sandbox);
}

static void test_strict(struct sos_pool *pool)
{
	struct sos_sandbox_spec spec = SOS_SANDBOX_SPEC_INIT;
	struct sos_sandbox *sandbox;

	spec.image = IMAGE_BASH;
	spec.profile = SOS_PROFILE_STRICT;
	sandbox = harness_start_spec(pool, &spec);
	harness_expect(sandbox, "id -u; grep -E 'Cap(Eff|Bnd)|NoNewPrivs' /proc/self/status | cut -f2",
		       "65534\n0000000000000000\n0000000000000000\n1\n");
	harness_expect(sandbox, "echo a > /dev/stderr; cd /tmp; touch x; ls", "a\nx\n");
	harness_expect(sandbox, "ls /sys/class/net", "lo\n");
	harness_stop(sandbox);

	sandbox = harness_start(pool, IMAGE_BASH);
	harness_expect(sandbox, "grep NoNewPrivs /proc/self/status | cut -f2; kill -9 1; cat /proc/1/environ 2>/dev/null; echo $?",
		       "1\n1\n");
	harness_expect(sandbox, "for c in 13 18 27 29 31; do "
				"echo $(( 0x$(sed -n 's/^CapBnd:\\t//p' /proc/self/status) >> c & 1 )); done | sort -u", "0\n");
	harness_stop(sandbox);
}

int main(int argc, char **argv)
{
	struct sos_pool *pool = harness_pool(1, harness_transport(argc > 1 ? argv[1] : "auto"));

	test_bash(pool);
	test_busybox(pool);
	test_noshell(pool);
	test_user(pool);
	test_strict(pool);
	sos_pool_free(pool);
	return tap_done();
}
