/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "json_in.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../libsos/wire/utf8.h"

struct reader {
	struct sos_json *json;
	const char *start, *end;
	char *p;
	char *error;
	size_t error_size;
	uint32_t open[SOS_JSON_DEPTH]; /* indices of the arrays and objects around us */
	uint32_t depth;
	uint32_t field; /* key of the outermost object whose value is being read; 0: none */
};

static bool fail_at(struct reader *r, const char *where, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

static bool fail_at(struct reader *r, const char *where, const char *format, ...)
{
	char what[160];
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(what, sizeof(what), format, arguments);
	va_end(arguments);
	long byte = (long)(where - r->start);
	if (r->field) {
		const struct sos_json_value *key = &r->json->values[r->field];
		size_t shown = sos_utf8_truncated_length(key->text, key->length, 64);
		snprintf(r->error, r->error_size, "broken JSON at byte %ld, in field \"%.*s\": %s", byte, (int)shown,
			 key->text, what);
	} else {
		snprintf(r->error, r->error_size, "broken JSON at byte %ld: %s", byte, what);
	}
	return false;
}

static void skip_blank(struct reader *r)
{
	while (*r->p == ' ' || *r->p == '\t' || *r->p == '\n' || *r->p == '\r')
		r->p++;
}

/* What stands at `p`, for messages. */
static const char *seen(const struct reader *r, char buffer[16])
{
	unsigned char c = (unsigned char)*r->p;
	if (r->p >= r->end)
		return "the end";
	if (c > 0x20 && c < 0x7f)
		snprintf(buffer, 16, "'%c'", c);
	else
		snprintf(buffer, 16, "byte 0x%02x", c);
	return buffer;
}

static bool expected(struct reader *r, const char *what)
{
	char buffer[16];
	return fail_at(r, r->p, "expected %s, found %s", what, seen(r, buffer));
}

static struct sos_json_value *add(struct reader *r, enum sos_json_type type)
{
	struct sos_json *json = r->json;
	if (json->count == SOS_JSON_VALUES) {
		fail_at(r, r->p, "more than %d values", SOS_JSON_VALUES);
		return NULL;
	}
	if (json->count == json->capacity) {
		uint32_t capacity = json->capacity ? json->capacity * 2 : 32;
		struct sos_json_value *values = realloc(json->values, capacity * sizeof(*values));
		if (!values) {
			fail_at(r, r->p, "out of memory");
			return NULL;
		}
		json->values = values;
		json->capacity = capacity;
	}
	struct sos_json_value *value = &json->values[json->count++];
	*value = (struct sos_json_value){ .type = type, .text = r->p, .end = json->count };
	if (r->depth)
		json->values[r->open[r->depth - 1]].children++;
	return value;
}

/* ---- strings ---- */

static bool read_hex4(struct reader *r, unsigned *code)
{
	*code = 0;
	for (int i = 0; i < 4; i++) {
		char c = r->p[i];
		unsigned digit;
		if (c >= '0' && c <= '9')
			digit = (unsigned)(c - '0');
		else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
			digit = (unsigned)((c | 0x20) - 'a' + 10);
		else
			return fail_at(r, r->p, "\\u needs four hex digits");
		*code = *code * 16 + digit;
	}
	r->p += 4;
	return true;
}

static char *put_utf8(char *out, unsigned code)
{
	if (code < 0x80) {
		*out++ = (char)code;
	} else if (code < 0x800) {
		*out++ = (char)(0xc0 | code >> 6);
		*out++ = (char)(0x80 | (code & 0x3f));
	} else if (code < 0x10000) {
		*out++ = (char)(0xe0 | code >> 12);
		*out++ = (char)(0x80 | (code >> 6 & 0x3f));
		*out++ = (char)(0x80 | (code & 0x3f));
	} else {
		*out++ = (char)(0xf0 | code >> 18);
		*out++ = (char)(0x80 | (code >> 12 & 0x3f));
		*out++ = (char)(0x80 | (code >> 6 & 0x3f));
		*out++ = (char)(0x80 | (code & 0x3f));
	}
	return out;
}

/* Behind "\u"; `out` never overtakes `p`, an escape is longer than what it stands for. */
static bool read_unicode(struct reader *r, char **out)
{
	const char *escape = r->p - 2;
	unsigned code, low;
	if (!read_hex4(r, &code))
		return false;
	if (code >= 0xd800 && code <= 0xdfff) {
		if (code >= 0xdc00 || r->p[0] != '\\' || r->p[1] != 'u')
			return fail_at(r, escape, "lone surrogate \\u%04x", code);
		r->p += 2;
		if (!read_hex4(r, &low))
			return false;
		if (low < 0xdc00 || low > 0xdfff)
			return fail_at(r, escape, "lone surrogate \\u%04x", code);
		code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
	}
	*out = put_utf8(*out, code);
	return true;
}

static bool read_escape(struct reader *r, char **out)
{
	static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
	char c = r->p[1];
	const char *found = c ? strchr(from, c) : NULL;
	if (c == 'u') {
		r->p += 2;
		return read_unicode(r, out);
	}
	if (!found)
		return fail_at(r, r->p, "unknown escape in a string");
	*(*out)++ = to[found - from];
	r->p += 2;
	return true;
}

/* Where in text that is not UTF-8 the first wrong byte is. */
static const char *first_invalid(const char *p, const char *end)
{
	while (p < end) {
		size_t n = 1;
		while (n < 4 && n < (size_t)(end - p) && !sos_utf8_valid(p, n))
			n++;
		if (!sos_utf8_valid(p, n))
			break;
		p += n;
	}
	return p;
}

static bool read_string(struct reader *r)
{
	struct sos_json_value *value = add(r, SOS_JSON_STRING);
	if (!value)
		return false;
	char *text = ++r->p, *out = text;
	while (*r->p != '"') {
		size_t n = 0;
		while (r->p + n < r->end && (unsigned char)r->p[n] >= 0x20 && r->p[n] != '"' && r->p[n] != '\\')
			n++;
		if (n && !sos_utf8_valid(r->p, n))
			return fail_at(r, first_invalid(r->p, r->p + n), "a string that is not UTF-8");
		memmove(out, r->p, n);
		out += n;
		r->p += n;
		if (r->p >= r->end)
			return fail_at(r, r->p, "a string without its end");
		if (*r->p == '\\') {
			if (!read_escape(r, &out))
				return false;
		} else if (*r->p != '"') {
			return fail_at(r, r->p, "control character 0x%02x in a string", (unsigned char)*r->p);
		}
	}
	r->p++;
	*out = 0; /* the closing quote or something before it */
	value->text = text;
	value->length = (uint32_t)(out - text);
	return true;
}

/* ---- numbers, words ---- */

static bool digits(struct reader *r)
{
	if (*r->p < '0' || *r->p > '9')
		return expected(r, "a digit");
	while (*r->p >= '0' && *r->p <= '9')
		r->p++;
	return true;
}

static bool read_number(struct reader *r)
{
	struct sos_json_value *value = add(r, SOS_JSON_NUMBER);
	if (!value)
		return false;
	if (*r->p == '-')
		r->p++;
	if (*r->p == '0')
		r->p++;
	else if (!digits(r))
		return false;
	if (*r->p == '.') {
		r->p++;
		if (!digits(r))
			return false;
	}
	if (*r->p == 'e' || *r->p == 'E') {
		r->p++;
		if (*r->p == '+' || *r->p == '-')
			r->p++;
		if (!digits(r))
			return false;
	}
	value->length = (uint32_t)(r->p - value->text);
	return true;
}

static bool read_word(struct reader *r)
{
	static const struct {
		const char *word;
		enum sos_json_type type;
	} words[] = { { "null", SOS_JSON_NULL }, { "false", SOS_JSON_FALSE }, { "true", SOS_JSON_TRUE } };
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		size_t length = strlen(words[i].word);
		if (strncmp(r->p, words[i].word, length) == 0) {
			if (!add(r, words[i].type))
				return false;
			r->p += length;
			return true;
		}
	}
	return expected(r, "a value");
}

