/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine_raw.h"

#define API "/v1.41"

static void complain(const char *what, const struct bench_answer *answer)
{
	fprintf(stderr, "bench: %s: %d %.200s\n", what, answer->status, answer->body);
}

static const char *string_of(const cJSON *json, const char *name)
{
	const cJSON *value = cJSON_GetObjectItemCaseSensitive(json, name);

	return cJSON_IsString(value) ? value->valuestring : "";
}

int bench_raw_create(struct bench_http *http, const cJSON *configuration, char id[65])
{
	char *body = cJSON_PrintUnformatted(configuration);
	struct bench_answer answer;
	cJSON *json;
	int r;

	r = bench_http_call(http, "POST", API "/containers/create", body, &answer);
	free(body);
	if (r < 0)
		return -1;
	if (answer.status != 201) {
		complain("create", &answer);
		return -1;
	}
	json = cJSON_Parse(answer.body);
	snprintf(id, 65, "%s", string_of(json, "Id"));
	cJSON_Delete(json);
	return id[0] ? 0 : -1;
}

int bench_raw_start(struct bench_http *http, const char *id)
{
	struct bench_answer answer;
	char path[128];

	snprintf(path, sizeof(path), API "/containers/%s/start", id);
	if (bench_http_call(http, "POST", path, NULL, &answer) < 0)
		return -1;
	if (answer.status != 204) {
		complain("start", &answer);
		return -1;
	}
	return 0;
}

int bench_raw_remove(struct bench_http *http, const char *id)
{
	struct bench_answer answer;
	char path[128];

	snprintf(path, sizeof(path), API "/containers/%s?force=1&v=1", id);
	if (bench_http_call(http, "DELETE", path, NULL, &answer) < 0)
		return -1;
	/* With AutoRemove the Engine may be at it already. */
	if (answer.status != 204 && answer.status != 404 && answer.status != 409) {
		complain("remove", &answer);
		return -1;
	}
	return 0;
}

cJSON *bench_raw_get(struct bench_http *http, const char *path)
{
	struct bench_answer answer;

	if (bench_http_call(http, "GET", path, NULL, &answer) < 0)
		return NULL;
	if (answer.status != 200) {
		complain(path, &answer);
		return NULL;
	}
	return cJSON_Parse(answer.body);
}

bool bench_raw_exec(struct bench_http *http, const char *id, const char *command, const char *expected)
{
	char path[128], body[512], exec[65];
	struct bench_answer answer;
	cJSON *json, *code;
	bool right;

	snprintf(path, sizeof(path), API "/containers/%s/exec", id);
	snprintf(body, sizeof(body), "{\"AttachStdout\":true,\"AttachStderr\":true,\"Cmd\":[\"bash\",\"-c\",\"%s\"]}", command);
	if (bench_http_call(http, "POST", path, body, &answer) < 0 || answer.status != 201)
		return false;
	json = cJSON_Parse(answer.body);
	snprintf(exec, sizeof(exec), "%s", string_of(json, "Id"));
	cJSON_Delete(json);
	snprintf(path, sizeof(path), API "/exec/%s/start", exec);
	if (bench_http_call(http, "POST", path, "{}", &answer) < 0 || answer.status != 200)
		return false;
	/* One frame: 8 bytes of head, then the text. */
	right = answer.length == 8 + strlen(expected) && memcmp(answer.body + 8, expected, strlen(expected)) == 0;
	snprintf(path, sizeof(path), API "/exec/%s/json", exec);
	json = bench_raw_get(http, path);
	code = cJSON_GetObjectItemCaseSensitive(json, "ExitCode");
	right = right && cJSON_IsNumber(code) && code->valuedouble == 0;
	cJSON_Delete(json);
	return right;
}

cJSON *bench_raw_likeness(struct bench_http *http, const char *id, const char *label)
{
	/* What the Engine fills in by itself or what names this one container. */
	static const char *const own[] = { "Hostname", "Domainname", "Labels", "OnBuild" };
	cJSON *json, *body, *host, *labels, *networks, *network;
	char path[128], name[64];
	const char *equals = strchr(label, '=');

	snprintf(path, sizeof(path), API "/containers/%s/json", id);
	json = bench_raw_get(http, path);
	if (!json)
		return NULL;
	body = cJSON_DetachItemFromObjectCaseSensitive(json, "Config");
	for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++)
		cJSON_DeleteItemFromObjectCaseSensitive(body, own[i]);
	host = cJSON_DetachItemFromObjectCaseSensitive(json, "HostConfig");
	cJSON_AddItemToObject(body, "HostConfig", host);
	/* The image by its name, as the original was asked for; the networks by theirs. */
	networks = cJSON_GetObjectItemCaseSensitive(cJSON_GetObjectItemCaseSensitive(json, "NetworkSettings"), "Networks");
	cJSON_ArrayForEach(network, networks)
		if (strcmp(network->string, "none") != 0 && network->child) {
			cJSON *endpoints = cJSON_AddObjectToObject(cJSON_AddObjectToObject(body, "NetworkingConfig"),
								   "EndpointsConfig");

			cJSON_AddObjectToObject(endpoints, network->string);
			break;
		}
	snprintf(name, sizeof(name), "%.*s", (int)(equals - label), label);
	labels = cJSON_AddObjectToObject(body, "Labels");
	cJSON_AddStringToObject(labels, name, equals + 1);
	cJSON_Delete(json);
	return body;
}

void bench_raw_sweep(struct bench_http *http, const char *label)
{
	char path[256];
	cJSON *list, *one;

	snprintf(path, sizeof(path), API "/containers/json?all=1&filters=%%7B%%22label%%22:%%5B%%22%s%%22%%5D%%7D", label);
	list = bench_raw_get(http, path);
	cJSON_ArrayForEach(one, list)
		bench_raw_remove(http, string_of(one, "Id"));
	cJSON_Delete(list);
}
