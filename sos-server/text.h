/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A growing text that replies are built in. An append that finds no memory
 * marks the text as failed and later ones do nothing, so that only the end
 * needs a check. `room` bytes in front of the text are kept free: the head of
 * the reply goes there, and head and body leave in one write. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sos_text {
	char *memory; /* room + text */
	size_t room;
	size_t length; /* of the text */
	size_t capacity;
	bool failed;
};

#define SOS_TEXT_INIT { 0 }
#define SOS_AUTO_TEXT __attribute__((cleanup(sos_text_free)))

/* An empty text with that much room; may fail, which the first append shows. */
void sos_text_init(struct sos_text *text, size_t room);
void sos_text_free(struct sos_text *text);
char *sos_text_data(const struct sos_text *text); /* NULL while nothing was ever reserved */

/* Where `more` bytes may be written now; NULL: no memory. sos_text_advance makes them part of the text. */
char *sos_text_reserve(struct sos_text *text, size_t more);
void sos_text_advance(struct sos_text *text, size_t written);

void sos_text_append(struct sos_text *text, const void *data, size_t length);
void sos_text_add(struct sos_text *text, const char *string);
void sos_text_add_number(struct sos_text *text, uint64_t number);
void sos_text_printf(struct sos_text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Append a part of the text itself. */
void sos_text_repeat(struct sos_text *text, size_t from, size_t length);
