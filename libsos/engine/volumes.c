/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Named volumes and networks of a pool. */
#include "engine/engine.h"

#include <stdlib.h>
#include <string.h>

#include "engine/request.h"
#include "util/error.h"
#include "util/guard.h"

int sos_engine_volume_create(struct sos_engine *engine, const char *name, const struct sos_engine_pair *labels,
			     const struct sos_engine_call *call, struct sos_error *error)
{
	SOS_AUTO_ANSWER struct sos_transport_answer answer = SOS_TRANSPORT_ANSWER_INIT;
	SOS_AUTO_BUFFER struct sos_buffer body = SOS_BUFFER_INIT;
	struct sos_json_writer w = { .buffer = &body };
	sos_json_begin(&w, NULL, '{');
	sos_json_put_string(&w, "Name", name);
	sos_request_put_labels(&w, labels);
	sos_json_end(&w, '}');
	if (w.failed)
		return sos_error_nomem(error);
	int r = sos_request_run(engine, "POST", &body, call, &answer, error, "/volumes/create", NULL);
	if (r < 0)
		return sos_error_prefix(error, r, "create volume \"%s\"", name);
	/* The Engine answers 201 for one that is there; podman before 4.6 says 500 and that. */
	if (answer.status == 201 || answer.status == 200 || sos_request_says(&answer, "already exists"))
		return 0;
	return sos_request_refused(&answer, SOS_ERROR_ENGINE, error, "create volume \"%s\"", name);
}

/* DELETE that takes "not there" as done. */
static int delete (struct sos_engine *engine, const char *kind, const char *folder, const char *name,
		   const struct sos_engine_call *call, struct sos_error *error)
{
	SOS_AUTO_ANSWER struct sos_transport_answer answer = SOS_TRANSPORT_ANSWER_INIT;
	int r = sos_request_run(engine, "DELETE", NULL, call, &answer, error, folder, name, NULL);
	if (r < 0)
		return sos_error_prefix(error, r, "remove %s \"%s\"", kind, name);
	if (answer.status == 204 || answer.status == 200 || answer.status == 404)
		return 0;
	return sos_request_refused(&answer, SOS_ERROR_ENGINE, error, "remove %s \"%s\"", kind, name);
}

int sos_engine_volume_remove(struct sos_engine *engine, const char *name, const struct sos_engine_call *call,
			     struct sos_error *error)
{
	return delete (engine, "volume", "/volumes/", name, call, error);
}

/* ---- networks ---- */

/* An id out of an answer, as a string of the caller's. */
static int take_id(const struct sos_transport_answer *answer, char **id, struct sos_error *error)
{
	SOS_AUTO_JSON struct sos_json *json = sos_request_json(answer, error);
	const char *text = sos_json_get_string(json, "Id");
	if (!*text)
		return sos_error_set(error, SOS_ERROR_ENGINE, "the Engine's answer has no id");
	char *copy = strdup(text);
	if (!copy)
		return sos_error_nomem(error);
	*id = copy;
	return 0;
}

static int network_id(struct sos_engine *engine, const char *name, const struct sos_engine_call *call, char **id,
		      struct sos_error *error)
{
	SOS_AUTO_ANSWER struct sos_transport_answer answer = SOS_TRANSPORT_ANSWER_INIT;
	int r = sos_request_run(engine, "GET", NULL, call, &answer, error, "/networks/", name, NULL);
	if (r < 0)
		return r;
	if (answer.status != 200)
		return sos_request_refused(&answer, answer.status == 404 ? SOS_ERROR_NOT_FOUND : SOS_ERROR_ENGINE,
					   error, "inspect");
	return take_id(&answer, id, error);
}

static int network_body(const char *name, const struct sos_engine_pair *labels, struct sos_buffer *body)
{
	struct sos_json_writer w = { .buffer = body };
	sos_json_begin(&w, NULL, '{');
	sos_json_put_string(&w, "Name", name);
	sos_json_put_bool(&w, "CheckDuplicate", true);
	sos_json_put_string(&w, "Driver", "bridge");
	sos_json_begin(&w, "Options", '{');
	sos_json_put_string(&w, "com.docker.network.bridge.enable_icc", "false");
	sos_json_end(&w, '}');
	sos_request_put_labels(&w, labels);
	sos_json_end(&w, '}');
	return w.failed ? -1 : 0;
}

int sos_engine_network_create(struct sos_engine *engine, const char *name, const struct sos_engine_pair *labels,
			      const struct sos_engine_call *call, char **id, struct sos_error *error)
{
	SOS_AUTO_ANSWER struct sos_transport_answer answer = SOS_TRANSPORT_ANSWER_INIT;
	SOS_AUTO_BUFFER struct sos_buffer body = SOS_BUFFER_INIT;
	if (network_body(name, labels, &body) < 0)
		return sos_error_nomem(error);
	int r = sos_request_run(engine, "POST", &body, call, &answer, error, "/networks/create", NULL);
	if (!r && (answer.status == 201 || answer.status == 200))
		r = take_id(&answer, id, error);
	else if (!r && (answer.status == 409 || sos_request_says(&answer, "already exists")))
		r = network_id(engine, name, call, id, error);
	else if (!r)
		return sos_request_refused(&answer, SOS_ERROR_ENGINE, error, "create network \"%s\"", name);
	return r < 0 ? sos_error_prefix(error, r, "create network \"%s\"", name) : 0;
}

int sos_engine_network_remove(struct sos_engine *engine, const char *id, const struct sos_engine_call *call,
			      struct sos_error *error)
{
	return delete (engine, "network", "/networks/", id, call, error);
}

int sos_engine_network_list(struct sos_engine *engine, const char *const *labels, const struct sos_engine_call *call,
			    char ***ids, size_t *count, struct sos_error *error)
{
	SOS_AUTO_ANSWER struct sos_transport_answer answer = SOS_TRANSPORT_ANSWER_INIT;
	SOS_AUTO_BUFFER struct sos_buffer filter = SOS_BUFFER_INIT;
	SOS_AUTO_JSON struct sos_json *json = NULL;
	if (sos_request_label_filter(&filter, labels) < 0)
		return sos_error_nomem(error);
	int r = sos_request_run(engine, "GET", NULL, call, &answer, error, "/networks?filters=", filter.data, NULL);
	if (r < 0)
		return sos_error_prefix(error, r, "list networks");
	if (answer.status != 200)
		return sos_request_refused(&answer, SOS_ERROR_ENGINE, error, "list networks");
	json = sos_request_json(&answer, error);
	if (!sos_json_is_array(json))
		return sos_error_set(error, SOS_ERROR_ENGINE, "list networks: the Engine's answer is not a JSON list");
	size_t n = 0;
	char **list = calloc(sos_json_count(json) + 1, sizeof(*list));
	bool complete = list != NULL;
	for (const struct sos_json *i = sos_json_first(json); complete && i; i = sos_json_next(i)) {
		list[n] = strdup(sos_json_get_string(i, "Id"));
		complete = list[n++] != NULL;
	}
	if (!complete) {
		for (size_t i = 0; i < n; i++)
			free(list[i]);
		free(list);
		return sos_error_nomem(error);
	}
	*ids = list;
	*count = n;
	return 0;
}
