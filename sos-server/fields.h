/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The fields of a request, typed. A field that is absent or null gives 0, false
 * or NULL; one of the wrong type or range is remembered as the request's error, the
 * first one wins, and the caller looks once when it has read all fields. What is
 * returned lives as long as the struct and the body that it was read from. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "json_in.h"

#define SOS_FIELDS_LISTS 8

struct sos_fields {
	struct sos_json json;
	void *lists[SOS_FIELDS_LISTS]; /* memory of what was returned */
	unsigned list_count;
	bool failed;
	char error[512]; /* one line */
};

#define SOS_AUTO_FIELDS __attribute__((cleanup(sos_fields_free)))

/* `body` is changed and must have a NUL behind it. False: `error` says why. */
bool sos_fields_read(struct sos_fields *fields, char *body, size_t length);
void sos_fields_free(struct sos_fields *fields);
/* Remember an error that the caller found. */
void sos_fields_fail(struct sos_fields *fields, const char *format, ...) __attribute__((format(printf, 2, 3)));

bool sos_field_present(struct sos_fields *fields, const char *name);
/* Text without NUL; `length` may be NULL. */
const char *sos_field_text(struct sos_fields *fields, const char *name, size_t *length);
/* Text that may hold NUL, or {"base64": "..."} for bytes that are no text. */
const void *sos_field_bytes(struct sos_fields *fields, const char *name, size_t *length);
/* An array of texts without NUL, NULL-terminated. */
const char *const *sos_field_texts(struct sos_fields *fields, const char *name);
/* An object of texts, or an array of "name=value": as the latter, NULL-terminated. */
const char *const *sos_field_pairs(struct sos_fields *fields, const char *name);
bool sos_field_bool(struct sos_fields *fields, const char *name);
int64_t sos_field_int(struct sos_fields *fields, const char *name, int64_t least, int64_t most);
/* A number, given and bounded in thousandths; 0 is always allowed. */
int64_t sos_field_thousandths(struct sos_fields *fields, const char *name, int64_t least, int64_t most);
/* One of `choices` (NULL-terminated): its place, from 1. */
uint32_t sos_field_choice(struct sos_fields *fields, const char *name, const char *const *choices);
