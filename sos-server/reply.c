/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "reply.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <sos/sos.h>

#include "../libsos/wire/base64.h"
#include "http.h"
#include "json_out.h"
#include "request.h"
#include "server.h"

static const char *reason_of(int status)
{
	switch (status) {
	case 200:
		return "OK";
	case 202:
		return "Accepted";
	case 204:
		return "No Content";
	case 400:
		return "Bad Request";
	case 401:
		return "Unauthorized";
	case 403:
		return "Forbidden";
	case 404:
		return "Not Found";
	case 405:
		return "Method Not Allowed";
	case 408:
		return "Request Timeout";
	case 413:
		return "Content Too Large";
	case 415:
		return "Unsupported Media Type";
	case 500:
		return "Internal Server Error";
	case 503:
		return "Service Unavailable";
	case 504:
		return "Gateway Timeout";
	default:
		return "Error";
	}
}

/* civetweb decides by these headers whether it keeps the connection; what we say must agree with it. */
static bool client_keeps_open(const struct sos_request *request)
{
	const char *connection = sos_request_header(request, "Connection");
	if (connection)
		return sos_header_has_token(connection, "keep-alive");
	return request->http_1_1;
}

static bool decide_keep_open(struct sos_request *request)
{
	bool keep = !request->closing && request->body_read && client_keeps_open(request) && !sos_http_is_short(request);
	if (!keep)
		sos_http_close_after(request);
	return keep;
}

static void add_optional_headers(struct sos_text *head, const struct sos_request *request)
{
	if (request->retry_after)
		sos_text_printf(head, "Retry-After: %u\r\n", request->retry_after);
	if (request->status == 401)
		sos_text_add(head, "WWW-Authenticate: Bearer\r\n");
	if (request->allow_methods)
		sos_text_printf(head, "Allow: %s\r\n", request->allow_methods);
	if (!request->allow_origin)
		return;
	sos_text_printf(head, "Access-Control-Allow-Origin: %s\r\nVary: Origin\r\n", request->allow_origin);
	if (request->status == 204)
		sos_text_add(head, "Access-Control-Allow-Methods: GET, POST, DELETE\r\n"
				   "Access-Control-Allow-Headers: Authorization, Content-Type\r\n"
				   "Access-Control-Max-Age: 600\r\n");
}

/* "Tue, 24 Nov 2026 10:36:17 GMT"; made once a second and thread. */
static const char *date_of_now(void)
{
	static _Thread_local time_t second;
	static _Thread_local char date[40];
	time_t now = time(NULL);
	struct tm parts;
	if (now != second || !*date) {
		gmtime_r(&now, &parts);
		strftime(date, sizeof(date), "%a, %d %b %Y %H:%M:%S GMT", &parts);
		second = now;
	}
	return date;
}

static void write_head(struct sos_text *head, struct sos_request *request, const char *type, size_t length)
{
	sos_text_add(head, "HTTP/1.1 ");
	sos_text_add_number(head, (unsigned)request->status);
	sos_text_add(head, " ");
	sos_text_add(head, reason_of(request->status));
	sos_text_add(head, "\r\nDate: ");
	sos_text_add(head, date_of_now());
	if (type) {
		sos_text_add(head, "\r\nContent-Type: ");
		sos_text_add(head, type);
		sos_text_add(head, "\r\nX-Content-Type-Options: nosniff");
	}
	if (request->status != 204) {
		sos_text_add(head, "\r\nContent-Length: ");
		sos_text_add_number(head, length);
	}
	sos_text_add(head, "\r\nCache-Control: no-store\r\n");
	add_optional_headers(head, request);
	sos_text_add(head, decide_keep_open(request) ? "Connection: keep-alive\r\n\r\n" : "Connection: close\r\n\r\n");
}

void sos_reply(struct sos_request *request, int status, const char *type, struct sos_text *body)
{
	SOS_AUTO_TEXT struct sos_text head = SOS_TEXT_INIT;
	if (request->status)
		return;
	if (body->failed) {
		sos_text_free(body);
		sos_reply_text(request, 500, "out of memory for this reply");
		return;
	}
	request->status = status;
	write_head(&head, request, type, body->length);
	if (head.failed) {
		sos_http_close_after(request);
	} else if (!body->length || strcmp(request->method, "HEAD") == 0) {
		sos_http_write(request, sos_text_data(&head), head.length);
	} else if (head.length <= body->room) {
		char *start = sos_text_data(body) - head.length;
		memcpy(start, sos_text_data(&head), head.length);
		sos_http_write(request, start, head.length + body->length);
	} else {
		sos_text_append(&head, sos_text_data(body), body->length);
		if (head.failed)
			sos_http_close_after(request);
		else
			sos_http_write(request, sos_text_data(&head), head.length);
	}
	sos_text_free(body);
}

