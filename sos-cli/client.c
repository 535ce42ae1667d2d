/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client.h"
#include "remote.h"
#include "signals.h"

#include <ctype.h>
#include <curl/curl.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define DEFAULT_LIMIT ((size_t)256 << 20)
#define WATCH_FIRST_MS 200
#define WATCH_EVERY_MS 1000
#define WATCH_TIMEOUT_MS 5000L
#define CONNECT_TIMEOUT_MS 10000L

struct sos_client {
	CURLM *multi;
	CURL *easy;
	CURL *watch;
	struct curl_slist *headers;
	struct sos_remote remote;
	char error[CURL_ERROR_SIZE];
};

struct sink {
	struct sos_bytes *bytes;
	size_t limit;
};

static size_t on_body(char *data, size_t one, size_t length, void *user)
{
	struct sink *sink = user;
	return sos_bytes_append(sink->bytes, data, length, sink->limit) < 0 ? 0 : length;
}

static int64_t now_ms(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static int add_header(struct sos_client *client, const char *line)
{
	struct curl_slist *headers = curl_slist_append(client->headers, line);
	if (!headers)
		return -1;
	client->headers = headers;
	return 0;
}

static int fill_client(struct sos_cli *cli, struct sos_client *client)
{
	int result = sos_remote_find(cli, &client->remote);
	if (result)
		return result;
	client->multi = curl_multi_init();
	client->easy = curl_easy_init();
	/* "Expect:" keeps curl from waiting for a "100 Continue" before a large body. */
	if (!client->multi || !client->easy || add_header(client, "Content-Type: application/json") < 0 ||
	    add_header(client, "Expect:") < 0 ||
	    (client->remote.authorization && add_header(client, client->remote.authorization) < 0))
		return sos_fail(cli, SOS_EXIT_FAILED, "out of memory");
	return 0;
}

static int get_client(struct sos_cli *cli)
{
	if (cli->client)
		return 0;
	struct sos_client *client = calloc(1, sizeof(*client));
	if (!client || curl_global_init(CURL_GLOBAL_DEFAULT)) {
		free(client);
		return sos_fail(cli, SOS_EXIT_FAILED, "out of memory");
	}
	int result = fill_client(cli, client);
	if (result)
		sos_client_free(client);
	else
		cli->client = client;
	return result;
}

void sos_client_free(struct sos_client *client)
{
	if (!client)
		return;
	curl_easy_cleanup(client->watch);
	curl_easy_cleanup(client->easy);
	curl_multi_cleanup(client->multi);
	curl_slist_free_all(client->headers);
	sos_remote_free(&client->remote);
	free(client);
}

const char *sos_client_url(struct sos_cli *cli)
{
	return cli->client->remote.url;
}

/* ---- one request --------------------------------------------------------- */

static char *full_url(struct sos_client *client, const char *path)
{
	char *url = NULL;
	return asprintf(&url, "%s%s", client->remote.url, path) < 0 ? NULL : url;
}

static void set_common(struct sos_client *client, CURL *easy, const char *url, struct sink *sink)
{
	curl_easy_reset(easy);
	curl_easy_setopt(easy, CURLOPT_URL, url);
	curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(easy, CURLOPT_HTTPHEADER, client->headers);
	curl_easy_setopt(easy, CURLOPT_USERAGENT, "sos");
	curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
	curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, CONNECT_TIMEOUT_MS);
	curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(easy, CURLOPT_WRITEDATA, sink);
	/* http_proxy in the environment is never meant for this machine's own server. */
	if (client->remote.local)
		curl_easy_setopt(easy, CURLOPT_PROXY, "");
}

static void set_request(struct sos_client *client, const struct sos_request *request, const char *body)
{
	CURL *easy = client->easy;
	curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, client->error);
	client->error[0] = 0;
	if (!strcmp(request->method, "GET"))
		curl_easy_setopt(easy, CURLOPT_HTTPGET, 1L);
	else
		curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, request->method);
	/* When a kept connection breaks curl repeats the request by itself: never one that changes something. */
	if (strcmp(request->method, "GET"))
		curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, 1L);
	if (body || !strcmp(request->method, "POST")) {
		curl_easy_setopt(easy, CURLOPT_POSTFIELDS, body ? body : "");
		curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)(body ? strlen(body) : 0));
	}
	if (request->timeout_ms)
		curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)request->timeout_ms);
}

