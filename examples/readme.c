/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdio.h>
#include <sos/sos.h>

int main(int argc, char **argv)
{
	struct sos_pool_options options = SOS_POOL_OPTIONS_INIT;
	struct sos_sandbox_spec spec = SOS_SANDBOX_SPEC_INIT;
	struct sos_error error = SOS_ERROR_INIT;
	struct sos_pool *pool = NULL;
	struct sos_sandbox *sandbox = NULL;
	struct sos_result *result = NULL;

	spec.image = argc > 1 ? argv[1] : "ubuntu:latest";
	if (sos_pool_new(&options, &pool, &error) < 0 ||
	    sos_sandbox_create(pool, &spec, &sandbox, &error) < 0 ||
	    sos_sandbox_start(sandbox, NULL, &error) < 0 ||
	    sos_sandbox_run(sandbox, "cd /tmp && echo \"hello from $PWD\"", &result, &error) < 0)
		fprintf(stderr, "%s\n", error.message);
	else
		printf("%sexit code %d\n", sos_result_output(result, NULL), sos_result_exit_code(result));
	sos_result_unref(result);
	sos_sandbox_unref(sandbox);
	sos_pool_free(pool); /* removes the container */
	return error.code == SOS_OK ? 0 : 1;
}
