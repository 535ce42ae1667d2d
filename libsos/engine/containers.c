/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "engine/engine.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "engine/request.h"
#include "util/error.h"
#include "util/guard.h"

/* ---- create ---- */

static void put_volume(struct sos_json_writer *w, const struct sos_engine_container_spec *spec)
{
	sos_json_begin(w, NULL, '{');
	sos_json_put_string(w, "Type", "volume");
	sos_json_put_string(w, "Source", spec->volume);
	sos_json_put_string(w, "Target", spec->volume_target);
	sos_json_put_bool(w, "ReadOnly", !spec->volume_writable);
	sos_json_begin(w, "VolumeOptions", '{');
	sos_json_put_bool(w, "NoCopy", true);
	sos_json_end(w, '}');
	sos_json_end(w, '}');
}

/* Mounts, not Binds: those would create a missing source as an empty directory on the Engine's host. */
static void put_bind(struct sos_json_writer *w, const struct sos_engine_container_spec *spec)
{
	sos_json_begin(w, NULL, '{');
	sos_json_put_string(w, "Type", "bind");
	sos_json_put_string(w, "Source", spec->bind_source);
	sos_json_put_string(w, "Target", spec->bind_target);
	sos_json_put_bool(w, "ReadOnly", true);
	sos_json_begin(w, "BindOptions", '{');
	sos_json_put_string(w, "Propagation", "rprivate");
	sos_json_end(w, '}');
	sos_json_end(w, '}');
}

static void put_limits(struct sos_json_writer *w, const struct sos_engine_container_spec *spec)
{
	if (spec->memory_bytes > 0) {
		sos_json_put_integer(w, "Memory", spec->memory_bytes);
		sos_json_put_integer(w, "MemorySwap", spec->memory_bytes); /* memory and swap together */
	}
	if (spec->nano_cpus > 0)
		sos_json_put_integer(w, "NanoCpus", spec->nano_cpus);
	if (spec->pids_limit > 0)
		sos_json_put_integer(w, "PidsLimit", spec->pids_limit);
}

static void put_host_config(struct sos_json_writer *w, const struct sos_engine_container_spec *spec)
{
	static const char *const no_new_privileges[] = { "no-new-privileges", NULL };
	sos_json_begin(w, "HostConfig", '{');
	sos_json_put_bool(w, "AutoRemove", spec->auto_remove);
	sos_json_put_bool(w, "Init", false);
	sos_json_put_bool(w, "Privileged", false);
	/* With NetworkDisabled it costs nothing and says the same to those who do not know that field (podman). */
	sos_json_put_string(w, "NetworkMode", spec->network ? spec->network : "none");
	sos_json_begin(w, "RestartPolicy", '{');
	sos_json_put_string(w, "Name", "no");
	sos_json_end(w, '}');
	sos_json_begin(w, "LogConfig", '{');
	sos_json_put_string(w, "Type", "none");
	sos_json_end(w, '}');
	if (spec->runtime)
		sos_json_put_string(w, "Runtime", spec->runtime);
	sos_json_put_strings(w, "CapAdd", spec->cap_add);
	sos_json_put_strings(w, "CapDrop", spec->cap_drop);
	if (spec->no_new_privileges)
		sos_json_put_strings(w, "SecurityOpt", no_new_privileges);
	sos_json_begin(w, "Mounts", '[');
	if (spec->volume)
		put_volume(w, spec);
	if (spec->bind_source)
		put_bind(w, spec);
	sos_json_end(w, ']');
	put_limits(w, spec);
	sos_json_end(w, '}');
}

