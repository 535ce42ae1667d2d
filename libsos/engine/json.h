/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Reading and writing the Engine's JSON. Readers accept NULL and values of
 * other types and give the neutral answer, so that a path through an answer
 * that lacks something ends in "", 0 or false. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/buffer.h"

struct sos_json;

/* NULL: not JSON, beyond the limits of wire/json_scan.h, or out of memory. */
struct sos_json *sos_json_parse(const char *text, size_t length);
void sos_json_free(struct sos_json *json);
void sos_json_guard(struct sos_json **json);
#define SOS_AUTO_JSON __attribute__((cleanup(sos_json_guard)))

/* Names are compared exactly; of equal ones the first counts. */
const struct sos_json *sos_json_get(const struct sos_json *object, const char *name);
const char *sos_json_get_string(const struct sos_json *object, const char *name); /* never NULL */
int64_t sos_json_get_integer(const struct sos_json *object, const char *name);    /* saturates */
bool sos_json_get_bool(const struct sos_json *object, const char *name);

bool sos_json_is_object(const struct sos_json *value);
bool sos_json_is_array(const struct sos_json *value);
size_t sos_json_count(const struct sos_json *container);
const struct sos_json *sos_json_first(const struct sos_json *container);
const struct sos_json *sos_json_next(const struct sos_json *value);
const char *sos_json_name(const struct sos_json *member);  /* never NULL */
const char *sos_json_string(const struct sos_json *value); /* never NULL */

/* Writes into a buffer; `name` is NULL inside arrays. A failed append is kept until the end. */
struct sos_json_writer {
	struct sos_buffer *buffer;
	bool comma, failed;
};

void sos_json_begin(struct sos_json_writer *writer, const char *name, char bracket); /* '{' or '[' */
void sos_json_end(struct sos_json_writer *writer, char bracket);                     /* '}' or ']' */
void sos_json_put_string(struct sos_json_writer *writer, const char *name, const char *value);
void sos_json_put_integer(struct sos_json_writer *writer, const char *name, int64_t value);
void sos_json_put_bool(struct sos_json_writer *writer, const char *name, bool value);
void sos_json_put_strings(struct sos_json_writer *writer, const char *name, const char *const *values); /* NULL: [] */
