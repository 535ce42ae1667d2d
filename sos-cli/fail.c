/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli.h"
#include "text.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A failure is kept where it is known and printed once, by main. Out of memory
 * while keeping it loses the text, never the exit code. */

static void keep(struct sos_cli *cli, char *text)
{
	free(cli->failure);
	cli->failure = text;
}

static char *format_text(const char *format, va_list args)
{
	char *text = NULL;
	return vasprintf(&text, format, args) < 0 ? NULL : text;
}

int sos_fail(struct sos_cli *cli, int exit_code, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	char *text = format_text(format, args);
	va_end(args);
	keep(cli, text);
	return exit_code;
}

int sos_fail_usage(struct sos_cli *cli, const struct sos_command *command, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	char *text = format_text(format, args);
	va_end(args);
	const char *space = command ? " " : "";
	const char *path = command ? command->path : "";
	sos_fail(cli, SOS_EXIT_USAGE, "%s (see: sos%s%s --help)", text ? text : "wrong arguments", space, path);
	free(text);
	return SOS_EXIT_USAGE;
}

int sos_fail_prefix(struct sos_cli *cli, int exit_code, const char *text)
{
	if (!cli->failure)
		return exit_code;
	char *whole = NULL;
	if (asprintf(&whole, "%s: %s", text, cli->failure) >= 0)
		keep(cli, whole);
	return exit_code;
}

void sos_fail_report(struct sos_cli *cli)
{
	if (!cli->failure)
		return;
	fflush(stdout);
	size_t length = strlen(cli->failure);
	while (length && cli->failure[length - 1] == '\n')
		length--;
	cli->failure[length] = 0;
	/* Some of it comes from images and their output. */
	fputs("sos: ", stderr);
	sos_text_print(stderr, cli->failure, false);
	fputc('\n', stderr);
	keep(cli, NULL);
}
