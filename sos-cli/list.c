/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client.h"
#include "parse.h"
#include "text.h"

#include <string.h>
#include <unistd.h>

#define LIST_TIMEOUT_MS 60000

enum { OPTION_JSON = SOS_PARSE_OWN };

static const struct option options[] = {
	{ "json", no_argument, NULL, OPTION_JSON },
	{ "quiet", no_argument, NULL, 'q' },
	SOS_PARSE_COMMON,
	{ 0 },
};

static enum sos_colour colour_of(const char *status)
{
	if (!strcmp(status, "started"))
		return SOS_GREEN;
	if (!strcmp(status, "exited"))
		return SOS_YELLOW;
	return !strcmp(status, "stopped") ? SOS_DIM : SOS_PLAIN;
}

static int add_row(struct sos_table *table, const cJSON *sandbox)
{
	const char *status = sos_json_string(sandbox, "status");
	const char *state = sos_json_string(sandbox, "state");
	double position = sos_json_number(sandbox, "queue_position", 0);
	enum sos_colour colour = colour_of(status);
	int result = sos_table_add(table, SOS_PLAIN, "%s", sos_json_string(sandbox, "id"));
	result |= sos_table_add(table, SOS_PLAIN, "%s", sos_json_string(sandbox, "image"));
	result |= sos_table_add(table, colour, "%s", status);
	if (position > 0)
		result |= sos_table_add(table, SOS_YELLOW, "%s (place %.0f)", state, position);
	else
		result |= sos_table_add(table, colour, "%s", *state ? state : status);
	return result | sos_table_add(table, SOS_PLAIN, "%.0f", sos_json_number(sandbox, "session_command_count", 0));
}

static int print_table(struct sos_cli *cli, const cJSON *list)
{
	static const char *const heads[] = { "ID", "IMAGE", "STATUS", "STATE", "COMMANDS" };
	SOS_AUTO_TABLE struct sos_table table = { .columns = sizeof(heads) / sizeof(*heads) };
	int result = 0;
	for (size_t i = 0; i < table.columns; i++)
		result |= sos_table_add(&table, SOS_BOLD, "%s", heads[i]);
	const cJSON *sandbox;
	cJSON_ArrayForEach (sandbox, list)
		result |= add_row(&table, sandbox);
	if (result < 0)
		return sos_fail(cli, SOS_EXIT_FAILED, "out of memory");
	if (cJSON_GetArraySize(list))
		sos_table_print(&table);
	else if (isatty(STDOUT_FILENO))
		puts("No sandboxes. Make one with: sos sandbox create");
	return 0;
}

static int run(struct sos_cli *cli, int argc, char **argv)
{
	SOS_AUTO_PARSE struct sos_parse parse = {
		.cli = cli, .command = &sos_command_list, .shorts = "-:hq", .longs = options, .argc = argc, .argv = argv
	};
	bool json = false;
	bool quiet = false;
	int option;
	while ((option = sos_parse_next(&parse)) != SOS_PARSE_END) {
		if (option == OPTION_JSON)
			json = true;
		else if (option == 'q')
			quiet = true;
		else
			return sos_parse_stop(option);
	}
	if (parse.count)
		return sos_fail_usage(cli, parse.command, "list takes no word '%s'", parse.words[0]);

	SOS_AUTO_RESPONSE struct sos_response response = { 0 };
	struct sos_request request = { .method = "GET", .path = "/sandboxes", .timeout_ms = LIST_TIMEOUT_MS };
	int result = sos_client_send(cli, &request, &response);
	if (result)
		return result;
	if (!cJSON_IsArray(response.json))
		return sos_fail(cli, SOS_EXIT_FAILED, "%s answered without a list: is it a sos server?",
				sos_client_url(cli));
	if (json) {
		sos_text_raw(response.body.data, response.body.length);
		return 0;
	}
	if (!quiet)
		return print_table(cli, response.json);
	const cJSON *sandbox;
	cJSON_ArrayForEach (sandbox, response.json)
		printf("%s\n", sos_json_string(sandbox, "id"));
	return 0;
}

const struct sos_command sos_command_list = {
	.path = "sandbox list",
	.name = "list",
	.alias = "ls",
	.summary = "the server's sandboxes",
	.help = "Usage: sos sandbox list [-q|--quiet] [--json]\n"
		"\n"
		"List sandboxes, oldest first. STATUS is created, started, exited or stopped; STATE says\n"
		"it more exactly (queued, pulling, lost, ...).\n"
		"\n"
		"Options:\n"
		"  -q, --quiet   only the ids, one a line\n"
		"      --json    the server's answer, an array\n"
		"\n"
		"Examples:\n"
		"  sos sandbox list\n"
		"  sos sandbox list --json | jq -r '.[] | select(.status == \"started\").id'\n",
	.run = run,
};
