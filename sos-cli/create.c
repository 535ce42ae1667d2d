/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "progress.h"
#include "spec.h"
#include "text.h"

enum { OPTION_START = SOS_PARSE_OWN, OPTION_JSON };

static const struct option options[] = {
	SOS_SPEC_OPTIONS,
	{ "start", no_argument, NULL, OPTION_START },
	{ "json", no_argument, NULL, OPTION_JSON },
	SOS_PARSE_COMMON,
	{ 0 },
};

static int run(struct sos_cli *cli, int argc, char **argv)
{
	SOS_AUTO_PARSE struct sos_parse parse = { .cli = cli,
						  .command = &sos_command_create,
						  .shorts = "-:hi:s:",
						  .longs = options,
						  .argc = argc,
						  .argv = argv };
	SOS_AUTO_JSON cJSON *body = sos_spec_new();
	bool start = false;
	bool json = false;
	int option;
	if (!body)
		return sos_fail(cli, SOS_EXIT_FAILED, "out of memory");
	while ((option = sos_parse_next(&parse)) != SOS_PARSE_END) {
		int result = sos_spec_option(&parse, body, option == 's' ? SOS_SPEC_SETUP : option, optarg);
		if (result > 0)
			return result;
		if (result == 0)
			continue;
		if (option == OPTION_START)
			start = true;
		else if (option == OPTION_JSON)
			json = true;
		else
			return sos_parse_stop(option);
	}
	if (parse.count)
		return sos_fail_usage(cli, parse.command, "create takes no word '%s': an image is given with --image",
				      parse.words[0]);

	SOS_AUTO_STRING char *id = NULL;
	SOS_AUTO_RESPONSE struct sos_response response = { 0 };
	int result = sos_spec_create(cli, body, &id, &response);
	if (result)
		return result;
	if (json)
		sos_text_raw(response.body.data, response.body.length);
	else
		printf("Sandbox created with ID: %s\n", id);
	fflush(stdout);
	return start ? sos_progress_start(cli, id) : 0;
}

const struct sos_command sos_command_create = {
	.path = "sandbox create",
	.name = "create",
	.summary = "make a sandbox; no container is started yet",
	.help = "Usage: sos sandbox create [OPTIONS]\n"
		"\n"
		"Make a sandbox and print its id. Its container is started by 'sos sandbox start'.\n"
		"\n"
		"Options:\n"
		"  -i, --image IMAGE         the image (default: ubuntu:latest)\n"
		"  -s, --setup COMMAND       run in the session at start; may be repeated, joined by &&\n" SOS_SPEC_HELP
		"      --start               start it too, as 'sos sandbox start' does\n"
		"      --json                print the server's answer: {\"id\": ...}\n"
		"\n"
		"Examples:\n"
		"  sos sandbox create\n"
		"  sos sandbox create --image python:3.9 --setup \"pip install requests\" --setup \"cd /workspace\"\n"
		"  ID=$(sos sandbox create --image ubuntu:latest | grep \"Sandbox created\" | cut -d' ' -f5)\n"
		"  ID=$(sos sandbox create --memory 512m --cpus 0.5 --network none --json | jq -r .id)\n",
	.run = run,
};
