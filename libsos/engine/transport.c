/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The only includer of libcurl. A slot is an easy handle in a multi handle of
 * its own, whose connection it keeps; slots that nobody uses wait on a stack,
 * so that requests one after the other find the same connection. The multi
 * interface is here for its poll, which takes the caller's cancel_fd too.
 *
 * `lock` of the client guards the stack of idle slots.
 */
#include "engine/transport.h"

#include <curl/curl.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#include "engine/call.h"
#include "engine/cloexec.h"
#include "engine/sigpipe.h"
#include "util/clock.h"
#include "util/error.h"
#include "util/guard.h"

#define IDLE_SLOTS 4
#define HEADERS_LIMIT (256u << 10)

struct slot {
	CURLM *multi;
	CURL *easy;
	struct slot *next;
	char message[CURL_ERROR_SIZE];
};

struct sos_transport_client {
	struct sos_address address;
	pthread_mutex_t lock;
	struct slot *idle;
	size_t idle_count;
};

/* What a request's callbacks need. */
struct transfer {
	const struct sos_transport_request *request;
	struct sos_transport_answer *answer;
	CURL *easy;
	size_t header_bytes;
	int sink_code;      /* negative: the sink ended it */
	bool head_complete; /* libcurl takes a head that was cut between two fields for a whole one */
	bool too_large, no_memory;
};

static pthread_once_t once = PTHREAD_ONCE_INIT;
static CURLcode global_code;

static void global_init(void)
{
	global_code = curl_global_init(CURL_GLOBAL_DEFAULT);
}

/* ---- slots ---- */

static void poke(void *multi)
{
	curl_multi_wakeup(multi);
}

static void drain(void *multi)
{
	curl_multi_poll(multi, NULL, 0, 0, NULL);
}

static void slot_free(struct slot *slot)
{
	if (!slot)
		return;
	if (slot->easy)
		curl_easy_cleanup(slot->easy);
	if (slot->multi)
		curl_multi_cleanup(slot->multi);
	free(slot);
}

static struct slot *slot_new(void)
{
	struct slot *slot = calloc(1, sizeof(*slot));
	if (!slot)
		return NULL;
	slot->multi = curl_multi_init();
	slot->easy = curl_easy_init();
	if (!slot->multi || !slot->easy) {
		slot_free(slot);
		return NULL;
	}
	curl_multi_setopt(slot->multi, CURLMOPT_MAXCONNECTS, 1L);
	sos_cloexec_pair(poke, drain, slot->multi);
	return slot;
}

static struct slot *slot_take(struct sos_transport_client *client)
{
	{
		SOS_LOCKED(&client->lock);
		struct slot *slot = client->idle;
		if (slot) {
			client->idle = slot->next;
			client->idle_count--;
			return slot;
		}
	}
	return slot_new();
}

static void slot_give(struct sos_transport_client *client, struct slot *slot)
{
	curl_easy_reset(slot->easy); /* keeps the connection, which is the multi's */
	{
		SOS_LOCKED(&client->lock);
		if (client->idle_count < IDLE_SLOTS) {
			slot->next = client->idle;
			client->idle = slot;
			client->idle_count++;
			return;
		}
	}
	slot_free(slot);
}

int sos_transport_new(struct sos_address *address, struct sos_transport_client **client, struct sos_error *error)
{
	pthread_once(&once, global_init);
	if (global_code != CURLE_OK)
		return sos_error_set(error, SOS_ERROR_SYSTEM, "libcurl does not start: %s",
				     curl_easy_strerror(global_code));
	struct sos_transport_client *c = calloc(1, sizeof(*c));
	if (!c)
		return sos_error_nomem(error);
	pthread_mutex_init(&c->lock, NULL);
	c->address = *address;
	*address = (struct sos_address){ 0 };
	*client = c;
	return 0;
}

void sos_transport_free(struct sos_transport_client *client)
{
	if (!client)
		return;
	while (client->idle) {
		struct slot *slot = client->idle;
		client->idle = slot->next;
		slot_free(slot);
	}
	pthread_mutex_destroy(&client->lock);
	sos_address_clear(&client->address);
	free(client);
}

const struct sos_address *sos_transport_address(const struct sos_transport_client *client)
{
	return &client->address;
}

/* ---- what both kinds of use set ---- */

