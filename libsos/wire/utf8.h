/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Bytes to valid UTF-8. What is not UTF-8 becomes U+FFFD, one for each maximal
 * subpart as WHATWG's decoder does it; valid characters are never touched.
 * utf8.[ch] and base64.[ch] stand alone: programs that may not include the
 * library's insides compile the same files. */

#include <stdbool.h>
#include <stddef.h>

bool sos_utf8_valid(const void *bytes, size_t length);

/* The length of what sos_utf8_clean writes: at most three times `length`. */
size_t sos_utf8_cleaned_length(const void *bytes, size_t length);

/* `out` has room for sos_utf8_cleaned_length bytes; no NUL is added. Returns their number. */
size_t sos_utf8_clean(const void *bytes, size_t length, char *out);

/* The longest prefix of at most `limit` bytes that splits no character; `bytes` is valid UTF-8. */
size_t sos_utf8_truncated_length(const void *bytes, size_t length, size_t limit);
