/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "parse.h"
#include "help.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static void take_rest(struct sos_parse *parse)
{
	while (optind < parse->argc)
		parse->words[parse->count++] = parse->argv[optind++];
}

static int begin(struct sos_parse *parse)
{
	parse->words = calloc((size_t)parse->argc + 1, sizeof(*parse->words));
	if (!parse->words)
		return -1;
	parse->begun = true;
	opterr = 0;
	optind = 0; /* a new scan: glibc forgets the level above */
	return 0;
}

static int wrong(struct sos_parse *parse, int option)
{
	const char *word = parse->argv[optind - 1];
	bool is_long = optopt == 0 || optopt > 0xff;
	char letter[3] = { '-', (char)optopt, 0 };
	const char *shown = is_long ? word : letter;
	sos_fail_usage(parse->cli, parse->command, option == ':' ? "option %s needs a value" : "unknown option %s",
		       shown);
	return SOS_PARSE_ERROR;
}

int sos_parse_next(struct sos_parse *parse)
{
	if (!parse->begun && begin(parse) < 0) {
		sos_fail(parse->cli, SOS_EXIT_FAILED, "out of memory");
		return SOS_PARSE_ERROR;
	}
	for (;;) {
		if (parse->literal_after && parse->count >= parse->literal_after) {
			take_rest(parse);
			return SOS_PARSE_END;
		}
		int option = getopt_long(parse->argc, parse->argv, parse->shorts, parse->longs, NULL);
		switch (option) {
		case -1:
			take_rest(parse);
			return SOS_PARSE_END;
		case 1:
			parse->words[parse->count++] = optarg;
			break;
		case 'h':
			sos_help_print(stdout, parse->command);
			return SOS_PARSE_HELP;
		case SOS_PARSE_SERVER:
			parse->cli->server = optarg;
			break;
		case SOS_PARSE_TOKEN_FILE:
			parse->cli->token_file = optarg;
			break;
		case '?':
		case ':':
			return wrong(parse, option);
		default:
			return option;
		}
	}
}

int sos_parse_stop(int option)
{
	return option == SOS_PARSE_HELP ? SOS_EXIT_OK : SOS_EXIT_USAGE;
}

void sos_parse_free(struct sos_parse *parse)
{
	free(parse->words);
	parse->words = NULL;
}

int sos_parse_integer(const char *text, int64_t low, int64_t high, int64_t *value)
{
	char *end;
	errno = 0;
	long long number = strtoll(text, &end, 10);
	if (errno || end == text || *end || isspace((unsigned char)*text) || number < low || number > high)
		return -1;
	*value = number;
	return 0;
}

int sos_parse_thousandths(const char *text, int64_t *value)
{
	char *end;
	if (!isdigit((unsigned char)*text) && *text != '.')
		return -1;
	errno = 0;
	double number = strtod(text, &end);
	if (errno || end == text || *end || !(number >= 0 && number < 1e12))
		return -1;
	*value = (int64_t)(number * 1000 + 0.5);
	return 0;
}

int sos_parse_size(const char *text, int64_t *value)
{
	static const char units[] = "bkmgt";
	char *end;
	if (!isdigit((unsigned char)*text) && *text != '.')
		return -1;
	errno = 0;
	double number = strtod(text, &end);
	if (errno || end == text)
		return -1;
	if (*end) {
		const char *unit = strchr(units, tolower((unsigned char)*end));
		if (!unit)
			return -1;
		for (ptrdiff_t i = 0; i < unit - units; i++)
			number *= 1024;
		end++;
		if (unit != units && !strcasecmp(end, "ib"))
			end += 2;
		else if (unit != units && !strcasecmp(end, "b"))
			end++;
		if (*end)
			return -1;
	}
	if (!(number >= 0 && number < 9e18))
		return -1;
	*value = (int64_t)number;
	return 0;
}
