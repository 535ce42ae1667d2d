/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "server.h"

#include <pthread.h>
#include <string.h>
#include <strings.h>

#include "connections.h"
#include "http.h"
#include "reply.h"
#include "request.h"
#include "takeover.h"

enum body { BODY_IGNORED, BODY_OPTIONAL, BODY_NEEDED };

struct route {
	const char *method;
	const char *path[SOS_PATH_SEGMENTS + 1]; /* "*": any segment that is not empty */
	void (*handle)(struct sos_request *request);
	enum body body;
	bool without_pool;
	bool without_token;
	bool waits; /* for a command, a start or a stop */
};

static const struct route routes[] = {
	{ "GET", { "healthz" }, sos_route_healthz, BODY_IGNORED, .without_pool = true, .without_token = true },
	{ "GET", { "readyz" }, sos_route_readyz, BODY_IGNORED },
	{ "GET", { "pool" }, sos_route_pool, BODY_IGNORED },
	{ "POST", { "pool", "warm" }, sos_route_pool_warm, BODY_NEEDED },
	{ "POST", { "sandboxes" }, sos_route_create, BODY_NEEDED },
	{ "GET", { "sandboxes" }, sos_route_list, BODY_IGNORED },
	{ "GET", { "sandboxes", "*" }, sos_route_get, BODY_IGNORED },
	{ "DELETE", { "sandboxes", "*" }, sos_route_delete, BODY_IGNORED, .waits = true },
	{ "POST", { "sandboxes", "*", "start" }, sos_route_start, BODY_OPTIONAL, .waits = true },
	{ "POST", { "sandboxes", "*", "stop" }, sos_route_stop, BODY_OPTIONAL, .waits = true },
	{ "POST", { "sandboxes", "*", "exec" }, sos_route_exec, BODY_NEEDED, .waits = true },
	{ "GET", { "sandboxes", "*", "exec", "*" }, sos_route_get_result, BODY_IGNORED, .waits = true },
	{ "GET", { "sandboxes", "*", "trajectory" }, sos_route_trajectory, BODY_IGNORED },
	{ "GET", { "sandboxes", "*", "trajectory", "formatted" }, sos_route_trajectory_formatted, BODY_IGNORED },
};

#define ROUTE_COUNT (sizeof(routes) / sizeof(routes[0]))

/*
 * A connection that is kept open takes a thread of the HTTP end, which costs 15 KiB of memory, used or not: there is
 * one for each sandbox, and some for everybody else. FEWEST_ON_HTTP and 16 sandboxes take 3.1 MiB, and 4 are the limit.
 * Requests that wait take those threads too while there are enough, and then threads of their own (takeover.h).
 * FEWEST_PLACES are for 200 commands at once on one session besides those of others; waiting starts take half of them
 * at most, or they would lock out the stops that free their slots.
 */
#define FEWEST_ON_HTTP 48U
#define FEWEST_PLACES 488U

void sos_server_size(struct sos_server *server)
{
	const struct sos_options *options = server->options;
	unsigned on_http = options->max_sandboxes < FEWEST_ON_HTTP ? FEWEST_ON_HTTP : options->max_sandboxes;
	server->threads = on_http + SOS_SERVER_RESERVE;
	server->places = 2 * options->queue_limit + options->max_sandboxes;
	if (server->places < FEWEST_PLACES)
		server->places = FEWEST_PLACES;
}

static bool matches_path(const struct route *route, const struct sos_request *request)
{
	unsigned i = 0;
	for (; route->path[i]; i++) {
		if (i == request->segment_count)
			return false;
		if (strcmp(route->path[i], "*") == 0 ? !*request->segments[i]
						     : strcmp(route->path[i], request->segments[i]) != 0)
			return false;
	}
	return i == request->segment_count;
}

static const char *effective_method(const struct sos_request *request)
{
	return strcmp(request->method, "HEAD") == 0 ? "GET" : request->method;
}

/* NULL: refused with a reply. */
static const struct route *find_route(struct sos_request *request)
{
	const struct route *found = NULL;
	bool get = false, post = false, delete = false;
	for (size_t i = 0; i < ROUTE_COUNT && !found; i++) {
		if (!matches_path(&routes[i], request))
			continue;
		if (strcmp(routes[i].method, effective_method(request)) == 0)
			found = &routes[i];
		get |= routes[i].method[0] == 'G';
		post |= routes[i].method[0] == 'P';
		delete |= routes[i].method[0] == 'D';
	}
	if (found)
		return found;
	if (!get && !post && !delete) {
		sos_reply_text(request, 404, "there is nothing at %.256s", request->path);
		return NULL;
	}
	if (get)
		request->allow_methods = post ? "GET, HEAD, POST" : delete ? "GET, HEAD, DELETE" : "GET, HEAD";
	else
		request->allow_methods = "POST";
	sos_reply_text(request, 405, "%.256s takes %s, not %.32s", request->path, request->allow_methods,
		       request->method);
	return NULL;
}

static bool is_json(const char *type)
{
	static const char json[] = "application/json";
	size_t length = sizeof(json) - 1;
	return strncasecmp(type, json, length) == 0 && (!type[length] || strchr("; \t", type[length]));
}

