/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client.h"
#include "parse.h"
#include "text.h"

#include <stdio.h>

#define TIMEOUT_MS 60000

enum { OPTION_JSON = SOS_PARSE_OWN };

static const struct option options[] = {
	{ "json", no_argument, NULL, OPTION_JSON },
	SOS_PARSE_COMMON,
	{ 0 },
};

const struct sos_command *const sos_pool_commands[] = { &sos_command_warm, NULL };

static void print_numbers(const cJSON *pool)
{
	static const char *const names[] = { "containers", "running", "starting", "removing", "warm_ready", "warm_starting",
					     "queued" };
	static const char *const words[] = { "containers", "running", "starting", "being removed", "warm",
					     "becoming warm", "starts wait" };
	printf("%.0f of %.0f %s", sos_json_number(pool, names[0], 0), sos_json_number(pool, "capacity", 0), words[0]);
	for (size_t i = 1; i < sizeof(names) / sizeof(*names); i++) {
		double number = sos_json_number(pool, names[i], 0);
		if (number > 0)
			printf(", %.0f %s", number, words[i]);
	}
	putchar('\n');
}

/* The image, and how much setup its containers have run. */
static int add_name(struct sos_table *table, const cJSON *warm)
{
	int setup = cJSON_GetArraySize(cJSON_GetObjectItemCaseSensitive(warm, "setup_commands"));
	const char *image = sos_json_string(warm, "image");
	if (!setup)
		return sos_table_add(table, SOS_PLAIN, "%s", image);
	return sos_table_add(table, SOS_PLAIN, "%s +%d setup", image, setup);
}

static int add_row(struct sos_table *table, const cJSON *warm)
{
	double ready = sos_json_number(warm, "ready", 0), target = sos_json_number(warm, "target", 0);
	double rate = sos_json_number(warm, "hit_rate", -1);
	const char *failure = sos_json_string(warm, "failure");
	int result = add_name(table, warm);
	result |= sos_table_add(table, *failure ? SOS_RED : ready < target ? SOS_YELLOW : SOS_GREEN, "%.0f of %.0f", ready,
				target);
	result |= sos_table_add(table, SOS_PLAIN, "%.0f", sos_json_number(warm, "starting", 0));
	result |= sos_table_add(table, SOS_PLAIN, "%.0f", sos_json_number(warm, "busy", 0));
	if (rate < 0)
		result |= sos_table_add(table, SOS_PLAIN, "-");
	else
		result |= sos_table_add(table, SOS_PLAIN, "%.0f%% of %.0f", rate * 100,
					sos_json_number(warm, "hits", 0) + sos_json_number(warm, "misses", 0));
	return result | sos_table_add(table, SOS_RED, "%s", failure);
}

static int print_pool(struct sos_cli *cli, const cJSON *pool)
{
	static const char *const heads[] = { "WARM", "READY", "STARTING", "BUSY", "HITS", "FAILURE" };
	SOS_AUTO_TABLE struct sos_table table = { .columns = sizeof(heads) / sizeof(*heads) };
	const cJSON *list = cJSON_GetObjectItemCaseSensitive(pool, "warm"), *warm;
	int result = 0;
	print_numbers(pool);
	if (!cJSON_GetArraySize(list))
		return 0;
	for (size_t i = 0; i < table.columns; i++)
		result |= sos_table_add(&table, SOS_BOLD, "%s", heads[i]);
	cJSON_ArrayForEach (warm, list)
		result |= add_row(&table, warm);
	if (result < 0)
		return sos_fail(cli, SOS_EXIT_FAILED, "out of memory");
	putchar('\n');
	sos_table_print(&table);
	return 0;
}

static int show(struct sos_cli *cli, bool json)
{
	SOS_AUTO_RESPONSE struct sos_response response = { 0 };
	struct sos_request request = { .method = "GET", .path = "/pool", .timeout_ms = TIMEOUT_MS };
	int result = sos_client_send(cli, &request, &response);
	if (result)
		return result;
	if (!cJSON_IsObject(response.json))
		return sos_fail(cli, SOS_EXIT_FAILED, "%s answered without a pool: is it a sos server?",
				sos_client_url(cli));
	if (!json)
		return print_pool(cli, response.json);
	sos_text_raw(response.body.data, response.body.length);
	return 0;
}

static int run(struct sos_cli *cli, int argc, char **argv)
{
	SOS_AUTO_PARSE struct sos_parse parse = { .cli = cli,
						  .command = &sos_command_pool,
						  .shorts = "-:hs:",
						  .longs = options,
						  .argc = argc,
						  .argv = argv,
						  .literal_after = 1 };
	bool json = false;
	int option;
	while ((option = sos_parse_next(&parse)) != SOS_PARSE_END) {
		if (option == OPTION_JSON)
			json = true;
		else if (option == 's')
			cli->server = optarg;
		else
			return sos_parse_stop(option);
	}
	if (!parse.count)
		return show(cli, json);
	const struct sos_command *command = sos_command_find(sos_pool_commands, parse.words[0]);
	if (!command)
		return sos_fail_usage(cli, parse.command, "pool has no command '%s'", parse.words[0]);
	return command->run(cli, parse.count, parse.words);
}

const struct sos_command sos_command_pool = {
	.path = "pool",
	.name = "pool",
	.summary = "the server's containers: how many, how many are warm",
	.help = "Usage: sos pool [-s|--server URL] [--json] [COMMAND ...]\n"
		"\n"
		"Without a command: print how many containers there are of how many there may be, and the\n"
		"warm ones: ready of how many are kept, starting, handed over (BUSY), and how many of the\n"
		"starts that one would have fitted found one (HITS).\n"
		"\n"
		"Options:\n"
		"  -s, --server URL          the server (default: SOS_SERVER, else http://localhost:3000)\n"
		"      --token-file FILE     what the server wants to be shown (default: SOS_TOKEN)\n"
		"      --json                the server's answer, an object\n"
		"\n"
		"Examples:\n"
		"  sos pool\n"
		"  sos pool warm ubuntu:24.04 8\n"
		"  sos pool --json | jq .warm_hits\n",
	.run = run,
};
