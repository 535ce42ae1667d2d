/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "engine/request.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "util/error.h"
#include "util/guard.h"
#include "wire/percent.h"
#include "wire/utf8.h"

#define WORDS_LIMIT 600 /* of a message that has 1020 bytes in all */

static int append_pieces(struct sos_buffer *path, va_list pieces)
{
	bool literal = true;
	for (const char *piece; (piece = va_arg(pieces, const char *)); literal = !literal) {
		/* Names of images have slashes that are theirs. */
		int r = literal ? sos_buffer_append_string(path, piece) : sos_percent_append(path, piece, "/:@");
		if (r < 0)
			return -1;
	}
	return 0;
}

int sos_request_run(struct sos_engine *engine, const char *method, const struct sos_buffer *body,
		    const struct sos_engine_call *call, struct sos_transport_answer *answer, struct sos_error *error,
		    ...)
{
	SOS_AUTO_BUFFER struct sos_buffer path = SOS_BUFFER_INIT;
	va_list pieces;
	va_start(pieces, error);
	int r = sos_request_begin_path(engine, &path);
	if (!r)
		r = append_pieces(&path, pieces);
	va_end(pieces);
	if (r < 0)
		return sos_error_nomem(error);
	struct sos_transport_request request = {
		.method = method,
		.path = path.data,
		.content_type = body ? "application/json" : NULL,
		.body = body ? body->data : NULL,
		.body_length = body ? body->length : 0,
	};
	sos_transport_answer_clear(answer);
	return sos_transport_request(sos_engine_transport(engine), &request, call, answer, error);
}

/* {"message": "..."}; some proxies answer in plain text or HTML. */
static void words(const struct sos_transport_answer *answer, char text[WORDS_LIMIT + 1])
{
	SOS_AUTO_JSON struct sos_json *json = sos_json_parse(answer->body.data, answer->body.length);
	SOS_AUTO_FREE char *clean = NULL;
	const char *from = sos_json_get_string(json, "message");
	size_t length = strlen(from);
	if (!length && !sos_json_is_object(json) && answer->body.length) {
		from = answer->body.data;
		length = strnlen(from, answer->body.length);
	}
	if (length > WORDS_LIMIT)
		length = WORDS_LIMIT;
	clean = malloc(length * 3 + 1);
	if (clean)
		length = sos_utf8_clean(from, length, clean);
	while (clean && length && (clean[length - 1] == '\n' || clean[length - 1] == '\r'))
		length--;
	if (!clean || !length) {
		snprintf(text, WORDS_LIMIT + 1, "the Engine did not say why");
		return;
	}
	length = sos_utf8_truncated_length(clean, length, WORDS_LIMIT);
	memcpy(text, clean, length);
	text[length] = 0;
}

int sos_request_refused(const struct sos_transport_answer *answer, int code, struct sos_error *error, const char *what,
			...)
{
	char subject[300], text[WORDS_LIMIT + 1];
	va_list args;
	va_start(args, what);
	vsnprintf(subject, sizeof(subject), what, args);
	va_end(args);
	words(answer, text);
	return sos_error_set(error, code, "%s: %s (%d)", subject, text, answer->status);
}

bool sos_request_says(const struct sos_transport_answer *answer, const char *text)
{
	return answer->body.length && memmem(answer->body.data, answer->body.length, text, strlen(text));
}

struct sos_json *sos_request_json(const struct sos_transport_answer *answer, struct sos_error *error)
{
	struct sos_json *json = sos_json_parse(answer->body.data, answer->body.length);
	if (!json)
		sos_error_set(error, SOS_ERROR_ENGINE, "the Engine's answer is not JSON, or is too large");
	return json;
}

int sos_request_label_filter(struct sos_buffer *buffer, const char *const *labels)
{
	struct sos_json_writer w = { .buffer = buffer };
	sos_json_begin(&w, NULL, '{');
	if (labels && *labels)
		sos_json_put_strings(&w, "label", labels);
	sos_json_end(&w, '}');
	return w.failed ? -1 : 0;
}

void sos_request_put_labels(struct sos_json_writer *writer, const struct sos_engine_pair *labels)
{
	sos_json_begin(writer, "Labels", '{');
	for (; labels && labels->name; labels++)
		sos_json_put_string(writer, labels->name, labels->value ? labels->value : "");
	sos_json_end(writer, '}');
}
