/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * civetweb 1.15, as Debian ships it. What was learnt about it:
 *   - a reply in two pieces without tcp_nodelay took 44 ms;
 *   - a thread serves one connection until it closes, so a kept-open connection
 *     is a thread taken: keep-alive is refused when threads run short, and
 *     silent connections are closed (watcher.c);
 *   - mg_stop cuts replies off that are under way: drain first;
 *   - what it polls for it polls in steps of two seconds, so stopping hurries it
 *     along by hanging up;
 *   - its header parser stops at a folded line and at the 64th header and says
 *     nothing: sos_http_head_flaw;
 *   - all threads are made at the start, with a buffer and 100 KiB of stack; what
 *     they touched of it stays in memory, so a thread gives it back after each
 *     connection; 15 KiB remain.
 */

#include "http.h"

#include <civetweb.h>
#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "connections.h"
#include "log.h"
#include "reply.h"
#include "request.h"
#include "sockets.h"
#include "watcher.h"

#define WRITE_PIECE ((size_t)1 << 30) /* mg_write takes an int */
#define SPARE_THREADS 16              /* fewer free than that is short */
#define SEND_MS 30000                 /* for a client to take something, as request_timeout_ms */

struct sos_http {
	struct mg_context *context;
	struct sos_http_options options;
	atomic_uint connections, running;
	uint16_t port;
	pthread_mutex_t lock; /* over nothing but the wait for `idle` */
	pthread_cond_t idle;  /* running became 0 */
	atomic_bool started;
	char startup_error[256]; /* until `started` */
};

static struct sos_http *http_of(const struct mg_connection *connection)
{
	return mg_get_user_data(mg_get_context(connection));
}

static int64_t now_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* ---- callbacks ---- */

static void locate(struct sos_connection *connection, const struct mg_request_info *info)
{
	connection->address = info->remote_addr;
	connection->port = (uint16_t)info->remote_port;
	connection->local_port = (uint16_t)info->server_port;
}

static void fill(struct sos_request *request, struct mg_connection *connection)
{
	const struct mg_request_info *info = mg_get_request_info(connection);
	request->connection = connection;
	request->http = http_of(connection);
	request->method = info->request_method;
	request->path = info->request_uri;
	request->query = info->query_string;
	request->http_1_1 = strcmp(info->http_version, "1.1") == 0;
	request->content_length = info->content_length;
	request->started_ns = now_ns();
	locate(&request->busy, info);
}

void sos_http_leave(struct sos_request *request)
{
	struct sos_http *http = request->http;
	pthread_mutex_lock(&http->lock);
	if (atomic_fetch_sub(&http->running, 1) == 1)
		pthread_cond_broadcast(&http->idle);
	pthread_mutex_unlock(&http->lock);
}

void sos_http_end_request(struct sos_request *request)
{
	if (!request->status)
		sos_reply_text(request, 500, "this request got no reply: a defect of the server");
	sos_request_drain(request);
	sos_log(SOS_LOG_DEBUG, NULL, "%s %s %d in %.1f ms", request->method, request->path, request->status,
		(double)(now_ns() - request->started_ns) / 1e6);
	sos_connection_remove(&request->busy);
	sos_request_free(request);
}

static int begin_request(struct mg_connection *connection)
{
	struct sos_http *http = http_of(connection);
	struct sos_request request = { .descriptor = -1 };
	fill(&request, connection);
	atomic_fetch_add(&http->running, 1);
	sos_connection_add(&request.busy);
	if (sos_request_check_head(&request) && sos_request_split_path(&request))
		http->options.handle(http->options.data, &request);
	if (request.taken)
		return 200;
	sos_http_end_request(&request);
	sos_http_leave(&request);
	return request.status;
}

/* A refusal where there is no request that sos_reply could answer. */
static void reply_bare(struct mg_connection *connection, int status, const char *text)
{
	char reply[512];
	int n = snprintf(reply, sizeof(reply),
			 "HTTP/1.1 %d %s\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: %zu\r\n"
			 "Connection: close\r\n\r\n%s\n",
			 status, mg_get_response_code_text(connection, status), strlen(text) + 1, text);
	mg_write(connection, reply, (size_t)n);
}

/* civetweb's own refusals, of heads that it could not read. It says the same of one that is garbage and of one that
 * does not fit its buffer, but in the second case more of it waits to be read. */
