/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "wire/json_scan.h"

#define OBJECT_LIMIT (1u << 20)

static enum sos_json_scan_step string_byte(struct sos_json_scan *scan, char byte)
{
	if (scan->escape)
		scan->escape = false;
	else if (byte == '\\')
		scan->escape = true;
	else if (byte == '"')
		scan->string = false;
	return SOS_JSON_SCAN_MORE;
}

enum sos_json_scan_step sos_json_scan_byte(struct sos_json_scan *scan, char byte)
{
	if (scan->string)
		return string_byte(scan, byte);
	switch (byte) {
	case '"':
		scan->string = true;
		return SOS_JSON_SCAN_MORE;
	case '{':
	case '[':
		if (++scan->depth > SOS_JSON_DEPTH_LIMIT || ++scan->values > SOS_JSON_VALUES_LIMIT)
			return SOS_JSON_SCAN_BAD;
		return SOS_JSON_SCAN_MORE;
	case ',':
		return ++scan->values > SOS_JSON_VALUES_LIMIT ? SOS_JSON_SCAN_BAD : SOS_JSON_SCAN_MORE;
	case '}':
	case ']':
		if (!scan->depth)
			return SOS_JSON_SCAN_BAD;
		return --scan->depth ? SOS_JSON_SCAN_MORE : SOS_JSON_SCAN_END;
	default:
		return SOS_JSON_SCAN_MORE;
	}
}

bool sos_json_scan_text(const char *text, size_t length)
{
	struct sos_json_scan scan = { 0 };
	for (size_t i = 0; i < length; i++)
		if (sos_json_scan_byte(&scan, text[i]) == SOS_JSON_SCAN_BAD)
			return false;
	return !scan.depth && !scan.string;
}

static bool blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

size_t sos_json_split_read(struct sos_json_split *split, const char *in, size_t length)
{
	size_t i = 0, limit = split->limit ? split->limit : OBJECT_LIMIT;
	if (split->complete) {
		sos_buffer_clear(&split->object);
		split->scan = (struct sos_json_scan){ 0 };
		split->complete = false;
	}
	if (!split->object.length)
		while (i < length && blank(in[i]))
			i++;
	size_t start = i;
	/* Only objects: a stream of bare numbers would have no end to see. */
	if (i < length && !split->object.length && in[i] != '{')
		split->bad = true;
	while (i < length && !split->complete && !split->bad) {
		enum sos_json_scan_step step = sos_json_scan_byte(&split->scan, in[i++]);
		split->complete = step == SOS_JSON_SCAN_END;
		split->bad = step == SOS_JSON_SCAN_BAD || split->object.length + (i - start) > limit;
	}
	if (!split->bad && sos_buffer_append(&split->object, in + start, i - start) < 0)
		split->bad = true;
	if (split->bad)
		split->complete = false;
	return i;
}

bool sos_json_split_at_boundary(const struct sos_json_split *split)
{
	return !split->bad && (split->complete || !split->object.length);
}

void sos_json_split_free(struct sos_json_split *split)
{
	if (split)
		sos_buffer_free(&split->object);
}
