/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "tap.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* the counters and stdout */
static unsigned points, failures;

static void print_line(const char *prefix, const char *format, va_list arguments)
{
	char line[4096];

	vsnprintf(line, sizeof line, format, arguments);
	for (char *c = line; *c; c++)
		if (*c == '\n' || *c == '\r')
			*c = ' ';
	printf("%s%s\n", prefix, line);
	fflush(stdout);
}

static bool point(bool ok, const char *format, va_list arguments)
{
	char prefix[64];

	pthread_mutex_lock(&lock);
	snprintf(prefix, sizeof prefix, "%s %u - ", ok ? "ok" : "not ok", ++points);
	failures += !ok;
	print_line(prefix, format, arguments);
	pthread_mutex_unlock(&lock);
	return ok;
}

bool tap_ok(bool ok, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	point(ok, format, arguments);
	va_end(arguments);
	return ok;
}

bool tap_equal(long long got, long long want, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	point(got == want, format, arguments);
	va_end(arguments);
	if (got != want)
		tap_diag("got %lld, want %lld", got, want);
	return got == want;
}

char *tap_escape(const void *bytes, size_t length, size_t max)
{
	const unsigned char *from = bytes;
	char *text = malloc(4 * (length < max ? length : max) + 40), *to = text;

	if (!text)
		abort();
	for (size_t i = 0; i < length && i < max; i++) {
		if (from[i] == '\n')
			to += sprintf(to, "\\n");
		else if (from[i] < 0x20 || from[i] == 0x7f || from[i] == '\\')
			to += sprintf(to, "\\x%02x", from[i]);
		else
			*to++ = (char)from[i];
	}
	sprintf(to, length > max ? "... (%zu bytes)" : "", length);
	return text;
}

bool tap_bytes(const void *got, size_t got_length, const void *want, size_t want_length, const char *format, ...)
{
	bool ok = got && got_length == want_length && !memcmp(got, want, want_length);
	va_list arguments;

	va_start(arguments, format);
	point(ok, format, arguments);
	va_end(arguments);
	if (!ok) {
		char *a = got ? tap_escape(got, got_length, 500) : NULL, *b = tap_escape(want, want_length, 500);

		tap_diag("got  '%s'", a ? a : "(null)");
		tap_diag("want '%s'", b);
		free(a);
		free(b);
	}
	return ok;
}

bool tap_string(const char *got, const char *want, const char *format, ...)
{
	char name[1024];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(name, sizeof name, format, arguments);
	va_end(arguments);
	return tap_bytes(got, got ? strlen(got) : 0, want, strlen(want), "%s", name);
}

void tap_diag(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	pthread_mutex_lock(&lock);
	print_line("# ", format, arguments);
	pthread_mutex_unlock(&lock);
	va_end(arguments);
}

void tap_bail(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	point(false, format, arguments);
	va_end(arguments);
	exit(tap_done());
}

int tap_done(void)
{
	pthread_mutex_lock(&lock);
	printf("1..%u\n", points);
	fflush(stdout);
	pthread_mutex_unlock(&lock);
	return failures > 0 || !points;
}