static curl_socket_t open_socket(void *data, curlsocktype purpose, struct curl_sockaddr *address)
{
	(void)data;
	(void)purpose;
	return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

/* libcurl copies. NULL: stays unset. */
static CURLcode set_text(CURL *easy, CURLoption option, const char *value)
{
	return value ? curl_easy_setopt(easy, option, value) : CURLE_OK;
}

static CURLcode set_common(CURL *easy, const struct sos_address *address, const char *path, char *message)
{
	char *url = NULL;
	if (asprintf(&url, "%s%s", address->base_url, path) < 0)
		return CURLE_OUT_OF_MEMORY;
	CURLcode code = set_text(easy, CURLOPT_URL, url);
	free(url);
	code = code ? code : set_text(easy, CURLOPT_UNIX_SOCKET_PATH, address->socket_path);
	code = code ? code : set_text(easy, CURLOPT_CAINFO, address->ca);
	code = code ? code : set_text(easy, CURLOPT_SSLCERT, address->cert);
	code = code ? code : set_text(easy, CURLOPT_SSLKEY, address->key);
	code = code ? code : set_text(easy, CURLOPT_PROXY, ""); /* an Engine is no web page: not the environment's */
	curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(easy, CURLOPT_PATH_AS_IS, 1L);
	curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
	curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, open_socket);
	message[0] = 0;
	curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, message);
	return code;
}

/* ---- errors ---- */

static int curl_error(const struct sos_address *a, CURL *easy, CURLcode code, const char *message,
		      struct sos_error *error)
{
	long errnum = 0;
	if (!*message)
		message = curl_easy_strerror(code);
	switch (code) {
	case CURLE_OUT_OF_MEMORY: /* also its word for a field of more than 100 KiB */
		return sos_error_set(error, SOS_ERROR_MEMORY,
				     "out of memory (or a field of the answer of the Docker Engine at %s is too long)",
				     a->text);
	case CURLE_COULDNT_CONNECT:
	case CURLE_COULDNT_RESOLVE_HOST:
		curl_easy_getinfo(easy, CURLINFO_OS_ERRNO, &errnum);
		return sos_address_unreachable(a, code == CURLE_COULDNT_CONNECT ? (int)errnum : 0, message, error);
	case CURLE_SEND_ERROR:
	case CURLE_RECV_ERROR:
	case CURLE_GOT_NOTHING:
	case CURLE_PARTIAL_FILE:
		return sos_error_set(error, SOS_ERROR_UNREACHABLE, "Docker Engine at %s: the connection broke: %s",
				     a->text, message);
	case CURLE_SSL_CACERT_BADFILE:
	case CURLE_SSL_CERTPROBLEM:
	case CURLE_SSL_CONNECT_ERROR:
	case CURLE_PEER_FAILED_VERIFICATION:
		return sos_error_set(error, SOS_ERROR_UNREACHABLE,
				     "Docker Engine at %s: TLS: %s: check DOCKER_CERT_PATH", a->text, message);
	case CURLE_FAILED_INIT:
	case CURLE_NO_CONNECTION_AVAILABLE:
	case CURLE_INTERFACE_FAILED:
		return sos_error_set(error, SOS_ERROR_SYSTEM, "Docker Engine at %s: %s", a->text, message);
	default:
		return sos_error_set(error, SOS_ERROR_ENGINE, "Docker Engine at %s: its answer makes no sense: %s",
				     a->text, message);
	}
}

/* ---- waiting ---- */

/* Drive the slot's transfer to its end. `*code` is libcurl's word on it. */
static int drive(struct slot *slot, const struct sos_address *a, const struct sos_engine_call *given, CURLcode *code,
		 struct sos_error *error)
{
	struct sos_engine_call now = *given, *call = &now;
	bool cancelled = false;
	int running = 1, r = sos_call_check(call, a, error);
	while (r == 0 && running && (r = sos_call_bear(call, &cancelled, a, error)) == 0) {
		struct curl_waitfd cancel = { .fd = call->cancel_fd, .events = CURL_WAIT_POLLIN };
		unsigned int extra = call->cancel_fd >= 0 ? 1 : 0;
		CURLMcode m = curl_multi_perform(slot->multi, &running);
		if (m == CURLM_OK && running) {
			int wait_ms = sos_clock_poll_ms(call->deadline);
			m = curl_multi_poll(slot->multi, &cancel, extra, wait_ms < 0 ? 3600000 : wait_ms, NULL);
		}
		if (m == CURLM_OUT_OF_MEMORY)
			return sos_error_nomem(error);
		if (m != CURLM_OK)
			return sos_error_set(error, SOS_ERROR_SYSTEM, "libcurl: %s", curl_multi_strerror(m));
	}
	if (r < 0)
		return r;
	int left;
	for (CURLMsg *message; (message = curl_multi_info_read(slot->multi, &left));)
		if (message->msg == CURLMSG_DONE)
			*code = message->data.result;
	return 0;
}

