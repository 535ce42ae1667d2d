/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "parse.h"
#include "run.h"
#include "target.h"
#include "text.h"

enum { OPTION_WAIT = SOS_PARSE_OWN, OPTION_JSON };

static const struct option options[] = {
	{ "wait", required_argument, NULL, OPTION_WAIT },
	{ "json", no_argument, NULL, OPTION_JSON },
	SOS_PARSE_COMMON,
	{ 0 },
};

static int show(struct sos_cli *cli, const char *given, const char *exec_id, int64_t wait_ms, bool json)
{
	SOS_AUTO_STRING char *id = NULL;
	int result = sos_target_find(cli, given, &id);
	if (result)
		return result;
	SOS_AUTO_STRING char *base = sos_client_path(id, "/exec/");
	SOS_AUTO_STRING char *name = sos_client_escape(exec_id);
	SOS_AUTO_STRING char *wait = NULL;
	SOS_AUTO_STRING char *path = NULL;
	if (!base || !name || (wait_ms >= 0 && asprintf(&wait, "wait_ms=%lld", (long long)wait_ms) < 0) ||
	    asprintf(&path, "%s%s?%s%s%s", base, name, json ? "" : "encoding=base64", wait && !json ? "&" : "",
		     wait ? wait : "") < 0)
		return sos_fail(cli, SOS_EXIT_FAILED, "out of memory");
	SOS_AUTO_RESPONSE struct sos_response response = { 0 };
	struct sos_request request = { .method = "GET", .path = path, .limit = SOS_RUN_ANSWER_LIMIT };
	result = sos_client_send(cli, &request, &response);
	if (result)
		return result;
	if (response.status == 202)
		return sos_fail(cli, SOS_EXIT_FAILED, "the command still runs: ask again, or with a longer --wait");
	SOS_AUTO_RUN struct sos_run run = { 0 };
	if (json)
		sos_text_raw(response.body.data, response.body.length);
	result = sos_run_take(cli, response.json, &run);
	if (!result && !json)
		result = sos_run_print(cli, &run, false);
	return result ? result : sos_run_exit_code(cli, &run);
}

static int run(struct sos_cli *cli, int argc, char **argv)
{
	SOS_AUTO_PARSE struct sos_parse parse = { .cli = cli,
						  .command = &sos_command_result,
						  .shorts = "-:h",
						  .longs = options,
						  .argc = argc,
						  .argv = argv };
	int64_t wait_ms = -1;
	bool json = false;
	int option;
	while ((option = sos_parse_next(&parse)) != SOS_PARSE_END) {
		if (option == OPTION_JSON)
			json = true;
		else if (option != OPTION_WAIT)
			return sos_parse_stop(option);
		else if (sos_parse_thousandths(optarg, &wait_ms) < 0)
			return sos_fail_usage(cli, parse.command, "--wait '%s': wants seconds, like 30", optarg);
	}
	if (parse.count != 2)
		return sos_fail_usage(cli, parse.command, "result wants a sandbox's ID and an EXEC-ID");
	return show(cli, parse.words[0], parse.words[1], wait_ms, json);
}

const struct sos_command sos_command_result = {
	.path = "sandbox result",
	.name = "result",
	.summary = "the result of a command that was run before",
	.help = "Usage: sos sandbox result ID EXEC-ID [--wait SECONDS] [--json]\n"
		"\n"
		"Print the result of the command with that exec id, as exec would have: the same output,\n"
		"the same exit code. Waits for a command that still runs; 125 when --wait was too short.\n"
		"The server keeps the last 64 of a sandbox.\n"
		"\n"
		"Options:\n"
		"      --wait SECONDS   no longer than this; 0: do not wait (default: until it ends)\n"
		"      --json           the server's answer\n"
		"\n"
		"Examples:\n"
		"  sos sandbox exec $ID \"make\" --exec-id build-1 --json\n"
		"  sos sandbox result $ID build-1\n",
	.run = run,
};
