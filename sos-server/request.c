/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "request.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "http.h"
#include "reply.h"
#include "server.h"

#define READ_PIECE ((size_t)16 << 10) /* must come within STALL_NS (connections.c) */
#define DRAIN_LIMIT ((size_t)128 << 20)
#define DRAIN_NS (5 * INT64_C(1000000000))

static int64_t now_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

const char *sos_request_header(const struct sos_request *request, const char *name)
{
	struct sos_http_header header;
	for (unsigned i = 0; sos_http_header(request, i, &header); i++)
		if (strcasecmp(header.name, name) == 0)
			return header.value;
	return NULL;
}

bool sos_header_has_token(const char *header, const char *token)
{
	size_t length = strlen(token);
	while (header && *header) {
		header += strspn(header, " \t,");
		size_t n = strcspn(header, " \t,;");
		if (n == length && strncasecmp(header, token, n) == 0)
			return true;
		header += strcspn(header, ",");
	}
	return false;
}

/* ---- the head ---- */

static bool is_number(const char *value)
{
	size_t digits = strspn(value, "0123456789");
	return digits && digits <= 18 && strspn(value + digits, " ") == strlen(value + digits);
}

/* What two parsers on the way could read differently is refused: one would see another request in the body. */
static const char *framing_flaw(struct sos_request *request)
{
	const char *flaw = sos_http_head_flaw(request);
	struct sos_http_header header;
	unsigned lengths = 0, encodings = 0, hosts = 0;
	for (unsigned i = 0; !flaw && sos_http_header(request, i, &header); i++) {
		if (strcasecmp(header.name, "Content-Length") == 0) {
			if (++lengths > 1 || !is_number(header.value))
				flaw = "a Content-Length that is doubled or not a number";
		} else if (strcasecmp(header.name, "Transfer-Encoding") == 0) {
			if (++encodings > 1 || strcasecmp(header.value, "chunked") != 0 || !request->http_1_1)
				flaw = "a Transfer-Encoding other than chunked";
		} else if (strcasecmp(header.name, "Host") == 0 && ++hosts > 1) {
			flaw = "more than one Host";
		}
	}
	if (!flaw && lengths && encodings)
		flaw = "Content-Length together with Transfer-Encoding";
	if (!flaw && !hosts && request->http_1_1)
		flaw = "no Host";
	request->chunked = encodings > 0;
	return flaw;
}

bool sos_request_check_head(struct sos_request *request)
{
	const char *flaw = framing_flaw(request);
	request->has_body = request->chunked || request->content_length > 0;
	request->body_read = !request->has_body;
	if (!flaw && request->path[0] != '/')
		flaw = "a target that is not a path";
	if (!flaw)
		return true;
	/* Where its body ends is in doubt, so nothing more is read from this connection. */
	request->body_read = request->broken = true;
	sos_http_close_after(request);
	sos_reply_text(request, 400, "the request's head is refused: %s", flaw);
	return false;
}

/* ---- the target ---- */

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* In place; false on a bad escape or a NUL. */
static bool decode_percent(char *text, bool plus)
{
	char *out = text;
	for (const char *in = text; *in; in++) {
		if (*in == '%') {
			int high = hex_digit(in[1]), low = high < 0 ? -1 : hex_digit(in[2]);
			if (low < 0 || (high == 0 && low == 0))
				return false;
			*out++ = (char)(high * 16 + low);
			in += 2;
		} else {
			*out++ = *in == '+' && plus ? ' ' : *in;
		}
	}
	*out = 0;
	return true;
}

bool sos_request_split_path(struct sos_request *request)
{
	char *save = NULL;
	request->path_memory = strdup(request->path + 1);
	if (!request->path_memory) {
		sos_reply_text(request, 500, "out of memory");
		return false;
	}
	/* An empty segment is one too: "/sandboxes//start" is not "/sandboxes/start". */
	for (char *p = request->path_memory; p; p = save) {
		save = strchr(p, '/');
		if (save)
			*save++ = 0;
		if (!decode_percent(p, false)) {
			sos_reply_text(request, 400, "the path has a broken percent-escape or a NUL");
			return false;
		}
		if (request->segment_count == SOS_PATH_SEGMENTS) {
			sos_reply_text(request, 404, "there is nothing at this path");
			return false;
		}
		request->segments[request->segment_count++] = p;
	}
	return true;
}

