/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "harness.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <curl/curl.h>

#include "tap.h"

const struct sos_stop_options harness_forget = { .size = sizeof harness_forget, .flags = SOS_STOP_FORGET };

int64_t harness_now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

uint32_t harness_transport(const char *name)
{
	if (!strcmp(name, "auto"))
		return SOS_TRANSPORT_AUTO;
	if (!strcmp(name, "socket"))
		return SOS_TRANSPORT_SOCKET;
	if (!strcmp(name, "attach"))
		return SOS_TRANSPORT_ATTACH;
	tap_bail("no such transport: %s", name);
}

const char *harness_name(void)
{
	static char names[64][40];
	static unsigned next;
	char *name = names[next % 64];

	snprintf(name, sizeof names[0], "test-%d-%u", (int)getpid(), next++);
	return name;
}

static void show_event(void *data, const struct sos_event *event)
{
	tap_diag("event %u %s %s", event->type, event->sandbox_id ? event->sandbox_id : "-", event->message);
}

struct sos_pool *harness_pool_with(struct sos_pool_options *options)
{
	struct sos_error error = SOS_ERROR_INIT;
	struct sos_pool *pool = NULL;

	if (!options->event && getenv("SOS_TEST_VERBOSE"))
		options->event = show_event;
	if (sos_pool_new(options, &pool, &error) < 0)
		tap_bail("make a pool: %s", error.message);
	return pool;
}

struct sos_pool *harness_pool(uint32_t capacity, uint32_t transport)
{
	struct sos_pool_options options = SOS_POOL_OPTIONS_INIT;

	options.capacity = capacity;
	options.transport = transport;
	return harness_pool_with(&options);
}

struct sos_sandbox *harness_start_spec(struct sos_pool *pool, const struct sos_sandbox_spec *spec)
{
	struct sos_error error = SOS_ERROR_INIT;
	struct sos_sandbox *sandbox = NULL;

	if (sos_sandbox_create(pool, spec, &sandbox, &error) < 0)
		tap_bail("create a sandbox: %s", error.message);
	if (sos_sandbox_start(sandbox, NULL, &error) < 0)
		tap_bail("start a sandbox: %s", error.message);
	return sandbox;
}

struct sos_sandbox *harness_start(struct sos_pool *pool, const char *image)
{
	struct sos_sandbox_spec spec = SOS_SANDBOX_SPEC_INIT;

	spec.image = image;
	spec.network = SOS_NETWORK_NONE;
	return harness_start_spec(pool, &spec);
}

struct sos_result *harness_exec(struct sos_sandbox *sandbox, const struct sos_exec_options *options)
{
	struct sos_error error = SOS_ERROR_INIT;
	struct sos_result *result = NULL;

	if (sos_sandbox_exec(sandbox, options, &result, &error) < 0)
		tap_bail("run '%s': %s", options->command ? options->command : options->argv[0], error.message);
	return result;
}

struct sos_result *harness_run(struct sos_sandbox *sandbox, const char *command)
{
	struct sos_exec_options options = SOS_EXEC_OPTIONS_INIT;

	options.command = command;
	return harness_exec(sandbox, &options);
}

bool harness_expect(struct sos_sandbox *sandbox, const char *command, const char *output)
{
	struct sos_result *result = harness_run(sandbox, command);
	char *name = tap_escape(command, strlen(command), 60);
	size_t length;
	const char *got = sos_result_output(result, &length);
	bool ok = tap_bytes(got, length, output, strlen(output), "output of %s", name);

	ok = tap_equal(sos_result_exit_code(result), 0, "exit code of %s", name) && ok;
	free(name);
	sos_result_unref(result);
	return ok;
}

void harness_stop(struct sos_sandbox *sandbox)
{
	struct sos_error error = SOS_ERROR_INIT;

	if (sos_sandbox_stop(sandbox, &harness_forget, &error) < 0)
		tap_bail("stop a sandbox: %s", error.message);
	sos_sandbox_unref(sandbox);
}

/* ---- the Engine, asked directly ---- */

struct answer {
	char *bytes;
	size_t length;
};

static size_t collect(char *bytes, size_t size, size_t count, void *data)
{
	struct answer *answer = data;

	answer->bytes = realloc(answer->bytes, answer->length + count + 1);
	if (!answer->bytes)
		abort();
	memcpy(answer->bytes + answer->length, bytes, count);
	answer->length += count;
	answer->bytes[answer->length] = 0;
	return count * size;
}

