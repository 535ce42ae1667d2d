/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The splitter in pieces of two sizes, the limits, and the parser behind them. */
#include "engine/json.h"

#include "fuzz.h"
#include "wire/json_scan.h"

static void walk(const struct sos_json *value, unsigned int depth)
{
	MUST(depth <= SOS_JSON_DEPTH_LIMIT);
	MUST(sos_json_string(value) && sos_json_name(value));
	size_t count = 0;
	for (const struct sos_json *i = sos_json_first(value); i; i = sos_json_next(i), count++) {
		walk(i, depth + 1);
		if (sos_json_is_object(value)) {
			MUST(sos_json_get(value, sos_json_name(i)));
			sos_json_get_integer(value, sos_json_name(i));
			sos_json_get_bool(value, sos_json_name(i));
		}
	}
	MUST(count == sos_json_count(value));
}

static void parse(const char *text, size_t length)
{
	struct sos_json *json = sos_json_parse(text, length);
	MUST(!json || sos_json_scan_text(text, length));
	if (json)
		walk(json, 0);
	sos_json_free(json);
}

/* Every object and its length. */
static struct sos_buffer split(const char *data, size_t size, size_t piece, bool *bad, bool *boundary)
{
	struct sos_json_split s = { .limit = 256 };
	struct sos_buffer out = SOS_BUFFER_INIT;
	for (size_t at = 0; at < size && !s.bad;) {
		size_t n = size - at < piece ? size - at : piece, used = sos_json_split_read(&s, data + at, n);
		MUST(used <= n && (used || s.bad) && s.object.length <= 256);
		if (s.complete) {
			MUST(sos_buffer_printf(&out, "%zu:", s.object.length) == 0);
			MUST(sos_buffer_append(&out, s.object.data, s.object.length) == 0);
			if (piece > 1)
				parse(s.object.data, s.object.length);
		}
		at += used;
	}
	*bad = s.bad;
	*boundary = sos_json_split_at_boundary(&s);
	sos_json_split_free(&s);
	return out;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	bool bad[2], boundary[2];
	struct sos_buffer whole = split((const char *)data, size, SIZE_MAX, &bad[0], &boundary[0]);
	struct sos_buffer single = split((const char *)data, size, 1, &bad[1], &boundary[1]);
	MUST(bad[0] == bad[1] && boundary[0] == boundary[1] && whole.length == single.length);
	MUST(!whole.length || memcmp(whole.data, single.data, whole.length) == 0);
	sos_buffer_free(&whole);
	sos_buffer_free(&single);
	parse((const char *)data, size);
	return 0;
}