static bool read_body(struct sos_request *request, const struct route *route)
{
	const char *type = sos_request_header(request, "Content-Type");
	const char *encoding = sos_request_header(request, "Content-Encoding");
	if (request->has_body && type && !is_json(type)) {
		/* A web page can make a browser send forms to us, but not JSON. */
		sos_reply_text(request, 415,
			       "the body must be JSON, with \"Content-Type: application/json\", not %.128s", type);
		return false;
	}
	if (request->has_body && encoding && strcasecmp(encoding, "identity") != 0) {
		sos_reply_text(request, 415, "Content-Encoding %.64s is not understood here", encoding);
		return false;
	}
	if (!sos_request_read_body(request))
		return false;
	if (route->body == BODY_NEEDED && !request->body_length) {
		sos_reply_text(request, 400, "the body is missing: a JSON object is needed");
		return false;
	}
	return true;
}

static bool check_state(struct sos_request *request, const struct route *route)
{
	struct sos_server *server = request->server;
	const char *why = NULL;
	if (atomic_load(&server->closing))
		why = "the server is shutting down";
	else if (!atomic_load(&server->pool))
		why = "the server is starting";
	if (!why || route->without_pool)
		return true;
	request->retry_after = 1;
	if (atomic_load(&server->closing))
		sos_http_close_after(request);
	sos_reply_text(request, 503, "%s", why);
	return false;
}

void sos_server_handle(void *data, struct sos_request *request)
{
	struct sos_server *server = data;
	request->server = server;
	if (!sos_auth_check_host(&server->auth, request) || !sos_auth_check_origin(&server->auth, request))
		return;
	const struct route *route = find_route(request);
	if (!route)
		return;
	if (!route->without_token && !sos_auth_check_token(&server->auth, request))
		return;
	if (!check_state(request, route))
		return;
	if (route->body != BODY_IGNORED && !read_body(request, route))
		return;
	if (!route->waits) {
		route->handle(request);
		return;
	}
	bool fits = atomic_fetch_add(&server->occupied, 1) < server->threads - SOS_SERVER_RESERVE;
	/* With a body that nobody reads its connection could not be left to another. */
	if (fits || !request->body_read || !sos_take_over(request, route->handle))
		route->handle(request);
	atomic_fetch_sub(&server->occupied, 1);
}

/* ---- waiting ---- */

static pthread_mutex_t waits = PTHREAD_MUTEX_INITIALIZER; /* over the list; nothing is called under it */
static struct sos_wait *first_wait;

static void add_wait(struct sos_request *request)
{
	request->wait = (struct sos_wait){ .request = request, .next = first_wait };
	if (first_wait)
		first_wait->previous = &request->wait;
	first_wait = &request->wait;
	atomic_fetch_add(&request->server->blocked, 1);
}

static unsigned waits_on(const char *sandbox_id)
{
	unsigned count = 0;
	for (const struct sos_wait *w = first_wait; w; w = w->next)
		count += strcmp(w->request->segments[1], sandbox_id) == 0;
	return count;
}

/* A sandbox may have twice as many as are left for all others: alone it gets two thirds, and whoever comes next
 * finds room. */
static bool has_share(const struct sos_request *request, unsigned most)
{
	unsigned taken = atomic_load(&request->server->blocked);
	return taken < most && waits_on(request->segments[1]) < 2 * (most - taken);
}

static bool enter(struct sos_request *request, unsigned most, bool shared)
{
	struct sos_server *server = request->server;
	pthread_mutex_lock(&waits);
	bool room = atomic_load(&server->blocked) < most;
	bool entered = room && (!shared || has_share(request, most));
	if (entered)
		add_wait(request);
	pthread_mutex_unlock(&waits);
	if (entered) {
		sos_connections_limit_bodies(sos_http_port(server->http), sos_server_body_limit(request));
		return true;
	}
	request->retry_after = 1;
	sos_reply_text(request, 503, "too many requests wait for %s; try again",
		       room ? "this sandbox" : "commands, starts and stops");
	return false;
}

bool sos_server_enter_wait(struct sos_request *request)
{
	return enter(request, request->server->places, true);
}

bool sos_server_enter_stop(struct sos_request *request)
{
	return enter(request, request->server->places + SOS_SERVER_STOP_PLACES, false);
}

void sos_server_leave_wait(struct sos_request *request)
{
	struct sos_wait *wait = &request->wait;
	pthread_mutex_lock(&waits);
	if (wait->next)
		wait->next->previous = wait->previous;
	if (wait->previous)
		wait->previous->next = wait->next;
	else
		first_wait = wait->next;
	atomic_fetch_sub(&request->server->blocked, 1);
	pthread_mutex_unlock(&waits);
}

#define FEWEST_BODIES 8

/* A quarter of the threads stays for those that neither send nor wait. */
unsigned sos_server_body_limit(const struct sos_request *request)
{
	struct sos_server *server = request->server;
	if (!server)
		return FEWEST_BODIES; /* its path was refused before it came here */
	unsigned taken = server->threads / 4 + atomic_load(&server->occupied);
	return taken + FEWEST_BODIES < server->threads ? server->threads - taken : FEWEST_BODIES;
}

struct sos_sandbox *sos_server_find(struct sos_request *request)
{
	struct sos_sandbox *sandbox = NULL;
	struct sos_error error = SOS_ERROR_INIT;
	if (sos_sandbox_find(atomic_load(&request->server->pool), request->segments[1], &sandbox, &error) == 0)
		return sandbox;
	sos_reply_error(request, &error);
	return NULL;
}