static int create_body(const struct sos_engine_container_spec *spec, struct sos_buffer *body)
{
	static const char *const none[] = { "NONE", NULL };
	struct sos_json_writer w = { .buffer = body };
	sos_json_begin(&w, NULL, '{');
	sos_json_put_string(&w, "Image", spec->image);
	sos_json_put_strings(&w, "Entrypoint", spec->entrypoint);
	sos_json_put_strings(&w, "Cmd", NULL);
	if (spec->environment)
		sos_json_put_strings(&w, "Env", spec->environment);
	if (spec->user)
		sos_json_put_string(&w, "User", spec->user);
	sos_json_put_bool(&w, "Tty", false);
	sos_json_put_bool(&w, "OpenStdin", spec->open_stdin);
	sos_json_put_bool(&w, "StdinOnce", false);
	sos_json_put_bool(&w, "AttachStdin", spec->open_stdin);
	sos_json_put_bool(&w, "AttachStdout", spec->open_stdin);
	sos_json_put_bool(&w, "AttachStderr", spec->open_stdin);
	if (!spec->network)
		sos_json_put_bool(&w, "NetworkDisabled", true);
	sos_json_begin(&w, "Healthcheck", '{');
	sos_json_put_strings(&w, "Test", none);
	sos_json_end(&w, '}');
	sos_request_put_labels(&w, spec->labels);
	put_host_config(&w, spec);
	sos_json_end(&w, '}');
	return w.failed ? -1 : 0;
}

/* The Engine has other directories than we: it is remote, or in a machine or container of its own. */
static bool no_such_source(const struct sos_transport_answer *answer)
{
	return sos_request_says(answer, "bind source path does not exist") ||
	       sos_request_says(answer, "ounts denied") ||
	       (sos_request_says(answer, "statfs ") && sos_request_says(answer, "no such file or directory")) ||
	       sos_request_says(answer, "error while creating mount source path");
}

static int create_refused(const struct sos_transport_answer *answer, const struct sos_engine_container_spec *spec,
			  struct sos_error *error)
{
	bool image = answer->status == 404 &&
		     (sos_request_says(answer, "o such image") || sos_request_says(answer, "image not known"));
	if (image)
		return sos_request_refused(answer, SOS_ERROR_IMAGE, error, "image \"%s\": not found", spec->image);
	if (answer->status == 409 || sos_request_says(answer, "is already in use"))
		return sos_request_refused(answer, SOS_ERROR_OWNED, error, "create container \"%s\": its name is taken",
					   spec->name);
	if (spec->bind_source && no_such_source(answer))
		return sos_request_refused(answer, SOS_ERROR_UNSUPPORTED, error,
					   "create container \"%s\": the Engine does not share our file system",
					   spec->name);
	return sos_request_refused(answer, SOS_ERROR_ENGINE, error, "create container \"%s\"", spec->name);
}

int sos_engine_container_create(struct sos_engine *engine, const struct sos_engine_container_spec *spec,
				const struct sos_engine_call *call, char **id, struct sos_error *error)
{
	SOS_AUTO_ANSWER struct sos_transport_answer answer = SOS_TRANSPORT_ANSWER_INIT;
	SOS_AUTO_BUFFER struct sos_buffer body = SOS_BUFFER_INIT;
	SOS_AUTO_JSON struct sos_json *json = NULL;
	if (create_body(spec, &body) < 0)
		return sos_error_nomem(error);
	int r = sos_request_run(engine, "POST", &body, call, &answer, error, "/containers/create?name=", spec->name,
				NULL);
	if (r < 0)
		return sos_error_prefix(error, r, "create container \"%s\"", spec->name);
	if (answer.status != 201)
		return create_refused(&answer, spec, error);
	json = sos_request_json(&answer, error);
	const char *text = sos_json_get_string(json, "Id");
	if (!*text)
		return sos_error_set(error, SOS_ERROR_ENGINE, "create container \"%s\": the Engine's answer has no id",
				     spec->name);
	char *copy = strdup(text);
	if (!copy)
		return sos_error_nomem(error);
	*id = copy;
	return 0;
}

/* ---- start, remove ---- */

int sos_engine_container_start(struct sos_engine *engine, const char *id, const struct sos_engine_call *call,
			       struct sos_error *error)
{
	SOS_AUTO_ANSWER struct sos_transport_answer answer = SOS_TRANSPORT_ANSWER_INIT;
	int r = sos_request_run(engine, "POST", NULL, call, &answer, error, "/containers/", id, "/start", NULL);
	if (r < 0)
		return sos_error_prefix(error, r, "start container \"%.12s\"", id);
	if (answer.status == 204 || answer.status == 304)
		return 0;
	if (answer.status == 404 && sos_request_says(&answer, "o such container"))
		return sos_request_refused(&answer, SOS_ERROR_NOT_FOUND, error, "start container \"%.12s\": not found",
					   id);
	if (no_such_source(&answer))
		return sos_request_refused(&answer, SOS_ERROR_UNSUPPORTED, error,
					   "start container \"%.12s\": the Engine does not share our file system", id);
	return sos_request_refused(&answer, SOS_ERROR_ENGINE, error, "start container \"%.12s\"", id);
}

