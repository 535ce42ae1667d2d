/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "text.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_CAPACITY 1024

void sos_text_init(struct sos_text *text, size_t room)
{
	*text = (struct sos_text){ .room = room };
}

void sos_text_free(struct sos_text *text)
{
	free(text->memory);
	*text = (struct sos_text){ 0 };
}

char *sos_text_data(const struct sos_text *text)
{
	return text->memory ? text->memory + text->room : NULL;
}

static bool grow(struct sos_text *text, size_t more)
{
	if (more > SIZE_MAX / 4 || text->length > SIZE_MAX / 4)
		return false;
	size_t need = text->room + text->length + more;
	/* Half as much again: a large reply then wastes less than doubling would. */
	size_t capacity = text->capacity + text->capacity / 2;
	if (capacity < need)
		capacity = need;
	if (capacity < text->room + FIRST_CAPACITY)
		capacity = text->room + FIRST_CAPACITY;
	char *memory = realloc(text->memory, capacity);
	if (!memory)
		return false;
	text->memory = memory;
	text->capacity = capacity;
	return true;
}

char *sos_text_reserve(struct sos_text *text, size_t more)
{
	if (text->failed)
		return NULL;
	if (text->capacity - text->length < text->room || text->capacity - text->length - text->room < more) {
		if (!grow(text, more)) {
			text->failed = true;
			return NULL;
		}
	}
	return text->memory + text->room + text->length;
}

void sos_text_advance(struct sos_text *text, size_t written)
{
	text->length += written;
}

void sos_text_append(struct sos_text *text, const void *data, size_t length)
{
	char *to = sos_text_reserve(text, length);
	if (!to || !length)
		return;
	memcpy(to, data, length);
	text->length += length;
}

void sos_text_add(struct sos_text *text, const char *string)
{
	sos_text_append(text, string, strlen(string));
}

void sos_text_add_number(struct sos_text *text, uint64_t number)
{
	char digits[20], *p = digits + sizeof(digits);
	do
		*--p = (char)('0' + number % 10);
	while (number /= 10);
	sos_text_append(text, p, (size_t)(digits + sizeof(digits) - p));
}

void sos_text_printf(struct sos_text *text, const char *format, ...)
{
	char piece[256];
	va_list arguments;
	va_start(arguments, format);
	int n = vsnprintf(piece, sizeof(piece), format, arguments);
	va_end(arguments);
	if (n < 0) {
		text->failed = true;
		return;
	}
	if ((size_t)n < sizeof(piece)) {
		sos_text_append(text, piece, (size_t)n);
		return;
	}
	char *to = sos_text_reserve(text, (size_t)n + 1);
	if (!to)
		return;
	va_start(arguments, format);
	vsnprintf(to, (size_t)n + 1, format, arguments);
	va_end(arguments);
	text->length += (size_t)n;
}

void sos_text_repeat(struct sos_text *text, size_t from, size_t length)
{
	/* The reserve may move the text, so the source is taken after it. */
	char *to = sos_text_reserve(text, length);
	if (!to || !length)
		return;
	memcpy(to, text->memory + text->room + from, length);
	text->length += length;
}