static int http_error(struct mg_connection *connection, int status, const char *message)
{
	const struct mg_request_info *info = mg_get_request_info(connection);
	const char *text = "this is not an HTTP request that can be understood";
	struct sos_connection place = { 0 };
	mg_disable_connection_keep_alive(connection);
	mg_set_user_connection_data(connection, connection); /* answered */
	if (info)
		locate(&place, info);
	if (status == 413 || (info && sos_connection_unread(&place) > 0)) {
		status = 431;
		text = "the request's head is longer than 16 KiB";
	} else if (status == 505) {
		text = "only HTTP/1.0 and HTTP/1.1 are spoken here";
	} else {
		status = 400;
	}
	reply_bare(connection, status, text);
	if (info)
		sos_connection_linger(&place);
	return 0;
}

/* civetweb hands on no request whose target is "*" or of another server, and says nothing to its client. */
static void connection_ends(const struct mg_connection *connection)
{
	const struct mg_request_info *info = mg_get_request_info(connection);
	struct sos_connection place = { 0 };
	if (!info || !info->request_uri || info->local_uri || mg_get_user_connection_data(connection))
		return;
	locate(&place, info);
	reply_bare((struct mg_connection *)connection, 400, "the request's head is refused: a target that is not a path");
	sos_connection_linger(&place);
}

static int log_message(const struct mg_connection *connection, const char *message)
{
	const struct mg_context *context = connection ? mg_get_context(connection) : NULL;
	struct sos_http *http = context ? mg_get_user_data(context) : NULL;
	if (http && !atomic_load(&http->started) && !http->startup_error[0])
		snprintf(http->startup_error, sizeof(http->startup_error), "%s", message);
	sos_log(SOS_LOG_DEBUG, NULL, "civetweb: %s", message);
	return 1;
}

static int connection_opened(const struct mg_connection *connection, void **data)
{
	struct sos_http *http = http_of(connection);
	unsigned count = atomic_fetch_add(&http->connections, 1) + 1;
	if (count == 1 || count == http->options.threads)
		sos_watcher_set_load(count == http->options.threads ? SOS_LOAD_FULL : SOS_LOAD_SOME);
	return 0;
}

#define OWN_FRAME 1024 /* what this function and those it calls may need below its frame's base */

/* What lies below our frame in the stack is dead until the next connection: the pages go back. */
static void give_stack_back(void)
{
	pthread_attr_t attributes;
	void *lowest;
	size_t size, page = (size_t)sysconf(_SC_PAGESIZE);
	if (pthread_getattr_np(pthread_self(), &attributes) != 0)
		return;
	if (pthread_attr_getstack(&attributes, &lowest, &size) == 0) {
		uintptr_t end = ((uintptr_t)__builtin_frame_address(0) - OWN_FRAME) & ~(uintptr_t)(page - 1);
		if (end > (uintptr_t)lowest)
			madvise(lowest, end - (uintptr_t)lowest, MADV_DONTNEED);
	}
	pthread_attr_destroy(&attributes);
}

static void connection_closed(const struct mg_connection *connection)
{
	struct sos_http *http = http_of(connection);
	unsigned count = atomic_fetch_sub(&http->connections, 1) - 1;
	if (count == 0 || count + 1 == http->options.threads)
		sos_watcher_set_load(count ? SOS_LOAD_SOME : SOS_LOAD_NONE);
	give_stack_back();
}

/* A new thread has been deeper already than where it will wait. */
static void *thread_started(const struct mg_context *context, int type)
{
	give_stack_back();
	return NULL;
}

/* ---- life ---- */

static struct mg_context *start(struct sos_http *http)
{
	char listen[64], threads[16];
	snprintf(listen, sizeof(listen), "%s:%u", http->options.address, (unsigned)http->options.port);
	snprintf(threads, sizeof(threads), "%u", http->options.threads);
	const char *options[] = {
		"listening_ports", listen,
		"num_threads", threads,
		"enable_keep_alive", "yes",
		"keep_alive_timeout_ms", "60000", /* longer than the pools of common clients keep theirs */
		"request_timeout_ms", "30000",
		"tcp_nodelay", "1",
		"connection_queue", "1000",
		"listen_backlog", "1000",
		"max_request_size", "16384",
		"decode_url", "no",
		NULL
	};
	struct mg_callbacks callbacks = {
		.begin_request = begin_request,
		.log_message = log_message,
		.http_error = http_error,
		.init_thread = thread_started,
		.init_connection = connection_opened,
		.connection_close = connection_ends,
		.connection_closed = connection_closed
	};
	mg_init_library(MG_FEATURES_DEFAULT);
	return mg_start(&callbacks, http, options);
}

