/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Test Anything Protocol on stdout. Any thread may report a point. */

#include <stdbool.h>
#include <stddef.h>

/* One point. Returns `ok`, so that a test can stop where going on makes no sense. */
bool tap_ok(bool ok, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The same for two numbers; shows both when they differ. */
bool tap_equal(long long got, long long want, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* The same for bytes; shows both, escaped and cut, when they differ. `got` may be NULL. */
bool tap_bytes(const void *got, size_t got_length, const void *want, size_t want_length, const char *format, ...)
	__attribute__((format(printf, 5, 6)));
bool tap_string(const char *got, const char *want, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* A comment line. */
void tap_diag(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* A point that failed and no more tests. */
void tap_bail(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));
/* The plan, written last. Returns main's status. */
int tap_done(void);

/* Bytes as C escapes, cut at about `max` characters, in a buffer that the caller frees. */
char *tap_escape(const void *bytes, size_t length, size_t max);
