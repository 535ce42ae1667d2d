/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client.h"
#include "parse.h"
#include "target.h"
#include "text.h"

#include <string.h>
#include <time.h>

#define TIMEOUT_MS 60000

enum { OPTION_JSON = SOS_PARSE_OWN };

static const struct option options[] = {
	{ "json", no_argument, NULL, OPTION_JSON },
	SOS_PARSE_COMMON,
	{ 0 },
};

static bool ends_with(const char *name, const char *end)
{
	size_t length = strlen(name);
	return length > strlen(end) && !strcmp(name + length - strlen(end), end);
}

static char *number_text(const char *name, double number)
{
	char *text = NULL;
	char date[64];
	int length;
	time_t seconds = (time_t)(number / 1000);
	struct tm parts;
	if (ends_with(name, "_unix_ms") && number > 0 && localtime_r(&seconds, &parts) &&
	    strftime(date, sizeof(date), "%Y-%m-%d %H:%M:%S %z", &parts))
		length = asprintf(&text, "%s", date);
	else if (ends_with(name, "_unix_ms"))
		length = asprintf(&text, "-");
	else if (ends_with(name, "_ms"))
		length = asprintf(&text, "%g s", number / 1000);
	else if (ends_with(name, "_bytes") && number >= 1048576)
		length = asprintf(&text, "%g MiB", number / 1048576);
	else
		length = asprintf(&text, "%.15g", number);
	return length < 0 ? NULL : text;
}

/* Fields as the server gives them, so that one of a newer server shows too. */
static int add_field(struct sos_table *table, const cJSON *field)
{
	int result = sos_table_add(table, SOS_BOLD, "%s", field->string);
	if (cJSON_IsString(field))
		return result | sos_table_add(table, SOS_PLAIN, "%s", field->valuestring);
	if (cJSON_IsNull(field))
		return result | sos_table_add(table, SOS_PLAIN, "-");
	SOS_AUTO_STRING char *text =
		cJSON_IsNumber(field) ? number_text(field->string, field->valuedouble) : cJSON_PrintUnformatted(field);
	return text ? result | sos_table_add(table, SOS_PLAIN, "%s", text) : -1;
}

static int print_fields(struct sos_cli *cli, const cJSON *sandbox)
{
	SOS_AUTO_TABLE struct sos_table table = { .columns = 2 };
	const cJSON *field;
	int result = 0;
	cJSON_ArrayForEach (field, sandbox)
		result |= add_field(&table, field);
	if (result < 0)
		return sos_fail(cli, SOS_EXIT_FAILED, "out of memory");
	sos_table_print(&table);
	return 0;
}

static int run(struct sos_cli *cli, int argc, char **argv)
{
	SOS_AUTO_PARSE struct sos_parse parse = {
		.cli = cli, .command = &sos_command_info, .shorts = "-:h", .longs = options, .argc = argc, .argv = argv
	};
	bool json = false;
	int option;
	while ((option = sos_parse_next(&parse)) != SOS_PARSE_END) {
		if (option != OPTION_JSON)
			return sos_parse_stop(option);
		json = true;
	}
	if (parse.count != 1)
		return sos_fail_usage(cli, parse.command, "info wants one sandbox's ID");
	SOS_AUTO_STRING char *id = NULL;
	int result = sos_target_find(cli, parse.words[0], &id);
	if (result)
		return result;
	SOS_AUTO_STRING char *path = sos_client_path(id, "");
	if (!path)
		return sos_fail(cli, SOS_EXIT_FAILED, "out of memory");
	SOS_AUTO_RESPONSE struct sos_response response = { 0 };
	struct sos_request request = { .method = "GET", .path = path, .timeout_ms = TIMEOUT_MS };
	result = sos_client_send(cli, &request, &response);
	if (result)
		return result;
	if (!cJSON_IsObject(response.json))
		return sos_fail(cli, SOS_EXIT_FAILED, "%s answered without a sandbox: is it a sos server?",
				sos_client_url(cli));
	if (!json)
		return print_fields(cli, response.json);
	sos_text_raw(response.body.data, response.body.length);
	return 0;
}

const struct sos_command sos_command_info = {
	.path = "sandbox info",
	.name = "info",
	.alias = "show",
	.summary = "everything known of a sandbox",
	.help = "Usage: sos sandbox info ID [--json]\n"
		"\n"
		"Print everything known of a sandbox: its state and the reason for it, place in the queue,\n"
		"container, limits, times. 'show' is the same.\n"
		"\n"
		"Options:\n"
		"      --json   the server's answer, an object\n"
		"\n"
		"Examples:\n"
		"  sos sandbox info $ID\n"
		"  sos sandbox info $ID --json | jq -r .container_id\n",
	.run = run,
};