/* ---- arrays, objects ---- */

static int compare_keys(const void *a, const void *b)
{
	const struct sos_json_value *x = *(const struct sos_json_value *const *)a;
	const struct sos_json_value *y = *(const struct sos_json_value *const *)b;
	int order = memcmp(x->text, y->text, x->length < y->length ? x->length : y->length);
	return order ? order : (x->length > y->length) - (x->length < y->length);
}

static bool check_keys(struct reader *r, uint32_t object)
{
	const struct sos_json_value *values = r->json->values;
	size_t count = values[object].children / 2, n = 0;
	const struct sos_json_value *few[16], **keys = few;
	bool fine = true;
	if (count > 16 && !(keys = malloc(count * sizeof(*keys))))
		return fail_at(r, r->p, "out of memory");
	for (uint32_t i = object + 1; n < count; i = values[i + 1].end)
		keys[n++] = &values[i];
	qsort(keys, n, sizeof(*keys), compare_keys);
	for (size_t i = 1; i < n && fine; i++)
		if (compare_keys(&keys[i - 1], &keys[i]) == 0) {
			size_t shown = sos_utf8_truncated_length(keys[i]->text, keys[i]->length, 64);
			fine = fail_at(r, r->p, "key \"%.*s\" comes twice", (int)shown, keys[i]->text);
		}
	if (keys != few)
		free(keys);
	return fine;
}

