/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "init/text.h"

#include <string.h>

void sos_text_clear(struct sos_text *text)
{
	text->length = 0;
	text->data[0] = 0;
}

void sos_text_bytes(struct sos_text *text, const char *bytes, size_t length)
{
	size_t room = sizeof text->data - 1 - text->length;
	if (length > room)
		length = room;
	memcpy(text->data + text->length, bytes, length);
	text->length += length;
	text->data[text->length] = 0;
}

void sos_text_string(struct sos_text *text, const char *string)
{
	sos_text_bytes(text, string, strlen(string));
}

void sos_text_number(struct sos_text *text, uint64_t number)
{
	char digits[20];
	size_t n = sizeof digits;
	do
		digits[--n] = (char)('0' + number % 10);
	while (number /= 10);
	sos_text_bytes(text, digits + n, sizeof digits - n);
}

int sos_text_parse(const char *string, size_t length, uint64_t max, uint64_t *number)
{
	uint64_t value = 0;
	if (!length)
		return -1;
	for (size_t i = 0; i < length; i++) {
		unsigned digit = (unsigned char)string[i] - '0';
		if (digit > 9 || value > (max - digit) / 10)
			return -1;
		value = value * 10 + digit;
	}
	*number = value;
	return 0;
}
