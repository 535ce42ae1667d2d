/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>

#include "engine_raw.h"
#include "kind.h"

static void complain(struct bench_samples *samples, const char *what, const struct sos_error *error)
{
	if (samples->failures++ == 0)
		fprintf(stderr, "bench: %s: %s\n", what, error->message);
}

void bench_kind_cycle_sos(struct bench_kind *kind, struct bench_samples *start, struct bench_samples *cycle)
{
	struct sos_sandbox_spec spec = SOS_SANDBOX_SPEC_INIT;
	struct sos_stop_options forget = SOS_STOP_OPTIONS_INIT;
	struct sos_error error = SOS_ERROR_INIT;
	struct bench_samples unused = { 0 };
	struct sos_sandbox *sandbox = NULL;
	struct sos_result *result = NULL;
	int64_t begin = bench_now_ns(), first;
	int r;

	forget.flags = SOS_STOP_FORGET;
	spec.image = kind->bench->image;
	spec.network = kind->network;
	r = sos_sandbox_create(kind->pool, &spec, &sandbox, &error);
	if (r == 0)
		r = sos_sandbox_start(sandbox, NULL, &error);
	if (r == 0)
		r = sos_sandbox_run(sandbox, "echo hi", &result, &error);
	first = bench_now_ns();
	if (r == 0 && strcmp(sos_result_output(result, NULL), "hi\n") != 0)
		r = -1;
	if (r == 0)
		bench_samples_add_ns(start ? start : &unused, first - begin);
	if (sandbox && sos_sandbox_stop(sandbox, &forget, &error) < 0)
		r = -1;
	if (r == 0)
		bench_samples_add_ns(cycle ? cycle : &unused, bench_now_ns() - begin);
	else
		complain(cycle ? cycle : start ? start : &unused, "life cycle", &error);
	sos_result_unref(result);
	sos_sandbox_unref(sandbox);
	bench_samples_clear(&unused);
}

void bench_kind_cycle_raw(struct bench_kind *kind, struct bench_http *http, struct bench_samples *start,
			  struct bench_samples *cycle)
{
	int64_t begin = bench_now_ns(), first;
	char id[65] = "";
	int r = bench_raw_create(http, kind->configuration, id);

	if (r == 0)
		r = bench_raw_start(http, id);
	first = bench_now_ns();
	if (r == 0 && start)
		bench_samples_add_ns(start, first - begin);
	if (id[0] && bench_raw_remove(http, id) < 0)
		r = -1;
	if (r == 0 && cycle)
		bench_samples_add_ns(cycle, bench_now_ns() - begin);
	else if (r < 0)
		(cycle ? cycle : start)->failures++;
}

void bench_kind_first_raw(struct bench_kind *kind, struct bench_http *http, struct bench_samples *samples)
{
	int64_t begin = bench_now_ns();
	char id[65] = "";
	bool right = bench_raw_create(http, kind->configuration, id) == 0 && bench_raw_start(http, id) == 0 &&
		     bench_raw_exec(http, id, "echo hi", "hi\n");
	int64_t end = bench_now_ns();

	if (id[0] && bench_raw_remove(http, id) < 0)
		right = false;
	if (right)
		bench_samples_add_ns(samples, end - begin);
	else
		samples->failures++;
}

int bench_kind_open(struct bench_kind *kind, struct bench *bench, uint32_t network, size_t clients)
{
	struct sos_pool_options options = SOS_POOL_OPTIONS_INIT;
	struct sos_sandbox_spec spec = SOS_SANDBOX_SPEC_INIT;
	struct sos_error error = SOS_ERROR_INIT;
	struct sos_sandbox_info *info = NULL;
	struct bench_http http;
	char engine[160];

	*kind = (struct bench_kind){ .bench = bench, .network = network };
	snprintf(engine, sizeof(engine), "unix://%s", bench->engine);
	options.engine = engine;
	options.capacity = (uint32_t)clients + 1;
	spec.image = bench->image;
	spec.network = network;
	if (sos_pool_new(&options, &kind->pool, &error) < 0 ||
	    sos_sandbox_create(kind->pool, &spec, &kind->model, &error) < 0 ||
	    sos_sandbox_start(kind->model, NULL, &error) < 0 || sos_sandbox_get_info(kind->model, &info, &error) < 0) {
		fprintf(stderr, "bench: life cycles: %s\n", error.message);
		return -1;
	}
	bench_http_init(&http, bench->engine);
	kind->configuration = bench_raw_likeness(&http, info->container_id, bench->label);
	bench_http_close(&http);
	sos_sandbox_info_free(info);
	return kind->configuration ? 0 : -1;
}

void bench_kind_close(struct bench_kind *kind)
{
	struct bench_http http;

	bench_http_init(&http, kind->bench->engine);
	bench_raw_sweep(&http, kind->bench->label);
	bench_http_close(&http);
	cJSON_Delete(kind->configuration);
	sos_sandbox_unref(kind->model);
	sos_pool_free(kind->pool);
}
