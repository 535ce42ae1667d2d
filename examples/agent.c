/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * An agent on libsos alone: a model proposes a command, the sandbox runs it,
 * the model sees what came of it. The model here is a script of rules that
 * decide by the last output, so that the example needs no network; put yours
 * into model_next().
 *
 *   cc agent.c $(pkg-config --cflags --libs sos) -o agent
 *   ./agent [-i IMAGE] [-t COMMAND-TIMEOUT-MS] N
 *
 * The task: write the sum of the numbers from 1 to N into /tmp/work/sum.txt.
 * Ends with 0 if the judge found the task done, 1 if not, 2 if the sandbox failed.
 */

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sos/sos.h>

#define STEPS_MAX 20

/* ---- the model ---------------------------------------------------------- */

enum plan { LOOK, ENTER, PYTHON, COUNT, FORMULA, CHECK, DONE };

struct model {
	enum plan plan;
	long long n;
	char command[256];
};

struct observation {
	const char *output;
	int exit_code;
	bool timed_out;
};

/* What to do next, seen what the last plan came to. */
static enum plan decide(const struct model *model, const struct observation *seen)
{
	switch (model->plan) {
	case LOOK:
		return seen->exit_code == 0 ? PYTHON : ENTER;
	case ENTER:
		return PYTHON;
	case PYTHON:
		return strstr(seen->output, "not found") ? COUNT : CHECK;
	case COUNT:
		return seen->timed_out ? FORMULA : CHECK;
	case FORMULA:
		return CHECK;
	default:
		return DONE;
	}
}

/* The next command; NULL when the model has nothing more to do. `seen` is NULL at first. */
static const char *model_next(struct model *model, const struct observation *seen)
{
	char *text = model->command;
	size_t room = sizeof(model->command);

	model->plan = seen ? decide(model, seen) : LOOK;
	switch (model->plan) {
	case LOOK:
		return "cd /tmp/work";
	case ENTER:
		return "mkdir -p /tmp/work && cd /tmp/work";
	case PYTHON:
		snprintf(text, room, "python3 -c 'print(sum(range(%lld + 1)))' > sum.txt", model->n);
		return text;
	case COUNT:
		snprintf(text, room, "s=0; i=0; while [ $i -lt %lld ]; do i=$((i + 1)); s=$((s + i)); done; echo $s > sum.txt",
			 model->n);
		return text;
	case FORMULA:
		snprintf(text, room, "echo $((%lld * (%lld + 1) / 2)) > sum.txt", model->n, model->n);
		return text;
	case CHECK:
		return "cat sum.txt";
	case DONE:
		break;
	}
	return NULL;
}

/* ---- the loop ----------------------------------------------------------- */

static int complain(const char *what, const struct sos_error *error)
{
	fprintf(stderr, "agent: %s: %s (%s)\n", what, error->message, sos_code_name(error->code));
	return 2;
}

static void show(const char *command, const struct sos_result *result)
{
	size_t length;
	const char *output = sos_result_output(result, &length);

	printf("$ %s\n", command);
	fwrite(output, 1, length, stdout);
	if (sos_result_dropped_bytes(result))
		printf("[%llu bytes more]\n", (unsigned long long)sos_result_dropped_bytes(result));
	if (sos_result_timed_out(result))
		printf("[interrupted at its time limit]\n");
	else if (sos_result_exit_code(result))
		printf("[exit code %d]\n", sos_result_exit_code(result));
}

/* 0 when the model is done or its session ended, 2 when the sandbox failed. */
static int work(struct sos_sandbox *sandbox, struct model *model, int64_t timeout_ms)
{
	const char *command = model_next(model, NULL);

	for (int step = 0; command && step < STEPS_MAX; step++) {
		struct sos_exec_options options = SOS_EXEC_OPTIONS_INIT;
		struct sos_error error = SOS_ERROR_INIT;
		struct sos_result *result = NULL;
		struct observation seen;
		bool over;

		options.command = command;
		options.timeout_ms = timeout_ms;
		options.max_output_bytes = 64 * 1024; /* more would not fit a model's context */
		if (sos_sandbox_exec(sandbox, &options, &result, &error) < 0)
			return complain("exec", &error);
		show(command, result);
		/* A session that is over takes no more commands, but can still be judged. */
		over = sos_result_exited(result) || sos_result_session_lost(result);
		if (over)
			printf("[the session is over]\n");
		seen = (struct observation){
			.output = sos_result_output(result, NULL),
			.exit_code = sos_result_exit_code(result),
			.timed_out = sos_result_timed_out(result),
		};
		command = over ? NULL : model_next(model, &seen);
		sos_result_unref(result);
	}
	return 0;
}

/* Did it do the task? In a process of its own, after everything else in the sandbox was killed. */
static int judge(struct sos_sandbox *sandbox, long long n)
{
	struct sos_exec_options options = SOS_EXEC_OPTIONS_INIT;
	struct sos_error error = SOS_ERROR_INIT;
	struct sos_result *result = NULL;
	char command[128];
	int verdict;

	snprintf(command, sizeof(command), "test \"$(cat /tmp/work/sum.txt)\" = %lld", n * (n + 1) / 2);
	options.command = command;
	options.flags = SOS_EXEC_STANDALONE | SOS_EXEC_JUDGE;
	options.timeout_ms = 10000;
	if (sos_sandbox_exec(sandbox, &options, &result, &error) < 0)
		return complain("judge", &error);
	verdict = sos_result_exit_code(result) == 0 ? 0 : 1;
	printf("%s\n", verdict == 0 ? "done" : "not done");
	sos_result_unref(result);
	return verdict;
}

static int run(struct sos_pool *pool, const char *image, struct model *model, int64_t timeout_ms)
{
	struct sos_sandbox_spec spec = SOS_SANDBOX_SPEC_INIT;
	struct sos_error error = SOS_ERROR_INIT;
	struct sos_sandbox *sandbox = NULL;
	int status;

	spec.image = image;
	spec.network = SOS_NETWORK_NONE;
	spec.lifetime_ms = 10 * 60 * 1000; /* whatever happens to us */
	if (sos_sandbox_create(pool, &spec, &sandbox, &error) < 0)
		return complain("create", &error);
	if (sos_sandbox_start(sandbox, NULL, &error) < 0)
		status = complain("start", &error);
	else
		status = work(sandbox, model, timeout_ms);
	if (status == 0)
		status = judge(sandbox, model->n);
	if (sos_sandbox_stop(sandbox, 0, &error) < 0)
		status = complain("stop", &error);
	sos_sandbox_unref(sandbox);
	return status;
}

int main(int argc, char **argv)
{
	struct sos_pool_options options = SOS_POOL_OPTIONS_INIT;
	struct sos_error error = SOS_ERROR_INIT;
	struct sos_pool *pool = NULL;
	struct model model = { 0 };
	const char *image = NULL;
	int64_t timeout_ms = 5000;
	int option, status;

	while ((option = getopt(argc, argv, "i:t:")) != -1) {
		if (option == 'i')
			image = optarg;
		else if (option == 't')
			timeout_ms = atoll(optarg);
		else
			return 2;
	}
	model.n = optind < argc ? atoll(argv[optind]) : 0;
	if (model.n < 1 || model.n > 1000000000 || timeout_ms < 1) {
		fprintf(stderr, "usage: agent [-i IMAGE] [-t COMMAND-TIMEOUT-MS] N\n");
		return 2;
	}
	options.capacity = 1;
	if (sos_pool_new(&options, &pool, &error) < 0)
		return complain("pool", &error);
	status = run(pool, image, &model, timeout_ms);
	sos_pool_free(pool);
	return status;
}
