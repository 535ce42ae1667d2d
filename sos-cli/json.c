/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *sos_json_string(const cJSON *object, const char *name)
{
	const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, name));
	return text ? text : "";
}

double sos_json_number(const cJSON *object, const char *name, double missing)
{
	const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, name);
	return cJSON_IsNumber(item) ? item->valuedouble : missing;
}

bool sos_json_true(const cJSON *object, const char *name)
{
	return cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(object, name));
}

void sos_json_delete(cJSON **json)
{
	cJSON_Delete(*json);
	*json = NULL;
}

static int set(cJSON *object, const char *name, cJSON *item)
{
	if (!item)
		return -1;
	cJSON_DeleteItemFromObjectCaseSensitive(object, name);
	if (cJSON_AddItemToObject(object, name, item))
		return 0;
	cJSON_Delete(item);
	return -1;
}

int sos_json_push(cJSON *object, const char *name, const char *text)
{
	cJSON *array = cJSON_GetObjectItemCaseSensitive(object, name);
	if (!array)
		array = cJSON_AddArrayToObject(object, name);
	cJSON *item = array ? cJSON_CreateString(text) : NULL;
	if (!item)
		return -1;
	if (cJSON_AddItemToArray(array, item))
		return 0;
	cJSON_Delete(item);
	return -1;
}

int sos_json_set_string(cJSON *object, const char *name, const char *text)
{
	return set(object, name, cJSON_CreateString(text));
}

int sos_json_set_number(cJSON *object, const char *name, double number)
{
	return set(object, name, cJSON_CreateNumber(number));
}

int sos_json_set_true(cJSON *object, const char *name)
{
	return set(object, name, cJSON_CreateTrue());
}

/* The length of the character at `p`, or 0: not UTF-8 (RFC 3629). */
static size_t character_length(const unsigned char *p, size_t left)
{
	static const unsigned least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	size_t length = *p < 0x80 ? 1 : *p < 0xc2 ? 0 : *p < 0xe0 ? 2 : *p < 0xf0 ? 3 : *p < 0xf5 ? 4 : 0;
	if (length < 2)
		return length;
	unsigned code = *p & (0x7fu >> length);
	if (length > left)
		return 0;
	for (size_t i = 1; i < length; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
		code = code << 6 | (p[i] & 0x3f);
	}
	return code < least[length] || code > 0x10ffff || (code >= 0xd800 && code < 0xe000) ? 0 : length;
}

/* A JSON string with its quotes; NULL: the bytes are no text (or no memory). cJSON's own strings end at a NUL. */
static char *quote(const struct sos_bytes *bytes)
{
	char *text = malloc(bytes->length * 6 + 3);
	char *out = text;
	if (!text)
		return NULL;
	*out++ = '"';
	for (size_t i = 0, length; i < bytes->length; i += length) {
		const unsigned char *p = (const unsigned char *)bytes->data + i;
		length = character_length(p, bytes->length - i);
		if (!length) {
			free(text);
			return NULL;
		}
		if (*p < 0x20 || *p == '"' || *p == '\\' || *p == 0x7f)
			out += sprintf(out, "\\u%04x", *p);
		else
			out = mempcpy(out, p, length);
	}
	*out++ = '"';
	*out = 0;
	return text;
}

int sos_json_set_bytes(cJSON *object, const char *name, const struct sos_bytes *bytes)
{
	SOS_AUTO_STRING char *text = quote(bytes);
	if (text)
		return set(object, name, cJSON_CreateRaw(text));
	/* An object, so that a server which knows text only refuses it, and does not take the letters for the bytes. */
	SOS_AUTO_STRING char *encoded = sos_bytes_to_base64(bytes);
	cJSON *box = encoded ? cJSON_CreateObject() : NULL;
	if (box && sos_json_set_string(box, "base64", encoded) == 0)
		return set(object, name, box);
	cJSON_Delete(box);
	return -1;
}
