/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "help.h"
#include "parse.h"

#include <stdio.h>

static const struct option options[] = { SOS_PARSE_COMMON, { 0 } };

const struct sos_command *const sos_sandbox_commands[] = {
	&sos_command_create, &sos_command_list,       &sos_command_start,
	&sos_command_exec,   &sos_command_result,     &sos_command_stop,
	&sos_command_info,   &sos_command_trajectory, NULL,
};

static int run(struct sos_cli *cli, int argc, char **argv)
{
	SOS_AUTO_PARSE struct sos_parse parse = { .cli = cli,
						  .command = &sos_command_sandbox,
						  .shorts = "-:hs:",
						  .longs = options,
						  .argc = argc,
						  .argv = argv,
						  .literal_after = 1 };
	int option;
	while ((option = sos_parse_next(&parse)) != SOS_PARSE_END) {
		if (option != 's')
			return sos_parse_stop(option);
		cli->server = optarg;
	}
	if (!parse.count)
		return sos_fail_usage(cli, parse.command,
				      "sandbox wants a command: create, list, start, exec, stop, ...");
	const struct sos_command *command = sos_command_find(sos_sandbox_commands, parse.words[0]);
	if (!command)
		return sos_fail_usage(cli, parse.command, "sandbox has no command '%s'", parse.words[0]);
	return command->run(cli, parse.count, parse.words);
}

const struct sos_command sos_command_sandbox = {
	.path = "sandbox",
	.name = "sandbox",
	.summary = "make, start, use and stop sandboxes on a server",
	.help = "Usage: sos sandbox [-s|--server URL] [--token-file FILE] COMMAND ...\n"
		"\n"
		"Options:\n"
		"  -s, --server URL          the server (default: SOS_SERVER, else http://localhost:3000)\n"
		"      --token-file FILE     what the server wants to be shown (default: SOS_TOKEN)\n"
		"  --server and --token-file may also follow COMMAND.\n"
		"\n"
		"Examples:\n"
		"  ID=$(sos sandbox create --image ubuntu:latest | grep \"Sandbox created\" | cut -d' ' -f5)\n"
		"  sos sandbox start $ID\n"
		"  sos sandbox exec $ID \"cd /tmp\"\n"
		"  sos sandbox exec $ID \"echo \\$PWD\"\n"
		"  sos sandbox stop $ID\n"
		"  sos sandbox --server http://remote-server:3000 create\n",
	.run = run,
};
