/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Base64 of RFC 4648, section 4. Stands alone, see utf8.h. */

#include <stddef.h>
#include <sys/types.h>

static inline size_t sos_base64_encoded_length(size_t length)
{
	return (length + 2) / 3 * 4;
}

/* `out` has room for sos_base64_encoded_length bytes; no NUL is added. Returns their number. */
size_t sos_base64_encode(const void *bytes, size_t length, char *out);

/* Strict: no white space, nothing after the padding, which may be left out as a whole; unused bits are zero.
 * `out` has room for length / 4 * 3 + 2 bytes. Returns their number, -1 where `text` is not base64. */
ssize_t sos_base64_decode(const char *text, size_t length, void *out);
