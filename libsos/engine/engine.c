/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* One Engine: its address, its negotiated API version. `lock` guards the
 * version's prefix. */
#include "engine/engine.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/request.h"
#include "util/error.h"
#include "util/guard.h"

/* The oldest has what we need (cgroup namespaces, VolumeOptions.NoCopy); the newest is the last that was tried. */
#define API_MAJOR 1
#define API_OLDEST 40
#define API_NEWEST 47

struct sos_engine {
	struct sos_transport_client *transport;
	pthread_mutex_t lock;
	char prefix[16]; /* "/v1.41"; "" before the first connect: the Engine then takes its newest */
};

int sos_engine_new(const char *address, struct sos_engine **engine, struct sos_error *error)
{
	struct sos_address parsed = { 0 };
	int r = sos_address_parse(address, &parsed, error);
	if (r < 0)
		return r;
	struct sos_engine *e = calloc(1, sizeof(*e));
	r = e ? sos_transport_new(&parsed, &e->transport, error) : sos_error_nomem(error);
	if (r < 0) {
		sos_address_clear(&parsed);
		free(e);
		return r;
	}
	pthread_mutex_init(&e->lock, NULL);
	*engine = e;
	return 0;
}

void sos_engine_free(struct sos_engine *engine)
{
	if (!engine)
		return;
	sos_transport_free(engine->transport);
	pthread_mutex_destroy(&engine->lock);
	free(engine);
}

struct sos_transport_client *sos_engine_transport(struct sos_engine *engine)
{
	return engine->transport;
}

const char *sos_engine_address(const struct sos_engine *engine)
{
	return sos_transport_address(engine->transport)->text;
}

bool sos_engine_is_local(const struct sos_engine *engine)
{
	return sos_transport_address(engine->transport)->socket_path != NULL;
}

int sos_request_begin_path(struct sos_engine *engine, struct sos_buffer *path)
{
	SOS_LOCKED(&engine->lock);
	return sos_buffer_append_string(path, engine->prefix);
}

/* A request without a version: these two answer whatever we speak. */
static int plain_get(struct sos_engine *engine, const char *path, const struct sos_engine_call *call,
		     struct sos_transport_answer *answer, struct sos_error *error)
{
	struct sos_transport_request request = { .method = "GET", .path = path };
	sos_transport_answer_clear(answer);
	int r = sos_transport_request(engine->transport, &request, call, answer, error);
	if (r < 0)
		return r;
	if (answer->status != 200)
		return sos_request_refused(answer, SOS_ERROR_ENGINE, error, "Docker Engine at %s: GET %s",
					   sos_engine_address(engine), path);
	return 0;
}

int sos_engine_ping(struct sos_engine *engine, const struct sos_engine_call *call, struct sos_error *error)
{
	SOS_AUTO_ANSWER struct sos_transport_answer answer = SOS_TRANSPORT_ANSWER_INIT;
	return plain_get(engine, "/_ping", call, &answer, error);
}

/* "1.41" to 41; -1 for anything else. */
static int parse_version(const char *text)
{
	int major = 0, minor = 0, end = 0;
	if (sscanf(text, "%2d.%4d%n", &major, &minor, &end) != 2 || text[end] || major != API_MAJOR || minor < 0)
		return -1;
	return minor;
}

static int negotiate(struct sos_engine *engine, const struct sos_json *version, int *minor, struct sos_error *error)
{
	const char *address = sos_engine_address(engine);
	int newest = parse_version(sos_json_get_string(version, "ApiVersion"));
	int oldest = parse_version(sos_json_get_string(version, "MinAPIVersion")); /* podman's may be missing: -1 */
	if (newest < 0)
		return sos_error_set(error, SOS_ERROR_ENGINE,
				     "Docker Engine at %s: GET /version does not tell its API version", address);
	if (newest < API_OLDEST)
		return sos_error_set(error, SOS_ERROR_ENGINE,
				     "Docker Engine at %s: its API 1.%d is too old: 1.%d (Engine 19.03) is needed",
				     address, newest, API_OLDEST);
	if (oldest > API_NEWEST)
		return sos_error_set(error, SOS_ERROR_ENGINE,
				     "Docker Engine at %s: it takes no API older than 1.%d and this library speaks "
				     "1.%d: use a newer "
				     "library",
				     address, oldest, API_NEWEST);
	*minor = newest < API_NEWEST ? newest : API_NEWEST;
	return 0;
}