/* Somebody else removes it, by AutoRemove or by a call of its own: wait for the end of that. */
static int wait_removed(struct sos_engine *engine, const char *id, const struct sos_engine_call *call,
			struct sos_error *error)
{
	SOS_AUTO_ANSWER struct sos_transport_answer answer = SOS_TRANSPORT_ANSWER_INIT;
	SOS_AUTO_JSON struct sos_json *json = NULL;
	int r = sos_request_run(engine, "POST", NULL, call, &answer, error, "/containers/", id,
				"/wait?condition=removed", NULL);
	if (r < 0 || answer.status == 404)
		return r;
	if (answer.status != 200)
		return sos_request_refused(&answer, SOS_ERROR_ENGINE, error, "wait");
	json = sos_request_json(&answer, error);
	if (!json)
		return SOS_ERROR_ENGINE;
	const char *words = sos_json_get_string(sos_json_get(json, "Error"), "Message");
	return *words ? sos_error_set(error, SOS_ERROR_ENGINE, "%.600s", words) : 0;
}

int sos_engine_container_remove(struct sos_engine *engine, const char *id, const struct sos_engine_call *call,
				struct sos_error *error)
{
	SOS_AUTO_ANSWER struct sos_transport_answer answer = SOS_TRANSPORT_ANSWER_INIT;
	int r = sos_request_run(engine, "DELETE", NULL, call, &answer, error, "/containers/", id, "?force=1&v=1", NULL);
	if (!r && answer.status == 409 && sos_request_says(&answer, "already in progress"))
		r = wait_removed(engine, id, call, error);
	else if (!r && answer.status != 204 && answer.status != 200 && answer.status != 404)
		return sos_request_refused(&answer, SOS_ERROR_ENGINE, error, "remove container \"%.12s\"", id);
	return r < 0 ? sos_error_prefix(error, r, "remove container \"%.12s\"", id) : 0;
}

/* ---- inspect, list ---- */

void sos_engine_container_clear(struct sos_engine_container *container)
{
	free(container->id);
	free(container->name);
	free(container->state);
	free(container->error);
	for (struct sos_engine_pair *label = container->labels; label && label->name; label++) {
		free((char *)label->name);
		free((char *)label->value);
	}
	free(container->labels);
	*container = (struct sos_engine_container){ 0 };
}

static bool set_text(char **to, const char *from)
{
	*to = strdup(from);
	return *to != NULL;
}

/* The Engine writes "/name". */
static const char *plain_name(const char *name)
{
	return *name == '/' ? name + 1 : name;
}

static int read_inspected(const struct sos_json *json, struct sos_engine_container *container, struct sos_error *error)
{
	const struct sos_json *state = sos_json_get(json, "State");
	struct sos_engine_container c = { 0 };
	int64_t pid = sos_json_get_integer(state, "Pid"), code = sos_json_get_integer(state, "ExitCode");
	if (!set_text(&c.id, sos_json_get_string(json, "Id")) ||
	    !set_text(&c.name, plain_name(sos_json_get_string(json, "Name"))) ||
	    !set_text(&c.state, sos_json_get_string(state, "Status")) ||
	    !set_text(&c.error, sos_json_get_string(state, "Error"))) {
		sos_engine_container_clear(&c);
		return sos_error_nomem(error);
	}
	c.pid = pid > 0 && pid <= INT_MAX ? (pid_t)pid : 0;
	c.exit_code = code >= INT_MIN && code <= INT_MAX ? (int)code : -1;
	c.running = sos_json_get_bool(state, "Running");
	c.oom_killed = sos_json_get_bool(state, "OOMKilled");
	*container = c;
	return 0;
}

