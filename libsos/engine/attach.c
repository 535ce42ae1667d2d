/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The attach stream: an HTTP request whose answer never ends. The channel
 * gives bytes; they pass the chunked decoder (only where a proxy turned the
 * upgrade into an ordinary 200) and then the Engine's framing. What was
 * received and not yet read waits in `in`; that includes what came glued to
 * the answer's head. The reader owns all of it; the writer touches the channel
 * alone, so one thread may read while another writes.
 */
#include "engine/engine.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "engine/channel.h"
#include "engine/request.h"
#include "util/error.h"
#include "util/guard.h"
#include "wire/chunked.h"
#include "wire/deframe.h"
#include "wire/http_head.h"
#include "wire/percent.h"

#define INPUT_SIZE 32768
#define REFUSAL_LIMIT 65536 /* of the body of an answer that is no stream */

struct sos_engine_stream {
	struct sos_channel *channel;
	struct sos_deframe deframe;
	struct sos_chunked chunked;
	bool is_chunked, ended;
	size_t start, end;       /* in `in`: received, neither decoded nor read */
	size_t slice, slice_end; /* within start..end: payload of a chunk; with no chunks all of it */
	uint8_t in[INPUT_SIZE];
};

void sos_engine_stream_free(struct sos_engine_stream *stream)
{
	if (!stream)
		return;
	sos_channel_free(stream->channel);
	free(stream);
}

static void stream_guard(struct sos_engine_stream **stream)
{
	sos_engine_stream_free(*stream);
}

/* ---- the request ---- */

/* Everything up to the end of the answer's head; what came with it stays in start..end. */
static int receive_head(struct sos_engine_stream *s, const struct sos_engine_call *call, struct sos_http_head *head,
			struct sos_error *error)
{
	for (;;) {
		ssize_t used = sos_http_head_parse((const char *)s->in + s->start, s->end - s->start, head);
		if (used < 0)
			return sos_error_set(error, SOS_ERROR_ENGINE, "the Engine's answer is not HTTP");
		s->start += (size_t)used;
		if (used > 0 && (head->status >= 200 || head->status == 101))
			return 0;
		if (used > 0)
			continue; /* "100 Continue" and its like */
		size_t n = sizeof(s->in) - s->end;
		if (!n)
			return sos_error_set(error, SOS_ERROR_ENGINE, "the Engine's answer has no end to its head");
		int r = sos_channel_receive_some(s->channel, s->in + s->end, &n, call, error);
		if (r < 0)
			return r;
		if (!n)
			return sos_error_set(error, SOS_ERROR_UNREACHABLE,
					     "the Engine closed the connection without an answer");
		s->end += n;
	}
}

/* The body of a refusal, as far as it comes: it is only for its words. */
static int receive_refusal(struct sos_engine_stream *s, const struct sos_engine_call *call,
			   const struct sos_http_head *head, struct sos_buffer *body, struct sos_error *error)
{
	for (;;) {
		while (s->start < s->end) {
			const uint8_t *out = s->in + s->start;
			size_t used = s->end - s->start, length = used;
			int step = SOS_CHUNKED_DATA;
			if (head->chunked) {
				length = 0;
				step = sos_chunked_read(&s->chunked, out, used, &used, &out, &length);
			}
			s->start += used;
			if (sos_buffer_append(body, out, length) < 0)
				return sos_error_nomem(error);
			if (step < 0 || step == SOS_CHUNKED_END)
				return 0;
		}
		bool enough = head->content_length >= 0 && (int64_t)body->length >= head->content_length;
		if (enough || body->length >= REFUSAL_LIMIT)
			return 0;
		size_t n = sizeof(s->in);
		int r = sos_channel_receive_some(s->channel, s->in, &n, call, error);
		if (r < 0 || !n)
			return r;
		s->start = 0;
		s->end = n;
	}
}

static int refused(struct sos_engine_stream *s, const char *id, const struct sos_engine_call *call,
		   const struct sos_http_head *head, struct sos_error *error)
{
	SOS_AUTO_ANSWER struct sos_transport_answer answer = SOS_TRANSPORT_ANSWER_INIT;
	answer.status = head->status;
	int r = receive_refusal(s, call, head, &answer.body, error);
	if (r < 0)
		return sos_error_prefix(error, r, "attach to container \"%.12s\"", id);
	return sos_request_refused(&answer, head->status == 404 ? SOS_ERROR_NOT_FOUND : SOS_ERROR_ENGINE, error,
				   "attach to container \"%.12s\"", id);
}

