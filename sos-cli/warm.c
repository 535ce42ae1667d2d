/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "spec.h"

#include <stdio.h>
#include <string.h>

#define TIMEOUT_MS 60000

static const struct option options[] = {
	SOS_SPEC_OPTIONS,
	SOS_PARSE_COMMON,
	{ 0 },
};

static int send(struct sos_cli *cli, const cJSON *body)
{
	SOS_AUTO_RESPONSE struct sos_response response = { 0 };
	struct sos_request request = { .method = "POST", .path = "/pool/warm", .body = body, .timeout_ms = TIMEOUT_MS };
	return sos_client_send(cli, &request, &response);
}

static int run(struct sos_cli *cli, int argc, char **argv)
{
	SOS_AUTO_PARSE struct sos_parse parse = {
		.cli = cli, .command = &sos_command_warm, .shorts = "-:hs:", .longs = options, .argc = argc, .argv = argv
	};
	SOS_AUTO_JSON cJSON *body = sos_spec_new();
	int64_t count;
	int option;
	if (!body)
		return sos_fail(cli, SOS_EXIT_FAILED, "out of memory");
	while ((option = sos_parse_next(&parse)) != SOS_PARSE_END) {
		int result = sos_spec_option(&parse, body, option == 's' ? SOS_SPEC_SETUP : option, optarg);
		if (result > 0)
			return result;
		if (result < 0)
			return sos_parse_stop(option);
	}
	if (parse.count != 2)
		return sos_fail_usage(cli, parse.command, "warm wants an IMAGE and how many of it to keep ready");
	if (sos_parse_integer(parse.words[1], 0, INT32_MAX, &count) < 0)
		return sos_fail_usage(cli, parse.command, "'%s': how many containers? A number, 0 for none",
				      parse.words[1]);
	if (sos_json_set_string(body, "image", parse.words[0]) < 0 ||
	    sos_json_set_number(body, "count", (double)count) < 0)
		return sos_fail(cli, SOS_EXIT_FAILED, "out of memory");
	return send(cli, body);
}

const struct sos_command sos_command_warm = {
	.path = "pool warm",
	.name = "warm",
	.summary = "keep containers of an image ready for the next starts",
	.help = "Usage: sos pool warm IMAGE N [OPTIONS]\n"
		"\n"
		"Keep N containers of an image ready from now on; 0: none any more. A sandbox that asks for\n"
		"the same image, limits, user and so on is started with one of them, in less than a\n"
		"millisecond; environment, labels and lifetime are its own. With setup commands it must\n"
		"begin with the same ones. 'sos pool' shows how many there are.\n"
		"\n"
		"Options:\n"
		"  -s, --setup COMMAND       run in them ahead; may be repeated, joined by &&\n" SOS_SPEC_HELP
		"\n"
		"Examples:\n"
		"  sos pool warm ubuntu:24.04 8\n"
		"  sos pool warm python:3.12 4 --setup \"pip install requests\" --memory 1g\n"
		"  sos pool warm ubuntu:24.04 0\n",
	.run = run,
};
