/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "engine/json.h"

#include <cjson/cJSON.h>
#include <inttypes.h>
#include <stdio.h>

#include "wire/json_scan.h"

static const cJSON *in(const struct sos_json *json)
{
	return (const cJSON *)(const void *)json;
}

static const struct sos_json *out(const cJSON *json)
{
	return (const struct sos_json *)(const void *)json;
}

struct sos_json *sos_json_parse(const char *text, size_t length)
{
	/* cJSON recurses a thousand deep and takes 64 bytes a value: the text is judged before. */
	if (!text || !sos_json_scan_text(text, length))
		return NULL;
	const char *end = NULL;
	cJSON *json = cJSON_ParseWithLengthOpts(text, length, &end, 0);
	if (!json)
		return NULL;
	while (end < text + length && (*end == ' ' || *end == '\t' || *end == '\r' || *end == '\n'))
		end++;
	if (end < text + length) {
		cJSON_Delete(json);
		return NULL;
	}
	return (struct sos_json *)(void *)json;
}

void sos_json_free(struct sos_json *json)
{
	cJSON_Delete((cJSON *)(void *)json);
}

void sos_json_guard(struct sos_json **json)
{
	sos_json_free(*json);
}

const struct sos_json *sos_json_get(const struct sos_json *object, const char *name)
{
	return out(cJSON_GetObjectItemCaseSensitive(in(object), name));
}

const char *sos_json_string(const struct sos_json *value)
{
	return cJSON_IsString(in(value)) ? in(value)->valuestring : "";
}

const char *sos_json_get_string(const struct sos_json *object, const char *name)
{
	return sos_json_string(sos_json_get(object, name));
}

int64_t sos_json_get_integer(const struct sos_json *object, const char *name)
{
	const cJSON *value = in(sos_json_get(object, name));
	if (!cJSON_IsNumber(value) || value->valuedouble != value->valuedouble)
		return 0;
	if (value->valuedouble >= 9223372036854775807.0)
		return INT64_MAX;
	return value->valuedouble <= -9223372036854775808.0 ? INT64_MIN : (int64_t)value->valuedouble;
}

bool sos_json_get_bool(const struct sos_json *object, const char *name)
{
	return cJSON_IsTrue(in(sos_json_get(object, name)));
}

bool sos_json_is_object(const struct sos_json *value)
{
	return cJSON_IsObject(in(value));
}

bool sos_json_is_array(const struct sos_json *value)
{
	return cJSON_IsArray(in(value));
}

size_t sos_json_count(const struct sos_json *container)
{
	size_t count = 0;
	for (const struct sos_json *i = sos_json_first(container); i; i = sos_json_next(i))
		count++;
	return count;
}

const struct sos_json *sos_json_first(const struct sos_json *container)
{
	bool has = sos_json_is_array(container) || sos_json_is_object(container);
	return has ? out(in(container)->child) : NULL;
}

const struct sos_json *sos_json_next(const struct sos_json *value)
{
	return value ? out(in(value)->next) : NULL;
}

const char *sos_json_name(const struct sos_json *member)
{
	return member && in(member)->string ? in(member)->string : "";
}

/* ---- writing ---- */

static void raw(struct sos_json_writer *w, const char *text, size_t length)
{
	w->failed = w->failed || sos_buffer_append(w->buffer, text, length) < 0;
}

static void quoted(struct sos_json_writer *w, const char *text)
{
	raw(w, "\"", 1);
	for (; *text; text++) {
		char escape[8];
		unsigned char c = (unsigned char)*text;
		if (c == '"' || c == '\\')
			raw(w, escape, (size_t)snprintf(escape, sizeof(escape), "\\%c", c));
		else if (c < 0x20 || c == 0x7f)
			raw(w, escape, (size_t)snprintf(escape, sizeof(escape), "\\u%04x", c));
		else
			raw(w, text, 1);
	}
	raw(w, "\"", 1);
}

static void prefix(struct sos_json_writer *w, const char *name)
{
	if (w->comma)
		raw(w, ",", 1);
	w->comma = true;
	if (name) {
		quoted(w, name);
		raw(w, ":", 1);
	}
}

void sos_json_begin(struct sos_json_writer *writer, const char *name, char bracket)
{
	prefix(writer, name);
	raw(writer, &bracket, 1);
	writer->comma = false;
}

void sos_json_end(struct sos_json_writer *writer, char bracket)
{
	raw(writer, &bracket, 1);
	writer->comma = true;
}

void sos_json_put_string(struct sos_json_writer *writer, const char *name, const char *value)
{
	prefix(writer, name);
	quoted(writer, value);
}

void sos_json_put_integer(struct sos_json_writer *writer, const char *name, int64_t value)
{
	char text[24];
	prefix(writer, name);
	raw(writer, text, (size_t)snprintf(text, sizeof(text), "%" PRId64, value));
}

void sos_json_put_bool(struct sos_json_writer *writer, const char *name, bool value)
{
	prefix(writer, name);
	raw(writer, value ? "true" : "false", value ? 4 : 5);
}

void sos_json_put_strings(struct sos_json_writer *writer, const char *name, const char *const *values)
{
	sos_json_begin(writer, name, '[');
	for (; values && *values; values++)
		sos_json_put_string(writer, NULL, *values);
	sos_json_end(writer, ']');
}
