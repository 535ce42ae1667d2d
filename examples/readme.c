#include <stdio.h>
#include <sos/sos.h>

int main(int argc, char **argv)
{
	struct sos_error error = SOS_ERROR_INIT;
	struct sos_sandbox_spec spec = SOS_SANDBOX_SPEC_INIT;
	struct sos_pool *pool = NULL;
	struct sos_sandbox *sandbox = NULL;
	struct sos_result *result = NULL;
	int r;

	spec.image = argc > 1 ? argv[1] : "ubuntu:latest";
	r = sos_pool_new(NULL, &pool, &error);
	if (r == 0)
		r = sos_sandbox_create(pool, &spec, &sandbox, &error);
	if (r == 0)
		r = sos_sandbox_start(sandbox, NULL, &error);
	if (r == 0)
		r = sos_sandbox_run(sandbox, "cd /tmp && echo \"hello from $PWD\"", &result, &error);
	if (r == 0)
		printf("%sexit code %d\n", sos_result_output(result, NULL), sos_result_exit_code(result));
	else
		fprintf(stderr, "%s\n", error.message);
	sos_result_unref(result);
	sos_sandbox_unref(sandbox);
	sos_pool_free(pool);
	return r == 0 ? 0 : 1;
}
