/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "result.h"

#include <stdint.h>
#include <string.h>

#include <sos/sos.h>

#include "json_out.h"
#include "reply.h"

/* Without the ASCII white space at the end. */
static size_t trimmed_length(const char *data, size_t length)
{
	while (length && strchr(" \t\n\v\f\r", data[length - 1]) && data[length - 1])
		length--;
	return length;
}

/*
 * How many bytes at the end of `data` are the beginning of a character whose
 * rest fell to the cap: they are left out and counted as dropped, since half a
 * character is none.
 */
static size_t split_tail(const char *data, size_t length)
{
	for (size_t back = 1; back <= 3 && back <= length; back++) {
		unsigned char c = (unsigned char)data[length - back];
		if (c < 0x80)
			return 0;
		if (c >= 0xc0) {
			size_t need = c >= 0xf0 ? 4 : c >= 0xe0 ? 3 : 2;
			return c < 0xf8 && back < need ? back : 0;
		}
	}
	return 0;
}

const char *sos_result_shown_output(const struct sos_result *result, size_t *length, uint64_t *dropped)
{
	const char *output = sos_result_output(result, length);
	*dropped = sos_result_dropped_bytes(result);
	if (*dropped) {
		size_t tail = split_tail(output, *length);
		*length -= tail;
		*dropped += tail;
	}
	*length = trimmed_length(output, *length);
	return output;
}

/* Smaller ones are copied into the body. */
#define STREAM_SIZE ((size_t)64 << 10)
#define STREAMS 4

struct writer {
	struct sos_text *text;
	bool base64;
	bool trim;
	uint64_t split; /* bytes of split characters that were left out */
	struct sos_reply_stream streams[STREAMS];
	size_t count;
};

static void write_stream(struct writer *w, const char *data, size_t length)
{
	if (length >= STREAM_SIZE) {
		struct sos_reply_stream *stream = &w->streams[w->count++];
		*stream = (struct sos_reply_stream){ w->text->length, data, length, w->base64, 0 };
		stream->written = sos_reply_stream_length(stream);
	} else if (w->base64) {
		sos_json_write_base64(w->text, data, length);
	} else {
		sos_json_write_bytes(w->text, data, length);
	}
}

/* A stream that lost its end to the cap where `dropped` is not 0. */
static void write_capped(struct writer *w, const char *data, size_t length, bool trim, uint64_t dropped)
{
	if (!w->base64 && dropped) {
		size_t tail = split_tail(data, length);
		length -= tail;
		w->split += tail;
	}
	/* Base64 is asked for where the exact bytes matter. */
	if (trim && !w->base64)
		length = trimmed_length(data, length);
	write_stream(w, data, length);
}

/* Merged: stdout is the same as output, whose JSON is there already, or whose length is known. */
static void write_merged(struct writer *w, const struct sos_result *result)
{
	size_t length;
	const char *output = sos_result_output(result, &length);
	sos_json_member(w->text, "output");
	size_t from = w->text->length;
	write_capped(w, output, length, w->trim, sos_result_dropped_bytes(result));
	size_t written = w->text->length - from;
	sos_json_member(w->text, "stdout");
	if (w->count) {
		w->streams[w->count] = w->streams[w->count - 1];
		w->streams[w->count++].at = w->text->length;
	} else {
		sos_text_repeat(w->text, from, written);
	}
	sos_json_member_string(w->text, "stderr", "");
}

static void write_separate(struct writer *w, const struct sos_result *result)
{
	size_t length;
	const char *data = sos_result_output(result, &length);
	sos_json_member(w->text, "output");
	write_capped(w, data, length, w->trim, sos_result_dropped_bytes(result));
	w->split = 0; /* what counts is what stdout and stderr lack */
	data = sos_result_stdout(result, &length);
	sos_json_member(w->text, "stdout");
	write_capped(w, data, length, w->trim, sos_result_dropped_stdout(result));
	data = sos_result_stderr(result, &length);
	sos_json_member(w->text, "stderr");
	write_capped(w, data, length, false, sos_result_dropped_stderr(result));
}

/* The newest bytes were kept, so that it may begin inside a character. */
static void write_background(struct writer *w, const struct sos_result *result)
{
	size_t length;
	const char *data = sos_result_background(result, &length);
	uint64_t dropped = sos_result_dropped_background(result);
	for (int i = 0; !w->base64 && dropped && i < 3 && length && ((unsigned char)*data & 0xc0) == 0x80; i++) {
		data++;
		length--;
	}
	sos_json_member(w->text, "background_output");
	write_stream(w, data, length);
	sos_json_member_uint(w->text, "dropped_background_bytes", dropped);
}

static bool is_merged(const struct sos_result *result)
{
	size_t all, out, err;
	const char *output = sos_result_output(result, &all);
	const char *standard = sos_result_stdout(result, &out);
	sos_result_stderr(result, &err);
	return !err && out == all && (output == standard || !all);
}

void sos_result_reply(struct sos_request *request, const struct sos_result *result, bool base64)
{
	struct sos_text body;
	sos_text_init(&body, SOS_REPLY_ROOM);
	struct writer w = { .text = &body, .base64 = base64, .trim = !sos_result_standalone(result) };
	sos_text_add(&body, "{");
	if (is_merged(result))
		write_merged(&w, result);
	else
		write_separate(&w, result);
	sos_json_member_int(&body, "exit_code", sos_result_exit_code(result));
	sos_json_member_bool(&body, "exited", sos_result_exited(result));
	sos_json_member_bool(&body, "timed_out", sos_result_timed_out(result));
	sos_json_member_bool(&body, "session_lost", sos_result_session_lost(result));
	sos_json_member_uint(&body, "dropped_bytes", sos_result_dropped_bytes(result) + w.split);
	sos_json_member_thousandths(&body, "duration_ms", sos_result_duration_ns(result) / 1000);
	sos_json_member_string(&body, "exec_id", sos_result_exec_id(result));
	write_background(&w, result);
	sos_json_member_uint(&body, "sequence", sos_result_sequence(result));
	sos_json_member_int(&body, "signal", sos_result_signal(result));
	sos_json_member_uint(&body, "dropped_stdout_bytes", sos_result_dropped_stdout(result));
	sos_json_member_uint(&body, "dropped_stderr_bytes", sos_result_dropped_stderr(result));
	sos_json_member_string(&body, "encoding", base64 ? "base64" : "utf-8");
	sos_text_add(&body, "}");
	sos_reply_json_streams(request, 200, &body, w.streams, w.count);
}