const char *sos_request_query(const struct sos_request *request, const char *name, char *value, size_t size)
{
	size_t length = strlen(name);
	for (const char *p = request->query; p && *p; p += *p == '&') {
		size_t n = strcspn(p, "&");
		if (n > length && strncmp(p, name, length) == 0 && p[length] == '=') {
			if (n - length - 1 >= size)
				return NULL;
			memcpy(value, p + length + 1, n - length - 1);
			value[n - length - 1] = 0;
			return decode_percent(value, true) ? value : NULL;
		}
		p += n;
	}
	return NULL;
}

/* ---- the body ---- */

static bool refuse_large(struct sos_request *request)
{
	sos_reply_text(request, 413, "the request's body is larger than %zu MiB", SOS_BODY_LIMIT >> 20);
	return false;
}

static bool make_room(struct sos_request *request, size_t *capacity, size_t want)
{
	char *body = realloc(request->body, want + 1);
	if (!body)
		return false;
	request->body = body;
	*capacity = want;
	return true;
}

static bool refuse_incomplete(struct sos_request *request)
{
	bool fast = sos_connection_end_body(&request->busy);
	request->body_read = true; /* as far as it goes */
	sos_http_close_after(request);
	if (fast)
		sos_reply_text(request, 400, "the request's body is incomplete or wrongly framed");
	else
		sos_reply_text(request, 408, "the request's body came too slowly");
	return false;
}

static bool read_pieces(struct sos_request *request)
{
	size_t capacity = 0;
	size_t known = request->chunked ? 0 : (size_t)request->content_length;
	if (!make_room(request, &capacity, request->chunked ? READ_PIECE : known)) {
		sos_reply_text(request, 500, "out of memory for a body of this size");
		return false;
	}
	while (request->chunked || request->body_length < known) {
		size_t room = capacity - request->body_length;
		if (!room) {
			if (capacity >= SOS_BODY_LIMIT + 1)
				return refuse_large(request);
			size_t want = capacity * 2 < SOS_BODY_LIMIT + 1 ? capacity * 2 : SOS_BODY_LIMIT + 1;
			if (!make_room(request, &capacity, want)) {
				sos_reply_text(request, 500, "out of memory for a body of this size");
				return false;
			}
			continue;
		}
		size_t piece = room < READ_PIECE ? room : READ_PIECE;
		int n = sos_http_read(request, request->body + request->body_length, piece);
		if (n == 0 && request->chunked)
			break;
		if (n <= 0)
			return refuse_incomplete(request);
		request->body_length += (size_t)n;
		sos_connection_advance_body(&request->busy);
	}
	request->body_read = true;
	return request->body_length <= SOS_BODY_LIMIT || refuse_large(request);
}

static bool begin_body(struct sos_request *request, bool wanted)
{
	return sos_connection_begin_body(&request->busy, sos_server_body_limit(request), wanted);
}

bool sos_request_read_body(struct sos_request *request)
{
	if (!request->has_body)
		return true;
	if (!request->chunked && (uint64_t)request->content_length > SOS_BODY_LIMIT)
		return refuse_large(request);
	if (request->http_1_1 && sos_header_has_token(sos_request_header(request, "Expect"), "100-continue"))
		sos_http_write(request, "HTTP/1.1 100 Continue\r\n\r\n", 25);
	if (!begin_body(request, true)) {
		request->body_read = true; /* none of it, and no more is read */
		request->retry_after = 1;
		sos_http_close_after(request);
		sos_reply_text(request, 503, "too many requests are sending their bodies; try again");
		return false;
	}
	bool fine = read_pieces(request);
	if (!sos_connection_end_body(&request->busy))
		sos_http_close_after(request); /* all of it came, but there will be no further request */
	if (fine)
		request->body[request->body_length] = 0;
	return fine;
}

void sos_request_drain(struct sos_request *request)
{
	char scratch[8192];
	size_t total = 0;
	int64_t deadline = now_ns() + DRAIN_NS;
	if (request->broken)
		sos_connection_linger(&request->busy);
	if (request->body_read || !begin_body(request, false))
		return;
	while (total < DRAIN_LIMIT && now_ns() < deadline) {
		int n = sos_http_read(request, scratch, sizeof(scratch));
		if (n <= 0)
			break;
		total += (size_t)n;
		sos_connection_advance_body(&request->busy);
	}
	sos_connection_end_body(&request->busy);
}

void sos_request_free(struct sos_request *request)
{
	free(request->body);
	free(request->path_memory);
}
