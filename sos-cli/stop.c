/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client.h"
#include "parse.h"
#include "target.h"

#include <stdio.h>

/* The server's own bound is 30 s. */
#define STOP_TIMEOUT_MS 90000

static const struct option options[] = {
	{ "remove", no_argument, NULL, 'r' },
	SOS_PARSE_COMMON,
	{ 0 },
};

static int stop_one(struct sos_cli *cli, const char *given, bool remove)
{
	SOS_AUTO_STRING char *id = NULL;
	int result = sos_target_find(cli, given, &id);
	if (result)
		return result;
	SOS_AUTO_STRING char *path = sos_client_path(id, "/stop");
	SOS_AUTO_JSON cJSON *body = cJSON_CreateObject();
	if (!path || !body || !cJSON_AddBoolToObject(body, "remove", remove))
		return sos_fail(cli, SOS_EXIT_FAILED, "out of memory");
	SOS_AUTO_RESPONSE struct sos_response response = { 0 };
	struct sos_request request = { .method = "POST", .path = path, .body = body, .timeout_ms = STOP_TIMEOUT_MS };
	result = sos_client_send(cli, &request, &response);
	if (result)
		return result;
	printf("Sandbox %s: %s\n", remove ? "removed" : "stopped", id);
	fflush(stdout);
	return 0;
}

static int run(struct sos_cli *cli, int argc, char **argv)
{
	SOS_AUTO_PARSE struct sos_parse parse = {
		.cli = cli, .command = &sos_command_stop, .shorts = "-:hr", .longs = options, .argc = argc, .argv = argv
	};
	bool remove = false;
	int option;
	while ((option = sos_parse_next(&parse)) != SOS_PARSE_END) {
		if (option != 'r')
			return sos_parse_stop(option);
		remove = true;
	}
	if (!parse.count)
		return sos_fail_usage(cli, parse.command, "stop wants a sandbox's ID");
	int worst = 0;
	for (int i = 0; i < parse.count; i++) {
		int result = stop_one(cli, parse.words[i], remove);
		if (!result)
			continue;
		worst = result;
		if (result > SOS_EXIT_SIGNAL)
			break;
		if (parse.count > 1)
			sos_fail_prefix(cli, result, parse.words[i]);
		if (i + 1 < parse.count)
			sos_fail_report(cli);
	}
	return worst;
}

const struct sos_command sos_command_stop = {
	.path = "sandbox stop",
	.name = "stop",
	.summary = "end sandboxes and remove their containers",
	.help = "Usage: sos sandbox stop ID... [-r|--remove]\n"
		"\n"
		"End sandboxes and remove their containers. A command that runs in one ends with an\n"
		"error. A stopped sandbox stays listed, and its trajectory can be read.\n"
		"\n"
		"Options:\n"
		"  -r, --remove   forget them too: they are not listed any more, the trajectory is gone\n"
		"\n"
		"Examples:\n"
		"  sos sandbox stop $ID\n"
		"  sos sandbox stop --remove $(sos sandbox list --quiet)\n",
	.run = run,
};
