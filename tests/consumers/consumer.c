/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What somebody outside writes: one command in a sandbox of the image in argv[1]. C99, C11 and C++. */

#include <sos/sos.h>

#include <stdio.h>
#include <string.h>

int main(int argc, char **argv)
{
	struct sos_pool_options options = SOS_POOL_OPTIONS_INIT;
	struct sos_sandbox_spec spec = SOS_SANDBOX_SPEC_INIT;
	struct sos_error error = SOS_ERROR_INIT;
	struct sos_pool *pool = NULL;
	struct sos_sandbox *sandbox = NULL;
	struct sos_result *result = NULL;
	int code;

	if (argc != 2)
		return 2;
	options.capacity = 1;
	spec.image = argv[1];
	spec.network = SOS_NETWORK_NONE;
	code = sos_pool_new(&options, &pool, &error);
	if (code == 0)
		code = sos_sandbox_create(pool, &spec, &sandbox, &error);
	if (code == 0)
		code = sos_sandbox_start(sandbox, NULL, &error);
	if (code == 0)
		code = sos_sandbox_run(sandbox, "echo hello from $0", &result, &error);
	if (code == 0)
		printf("%s %s", sos_version(), sos_result_output(result, NULL));
	else
		fprintf(stderr, "%s: %s\n", sos_code_name(code), error.message);
	sos_result_unref(result);
	sos_sandbox_unref(sandbox);
	sos_pool_free(pool);
	return code != 0;
}