int sos_engine_container_inspect(struct sos_engine *engine, const char *id, const struct sos_engine_call *call,
				 struct sos_engine_container *container, struct sos_error *error)
{
	SOS_AUTO_ANSWER struct sos_transport_answer answer = SOS_TRANSPORT_ANSWER_INIT;
	SOS_AUTO_JSON struct sos_json *json = NULL;
	int r = sos_request_run(engine, "GET", NULL, call, &answer, error, "/containers/", id, "/json", NULL);
	if (r < 0)
		return sos_error_prefix(error, r, "inspect container \"%.12s\"", id);
	if (answer.status == 404)
		return sos_request_refused(&answer, SOS_ERROR_NOT_FOUND, error,
					   "inspect container \"%.12s\": not found", id);
	if (answer.status != 200)
		return sos_request_refused(&answer, SOS_ERROR_ENGINE, error, "inspect container \"%.12s\"", id);
	json = sos_request_json(&answer, error);
	if (!sos_json_is_object(sos_json_get(json, "State")))
		return sos_error_set(error, SOS_ERROR_ENGINE,
				     "inspect container \"%.12s\": the Engine's answer has no state", id);
	return read_inspected(json, container, error);
}

static bool read_labels(const struct sos_json *json, struct sos_engine_pair **labels)
{
	size_t i = 0, count = sos_json_count(json);
	struct sos_engine_pair *l = *labels = calloc(count + 1, sizeof(*l));
	if (!l)
		return false;
	for (const struct sos_json *m = sos_json_first(json); m && i < count; m = sos_json_next(m), i++) {
		l[i].value = strdup(sos_json_string(m));
		l[i].name = l[i].value ? strdup(sos_json_name(m)) : NULL;
		if (!l[i].name) {
			free((char *)l[i].value);
			l[i].value = NULL;
			return false;
		}
	}
	return true;
}

static bool read_listed(const struct sos_json *json, struct sos_engine_container *c)
{
	const char *name = sos_json_string(sos_json_first(sos_json_get(json, "Names")));
	c->running = strcmp(sos_json_get_string(json, "State"), "running") == 0;
	return set_text(&c->id, sos_json_get_string(json, "Id")) && set_text(&c->name, plain_name(name)) &&
	       set_text(&c->state, sos_json_get_string(json, "State")) &&
	       read_labels(sos_json_get(json, "Labels"), &c->labels);
}

void sos_engine_container_list_free(struct sos_engine_container *containers, size_t count)
{
	for (size_t i = 0; containers && i < count; i++)
		sos_engine_container_clear(&containers[i]);
	free(containers);
}

int sos_engine_container_list(struct sos_engine *engine, const char *const *labels, const struct sos_engine_call *call,
			      struct sos_engine_container **containers, size_t *count, struct sos_error *error)
{
	SOS_AUTO_ANSWER struct sos_transport_answer answer = SOS_TRANSPORT_ANSWER_INIT;
	SOS_AUTO_BUFFER struct sos_buffer filter = SOS_BUFFER_INIT;
	SOS_AUTO_JSON struct sos_json *json = NULL;
	if (sos_request_label_filter(&filter, labels) < 0)
		return sos_error_nomem(error);
	int r = sos_request_run(engine, "GET", NULL, call, &answer, error,
				"/containers/json?all=1&filters=", filter.data, NULL);
	if (r < 0)
		return sos_error_prefix(error, r, "list containers");
	if (answer.status != 200)
		return sos_request_refused(&answer, SOS_ERROR_ENGINE, error, "list containers");
	json = sos_request_json(&answer, error);
	if (!sos_json_is_array(json))
		return sos_error_set(error, SOS_ERROR_ENGINE,
				     "list containers: the Engine's answer is not a JSON list");
	size_t n = sos_json_count(json), i = 0;
	struct sos_engine_container *list = calloc(n + 1, sizeof(*list));
	bool complete = list != NULL;
	for (const struct sos_json *c = sos_json_first(json); complete && c; c = sos_json_next(c))
		complete = read_listed(c, &list[i++]);
	if (!complete) {
		sos_engine_container_list_free(list, n);
		return sos_error_nomem(error);
	}
	*containers = list;
	*count = n;
	return 0;
}
