/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Command lines: options and words in any order, "--" ends the options. Every
 * level (sos, sos sandbox, sos sandbox exec) is parsed by itself, so that -s can
 * be --server before the subcommand and --setup or --standalone after it. */

#include "cli.h"

#include <getopt.h>
#include <stdint.h>

enum {
	SOS_PARSE_END = -1,
	SOS_PARSE_ERROR = 0x1000, /* the failure is kept */
	SOS_PARSE_HELP,           /* the help was printed */
	SOS_PARSE_SERVER,
	SOS_PARSE_TOKEN_FILE,
	SOS_PARSE_OWN /* commands number their long options from here */
};

/* clang-format off */
/* In every command's table. */
#define SOS_PARSE_COMMON                                            \
	{ "help", no_argument, NULL, 'h' },                         \
	{ "server", required_argument, NULL, SOS_PARSE_SERVER },    \
	{ "token-file", required_argument, NULL, SOS_PARSE_TOKEN_FILE }
/* clang-format on */

struct sos_parse {
	struct sos_cli *cli;
	const struct sos_command *command; /* NULL: sos itself */
	const char *shorts;                /* begins with "-:", as getopt wants it for words in order */
	const struct option *longs;
	int argc;
	char **argv;
	char **words; /* what is no option; NULL-terminated, room for argc */
	int count;
	int literal_after; /* so many words, and everything behind them is taken as it is; 0: never */
	bool begun;
};

/* The next option, its argument in optarg; words are collected on the way. */
int sos_parse_next(struct sos_parse *parse);
/* What a command returns for a value of sos_parse_next that it does not know. */
int sos_parse_stop(int option);
void sos_parse_free(struct sos_parse *parse);
#define SOS_AUTO_PARSE __attribute__((cleanup(sos_parse_free)))

/* Values. 0, or -1: not one. */
int sos_parse_integer(const char *text, int64_t low, int64_t high, int64_t *value);
int sos_parse_thousandths(const char *text, int64_t *value); /* "1.5" is 1500; no negative ones */
int sos_parse_size(const char *text, int64_t *value);        /* "512m", "2g": powers of 1024 */
