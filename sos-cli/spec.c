/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "spec.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CREATE_TIMEOUT_MS 60000

cJSON *sos_spec_new(void)
{
	cJSON *body = cJSON_CreateObject();
	if (body && sos_json_set_string(body, "image", "ubuntu:latest") == 0 &&
	    cJSON_AddArrayToObject(body, "setup_commands"))
		return body;
	cJSON_Delete(body);
	return NULL;
}

static int wrong(struct sos_parse *parse, const char *name, const char *value, const char *want)
{
	return sos_fail_usage(parse->cli, parse->command, "--%s '%s': %s", name, value, want);
}

static int stored(struct sos_parse *parse, int result)
{
	return result < 0 ? sos_fail(parse->cli, SOS_EXIT_FAILED, "out of memory") : 0;
}

static int set_environment(struct sos_parse *parse, cJSON *body, const char *value)
{
	const char *equals = strchr(value, '=');
	if (equals == value || !*value)
		return wrong(parse, "env", value, "wants NAME=VALUE");
	if (equals)
		return stored(parse, sos_json_push(body, "environment", value));
	/* As docker does: a name alone passes our own variable on, if there is one. */
	const char *ours = getenv(value);
	if (!ours)
		return 0;
	SOS_AUTO_STRING char *pair = NULL;
	if (asprintf(&pair, "%s=%s", value, ours) < 0)
		return stored(parse, -1);
	return stored(parse, sos_json_push(body, "environment", pair));
}

static int set_seconds(struct sos_parse *parse, cJSON *body, const char *name, const char *field, const char *value)
{
	int64_t ms;
	if (sos_parse_thousandths(value, &ms) < 0)
		return wrong(parse, name, value, "wants seconds, like 600");
	return stored(parse, sos_json_set_number(body, field, (double)ms));
}

static int set_word(struct sos_parse *parse, cJSON *body, const char *name, const char *value, const char *one,
		    const char *other)
{
	if (strcmp(value, one) && strcmp(value, other))
		return sos_fail_usage(parse->cli, parse->command, "--%s '%s': wants %s or %s", name, value, one, other);
	return stored(parse, sos_json_set_string(body, name, value));
}

static int set_limit(struct sos_parse *parse, cJSON *body, int option, const char *value)
{
	int64_t number;
	switch (option) {
	case SOS_SPEC_MEMORY:
		if (!strcmp(value, "-1"))
			number = -1;
		else if (sos_parse_size(value, &number) < 0)
			return wrong(parse, "memory", value, "wants a size, like 512m or 2g");
		return stored(parse, sos_json_set_number(body, "memory_bytes", (double)number));
	case SOS_SPEC_CPUS:
		if (sos_parse_thousandths(value, &number) < 0)
			return wrong(parse, "cpus", value, "wants a number, like 1.5");
		return stored(parse, sos_json_set_number(body, "cpus", (double)number / 1000));
	default:
		if (sos_parse_integer(value, -1, INT32_MAX, &number) < 0)
			return wrong(parse, "pids", value, "wants a number, like 512");
		return stored(parse, sos_json_set_number(body, "pids_limit", (double)number));
	}
}

int sos_spec_option(struct sos_parse *parse, cJSON *body, int option, const char *value)
{
	switch (option) {
	case 'i':
		return stored(parse, sos_json_set_string(body, "image", value));
	case SOS_SPEC_SETUP:
		return stored(parse, sos_json_push(body, "setup_commands", value));
	case SOS_SPEC_ENV:
		return set_environment(parse, body, value);
	case SOS_SPEC_LABEL:
		return stored(parse, sos_json_push(body, "labels", value));
	case SOS_SPEC_WORKDIR:
		return stored(parse, sos_json_set_string(body, "working_directory", value));
	case SOS_SPEC_USER:
		return stored(parse, sos_json_set_string(body, "user", value));
	case SOS_SPEC_MEMORY:
	case SOS_SPEC_CPUS:
	case SOS_SPEC_PIDS:
		return set_limit(parse, body, option, value);
	case SOS_SPEC_LIFETIME:
		return set_seconds(parse, body, "lifetime", "lifetime_ms", value);
	case SOS_SPEC_IDLE_TIMEOUT:
		return set_seconds(parse, body, "idle-timeout", "idle_timeout_ms", value);
	case SOS_SPEC_NETWORK:
		return set_word(parse, body, "network", value, "bridge", "none");
	case SOS_SPEC_STREAMS:
		return set_word(parse, body, "streams", value, "merged", "separate");
	case SOS_SPEC_PROFILE:
		return set_word(parse, body, "profile", value, "standard", "strict");
	case SOS_SPEC_RUNTIME:
		return stored(parse, sos_json_set_string(body, "runtime", value));
	case SOS_SPEC_NEW_PRIVILEGES:
		return stored(parse, sos_json_set_true(body, "new_privileges"));
	default:
		return -1;
	}
}

int sos_spec_create(struct sos_cli *cli, const cJSON *body, char **id, struct sos_response *response)
{
	/* Deaf: a create that was sent must tell its id, or nobody could remove what it made. */
	struct sos_request request = {
		.method = "POST", .path = "/sandboxes", .body = body, .timeout_ms = CREATE_TIMEOUT_MS, .deaf = true
	};
	int result = sos_client_send(cli, &request, response);
	if (result)
		return result;
	const char *made = sos_json_string(response->json, "id");
	if (!*made)
		return sos_fail(cli, SOS_EXIT_FAILED, "%s answered without an id: is it a sos server?",
				sos_client_url(cli));
	*id = strdup(made);
	return *id ? 0 : sos_fail(cli, SOS_EXIT_FAILED, "out of memory");
}
