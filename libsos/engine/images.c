/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "engine/engine.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/request.h"
#include "util/error.h"
#include "util/guard.h"
#include "wire/image_ref.h"
#include "wire/json_scan.h"
#include "wire/percent.h"
#include "wire/utf8.h"

static int parse_reference(const char *reference, struct sos_image_ref *ref, struct sos_error *error)
{
	const char *why = NULL;
	if (sos_image_ref_parse(reference, ref, &why) < 0)
		return sos_error_set(error, SOS_ERROR_INVALID,
				     "image \"%s\": not a reference of the form NAME[:TAG][@DIGEST]: %s", reference,
				     why);
	return 0;
}

void sos_engine_image_clear(struct sos_engine_image *image)
{
	free(image->id);
	free(image->user);
	free(image->working_directory);
	for (char **e = image->environment; e && *e; e++)
		free(*e);
	free(image->environment);
	*image = (struct sos_engine_image){ 0 };
}

static int read_image(const struct sos_json *json, struct sos_engine_image *image, struct sos_error *error)
{
	const struct sos_json *config = sos_json_get(json, "Config"), *env = sos_json_get(config, "Env");
	const struct sos_json *test = sos_json_first(sos_json_get(sos_json_get(config, "Healthcheck"), "Test"));
	struct sos_engine_image got = { 0 };
	size_t count = sos_json_count(env), i = 0;
	got.id = strdup(sos_json_get_string(json, "Id"));
	got.user = strdup(sos_json_get_string(config, "User"));
	got.working_directory = strdup(sos_json_get_string(config, "WorkingDir"));
	got.environment = calloc(count + 1, sizeof(*got.environment));
	got.has_healthcheck = test && strcmp(sos_json_string(test), "NONE") != 0;
	bool complete = got.id && got.user && got.working_directory && got.environment;
	for (const struct sos_json *e = sos_json_first(env); complete && e && i < count; e = sos_json_next(e), i++) {
		got.environment[i] = strdup(sos_json_string(e));
		complete = got.environment[i] != NULL;
	}
	if (!complete) {
		sos_engine_image_clear(&got);
		return sos_error_nomem(error);
	}
	*image = got;
	return 0;
}

int sos_engine_image_inspect(struct sos_engine *engine, const char *reference, const struct sos_engine_call *call,
			     struct sos_engine_image *image, struct sos_error *error)
{
	SOS_AUTO_ANSWER struct sos_transport_answer answer = SOS_TRANSPORT_ANSWER_INIT;
	SOS_AUTO_JSON struct sos_json *json = NULL;
	struct sos_image_ref ref;
	int r = parse_reference(reference, &ref, error);
	if (r < 0)
		return r;
	r = sos_request_run(engine, "GET", NULL, call, &answer, error, "/images/", reference, "/json", NULL);
	if (r < 0)
		return sos_error_prefix(error, r, "image \"%s\"", reference);
	if (answer.status == 404)
		return sos_request_refused(&answer, SOS_ERROR_NOT_FOUND, error, "image \"%s\": not found", reference);
	if (answer.status != 200)
		return sos_request_refused(&answer, SOS_ERROR_ENGINE, error, "image \"%s\": inspect", reference);
	json = sos_request_json(&answer, error);
	if (!json || !sos_json_is_object(json))
		return sos_error_set(error, SOS_ERROR_ENGINE,
				     "image \"%s\": inspect: the Engine's answer is not a JSON object", reference);
	return read_image(json, image, error);
}

/* ---- pull ---- */

struct pull {
	const char *reference;
	sos_engine_pull_cb progress;
	void *data;
	struct sos_error *error;
	struct sos_json_split split;
};

/* Everything that came from a registry is shown to people: valid, one line, bounded. */
static void clean_line(const char *id, const char *status, char line[256])
{
	char text[256], cleaned[sizeof(text) * 3];
	snprintf(text, sizeof(text), "%.64s%s%.180s", id, *id ? ": " : "", status);
	size_t length = sos_utf8_clean(text, strlen(text), cleaned);
	length = sos_utf8_truncated_length(cleaned, length, 255);
	memcpy(line, cleaned, length);
	line[length] = 0;
	for (char *c = line; *c; c++)
		if ((unsigned char)*c < 0x20 || *c == 0x7f)
			*c = ' ';
}

/* {"status":"Downloading","progressDetail":{"current":1,"total":2},"id":"abc"} or {"errorDetail":{"message":"..."},
 * "error":"..."} */
