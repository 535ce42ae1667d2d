/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client.h"
#include "parse.h"
#include "target.h"
#include "text.h"

#define TIMEOUT_MS 120000

enum { OPTION_JSON = SOS_PARSE_OWN };

static const struct option options[] = {
	{ "formatted", no_argument, NULL, 'f' },
	{ "json", no_argument, NULL, OPTION_JSON },
	SOS_PARSE_COMMON,
	{ 0 },
};

static int run(struct sos_cli *cli, int argc, char **argv)
{
	SOS_AUTO_PARSE struct sos_parse parse = { .cli = cli,
						  .command = &sos_command_trajectory,
						  .shorts = "-:hf",
						  .longs = options,
						  .argc = argc,
						  .argv = argv };
	bool formatted = false;
	int option;
	while ((option = sos_parse_next(&parse)) != SOS_PARSE_END) {
		if (option == 'f')
			formatted = true;
		else if (option == OPTION_JSON)
			formatted = false;
		else
			return sos_parse_stop(option);
	}
	if (parse.count != 1)
		return sos_fail_usage(cli, parse.command, "trajectory wants one sandbox's ID");
	SOS_AUTO_STRING char *id = NULL;
	int result = sos_target_find(cli, parse.words[0], &id);
	if (result)
		return result;
	SOS_AUTO_STRING char *path = sos_client_path(id, formatted ? "/trajectory/formatted" : "/trajectory");
	if (!path)
		return sos_fail(cli, SOS_EXIT_FAILED, "out of memory");
	SOS_AUTO_RESPONSE struct sos_response response = { 0 };
	struct sos_request request = { .method = "GET", .path = path, .timeout_ms = TIMEOUT_MS };
	result = sos_client_send(cli, &request, &response);
	if (result)
		return result;
	/* As it came: cJSON would lose what follows a NUL in an output. */
	if (response.body.length)
		sos_text_raw(response.body.data, response.body.length);
	return 0;
}

const struct sos_command sos_command_trajectory = {
	.path = "sandbox trajectory",
	.name = "trajectory",
	.summary = "the session's commands and their output",
	.help = "Usage: sos sandbox trajectory ID [-f|--formatted]\n"
		"\n"
		"Print what was run in the session so far: JSON, with time, output and exit code of each\n"
		"command. A stopped sandbox keeps its trajectory until it is removed.\n"
		"\n"
		"Options:\n"
		"  -f, --formatted   as text: \"$ command\" and its output\n"
		"\n"
		"Examples:\n"
		"  sos sandbox trajectory $ID --formatted\n"
		"  sos sandbox trajectory $ID | jq -r '.trajectory[].command'\n",
	.run = run,
};