/* The second request, which looks at what the first one waits for. */
struct look {
	const struct sos_watch *watch;
	struct sos_bytes body;
	struct sink sink;
	char *url;
	int64_t next_ms;
	bool running;
};

static void look_begin(struct sos_client *client, struct look *look)
{
	if (!client->watch)
		client->watch = curl_easy_init();
	if (!client->watch)
		return;
	look->body.length = 0;
	set_common(client, client->watch, look->url, &look->sink);
	curl_easy_setopt(client->watch, CURLOPT_TIMEOUT_MS, WATCH_TIMEOUT_MS);
	look->running = curl_multi_add_handle(client->multi, client->watch) == CURLM_OK;
}

static void look_end(struct sos_client *client, struct look *look, CURLcode result)
{
	long status = 0;
	curl_easy_getinfo(client->watch, CURLINFO_RESPONSE_CODE, &status);
	curl_multi_remove_handle(client->multi, client->watch);
	look->running = false;
	look->next_ms = now_ms() + WATCH_EVERY_MS;
	if (result != CURLE_OK || status != 200)
		return;
	SOS_AUTO_JSON cJSON *answer = cJSON_ParseWithLength(look->body.data, look->body.length);
	if (answer)
		look->watch->seen(look->watch->data, answer);
}

/* Take the messages of the transfers; true: the main one is over. */
static bool take_ends(struct sos_client *client, struct look *look, CURLcode *result)
{
	bool over = false;
	int left;
	CURLMsg *message;
	while ((message = curl_multi_info_read(client->multi, &left))) {
		if (message->msg != CURLMSG_DONE)
			continue;
		if (message->easy_handle == client->easy) {
			*result = message->data.result;
			over = true;
		} else {
			look_end(client, look, message->data.result);
		}
	}
	return over;
}

/* Until the answer is here or a signal came (then `*signal` is set). */
static CURLcode drive(struct sos_client *client, bool deaf, struct look *look, int *signal)
{
	CURLcode result = CURLE_OK;
	for (;;) {
		int running;
		if (curl_multi_perform(client->multi, &running) != CURLM_OK)
			return CURLE_FAILED_INIT;
		if (take_ends(client, look, &result))
			return result;
		int wait_ms = 60000;
		if (look->watch && !look->running) {
			int64_t left = look->next_ms - now_ms();
			if (left <= 0) {
				look_begin(client, look);
				continue;
			}
			wait_ms = (int)left;
		}
		struct curl_waitfd extra = { .fd = sos_signals_fd(), .events = CURL_WAIT_POLLIN };
		if (curl_multi_poll(client->multi, &extra, deaf ? 0 : 1, wait_ms, NULL) != CURLM_OK)
			return CURLE_FAILED_INIT;
		if (!deaf && (*signal = sos_signals_take()))
			return CURLE_ABORTED_BY_CALLBACK;
	}
}

static int explain_failure(struct sos_cli *cli, const struct sos_request *request, CURLcode code)
{
	struct sos_client *client = cli->client;
	long os_errno = 0;
	curl_easy_getinfo(client->easy, CURLINFO_OS_ERRNO, &os_errno);
	switch (code) {
	case CURLE_COULDNT_CONNECT:
		return sos_fail(cli, SOS_EXIT_FAILED, "no server at %s (%s): start one with: sos serve",
				client->remote.url, os_errno ? strerror((int)os_errno) : "no connection");
	case CURLE_COULDNT_RESOLVE_HOST:
		return sos_fail(cli, SOS_EXIT_FAILED, "the host of %s is not known: check --server and SOS_SERVER",
				client->remote.url);
	case CURLE_OPERATION_TIMEDOUT:
		return sos_fail(cli, SOS_EXIT_FAILED,
				"no answer from %s in time: is it a sos server, and not overloaded?",
				client->remote.url);
	case CURLE_GOT_NOTHING:
	case CURLE_RECV_ERROR:
	case CURLE_SEND_ERROR:
	case CURLE_PARTIAL_FILE:
		return sos_fail(cli, SOS_EXIT_FAILED, "the connection to %s broke before the answer was complete",
				client->remote.url);
	case CURLE_WRITE_ERROR:
		return sos_fail(cli, SOS_EXIT_FAILED, "the answer to %s %s is too large to keep", request->method,
				request->path);
	default:
		return sos_fail(cli, SOS_EXIT_FAILED, "%s %s%s: %s", request->method, client->remote.url, request->path,
				client->error[0] ? client->error : curl_easy_strerror(code));
	}
}