int sos_http_start(const struct sos_http_options *options, struct sos_http **http, char *error, size_t error_size)
{
	struct sos_http *made = calloc(1, sizeof(*made));
	struct mg_server_port port = { 0 };
	if (!made) {
		snprintf(error, error_size, "out of memory");
		return -1;
	}
	made->options = *options;
	pthread_mutex_init(&made->lock, NULL);
	pthread_condattr_t monotonic;
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&made->idle, &monotonic);
	pthread_condattr_destroy(&monotonic);
	made->context = start(made);
	if (!made->context || mg_get_server_ports(made->context, 1, &port) != 1) {
		snprintf(error, error_size, "cannot listen on %s:%u: %s", options->address, (unsigned)options->port,
			 made->startup_error[0] ? made->startup_error : "the address cannot be bound");
		sos_http_stop(made);
		return -1;
	}
	made->port = (uint16_t)port.port;
	atomic_store(&made->started, true);
	*http = made;
	return 0;
}

uint16_t sos_http_port(const struct sos_http *http)
{
	return http->port;
}

unsigned sos_http_running(const struct sos_http *http)
{
	return atomic_load(&((struct sos_http *)http)->running);
}

bool sos_http_drain(struct sos_http *http, int64_t timeout_ms)
{
	int64_t deadline = now_ns() + timeout_ms * 1000000;
	struct timespec until = { .tv_sec = deadline / 1000000000, .tv_nsec = deadline % 1000000000 };
	int waited = 0;
	pthread_mutex_lock(&http->lock);
	while (atomic_load(&http->running) && waited == 0)
		waited = pthread_cond_timedwait(&http->idle, &http->lock, &until);
	pthread_mutex_unlock(&http->lock);
	return atomic_load(&http->running) == 0;
}

void sos_http_stop(struct sos_http *http)
{
	if (!http)
		return;
	if (http->context) {
		sos_connections_hang_up(http->port);
		sos_connections_stop_listening(http->port);
		mg_stop(http->context);
	}
	mg_exit_library();
	pthread_cond_destroy(&http->idle);
	pthread_mutex_destroy(&http->lock);
	free(http);
}

/* ---- for request.c and reply.c ---- */

int sos_http_read(struct sos_request *request, void *data, size_t length)
{
	return mg_read(request->connection, data, length);
}

bool sos_http_write(struct sos_request *request, const void *data, size_t length)
{
	const char *p = data;
	if (request->descriptor >= 0)
		return sos_socket_send(request->descriptor, data, length, SEND_MS);
	while (length) {
		size_t piece = length < WRITE_PIECE ? length : WRITE_PIECE;
		if (mg_write(request->connection, p, piece) != (int)piece)
			return false;
		p += piece;
		length -= piece;
	}
	return true;
}

void sos_http_close_after(struct sos_request *request)
{
	request->closing = true;
	if (request->connection)
		mg_disable_connection_keep_alive(request->connection);
}

bool sos_http_is_short(const struct sos_request *request)
{
	struct sos_http *http = request->http;
	return atomic_load(&http->connections) + SPARE_THREADS > http->options.threads;
}

bool sos_http_header(const struct sos_request *request, unsigned index, struct sos_http_header *header)
{
	const struct mg_request_info *info = request->connection ? mg_get_request_info(request->connection) : NULL;
	if (!info || index >= (unsigned)info->num_headers)
		return false;
	header->name = info->http_headers[index].name;
	header->value = info->http_headers[index].value;
	return true;
}

/* civetweb cuts the head into strings in place, so what it read over still shows between them. */
const char *sos_http_head_flaw(const struct sos_request *request)
{
	const struct mg_request_info *info = mg_get_request_info(request->connection);
	if (info->num_headers >= MG_MAX_HEADERS)
		return "more than 63 headers";
	for (int i = 0; i < info->num_headers; i++) {
		const char *behind = info->http_headers[i].name + strlen(info->http_headers[i].name) + 1;
		if (behind < info->http_headers[i].value && *behind == 0)
			return "white space between a header's name and its colon";
	}
	if (info->num_headers) {
		const char *end = info->http_headers[info->num_headers - 1].value;
		end += strlen(end);
		if (end[1] != 0 || (end[2] != '\r' && end[2] != '\n'))
			return "a folded header, or lines that do not end with CR LF";
	}
	return NULL;
}