static bool open_container(struct reader *r, enum sos_json_type type)
{
	if (r->depth == SOS_JSON_DEPTH)
		return fail_at(r, r->p, "nested more than %d deep", SOS_JSON_DEPTH);
	if (!add(r, type))
		return false;
	r->open[r->depth++] = r->json->count - 1;
	r->p++;
	return true;
}

static bool close_container(struct reader *r)
{
	uint32_t index = r->open[r->depth - 1];
	r->json->values[index].end = r->json->count;
	r->depth--;
	r->p++;
	return r->json->values[index].type != SOS_JSON_OBJECT || check_keys(r, index);
}

static bool read_key(struct reader *r)
{
	uint32_t index = r->json->count;
	if (r->depth == 1)
		r->field = 0;
	if (*r->p != '"')
		return expected(r, "a key in quotes");
	if (!read_string(r))
		return false;
	if (r->depth == 1)
		r->field = index;
	skip_blank(r);
	if (*r->p != ':')
		return expected(r, "':'");
	r->p++;
	return true;
}

/* A value, or the opening of one: its members are then read by the loop of sos_json_read. */
static bool read_value(struct reader *r)
{
	skip_blank(r);
	switch (*r->p) {
	case '"':
		return read_string(r);
	case '{':
		return open_container(r, SOS_JSON_OBJECT);
	case '[':
		return open_container(r, SOS_JSON_ARRAY);
	case '-':
	case '0' ... '9':
		return read_number(r);
	default:
		return read_word(r);
	}
}

/* One step inside the innermost array or object: its next member, or its end. */
static bool read_member(struct reader *r)
{
	const struct sos_json_value *around = &r->json->values[r->open[r->depth - 1]];
	bool object = around->type == SOS_JSON_OBJECT;
	char close = object ? '}' : ']';
	skip_blank(r);
	if (*r->p == close)
		return close_container(r);
	if (around->children) {
		if (*r->p != ',')
			return expected(r, object ? "',' or '}'" : "',' or ']'");
		r->p++;
		skip_blank(r);
	}
	return (!object || read_key(r)) && read_value(r);
}

static bool read_all(struct reader *r)
{
	if (memcmp(r->p, "\xef\xbb\xbf", r->end - r->p < 3 ? (size_t)(r->end - r->p) : 3) == 0 && r->p < r->end)
		return fail_at(r, r->p, "a byte order mark");
	if (!read_value(r))
		return false;
	while (r->depth)
		if (!read_member(r))
			return false;
	r->field = 0;
	skip_blank(r);
	return r->p == r->end || expected(r, "nothing behind the value");
}

bool sos_json_read(struct sos_json *json, char *text, size_t length, char *error, size_t error_size)
{
	struct reader r = {
		.json = json, .start = text, .p = text, .end = text + length, .error = error, .error_size = error_size
	};
	*json = (struct sos_json){ 0 };
	if (read_all(&r))
		return true;
	sos_json_free(json);
	return false;
}

void sos_json_free(struct sos_json *json)
{
	free(json->values);
	*json = (struct sos_json){ 0 };
}

const char *sos_json_type_name(enum sos_json_type type)
{
	static const char *const names[] = { "null", "false", "true", "a number", "a string", "an array", "an object" };
	return names[type];
}
