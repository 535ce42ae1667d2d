/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A growing byte buffer. `data` is always NUL-terminated beyond `length` once
 * something was appended. An append that fails leaves it as it was. */

#include <stddef.h>
#include <stdint.h>

struct sos_buffer {
	char *data;
	size_t length;
	size_t capacity; /* without the NUL */
};

#define SOS_BUFFER_INIT { 0, 0, 0 }

int sos_buffer_reserve(struct sos_buffer *buffer, size_t more); /* 0 or -1 (ENOMEM) */
int sos_buffer_append(struct sos_buffer *buffer, const void *data, size_t length);
int sos_buffer_append_string(struct sos_buffer *buffer, const char *string);
int sos_buffer_append_byte(struct sos_buffer *buffer, char byte);
int sos_buffer_printf(struct sos_buffer *buffer, const char *format, ...) __attribute__((format(printf, 2, 3)));
void sos_buffer_consume(struct sos_buffer *buffer, size_t length); /* from the front */
void sos_buffer_clear(struct sos_buffer *buffer);                  /* keeps the memory */
void sos_buffer_free(struct sos_buffer *buffer);                   /* and makes it empty; NULL accepted */
/* The bytes as a malloc'd string that the caller owns; NULL: out of memory. Empties the buffer. */
char *sos_buffer_steal(struct sos_buffer *buffer);

#define SOS_AUTO_BUFFER __attribute__((cleanup(sos_buffer_free)))
