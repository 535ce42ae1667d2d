/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "bytes.h"
#include "parse.h"
#include "progress.h"
#include "target.h"

#include <stdio.h>
#include <string.h>

static const struct option options[] = { SOS_PARSE_COMMON, { 0 } };

static int start_one(struct sos_cli *cli, const char *given)
{
	SOS_AUTO_STRING char *id = NULL;
	int result = sos_target_find(cli, given, &id);
	if (!result)
		result = sos_progress_start(cli, id);
	if (result)
		return result;
	printf("Sandbox started: %s\n", id);
	fflush(stdout);
	return 0;
}

static int run(struct sos_cli *cli, int argc, char **argv)
{
	SOS_AUTO_PARSE struct sos_parse parse = {
		.cli = cli, .command = &sos_command_start, .shorts = "-:h", .longs = options, .argc = argc, .argv = argv
	};
	int option = sos_parse_next(&parse);
	if (option != SOS_PARSE_END)
		return sos_parse_stop(option);
	if (!parse.count)
		return sos_fail_usage(cli, parse.command, "start wants a sandbox's ID");
	int worst = 0;
	for (int i = 0; i < parse.count; i++) {
		int result = start_one(cli, parse.words[i]);
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

const struct sos_command sos_command_start = {
	.path = "sandbox start",
	.name = "start",
	.summary = "start a sandbox; returns when it takes commands",
	.help = "Usage: sos sandbox start ID...\n"
		"\n"
		"Start sandboxes, one after the other: wait for a free slot, pull the image if it is\n"
		"not there, run the setup commands. Returns when the session takes commands. On a\n"
		"terminal one line shows what it waits for; ^C gives the place in the queue back.\n"
		"ID may be the first characters of one, four or more.\n"
		"\n"
		"Examples:\n"
		"  sos sandbox start $ID\n"
		"  sos sandbox start 3f2a\n",
	.run = run,
};
