/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "json_out.h"

#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "../libsos/wire/base64.h"
#include "../libsos/wire/utf8.h"

/* No character spans from a byte below 0x80 to one above, so such a run can be cleaned by itself. */
static size_t high_length(const unsigned char *p, size_t length)
{
	size_t i = 0;
	while (i < length && p[i] >= 0x80)
		i++;
	return i;
}

void sos_text_clean(struct sos_text *text, const char *data, size_t length)
{
	size_t cleaned = sos_utf8_cleaned_length(data, length);
	char *to = sos_text_reserve(text, cleaned);
	if (to)
		sos_text_advance(text, sos_utf8_clean(data, length, to));
}

static char *put_escape(char *to, unsigned char c)
{
	static const char hex[] = "0123456789abcdef";
	static const char letters[] = { ['\n'] = 'n', ['\t'] = 't', ['\r'] = 'r', ['"'] = '"', ['\\'] = '\\' };
	*to++ = '\\';
	if (c < sizeof(letters) && letters[c]) {
		*to++ = letters[c];
		return to;
	}
	memcpy(to, "u00", 3);
	to[3] = hex[c >> 4];
	to[4] = hex[c & 15];
	return to + 5;
}

#define ASCII_PIECE ((size_t)4096) /* an escape is six bytes at most: 24 KiB are reserved for it */

/* Write the ASCII at `p`, a piece of it at most; returns how much that was. */
static size_t write_ascii(struct sos_text *text, const unsigned char *p, size_t length)
{
	if (length > ASCII_PIECE)
		length = ASCII_PIECE;
	char *start = sos_text_reserve(text, length * 6), *to = start;
	size_t i = 0;
	if (!start)
		return length;
	for (; i < length && p[i] < 0x80; i++) {
		if (p[i] >= 0x20 && p[i] != '"' && p[i] != '\\')
			*to++ = (char)p[i];
		else
			to = put_escape(to, p[i]);
	}
	sos_text_advance(text, (size_t)(to - start));
	return i;
}

void sos_json_write_bytes(struct sos_text *text, const char *data, size_t length)
{
	const unsigned char *p = (const unsigned char *)data, *end = p + length;
	/* Most text needs few escapes: one reserve is then enough for nearly all of it. */
	sos_text_reserve(text, length + length / 16 + 2);
	sos_text_append(text, "\"", 1);
	while (p < end && !text->failed) {
		size_t n = high_length(p, (size_t)(end - p));
		if (n)
			sos_text_clean(text, (const char *)p, n);
		else
			n = write_ascii(text, p, (size_t)(end - p));
		p += n;
	}
	sos_text_append(text, "\"", 1);
}

void sos_json_write_string(struct sos_text *text, const char *string)
{
	sos_json_write_bytes(text, string, strlen(string));
}

void sos_json_write_base64(struct sos_text *text, const char *data, size_t length)
{
	char *to = sos_text_reserve(text, sos_base64_encoded_length(length) + 2);
	if (!to)
		return;
	to[0] = '"';
	size_t n = sos_base64_encode(data, length, to + 1);
	to[n + 1] = '"';
	sos_text_advance(text, n + 2);
}

void sos_json_member(struct sos_text *text, const char *name)
{
	const char *data = sos_text_data(text);
	if (data && text->length && data[text->length - 1] != '{')
		sos_text_append(text, ",", 1);
	sos_text_append(text, "\"", 1);
	sos_text_add(text, name); /* names are ours and need no escapes */
	sos_text_append(text, "\":", 2);
}

void sos_json_member_string(struct sos_text *text, const char *name, const char *value)
{
	sos_json_member(text, name);
	sos_json_write_string(text, value);
}

void sos_json_member_string_or_null(struct sos_text *text, const char *name, const char *value)
{
	sos_json_member(text, name);
	if (*value)
		sos_json_write_string(text, value);
	else
		sos_text_add(text, "null");
}

void sos_json_member_int(struct sos_text *text, const char *name, int64_t value)
{
	sos_json_member(text, name);
	sos_text_printf(text, "%" PRId64, value);
}

void sos_json_member_uint(struct sos_text *text, const char *name, uint64_t value)
{
	sos_json_member(text, name);
	sos_text_printf(text, "%" PRIu64, value);
}

void sos_json_member_bool(struct sos_text *text, const char *name, bool value)
{
	sos_json_member(text, name);
	sos_text_add(text, value ? "true" : "false");
}

void sos_json_member_thousandths(struct sos_text *text, const char *name, int64_t value)
{
	uint64_t size = value < 0 ? -(uint64_t)value : (uint64_t)value;
	sos_json_member(text, name);
	sos_text_printf(text, "%s%" PRIu64 ".%03u", value < 0 ? "-" : "", size / 1000, (unsigned)(size % 1000));
	/* 1.500 as 1.5, 2.000 as 2.0: a float stays a float for typed readers. */
	for (int i = 0; i < 2 && text->length && sos_text_data(text)[text->length - 1] == '0'; i++)
		text->length--;
}
