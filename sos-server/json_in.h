/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Reading JSON, strictly: RFC 8259, valid UTF-8, no byte order mark, no double
 * keys, no lone surrogates, nothing behind the value. Strings are unescaped in
 * place and have a length, so that \u0000 is data here and a caller can refuse it with its
 * position; a parser with NUL-terminated strings would cut there in silence. Pure. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SOS_JSON_DEPTH 64
#define SOS_JSON_VALUES 100000

enum sos_json_type {
	SOS_JSON_NULL,
	SOS_JSON_FALSE,
	SOS_JSON_TRUE,
	SOS_JSON_NUMBER,
	SOS_JSON_STRING,
	SOS_JSON_ARRAY,
	SOS_JSON_OBJECT
};

/* Values stand in the order of the document: the first child of an array or
 * object follows it, its next sibling is at `end`. In an object keys (strings)
 * and values alternate. */
struct sos_json_value {
	const char *text; /* string: unescaped and NUL-terminated; number: as written */
	uint32_t length;  /* of text, in bytes */
	uint32_t end;     /* index of the first value that is not inside this one */
	uint32_t children; /* of an array or object; keys count too */
	enum sos_json_type type;
};

struct sos_json {
	struct sos_json_value *values;
	uint32_t count;
	uint32_t capacity;
};

/* Reads `text` (`length` bytes and a NUL, at most 1 GiB) and changes it. False: `error` has one line that says
 * what is wrong, at which byte, and in which field. `json` is then empty. */
bool sos_json_read(struct sos_json *json, char *text, size_t length, char *error, size_t error_size);
void sos_json_free(struct sos_json *json);

/* "a string", "an array": for messages. */
const char *sos_json_type_name(enum sos_json_type type);
