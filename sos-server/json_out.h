/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Writing JSON. Always valid UTF-8: a byte that is not part of a character
 * becomes U+FFFD. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "text.h"

/* A quoted string; the part between its quotes; how long it is with them. */
void sos_json_write_bytes(struct sos_text *text, const char *data, size_t length);
void sos_json_write_inside(struct sos_text *text, const char *data, size_t length);
size_t sos_json_bytes_length(const char *data, size_t length);
/* How much of `data`, `most` or a little less, can be written by itself: it ends between two characters. `most` >= 4. */
size_t sos_json_piece(const char *data, size_t length, size_t most);
void sos_json_write_string(struct sos_text *text, const char *string);
/* A quoted string in base64, of any bytes. */
void sos_json_write_base64(struct sos_text *text, const char *data, size_t length);

void sos_text_add_base64(struct sos_text *text, const char *data, size_t length);
/* Bytes of text that a JSON reader is to see as they are, invalid UTF-8 replaced; no quotes, no escapes. */
void sos_text_clean(struct sos_text *text, const char *data, size_t length);

/* Members of an object: the comma (unless it is the first), the name, the value. */
void sos_json_member(struct sos_text *text, const char *name);
void sos_json_member_string(struct sos_text *text, const char *name, const char *value);
void sos_json_member_string_or_null(struct sos_text *text, const char *name, const char *value); /* "": null */
void sos_json_member_int(struct sos_text *text, const char *name, int64_t value);
void sos_json_member_uint(struct sos_text *text, const char *name, uint64_t value);
void sos_json_member_bool(struct sos_text *text, const char *name, bool value);
/* `value` thousandths, written without a float's noise: 1500 is 1.5. */
void sos_json_member_thousandths(struct sos_text *text, const char *name, int64_t value);
