/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Short texts in fixed buffers, cut where they do not fit: what stdio would do
 * at the price of 20 KiB. */

#include <stddef.h>
#include <stdint.h>

struct sos_text {
	char data[512]; /* always NUL-terminated */
	size_t length;
};

void sos_text_clear(struct sos_text *text);
void sos_text_bytes(struct sos_text *text, const char *bytes, size_t length);
void sos_text_string(struct sos_text *text, const char *string);
void sos_text_number(struct sos_text *text, uint64_t number);
/* A whole decimal number up to `max` and nothing else: 0; else -1. */
int sos_text_parse(const char *string, size_t length, uint64_t max, uint64_t *number);
