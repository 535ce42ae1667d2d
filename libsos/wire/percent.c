/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "wire/percent.h"

#include <stdbool.h>
#include <string.h>

static bool unreserved(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '.' ||
	       c == '_' || c == '~';
}

int sos_percent_append(struct sos_buffer *buffer, const char *text, const char *keep)
{
	static const char hex[] = "0123456789ABCDEF";
	for (; *text; text++) {
		unsigned char c = (unsigned char)*text;
		const char coded[3] = { '%', hex[c >> 4], hex[c & 15] };
		bool plain = unreserved(*text) || (keep && strchr(keep, *text));
		if (sos_buffer_append(buffer, plain ? text : coded, plain ? 1 : 3) < 0)
			return -1;
	}
	return 0;
}
