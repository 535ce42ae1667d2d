/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "fields.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../libsos/wire/base64.h"

bool sos_fields_read(struct sos_fields *fields, char *body, size_t length)
{
	*fields = (struct sos_fields){ 0 };
	if (!sos_json_read(&fields->json, body, length, fields->error, sizeof(fields->error))) {
		fields->failed = true;
		return false;
	}
	enum sos_json_type type = fields->json.values[0].type;
	if (type != SOS_JSON_OBJECT)
		sos_fields_fail(fields, "the body must be a JSON object, not %s", sos_json_type_name(type));
	return !fields->failed;
}

void sos_fields_free(struct sos_fields *fields)
{
	for (unsigned i = 0; i < fields->list_count; i++)
		free(fields->lists[i]);
	fields->list_count = 0;
	sos_json_free(&fields->json);
}

void sos_fields_fail(struct sos_fields *fields, const char *format, ...)
{
	if (fields->failed)
		return;
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(fields->error, sizeof(fields->error), format, arguments);
	va_end(arguments);
	fields->failed = true;
}

static const struct sos_json_value *find_in(const struct sos_fields *fields, const struct sos_json_value *object,
					    const char *name)
{
	const struct sos_json_value *values = fields->json.values;
	size_t length = strlen(name);
	for (uint32_t i = (uint32_t)(object - values) + 1; i < object->end; i = values[i + 1].end)
		if (values[i].length == length && memcmp(values[i].text, name, length) == 0)
			return values[i + 1].type == SOS_JSON_NULL ? NULL : &values[i + 1];
	return NULL;
}

/* NULL where it is absent or null. */
static const struct sos_json_value *find(struct sos_fields *fields, const char *name)
{
	return fields->failed ? NULL : find_in(fields, fields->json.values, name);
}

static void wrong_type(struct sos_fields *fields, const char *name, const char *wanted,
		       const struct sos_json_value *value)
{
	sos_fields_fail(fields, "field \"%s\" must be %s, not %s", name, wanted, sos_json_type_name(value->type));
}

static const struct sos_json_value *find_typed(struct sos_fields *fields, const char *name, enum sos_json_type type)
{
	const struct sos_json_value *value = find(fields, name);
	if (!value || value->type == type)
		return value;
	wrong_type(fields, name, sos_json_type_name(type), value);
	return NULL;
}

static void *keep(struct sos_fields *fields, size_t size)
{
	void *memory = fields->list_count < SOS_FIELDS_LISTS ? calloc(1, size) : NULL;
	if (memory)
		fields->lists[fields->list_count++] = memory;
	else
		sos_fields_fail(fields, "out of memory");
	return memory;
}

/* C strings end at a NUL: what follows it would be lost in silence. */
static bool check_nul(struct sos_fields *fields, const char *name, const struct sos_json_value *value)
{
	const char *nul = memchr(value->text, 0, value->length);
	if (nul)
		sos_fields_fail(fields, "field \"%s\" holds a NUL character (\\u0000) at byte %zu of its text", name,
				(size_t)(nul - value->text));
	return !nul;
}

bool sos_field_present(struct sos_fields *fields, const char *name)
{
	return find(fields, name) != NULL;
}

static const void *decode(struct sos_fields *fields, const char *name, const struct sos_json_value *object,
			  size_t *length)
{
	char inner[80];
	const struct sos_json_value *encoded = find_in(fields, object, "base64");
	snprintf(inner, sizeof(inner), "%s.base64", name);
	if (!encoded) {
		sos_fields_fail(fields, "field \"%s\" is missing", inner);
		return NULL;
	}
	if (encoded->type != SOS_JSON_STRING) {
		wrong_type(fields, inner, "a string", encoded);
		return NULL;
	}
	void *bytes = keep(fields, encoded->length / 4 * 3 + 2);
	ssize_t decoded = bytes ? sos_base64_decode(encoded->text, encoded->length, bytes) : -1;
	if (decoded < 0) {
		sos_fields_fail(fields, "field \"%s\" is not base64", inner);
		return NULL;
	}
	*length = (size_t)decoded;
	return bytes;
}

const void *sos_field_bytes(struct sos_fields *fields, const char *name, size_t *length)
{
	const struct sos_json_value *value = find(fields, name);
	*length = 0;
	if (!value)
		return NULL;
	if (value->type == SOS_JSON_OBJECT)
		return decode(fields, name, value, length);
	if (value->type != SOS_JSON_STRING) {
		wrong_type(fields, name, "a string or {\"base64\": \"...\"}", value);
		return NULL;
	}
	*length = value->length;
	return value->text;
}

const char *sos_field_text(struct sos_fields *fields, const char *name, size_t *length)
{
	const struct sos_json_value *value = find_typed(fields, name, SOS_JSON_STRING);
	if (value && !check_nul(fields, name, value))
		value = NULL;
	if (length)
		*length = value ? value->length : 0;
	return value ? value->text : NULL;
}

static bool check_text(struct sos_fields *fields, const char *name, uint32_t index, const struct sos_json_value *value)
{
	char element[128];
	snprintf(element, sizeof(element), "%s[%" PRIu32 "]", name, index);
	if (value->type != SOS_JSON_STRING) {
		wrong_type(fields, element, "a string", value);
		return false;
	}
	return check_nul(fields, element, value);
}