static long ask(const char *method, const char *path, struct answer *answer)
{
	const char *host = getenv("DOCKER_HOST");
	const char *socket = host && !strncmp(host, "unix://", 7) ? host + 7 : "/var/run/docker.sock";
	char url[1024];
	CURL *curl = curl_easy_init();
	long status = -1;

	snprintf(url, sizeof url, "http://localhost%s", path);
	curl_easy_setopt(curl, CURLOPT_URL, url);
	curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, method);
	curl_easy_setopt(curl, CURLOPT_UNIX_SOCKET_PATH, socket);
	curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(curl, CURLOPT_TIMEOUT, 60L);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, collect);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, answer);
	if (curl_easy_perform(curl) == CURLE_OK)
		curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
	curl_easy_cleanup(curl);
	return status;
}

char *harness_get(const char *path)
{
	struct answer answer = { 0 };

	if (ask("GET", path, &answer) == 200)
		return answer.bytes;
	free(answer.bytes);
	return NULL;
}

/* The things in a list of the Engine's with that label; each has one `member`. */
static int count_labelled(const char *path, const char *label, const char *member)
{
	char url[512], *quoted = curl_easy_escape(NULL, label, 0), *text;
	int count = 0;

	snprintf(url, sizeof url, "%sfilters=%%7B%%22label%%22%%3A%%5B%%22%s%%22%%5D%%7D", path, quoted);
	curl_free(quoted);
	text = harness_get(url);
	if (!text)
		return -1;
	for (const char *at = text; (at = strstr(at, member)); at++)
		count++;
	free(text);
	return count;
}

int harness_containers(const char *label)
{
	return count_labelled("/containers/json?all=1&", label, "\"ImageID\":");
}

int harness_networks(const char *label)
{
	return count_labelled("/networks?", label, "\"EnableIPv6\":");
}

bool harness_remove_container(const char *id)
{
	struct answer answer = { 0 };
	char path[256];
	long status;

	snprintf(path, sizeof path, "/containers/%s?force=1&v=1", id);
	status = ask("DELETE", path, &answer);
	free(answer.bytes);
	return status == 204;
}

bool harness_container_exists(const char *id)
{
	struct answer answer = { 0 };
	char path[256];
	long status;

	snprintf(path, sizeof path, "/containers/%s/json", id);
	status = ask("GET", path, &answer);
	free(answer.bytes);
	if (status != 200 && status != 404)
		tap_bail("the Engine answers %ld when asked for container %s", status, id);
	return status == 200;
}

int harness_pool_containers(const char *pool_name)
{
	char label[128];

	snprintf(label, sizeof label, "sos.pool=%s", pool_name);
	return harness_containers(label);
}

uint32_t harness_state(struct sos_sandbox *sandbox)
{
	struct sos_error error = SOS_ERROR_INIT;
	struct sos_sandbox_info *info = NULL;
	uint32_t state;

	if (sos_sandbox_get_info(sandbox, &info, &error) < 0)
		tap_bail("info of a sandbox: %s", error.message);
	state = info->state;
	sos_sandbox_info_free(info);
	return state;
}

struct wanted_state {
	struct sos_sandbox *sandbox;
	uint32_t state;
};

static bool has_state(void *data)
{
	struct wanted_state *wanted = data;

	return harness_state(wanted->sandbox) == wanted->state;
}

bool harness_wait_state(struct sos_sandbox *sandbox, uint32_t state)
{
	return harness_wait(has_state, &(struct wanted_state){ sandbox, state }, 20000);
}

bool harness_wait(bool (*condition)(void *data), void *data, int64_t timeout_ms)
{
	int64_t end = harness_now_ms() + timeout_ms;
	struct timespec pause = { .tv_nsec = 10000000 };

	while (!condition(data)) {
		if (harness_now_ms() > end)
			return false;
		nanosleep(&pause, NULL);
	}
	return true;
}

/* ---- this process ---- */

static int count_entries(const char *path)
{
	DIR *directory = opendir(path);
	int count = 0;

	if (!directory)
		return -1;
	while (readdir(directory))
		count++;
	closedir(directory);
	return count - 2;
}

int harness_descriptors(void)
{
	return count_entries("/proc/self/fd") - 1;
}

int harness_threads(void)
{
	return count_entries("/proc/self/task");
}

int64_t harness_resident_bytes(void)
{
	long long size = 0, resident = 0;
	FILE *file = fopen("/proc/self/statm", "re");

	if (!file || fscanf(file, "%lld %lld", &size, &resident) != 2)
		resident = -1;
	if (file)
		fclose(file);
	return resident * sysconf(_SC_PAGESIZE);
}
