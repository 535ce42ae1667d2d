/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "util/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* The contract says one line: line ends and control characters become spaces. */
static void one_line(char *text)
{
	for (char *c = text; *c; c++)
		if ((unsigned char)*c < 0x20 || *c == 0x7f)
			*c = ' ';
	size_t length = strlen(text);
	while (length && text[length - 1] == ' ')
		text[--length] = 0;
}

/* Into a text of its own first: the arguments may point into the message that is being replaced. */
static int set(struct sos_error *error, int code, const char *after, const char *format, va_list args)
{
	char text[sizeof(error->message)];
	size_t length = 0;
	int n = vsnprintf(text, sizeof(text), format, args);
	if (n > 0)
		length = (size_t)n < sizeof(text) ? (size_t)n : sizeof(text) - 1;
	if (after)
		snprintf(text + length, sizeof(text) - length, ": %s", after);
	one_line(text);
	error->code = code;
	memcpy(error->message, text, strlen(text) + 1);
	return code;
}

int sos_error_set(struct sos_error *error, int code, const char *format, ...)
{
	if (!error)
		return code;
	va_list args;
	va_start(args, format);
	set(error, code, NULL, format, args);
	va_end(args);
	return code;
}

int sos_error_errno(struct sos_error *error, int code, int errnum, const char *format, ...)
{
	if (!error)
		return code;
	const char *why = strerrordesc_np(errnum);
	va_list args;
	va_start(args, format);
	set(error, code, why ? why : "unknown error", format, args);
	va_end(args);
	return code;
}

int sos_error_nomem(struct sos_error *error)
{
	return sos_error_set(error, SOS_ERROR_MEMORY, "out of memory");
}

int sos_error_prefix(struct sos_error *error, int code, const char *format, ...)
{
	if (!error)
		return code;
	char message[sizeof(error->message)];
	memcpy(message, error->message, sizeof(message));
	va_list args;
	va_start(args, format);
	set(error, error->code, message, format, args);
	va_end(args);
	return error->code;
}

int sos_error_copy(struct sos_error *to, const struct sos_error *from)
{
	if (to && to != from)
		*to = *from;
	return from->code;
}