static const char *const *read_texts(struct sos_fields *fields, const char *name, const struct sos_json_value *array)
{
	const char **list = keep(fields, (array->children + 1) * sizeof(*list));
	if (!list)
		return NULL;
	const struct sos_json_value *value = array + 1;
	for (uint32_t i = 0; i < array->children; i++) {
		if (!check_text(fields, name, i, value))
			return NULL;
		list[i] = value->text;
		value = &fields->json.values[value->end];
	}
	return list;
}

const char *const *sos_field_texts(struct sos_fields *fields, const char *name)
{
	const struct sos_json_value *array = find_typed(fields, name, SOS_JSON_ARRAY);
	return array ? read_texts(fields, name, array) : NULL;
}

static bool check_pair(struct sos_fields *fields, const char *name, const struct sos_json_value *key)
{
	char element[192];
	const struct sos_json_value *value = key + 1;
	if (!check_nul(fields, name, key))
		return false;
	if (!key->length || memchr(key->text, '=', key->length)) {
		sos_fields_fail(fields, "field \"%s\": a name must not be empty or hold '=': \"%.64s\"", name,
				key->text);
		return false;
	}
	snprintf(element, sizeof(element), "%s.%.64s", name, key->text);
	if (value->type != SOS_JSON_STRING) {
		wrong_type(fields, element, "a string", value);
		return false;
	}
	return check_nul(fields, element, value);
}

static const char *const *read_pairs(struct sos_fields *fields, const char *name, const struct sos_json_value *object)
{
	uint32_t pairs = object->children / 2;
	size_t bytes = 0;
	const struct sos_json_value *key = object + 1;
	for (uint32_t i = 0; i < pairs; i++) {
		if (!check_pair(fields, name, key))
			return NULL;
		bytes += key[0].length + (size_t)key[1].length + 2;
		key = &fields->json.values[key[1].end];
	}
	const char **list = keep(fields, (pairs + 1) * sizeof(*list));
	char *text = keep(fields, bytes + 1);
	if (!list || !text)
		return NULL;
	key = object + 1;
	for (uint32_t i = 0; i < pairs; i++) {
		list[i] = text;
		text += sprintf(text, "%s=%s", key[0].text, key[1].text) + 1;
		key = &fields->json.values[key[1].end];
	}
	return list;
}

const char *const *sos_field_pairs(struct sos_fields *fields, const char *name)
{
	const struct sos_json_value *value = find(fields, name);
	if (!value)
		return NULL;
	if (value->type == SOS_JSON_ARRAY)
		return read_texts(fields, name, value);
	if (value->type == SOS_JSON_OBJECT)
		return read_pairs(fields, name, value);
	wrong_type(fields, name, "an object or an array of \"NAME=value\"", value);
	return NULL;
}

bool sos_field_bool(struct sos_fields *fields, const char *name)
{
	const struct sos_json_value *value = find(fields, name);
	if (value && value->type != SOS_JSON_TRUE && value->type != SOS_JSON_FALSE) {
		wrong_type(fields, name, "true or false", value);
		return false;
	}
	return value && value->type == SOS_JSON_TRUE;
}

int64_t sos_field_int(struct sos_fields *fields, const char *name, int64_t least, int64_t most)
{
	const struct sos_json_value *value = find(fields, name);
	if (!value)
		return 0;
	if (value->type != SOS_JSON_NUMBER) {
		wrong_type(fields, name, "a whole number", value);
		return 0;
	}
	/* Some clients write whole numbers as floats; limits are far below where a double loses a unit. */
	double number = strtod(value->text, NULL);
	if (number != floor(number)) {
		sos_fields_fail(fields, "field \"%s\" must be a whole number", name);
		return 0;
	}
	if (!(number >= (double)least && number <= (double)most)) {
		sos_fields_fail(fields, "field \"%s\" must be between %" PRId64 " and %" PRId64, name, least, most);
		return 0;
	}
	return (int64_t)number;
}

int64_t sos_field_thousandths(struct sos_fields *fields, const char *name, int64_t least, int64_t most)
{
	const struct sos_json_value *value = find(fields, name);
	if (!value)
		return 0;
	if (value->type != SOS_JSON_NUMBER) {
		wrong_type(fields, name, "a number", value);
		return 0;
	}
	double number = strtod(value->text, NULL) * 1000;
	if (number != 0 && !(number >= (double)least && number <= (double)most)) {
		sos_fields_fail(fields, "field \"%s\" must be between %g and %g, or 0", name, (double)least / 1000,
				(double)most / 1000);
		return 0;
	}
	return (int64_t)(number + 0.5);
}

uint32_t sos_field_choice(struct sos_fields *fields, const char *name, const char *const *choices)
{
	const struct sos_json_value *value = find_typed(fields, name, SOS_JSON_STRING);
	if (!value)
		return 0;
	char all[128] = "";
	for (uint32_t i = 0; choices[i]; i++) {
		if (strcmp(choices[i], value->text) == 0 && strlen(choices[i]) == value->length)
			return i + 1;
		size_t used = strlen(all);
		snprintf(all + used, sizeof(all) - used, "%s\"%s\"", i ? " or " : "", choices[i]);
	}
	sos_fields_fail(fields, "field \"%s\" must be %s", name, all);
	return 0;
}
