/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A growing run of bytes, NUL-terminated beyond its length, with a ceiling. */

#include <stddef.h>
#include <stdlib.h>

struct sos_bytes {
	char *data;
	size_t length;
	size_t capacity;
};

/* 0, or -1: out of memory, or it would grow beyond `limit`. */
int sos_bytes_append(struct sos_bytes *bytes, const void *data, size_t length, size_t limit);
void sos_bytes_free(struct sos_bytes *bytes);
#define SOS_AUTO_BYTES __attribute__((cleanup(sos_bytes_free)))

/* All that can be read from `fd`. 0, or -1 with errno (EFBIG: more than `limit`). */
int sos_bytes_read_fd(struct sos_bytes *bytes, int fd, size_t limit);
/* 0, or -1 with errno: everything is written or an error says why not. */
int sos_bytes_write_fd(int fd, const char *data, size_t length);

/* Base64 of RFC 4648, padded, without line ends. 0, or -1: not base64, or no memory. */
int sos_bytes_from_base64(struct sos_bytes *bytes, const char *text, size_t length);
char *sos_bytes_to_base64(const struct sos_bytes *bytes);

static inline void sos_string_free(char **text)
{
	free(*text);
}
#define SOS_AUTO_STRING __attribute__((cleanup(sos_string_free)))