static int pull_object(struct pull *pull)
{
	SOS_AUTO_JSON struct sos_json *json = sos_json_parse(pull->split.object.data, pull->split.object.length);
	if (!json)
		return sos_error_set(pull->error, SOS_ERROR_IMAGE,
				     "image \"%s\": pull failed: the Engine's progress is not JSON", pull->reference);
	const char *words = sos_json_get_string(sos_json_get(json, "errorDetail"), "message");
	if (!*words)
		words = sos_json_get_string(json, "error");
	if (*words)
		return sos_error_set(pull->error, SOS_ERROR_IMAGE, "image \"%s\": pull failed: %.600s", pull->reference,
				     words);
	const struct sos_json *detail = sos_json_get(json, "progressDetail");
	char line[256];
	clean_line(sos_json_get_string(json, "id"), sos_json_get_string(json, "status"), line);
	if (pull->progress && *line) {
		int64_t current = sos_json_get_integer(detail, "current"),
			total = sos_json_get_integer(detail, "total");
		pull->progress(pull->data, line, current > 0 ? current : 0, total > 0 ? total : 0);
	}
	return 0;
}

static int pull_sink(void *data, const char *bytes, size_t length)
{
	struct pull *pull = data;
	while (length) {
		size_t used = sos_json_split_read(&pull->split, bytes, length);
		if (pull->split.bad)
			return sos_error_set(pull->error, SOS_ERROR_IMAGE,
					     "image \"%s\": pull failed: the Engine's progress is not JSON",
					     pull->reference);
		int r = pull->split.complete ? pull_object(pull) : 0;
		if (r < 0)
			return r;
		bytes += used;
		length -= used;
	}
	return 0;
}

static int pull_path(struct sos_engine *engine, const struct sos_image_ref *ref, struct sos_buffer *path)
{
	/* The Engine takes a digest in `tag` too, and without one of them it would pull every tag there is. */
	const char *tag = *ref->digest ? ref->digest : ref->tag;
	if (sos_request_begin_path(engine, path) < 0 ||
	    sos_buffer_append_string(path, "/images/create?fromImage=") < 0 ||
	    sos_percent_append(path, ref->name, NULL) < 0 || sos_buffer_append_string(path, "&tag=") < 0)
		return -1;
	return sos_percent_append(path, tag, NULL);
}

int sos_engine_image_pull(struct sos_engine *engine, const char *reference, const struct sos_engine_call *call,
			  sos_engine_pull_cb progress, void *data, struct sos_error *error)
{
	SOS_AUTO_ANSWER struct sos_transport_answer answer = SOS_TRANSPORT_ANSWER_INIT;
	SOS_AUTO_BUFFER struct sos_buffer path = SOS_BUFFER_INIT;
	struct sos_image_ref ref;
	struct sos_error sunk = SOS_ERROR_INIT, failed = SOS_ERROR_INIT;
	struct pull pull = { .reference = reference, .progress = progress, .data = data, .error = &sunk };
	int r = parse_reference(reference, &ref, error);
	if (r < 0)
		return r;
	if (ref.is_id)
		return sos_error_set(error, SOS_ERROR_IMAGE,
				     "image \"%s\": not here, and an id alone can't be pulled: give its name",
				     reference);
	if (pull_path(engine, &ref, &path) < 0)
		return sos_error_nomem(error);
	struct sos_transport_request request = {
		.method = "POST", .path = path.data, .sink = pull_sink, .sink_data = &pull
	};
	r = sos_transport_request(sos_engine_transport(engine), &request, call, &answer, &failed);
	bool cut = !sos_json_split_at_boundary(&pull.split);
	sos_json_split_free(&pull.split);
	if (sunk.code)
		return sos_error_copy(error, &sunk);
	if (r < 0) {
		sos_error_copy(error, &failed);
		return sos_error_prefix(error, r, "image \"%s\": pull", reference);
	}
	if (answer.status == 404)
		return sos_request_refused(&answer, SOS_ERROR_IMAGE, error, "image \"%s\": not found", reference);
	if (answer.status != 200)
		return sos_request_refused(&answer, SOS_ERROR_IMAGE, error, "image \"%s\": pull failed", reference);
	if (cut)
		return sos_error_set(error, SOS_ERROR_IMAGE,
				     "image \"%s\": pull failed: the Engine stopped in the middle", reference);
	return 0;
}
