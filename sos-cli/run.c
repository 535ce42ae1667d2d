/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "run.h"
#include "text.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>
#include <sys/random.h>

void sos_run_free(struct sos_run *run)
{
	sos_bytes_free(&run->out);
	sos_bytes_free(&run->err);
	sos_bytes_free(&run->background);
}

cJSON *sos_run_request(const char *command)
{
	unsigned char random[16];
	char exec_id[4 + 2 * sizeof(random) + 1] = "cli-";
	if (getrandom(random, sizeof(random), 0) != (ssize_t)sizeof(random))
		return NULL;
	for (size_t i = 0; i < sizeof(random); i++)
		snprintf(exec_id + 4 + 2 * i, 3, "%02x", random[i]);
	cJSON *body = cJSON_CreateObject();
	if (body && sos_json_set_string(body, "exec_id", exec_id) == 0 &&
	    (!command || sos_json_set_string(body, "command", command) == 0))
		return body;
	cJSON_Delete(body);
	return NULL;
}

static int take_stream(struct sos_cli *cli, const cJSON *json, const char *name, bool encoded, struct sos_bytes *bytes)
{
	const char *text = sos_json_string(json, name);
	size_t length = strlen(text);
	int result = encoded ? sos_bytes_from_base64(bytes, text, length)
			     : sos_bytes_append(bytes, text, length, SOS_RUN_ANSWER_LIMIT);
	if (result < 0)
		return sos_fail(cli, SOS_EXIT_FAILED, "the server's answer cannot be read: its %s is not base64", name);
	/* An older server, that trims: a line of text ends in a newline again. */
	if (!encoded && length && text[length - 1] != '\n')
		result = sos_bytes_append(bytes, "\n", 1, SOS_RUN_ANSWER_LIMIT);
	return result < 0 ? sos_fail(cli, SOS_EXIT_FAILED, "out of memory") : 0;
}

int sos_run_take(struct sos_cli *cli, const cJSON *json, struct sos_run *run)
{
	if (!cJSON_IsObject(json) || !cJSON_HasObjectItem(json, "exit_code"))
		return sos_fail(cli, SOS_EXIT_FAILED, "%s answered without a result: is it a sos server?",
				sos_client_url(cli));
	bool encoded = !strcmp(sos_json_string(json, "encoding"), "base64");
	/* Merged streams: stdout repeats output. Separate ones: each is exact. */
	bool separate = *sos_json_string(json, "stderr") != 0 || !cJSON_HasObjectItem(json, "output");
	int result = take_stream(cli, json, separate ? "stdout" : "output", encoded, &run->out);
	if (!result)
		result = take_stream(cli, json, "stderr", encoded, &run->err);
	if (!result)
		result = take_stream(cli, json, "background_output", encoded, &run->background);
	run->exit_code = (int)sos_json_number(json, "exit_code", SOS_EXIT_FAILED);
	run->exited = sos_json_true(json, "exited");
	run->timed_out = sos_json_true(json, "timed_out");
	run->session_lost = sos_json_true(json, "session_lost");
	run->dropped_bytes = sos_json_number(json, "dropped_bytes", 0);
	return result;
}

int sos_run_post(struct sos_cli *cli, const char *id, const cJSON *body, struct sos_response *response)
{
	SOS_AUTO_STRING char *path = sos_client_path(id, "/exec");
	if (!path)
		return sos_fail(cli, SOS_EXIT_FAILED, "out of memory");
	struct sos_request request = { .method = "POST", .path = path, .body = body, .limit = SOS_RUN_ANSWER_LIMIT };
	int result = sos_client_send(cli, &request, response);
	const char *exec_id = sos_json_string(body, "exec_id");
	if (response->signal)
		return sos_fail(cli, result,
				"interrupted; the command goes on in the sandbox, its result: sos sandbox result %s %s",
				id, exec_id);
	if (response->status == 504)
		return SOS_EXIT_TIMEOUT;
	if (!result || response->status || !response->sent)
		return result;
	SOS_AUTO_STRING char *cause = cli->failure;
	cli->failure = NULL;
	return sos_fail(cli, result, "%s; the command may have run, its result: sos sandbox result %s %s",
			cause ? cause : "no answer", id, exec_id);
}

int sos_run_send(struct sos_cli *cli, const char *id, cJSON *body, struct sos_run *run)
{
	if (sos_json_set_string(body, "encoding", "base64") < 0)
		return sos_fail(cli, SOS_EXIT_FAILED, "out of memory");
	SOS_AUTO_RESPONSE struct sos_response response = { 0 };
	int result = sos_run_post(cli, id, body, &response);
	return result ? result : sos_run_take(cli, response.json, run);
}

static int written(struct sos_cli *cli, int fd, const struct sos_bytes *bytes)
{
	int result = sos_bytes_write_fd(fd, bytes->data, bytes->length);
	/* On a terminal the prompt shall not stick to the last line. */
	if (result == 0 && bytes->length && bytes->data[bytes->length - 1] != '\n' && isatty(fd))
		result = sos_bytes_write_fd(fd, "\n", 1);
	if (result == 0)
		return 0;
	if (errno == EPIPE)
		return SOS_EXIT_PIPE;
	return sos_fail(cli, SOS_EXIT_FAILED, "write the output: %s", strerror(errno));
}

int sos_run_print(struct sos_cli *cli, const struct sos_run *run, bool background)
{
	int result = background ? written(cli, STDERR_FILENO, &run->background) : 0;
	if (!result)
		result = written(cli, STDOUT_FILENO, &run->out);
	if (!result)
		result = written(cli, STDERR_FILENO, &run->err);
	if (run->dropped_bytes > 0)
		fprintf(stderr, "sos: %.0f bytes of output beyond the limit were dropped (see --max-output)\n",
			run->dropped_bytes);
	return result;
}

int sos_run_exit_code(struct sos_cli *cli, const struct sos_run *run)
{
	static const char lost[] = "its session is lost: session commands will fail, --standalone ones work";
	if (run->timed_out)
		return sos_fail(cli, SOS_EXIT_TIMEOUT, "the command ran into its time limit and was ended%s%s",
				run->session_lost ? "; " : "", run->session_lost ? lost : "");
	if (run->session_lost)
		return sos_fail(cli, SOS_EXIT_FAILED, "the sandbox's shell was killed or lost step; %s", lost);
	return run->exit_code & 0xff;
}
