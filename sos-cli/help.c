/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "help.h"

#include <string.h>

static const char intro[] = "Usage: sos COMMAND ...\n"
			    "\n"
			    "Sandboxes with a persistent shell session, for agents.\n";

static const char outro[] = "\n"
			    "'sos COMMAND --help' says more, 'sos --version' which this is.\n"
			    "\n"
			    "Environment: SOS_SERVER the server's URL, SOS_TOKEN its token, NO_COLOR no colours.\n"
			    "Exit code: 0; the command's for exec and session; 2 wrong arguments; 124 a command ran\n"
			    "into its time limit; 125 SoS failed; 128 + n ended by signal n.\n"
			    "\n"
			    "Examples:\n"
			    "  sos serve &\n"
			    "  ID=$(sos sandbox create | cut -d' ' -f5)\n"
			    "  sos sandbox start $ID\n"
			    "  sos sandbox exec $ID \"echo 'Hello, World!'\"\n"
			    "  sos sandbox stop $ID\n"
			    "  sos session -i ubuntu:latest\n";

static void print_list(FILE *stream, const struct sos_command *const *commands)
{
	fputs("\nCommands:\n", stream);
	for (; *commands; commands++)
		fprintf(stream, "  %-12s %s\n", (*commands)->name, (*commands)->summary);
}

void sos_help_print(FILE *stream, const struct sos_command *command)
{
	if (!command) {
		fputs(intro, stream);
		print_list(stream, sos_commands);
		fputs(outro, stream);
		return;
	}
	if (!sos_command_children(command)) {
		fputs(command->help, stream);
		return;
	}
	/* The list belongs between the usage and the options. */
	const char *rest = strchr(command->help, '\n') + 1;
	fprintf(stream, "%.*s", (int)(rest - command->help), command->help);
	print_list(stream, sos_command_children(command));
	fputs(rest, stream);
}

static int run(struct sos_cli *cli, int argc, char **argv)
{
	const struct sos_command *const *commands = sos_commands;
	const struct sos_command *command = NULL;
	for (int i = 1; i < argc; i++) {
		command = commands ? sos_command_find(commands, argv[i]) : NULL;
		if (!command)
			return sos_fail_usage(cli, NULL, "no command '%s'", argv[i]);
		commands = sos_command_children(command);
	}
	sos_help_print(stdout, command);
	return 0;
}

const struct sos_command sos_command_help = {
	.path = "help",
	.name = "help",
	.summary = "this, or the help of a command",
	.help = "Usage: sos help [COMMAND]...\n"
		"\n"
		"Examples:\n"
		"  sos help sandbox exec\n",
	.run = run,
};
