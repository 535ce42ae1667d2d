/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "json_out.h"

#include <stdint.h>
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

#define ONES UINT64_C(0x0101010101010101)
#define TOPS (ONES * 0x80)

/* How much at `p` goes into JSON as it is: ASCII without control characters, quotes and backslashes. Eight bytes at a
 * time, by the borrow that a byte below the bound takes from its top bit. */
static size_t plain_length(const unsigned char *p, size_t length)
{
	size_t i = 0;
	for (; i + 8 <= length; i += 8) {
		uint64_t word, quote, backslash;
		memcpy(&word, p + i, 8);
		quote = word ^ ONES * '"';
		backslash = word ^ ONES * '\\';
		if ((word | (word - ONES * 0x20) | (quote - ONES) | (backslash - ONES)) & TOPS)
			break;
	}
	while (i < length && p[i] >= 0x20 && p[i] < 0x80 && p[i] != '"' && p[i] != '\\')
		i++;
	return i;
}

static size_t escaped_length(unsigned char c)
{
	char escape[6];
	return (size_t)(put_escape(escape, c) - escape);
}

size_t sos_json_bytes_length(const char *data, size_t length)
{
	const unsigned char *p = (const unsigned char *)data, *end = p + length;
	size_t total = 2;
	while (p < end) {
		size_t n = plain_length(p, (size_t)(end - p));
		total += n;
		p += n;
		if (p < end && *p < 0x80)
			total += escaped_length(*p++);
		n = high_length(p, (size_t)(end - p));
		if (n)
			total += sos_utf8_cleaned_length(p, n);
		p += n;
	}
	return total;
}

size_t sos_json_piece(const char *data, size_t length, size_t most)
{
	size_t i = most;
	if (length <= most)
		return length;
	while (i && most - i < 3 && ((unsigned char)data[i] & 0xc0) == 0x80)
		i--;
	/* Behind three bytes that continue a character none can continue it. */
	return ((unsigned char)data[i] & 0xc0) == 0x80 ? most : i;
}

#define ESCAPES 64 /* reserved at a time */

static const unsigned char *write_escapes(struct sos_text *text, const unsigned char *p, const unsigned char *end)
{
	char *start = sos_text_reserve(text, ESCAPES * 6), *to = start;
	if (!start)
		return end;
	for (int i = 0; i < ESCAPES && p < end && (*p < 0x20 || *p == '"' || *p == '\\'); i++)
		to = put_escape(to, *p++);
	sos_text_advance(text, (size_t)(to - start));
	return p;
}

void sos_json_write_inside(struct sos_text *text, const char *data, size_t length)
{
	const unsigned char *p = (const unsigned char *)data, *end = p + length;
	while (p < end && !text->failed) {
		size_t n = plain_length(p, (size_t)(end - p));
		sos_text_append(text, p, n);
		p = write_escapes(text, p + n, end);
		n = high_length(p, (size_t)(end - p));
		if (n)
			sos_text_clean(text, (const char *)p, n);
		p += n;
	}
}

void sos_json_write_bytes(struct sos_text *text, const char *data, size_t length)
{
	/* Most text needs few escapes: one reserve is then enough for nearly all of it. */
	sos_text_reserve(text, length + length / 16 + 2);
	sos_text_append(text, "\"", 1);
	sos_json_write_inside(text, data, length);
	sos_text_append(text, "\"", 1);
}

void sos_json_write_string(struct sos_text *text, const char *string)
{
	sos_json_write_bytes(text, string, strlen(string));
}

void sos_text_add_base64(struct sos_text *text, const char *data, size_t length)
{
	char *to = sos_text_reserve(text, sos_base64_encoded_length(length));
	if (to)
		sos_text_advance(text, sos_base64_encode(data, length, to));
}

void sos_json_write_base64(struct sos_text *text, const char *data, size_t length)
{
	sos_text_append(text, "\"", 1);
	sos_text_add_base64(text, data, length);
	sos_text_append(text, "\"", 1);
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
	if (value < 0)
		sos_text_append(text, "-", 1);
	sos_text_add_number(text, value < 0 ? -(uint64_t)value : (uint64_t)value);
}

void sos_json_member_uint(struct sos_text *text, const char *name, uint64_t value)
{
	sos_json_member(text, name);
	sos_text_add_number(text, value);
}

void sos_json_member_bool(struct sos_text *text, const char *name, bool value)
{
	sos_json_member(text, name);
	sos_text_add(text, value ? "true" : "false");
}

void sos_json_member_thousandths(struct sos_text *text, const char *name, int64_t value)
{
	uint64_t size = value < 0 ? -(uint64_t)value : (uint64_t)value;
	char fraction[4] = { '.', (char)('0' + size / 100 % 10), (char)('0' + size / 10 % 10), (char)('0' + size % 10) };
	sos_json_member(text, name);
	if (value < 0)
		sos_text_append(text, "-", 1);
	sos_text_add_number(text, size / 1000);
	sos_text_append(text, fraction, sizeof(fraction));
	/* 1.500 as 1.5, 2.000 as 2.0: a float stays a float for typed readers. */
	for (int i = 0; i < 2 && text->length && sos_text_data(text)[text->length - 1] == '0'; i++)
		text->length--;
}
