/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client.h"
#include "help.h"
#include "parse.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

/* The command line of a sos server: one process, one thread, one request at a
 * time. It knows HTTP and JSON only, nothing of the library. */

enum { OPTION_VERSION = SOS_PARSE_OWN };

static const struct option options[] = {
	{ "version", no_argument, NULL, OPTION_VERSION },
	SOS_PARSE_COMMON,
	{ 0 },
};

const struct sos_command *const sos_commands[] = {
	&sos_command_serve, &sos_command_sandbox, &sos_command_session, &sos_command_pool, &sos_command_help, NULL,
};

const struct sos_command *sos_command_find(const struct sos_command *const *commands, const char *name)
{
	for (; *commands; commands++)
		if (!strcmp((*commands)->name, name) || ((*commands)->alias && !strcmp((*commands)->alias, name)))
			return *commands;
	return NULL;
}

const struct sos_command *const *sos_command_children(const struct sos_command *command)
{
	return command == &sos_command_sandbox ? sos_sandbox_commands
	       : command == &sos_command_pool  ? sos_pool_commands
					       : NULL;
}

static int run(struct sos_cli *cli, int argc, char **argv)
{
	SOS_AUTO_PARSE struct sos_parse parse = {
		.cli = cli, .shorts = "-:hs:V", .longs = options, .argc = argc, .argv = argv, .literal_after = 1
	};
	int option;
	while ((option = sos_parse_next(&parse)) != SOS_PARSE_END) {
		if (option == 's') {
			cli->server = optarg;
			continue;
		}
		if (option != OPTION_VERSION && option != 'V')
			return sos_parse_stop(option);
		puts("sos " SOS_VERSION);
		return 0;
	}
	if (!parse.count) {
		sos_help_print(stderr, NULL);
		return SOS_EXIT_USAGE;
	}
	const struct sos_command *command = sos_command_find(sos_commands, parse.words[0]);
	if (!command)
		return sos_fail_usage(cli, NULL, "no command '%s'", parse.words[0]);
	return command->run(cli, parse.count, parse.words);
}

/* What was printed has to have arrived, or the exit code must say so. */
static int close_output(struct sos_cli *cli, int result)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return result;
	if (errno == EPIPE)
		return SOS_EXIT_PIPE;
	return result ? result : sos_fail(cli, SOS_EXIT_FAILED, "write the output: %s", strerror(errno));
}

int main(int argc, char **argv)
{
	/* Restored before the server is run; a write that fails by it is seen as EPIPE. */
	signal(SIGPIPE, SIG_IGN);
	struct sos_cli cli = { 0 };
	int result = close_output(&cli, run(&cli, argc, argv));
	sos_fail_report(&cli);
	sos_client_free(cli.client);
	return result;
}