/* ---- streams ---- */

#define STREAM_PIECE ((size_t)96 << 10) /* a multiple of three, for base64 */

size_t sos_reply_stream_length(const struct sos_reply_stream *stream)
{
	return stream->base64 ? sos_base64_encoded_length(stream->length) + 2
			      : sos_json_bytes_length(stream->data, stream->length);
}

static bool write_stream(struct sos_request *request, const struct sos_reply_stream *stream)
{
	SOS_AUTO_TEXT struct sos_text piece = SOS_TEXT_INIT;
	const char *data = stream->data;
	size_t left = stream->length;
	bool fine = sos_http_write(request, "\"", 1);
	while (left && fine) {
		size_t n = stream->base64 ? (left < STREAM_PIECE ? left : STREAM_PIECE)
					  : sos_json_piece(data, left, STREAM_PIECE);
		piece.length = 0;
		if (stream->base64)
			sos_text_add_base64(&piece, data, n);
		else
			sos_json_write_inside(&piece, data, n);
		fine = !piece.failed && sos_http_write(request, sos_text_data(&piece), piece.length);
		data += n;
		left -= n;
	}
	return fine && sos_http_write(request, "\"", 1);
}

static bool write_streams(struct sos_request *request, const struct sos_text *head, const struct sos_text *body,
			  const struct sos_reply_stream *streams, size_t count)
{
	size_t at = 0;
	bool fine = sos_http_write(request, sos_text_data(head), head->length);
	if (strcmp(request->method, "HEAD") == 0)
		return fine;
	for (size_t i = 0; i < count && fine; i++) {
		fine = sos_http_write(request, sos_text_data(body) + at, streams[i].at - at) &&
		       write_stream(request, &streams[i]);
		at = streams[i].at;
	}
	return fine && sos_http_write(request, sos_text_data(body) + at, body->length - at);
}

void sos_reply_json_streams(struct sos_request *request, int status, struct sos_text *body,
			    const struct sos_reply_stream *streams, size_t count)
{
	SOS_AUTO_TEXT struct sos_text head = SOS_TEXT_INIT;
	size_t length = body->length;
	if (!count || body->failed || request->status) {
		sos_reply_json(request, status, body);
		return;
	}
	for (size_t i = 0; i < count; i++)
		length += streams[i].written;
	request->status = status;
	write_head(&head, request, "application/json", length);
	/* Where a piece is missing the client must not take what follows for it; the end comes before the length. */
	if (head.failed || !write_streams(request, &head, body, streams, count))
		sos_http_close_after(request);
	sos_text_free(body);
}

/* ---- kinds ---- */

void sos_reply_json(struct sos_request *request, int status, struct sos_text *body)
{
	sos_reply(request, status, "application/json", body);
}

void sos_reply_empty(struct sos_request *request)
{
	struct sos_text none = SOS_TEXT_INIT;
	sos_reply(request, 200, NULL, &none);
}

void sos_reply_text(struct sos_request *request, int status, const char *format, ...)
{
	char line[1400];
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(line, sizeof(line), format, arguments);
	va_end(arguments);
	/* It may quote what the client sent, and is shown on terminals. */
	for (char *p = line; *p; p++)
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			*p = ' ';
	SOS_AUTO_TEXT struct sos_text body;
	sos_text_init(&body, SOS_REPLY_ROOM);
	sos_text_clean(&body, line, strlen(line));
	sos_text_add(&body, "\n");
	if (body.failed)
		sos_http_close_after(request);
	else
		sos_reply(request, status, "text/plain; charset=utf-8", &body);
}

/* Existing clients go by 400, 404, 500 and 504; 503 is for "try again", which they report as any failure. */
static int status_of(int code)
{
	switch (code) {
	case SOS_ERROR_INVALID:
	case SOS_ERROR_STATE:
	case SOS_ERROR_IMAGE:
	case SOS_ERROR_SETUP:
	case SOS_ERROR_ENDED:
	case SOS_ERROR_UNSUPPORTED:
		return 400;
	case SOS_ERROR_NOT_FOUND:
		return 404;
	case SOS_ERROR_DEADLINE:
		return 504;
	case SOS_ERROR_FULL:
	case SOS_ERROR_CANCELLED:
		return 503;
	default:
		return 500;
	}
}

void sos_reply_error(struct sos_request *request, const struct sos_error *error)
{
	int status = status_of(error->code);
	/* What ends a call then is our own end, whatever the library calls it. */
	bool closing = atomic_load(&request->server->closing) &&
		       (error->code == SOS_ERROR_ENDED || error->code == SOS_ERROR_CANCELLED);
	if (closing)
		status = 503;
	if (status == 503)
		request->retry_after = 1;
	sos_reply_text(request, status, "%s%s", closing ? "the server is shutting down: " : "", error->message);
}