/* ---- requests ---- */

void sos_transport_answer_clear(struct sos_transport_answer *answer)
{
	sos_buffer_free(&answer->body);
	sos_buffer_free(&answer->header);
	answer->status = 0;
}

static size_t on_header(char *line, size_t size, size_t count, void *data)
{
	struct transfer *t = data;
	size_t length = size * count, name = t->request->header ? strlen(t->request->header) : 0;
	t->header_bytes += length;
	if (length <= 2)
		t->head_complete = true;
	else if (strncmp(line, "HTTP/", 5) == 0) /* another one after "100 Continue"; else a chunked body's trailer */
		t->head_complete = false;
	if (t->header_bytes > HEADERS_LIMIT) {
		t->too_large = true;
		return 0;
	}
	if (!name || length <= name || strncasecmp(line, t->request->header, name) != 0 || line[name] != ':')
		return length;
	const char *value = line + name + 1, *end = line + length;
	while (value < end && (*value == ' ' || *value == '\t'))
		value++;
	while (end > value && (end[-1] == '\r' || end[-1] == '\n' || end[-1] == ' '))
		end--;
	sos_buffer_clear(&t->answer->header);
	t->no_memory = sos_buffer_append(&t->answer->header, value, (size_t)(end - value)) < 0;
	return t->no_memory ? 0 : length;
}

static size_t on_body(char *bytes, size_t size, size_t count, void *data)
{
	struct transfer *t = data;
	size_t length = size * count;
	long status = 0;
	curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &status);
	if (t->request->sink && status == 200) {
		t->sink_code = t->request->sink(t->request->sink_data, bytes, length);
		return t->sink_code < 0 ? 0 : length;
	}
	t->too_large = length > SOS_TRANSPORT_ANSWER_LIMIT - t->answer->body.length;
	t->no_memory = !t->too_large && sos_buffer_append(&t->answer->body, bytes, length) < 0;
	return t->too_large || t->no_memory ? 0 : length;
}

static CURLcode set_request(CURL *easy, const struct sos_transport_request *request, struct transfer *t,
			    struct curl_slist **fields)
{
	char type[128];
	/* "Expect: 100-continue" would cost a round trip before a body. */
	snprintf(type, sizeof(type), "Content-Type: %s", request->content_type ? request->content_type : "");
	*fields = curl_slist_append(NULL, "Expect:");
	struct curl_slist *second = *fields ? curl_slist_append(*fields, type) : NULL;
	if (!second)
		return CURLE_OUT_OF_MEMORY;
	curl_easy_setopt(easy, CURLOPT_HTTPHEADER, *fields);
	CURLcode code = CURLE_OK;
	if (strcmp(request->method, "HEAD") == 0) {
		curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
	} else if (strcmp(request->method, "POST") == 0 || request->body) {
		/* A body is not copied; PUT is then POST by another name. */
		code = curl_easy_setopt(easy, CURLOPT_POST, 1L);
		curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->body_length);
		curl_easy_setopt(easy, CURLOPT_POSTFIELDS, request->body ? request->body : "");
	}
	if (code == CURLE_OK && strcmp(request->method, "HEAD") != 0)
		code = curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, request->method);
	curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
	curl_easy_setopt(easy, CURLOPT_HEADERDATA, t);
	curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(easy, CURLOPT_WRITEDATA, t);
	return code;
}

static int finish(const struct sos_address *a, struct slot *slot, const struct transfer *t, CURLcode code,
		  struct sos_error *error)
{
	long status = 0;
	if (t->sink_code < 0)
		return t->sink_code;
	if (t->no_memory)
		return sos_error_nomem(error);
	if (t->too_large)
		return sos_error_set(error, SOS_ERROR_ENGINE, "Docker Engine at %s: its answer is larger than %u MiB",
				     a->text, SOS_TRANSPORT_ANSWER_LIMIT >> 20);
	if (code != CURLE_OK)
		return curl_error(a, slot->easy, code, slot->message, error);
	if (!t->head_complete)
		return curl_error(a, slot->easy, CURLE_GOT_NOTHING, "the head of the answer was cut", error);
	curl_easy_getinfo(slot->easy, CURLINFO_RESPONSE_CODE, &status);
	t->answer->status = (int)status;
	return 0;
}

