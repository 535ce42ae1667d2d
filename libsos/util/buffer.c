/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "util/buffer.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int sos_buffer_reserve(struct sos_buffer *buffer, size_t more)
{
	if (buffer->data && more <= buffer->capacity - buffer->length)
		return 0;
	if (more > SIZE_MAX / 2 - buffer->length)
		return -1;
	size_t want = buffer->length + more;
	size_t capacity = buffer->capacity ? buffer->capacity : 63;
	while (capacity < want)
		capacity = capacity < (1u << 20) ? capacity * 2 + 1 : capacity + capacity / 2;
	char *data = realloc(buffer->data, capacity + 1);
	if (!data)
		return -1;
	data[buffer->length] = 0;
	buffer->data = data;
	buffer->capacity = capacity;
	return 0;
}

int sos_buffer_append(struct sos_buffer *buffer, const void *data, size_t length)
{
	if (sos_buffer_reserve(buffer, length) < 0)
		return -1;
	if (length)
		memcpy(buffer->data + buffer->length, data, length);
	buffer->length += length;
	buffer->data[buffer->length] = 0;
	return 0;
}

int sos_buffer_append_string(struct sos_buffer *buffer, const char *string)
{
	return sos_buffer_append(buffer, string, strlen(string));
}

int sos_buffer_append_byte(struct sos_buffer *buffer, char byte)
{
	return sos_buffer_append(buffer, &byte, 1);
}

int sos_buffer_printf(struct sos_buffer *buffer, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	int length = vsnprintf(NULL, 0, format, args);
	va_end(args);
	if (length < 0 || sos_buffer_reserve(buffer, (size_t)length) < 0)
		return -1;
	va_start(args, format);
	vsnprintf(buffer->data + buffer->length, (size_t)length + 1, format, args);
	va_end(args);
	buffer->length += (size_t)length;
	return 0;
}

void sos_buffer_consume(struct sos_buffer *buffer, size_t length)
{
	if (!length)
		return;
	if (length >= buffer->length) {
		sos_buffer_clear(buffer);
		return;
	}
	buffer->length -= length;
	memmove(buffer->data, buffer->data + length, buffer->length + 1);
}

void sos_buffer_clear(struct sos_buffer *buffer)
{
	buffer->length = 0;
	if (buffer->data)
		buffer->data[0] = 0;
}

void sos_buffer_free(struct sos_buffer *buffer)
{
	if (!buffer)
		return;
	free(buffer->data);
	*buffer = (struct sos_buffer)SOS_BUFFER_INIT;
}

char *sos_buffer_steal(struct sos_buffer *buffer)
{
	if (sos_buffer_reserve(buffer, 0) < 0)
		return NULL;
	char *data = buffer->data;
	*buffer = (struct sos_buffer)SOS_BUFFER_INIT;
	return data;
}