static int write_request(struct sos_engine *engine, const char *id, struct sos_buffer *request)
{
	if (sos_buffer_append_string(request, "POST ") < 0 || sos_request_begin_path(engine, request) < 0 ||
	    sos_buffer_append_string(request, "/containers/") < 0 || sos_percent_append(request, id, NULL) < 0)
		return -1;
	return sos_buffer_printf(request,
				 "/attach?stream=1&stdin=1&stdout=1&stderr=1 HTTP/1.1\r\nHost: %s\r\nUpgrade: tcp\r\n"
				 "Connection: Upgrade\r\nContent-Length: 0\r\n\r\n",
				 sos_transport_address(sos_engine_transport(engine))->host);
}

int sos_engine_attach(struct sos_engine *engine, const char *id, const struct sos_engine_call *call,
		      struct sos_engine_stream **stream, struct sos_error *error)
{
	SOS_AUTO_BUFFER struct sos_buffer request = SOS_BUFFER_INIT;
	__attribute__((cleanup(stream_guard))) struct sos_engine_stream *s = calloc(1, sizeof(*s));
	struct sos_http_head head = { 0 };
	if (!s || write_request(engine, id, &request) < 0)
		return sos_error_nomem(error);
	int r = sos_channel_open(sos_engine_transport(engine), call, &s->channel, error);
	if (!r)
		r = sos_channel_send_all(s->channel, request.data, request.length, call, error);
	if (!r)
		r = receive_head(s, call, &head, error);
	if (r < 0)
		return sos_error_prefix(error, r, "attach to container \"%.12s\"", id);
	if (head.status != 101 && head.status != 200)
		return refused(s, id, call, &head, error);
	s->is_chunked = head.status == 200 && head.chunked;
	*stream = SOS_STEAL(s);
	return 0;
}

/* ---- the stream ---- */

int sos_engine_stream_fd(const struct sos_engine_stream *stream)
{
	return sos_channel_fd(stream->channel);
}

/* Make slice..slice_end not empty: the next payload of the chunked coding, or what was received. 1; 0: receive more;
 * or a negative errno. */
static int next_slice(struct sos_engine_stream *s)
{
	if (s->slice < s->slice_end)
		return 1;
	if (s->start == s->end)
		return 0;
	if (!s->is_chunked) {
		s->slice = s->start;
		s->slice_end = s->start = s->end;
		return 1;
	}
	const uint8_t *out = NULL;
	size_t used = 0, length = 0;
	enum sos_chunked_step step =
		sos_chunked_read(&s->chunked, s->in + s->start, s->end - s->start, &used, &out, &length);
	s->start += used;
	if (step == SOS_CHUNKED_BAD)
		return -EPROTO;
	if (step == SOS_CHUNKED_END)
		s->ended = true;
	if (step != SOS_CHUNKED_DATA)
		return 0;
	s->slice = (size_t)(out - s->in);
	s->slice_end = s->slice + length;
	return 1;
}

static ssize_t receive_more(struct sos_engine_stream *s)
{
	ssize_t n = sos_channel_receive(s->channel, s->in, sizeof(s->in));
	if (n == 0 && !s->is_chunked)
		s->ended = true;
	else if (n == 0)
		return -ECONNRESET; /* a chunked body has an end of its own */
	if (n < 0)
		return n;
	s->start = s->slice = s->slice_end = 0;
	s->end = (size_t)n;
	return n;
}

ssize_t sos_engine_stream_read(struct sos_engine_stream *stream, void *data, size_t length, bool *is_stderr)
{
	struct sos_engine_stream *s = stream;
	if (!length)
		return -EINVAL;
	for (;;) {
		int have = next_slice(s);
		if (have < 0)
			return have;
		if (have) {
			const uint8_t *out = NULL;
			size_t used = 0, n = 0, offered = s->slice_end - s->slice;
			/* Headers take up to 8 bytes and no payload; offer no more than the reader has room for. */
			if (offered > length)
				offered = length;
			enum sos_deframe_step step =
				sos_deframe_read(&s->deframe, s->in + s->slice, offered, &used, &out, &n, is_stderr);
			s->slice += used;
			if (step == SOS_DEFRAME_BAD)
				return -EPROTO;
			if (step == SOS_DEFRAME_MORE)
				continue;
			memcpy(data, out, n);
			return (ssize_t)n;
		}
		if (s->ended)
			return sos_deframe_at_boundary(&s->deframe) ? 0 : -ECONNRESET;
		if (s->start < s->end)
			continue;
		ssize_t r = receive_more(s);
		if (r < 0)
			return r;
	}
}

ssize_t sos_engine_stream_write(struct sos_engine_stream *stream, const void *data, size_t length)
{
	return sos_channel_send(stream->channel, data, length);
}