int sos_transport_request(struct sos_transport_client *client, const struct sos_transport_request *request,
			  const struct sos_engine_call *call, struct sos_transport_answer *answer,
			  struct sos_error *error)
{
	const struct sos_address *a = &client->address;
	struct sos_sigpipe guard;
	struct curl_slist *fields = NULL;
	int r = sos_call_check(call, a, error);
	if (r < 0)
		return r;
	struct slot *slot = slot_take(client);
	if (!slot)
		return sos_error_nomem(error);
	struct transfer t = { .request = request, .answer = answer, .easy = slot->easy };
	sos_sigpipe_block(&guard, a->tls);
	CURLcode code = set_common(slot->easy, a, request->path, slot->message);
	if (code == CURLE_OK)
		code = set_request(slot->easy, request, &t, &fields);
	if (code == CURLE_OK) {
		code = CURLE_FAILED_INIT;
		curl_multi_add_handle(slot->multi, slot->easy);
		r = drive(slot, a, call, &code, error);
		curl_multi_remove_handle(slot->multi,
					 slot->easy); /* in the middle of an answer this closes the connection */
	}
	if (!r)
		r = finish(a, slot, &t, code, error);
	slot_give(client, slot);
	curl_slist_free_all(fields);
	sos_sigpipe_restore(&guard);
	return r;
}

/* ---- bare connections ---- */

static int connect_slot(struct sos_transport_client *client, struct slot *slot, const struct sos_engine_call *call,
			int *fd, struct sos_error *error)
{
	const struct sos_address *a = &client->address;
	curl_socket_t active = CURL_SOCKET_BAD;
	CURLcode code = set_common(slot->easy, a, "/", slot->message);
	if (code == CURLE_OK)
		code = curl_easy_setopt(slot->easy, CURLOPT_CONNECT_ONLY, 1L);
	if (code == CURLE_OK) {
		code = CURLE_FAILED_INIT;
		curl_multi_add_handle(slot->multi, slot->easy);
		int r = drive(slot, a, call, &code, error);
		if (r < 0)
			return r;
	}
	if (code == CURLE_OK)
		code = curl_easy_getinfo(slot->easy, CURLINFO_ACTIVESOCKET, &active);
	if (code != CURLE_OK)
		return curl_error(a, slot->easy, code, slot->message, error);
	*fd = active;
	return 0;
}

int sos_transport_connect(struct sos_transport_client *client, const struct sos_engine_call *call,
			  struct sos_transport_connection *connection, struct sos_error *error)
{
	struct sos_sigpipe guard;
	bool tls = client->address.tls;
	int fd = -1;
	struct slot *slot = slot_new();
	if (!slot)
		return sos_error_nomem(error);
	sos_sigpipe_block(&guard, tls);
	int r = connect_slot(client, slot, call, &fd, error);
	if (!r && !tls) {
		/* Without TLS the descriptor is all there is to it: keep that and give back libcurl's memory. */
		fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
		if (fd < 0)
			r = sos_error_errno(error, SOS_ERROR_SYSTEM, errno, "Docker Engine at %s",
					    client->address.text);
	}
	if (r < 0 || !tls) {
		curl_multi_remove_handle(slot->multi, slot->easy);
		slot_free(slot);
		slot = NULL;
	}
	sos_sigpipe_restore(&guard);
	if (!r)
		*connection = (struct sos_transport_connection){ .fd = fd, .tls = slot };
	return r;
}

void sos_transport_disconnect(struct sos_transport_connection *connection)
{
	struct sos_sigpipe guard;
	struct slot *slot = connection->tls;
	if (slot) {
		sos_sigpipe_block(&guard, true);
		curl_multi_remove_handle(slot->multi, slot->easy);
		slot_free(slot);
		sos_sigpipe_restore(&guard);
	} else if (connection->fd >= 0) {
		close(connection->fd);
	}
	*connection = (struct sos_transport_connection){ .fd = -1 };
}

/* Into `to` or out of `from`. */
static ssize_t tls_move(struct slot *slot, void *to, const void *from, size_t length)
{
	struct sos_sigpipe guard;
	size_t n = 0;
	sos_sigpipe_block(&guard, true);
	CURLcode code = to ? curl_easy_recv(slot->easy, to, length, &n) : curl_easy_send(slot->easy, from, length, &n);
	sos_sigpipe_restore(&guard);
	return code == CURLE_OK ? (ssize_t)n : code == CURLE_AGAIN ? -EAGAIN : -ECONNRESET;
}

ssize_t sos_transport_tls_receive(struct sos_transport_connection *connection, void *data, size_t length)
{
	return tls_move(connection->tls, data, NULL, length);
}

ssize_t sos_transport_tls_send(struct sos_transport_connection *connection, const void *data, size_t length)
{
	return tls_move(connection->tls, NULL, data, length);
}
