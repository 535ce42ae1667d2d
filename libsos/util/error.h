/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Filling a struct sos_error: once, where the fact is known; prefixed at most
 * once a layer on the way up. All accept a NULL error and return the code, so
 * that `return sos_error_set(...)` is the usual form. */

#include <sos/sos.h>

int sos_error_set(struct sos_error *error, int code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* As above with ": strerror(errnum)" at the end. */
int sos_error_errno(struct sos_error *error, int code, int errnum, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

int sos_error_nomem(struct sos_error *error);

/* "what was being done: " before the message that is there. Returns error's code (`code` if error is NULL). */
int sos_error_prefix(struct sos_error *error, int code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* Copy, both may be NULL; returns from's code (or `code`). */
int sos_error_copy(struct sos_error *to, const struct sos_error *from);