static int explain_status(struct sos_cli *cli, const struct sos_request *request, const struct sos_response *response)
{
	const char *words = cJSON_GetStringValue(response->json);
	if (!words)
		words = sos_json_string(response->json, "error");
	if (!*words && !response->json && response->body.length)
		words = response->body.data;
	if (response->status == 401)
		return sos_fail(cli, SOS_EXIT_FAILED,
				"%s wants a token, or another one: give --token-file FILE or SOS_TOKEN%s%s",
				cli->client->remote.url, *words ? ": " : "", words);
	if (*words)
		return sos_fail(cli, SOS_EXIT_FAILED, "%s", words);
	return sos_fail(cli, SOS_EXIT_FAILED, "%s answered %ld to %s %s", cli->client->remote.url, response->status,
			request->method, request->path);
}

static int perform(struct sos_cli *cli, const struct sos_request *request, const char *body,
		   struct sos_response *response, struct look *look)
{
	struct sos_client *client = cli->client;
	SOS_AUTO_STRING char *url = full_url(client, request->path);
	struct sink sink = { &response->body, request->limit ? request->limit : DEFAULT_LIMIT };
	if (!url || (look->watch && !look->url))
		return sos_fail(cli, SOS_EXIT_FAILED, "out of memory");
	set_common(client, client->easy, url, &sink);
	set_request(client, request, body);
	if (curl_multi_add_handle(client->multi, client->easy) != CURLM_OK)
		return sos_fail(cli, SOS_EXIT_FAILED, "out of memory");
	CURLcode code = drive(client, request->deaf, look, &response->signal);
	long request_size = 0;
	curl_easy_getinfo(client->easy, CURLINFO_REQUEST_SIZE, &request_size);
	curl_easy_getinfo(client->easy, CURLINFO_RESPONSE_CODE, &response->status);
	response->sent = request_size > 0;
	int result = code == CURLE_OK || response->signal ? 0 : explain_failure(cli, request, code);
	/* Removing a transfer that is under way closes its connection. */
	curl_multi_remove_handle(client->multi, client->easy);
	if (look->running)
		curl_multi_remove_handle(client->multi, client->watch);
	if (response->signal)
		return SOS_EXIT_SIGNAL + response->signal;
	if (result)
		response->status = 0;
	return result;
}

int sos_client_send(struct sos_cli *cli, const struct sos_request *request, struct sos_response *response)
{
	*response = (struct sos_response){ 0 };
	int result = get_client(cli);
	if (result)
		return result;
	SOS_AUTO_STRING char *body = request->body ? cJSON_PrintUnformatted(request->body) : NULL;
	if (request->body && !body)
		return sos_fail(cli, SOS_EXIT_FAILED, "out of memory");
	if (sos_signals_hold() < 0)
		return sos_fail(cli, SOS_EXIT_FAILED, "signalfd: %s", strerror(errno));
	struct look look = { .watch = request->watch, .next_ms = now_ms() + WATCH_FIRST_MS };
	look.sink = (struct sink){ &look.body, DEFAULT_LIMIT };
	if (look.watch)
		look.url = full_url(cli->client, look.watch->path);
	result = perform(cli, request, body, response, &look);
	sos_signals_release();
	sos_bytes_free(&look.body);
	free(look.url);
	if (result)
		return result;
	response->json =
		response->body.length ? cJSON_ParseWithLength(response->body.data, response->body.length) : NULL;
	return response->status / 100 == 2 ? 0 : explain_status(cli, request, response);
}

void sos_response_free(struct sos_response *response)
{
	cJSON_Delete(response->json);
	sos_bytes_free(&response->body);
	*response = (struct sos_response){ 0 };
}

char *sos_client_escape(const char *text)
{
	char *escaped = malloc(strlen(text) * 3 + 1);
	char *out = escaped;
	for (const unsigned char *c = (const unsigned char *)text; escaped && *c; c++)
		out += isalnum(*c) || strchr("-_.~:", *c) ? sprintf(out, "%c", *c) : sprintf(out, "%%%02X", *c);
	if (escaped)
		*out = 0;
	return escaped;
}

char *sos_client_path(const char *id, const char *suffix)
{
	SOS_AUTO_STRING char *escaped = sos_client_escape(id);
	char *path = NULL;
	return !escaped || asprintf(&path, "/sandboxes/%s%s", escaped, suffix) < 0 ? NULL : path;
}