static void copy(char *to, size_t size, const char *from)
{
	snprintf(to, size, "%s", from);
}

static void read_info(const struct sos_json *info, struct sos_engine_facts *facts)
{
	const char *id = sos_json_get_string(info, "ID");
	/* podman has no id; its host name is as stable. */
	copy(facts->id, sizeof(facts->id), *id ? id : sos_json_get_string(info, "Name"));
	copy(facts->cgroup_version, sizeof(facts->cgroup_version), sos_json_get_string(info, "CgroupVersion"));
	facts->has_runtime_runsc = sos_json_get(sos_json_get(info, "Runtimes"), "runsc") != NULL;
	facts->has_pids_limit = sos_json_get_bool(info, "PidsLimit");
	facts->has_memory_limit = sos_json_get_bool(info, "MemoryLimit");
	facts->has_swap_limit = sos_json_get_bool(info, "SwapLimit");
	facts->has_cpu_quota = sos_json_get_bool(info, "CpuCfsQuota");
	size_t length = 0;
	const struct sos_json *warnings = sos_json_get(info, "Warnings");
	for (const struct sos_json *w = sos_json_first(warnings); w; w = sos_json_next(w)) {
		int n = snprintf(facts->warnings + length, sizeof(facts->warnings) - length, "%s%s", length ? "; " : "",
				 sos_json_string(w));
		if (n < 0 || (size_t)n >= sizeof(facts->warnings) - length)
			break;
		length += (size_t)n;
	}
}

int sos_engine_connect(struct sos_engine *engine, const struct sos_engine_call *call, struct sos_engine_facts *facts,
		       struct sos_error *error)
{
	SOS_AUTO_ANSWER struct sos_transport_answer answer = SOS_TRANSPORT_ANSWER_INIT;
	SOS_AUTO_JSON struct sos_json *version = NULL, *info = NULL;
	struct sos_engine_facts f = { 0 };
	int minor = 0, r = plain_get(engine, "/version", call, &answer, error);
	if (r < 0)
		return r;
	version = sos_request_json(&answer, error);
	if (!version)
		return sos_error_prefix(error, SOS_ERROR_ENGINE, "Docker Engine at %s: GET /version",
					sos_engine_address(engine));
	r = negotiate(engine, version, &minor, error);
	if (r < 0)
		return r;
	{
		SOS_LOCKED(&engine->lock);
		snprintf(engine->prefix, sizeof(engine->prefix), "/v%d.%d", API_MAJOR, minor);
	}
	r = sos_request_run(engine, "GET", NULL, call, &answer, error, "/info", NULL);
	if (r < 0)
		return r;
	if (answer.status != 200)
		return sos_request_refused(&answer, SOS_ERROR_ENGINE, error, "Docker Engine at %s: GET /info",
					   sos_engine_address(engine));
	info = sos_request_json(&answer, error);
	if (!info)
		return sos_error_prefix(error, SOS_ERROR_ENGINE, "Docker Engine at %s: GET /info",
					sos_engine_address(engine));
	copy(f.version, sizeof(f.version), sos_json_get_string(version, "Version"));
	copy(f.architecture, sizeof(f.architecture), sos_json_get_string(version, "Arch"));
	snprintf(f.api_version, sizeof(f.api_version), "%d.%d", API_MAJOR, minor);
	read_info(info, &f);
	*facts = f;
	return 0;
}
