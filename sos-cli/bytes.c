/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "bytes.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <poll.h>
#include <unistd.h>

static int reserve(struct sos_bytes *bytes, size_t more, size_t limit)
{
	if (more > limit || bytes->length > limit - more)
		return -1;
	size_t want = bytes->length + more + 1;
	if (want <= bytes->capacity)
		return 0;
	size_t capacity = bytes->capacity ? bytes->capacity : 4096;
	while (capacity < want)
		capacity += capacity / 2;
	char *data = realloc(bytes->data, capacity);
	if (!data)
		return -1;
	bytes->data = data;
	bytes->capacity = capacity;
	return 0;
}

int sos_bytes_append(struct sos_bytes *bytes, const void *data, size_t length, size_t limit)
{
	if (reserve(bytes, length, limit) < 0)
		return -1;
	if (length)
		memcpy(bytes->data + bytes->length, data, length);
	bytes->length += length;
	bytes->data[bytes->length] = 0;
	return 0;
}

void sos_bytes_free(struct sos_bytes *bytes)
{
	free(bytes->data);
	*bytes = (struct sos_bytes){ 0 };
}

int sos_bytes_read_fd(struct sos_bytes *bytes, int fd, size_t limit)
{
	char piece[65536];
	for (;;) {
		ssize_t got = read(fd, piece, sizeof(piece));
		if (got == 0)
			return sos_bytes_append(bytes, "", 0, limit);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -1;
		if ((size_t)got > limit - bytes->length) {
			errno = EFBIG;
			return -1;
		}
		if (sos_bytes_append(bytes, piece, (size_t)got, limit) < 0) {
			errno = ENOMEM;
			return -1;
		}
	}
}

int sos_bytes_write_fd(int fd, const char *data, size_t length)
{
	while (length) {
		ssize_t done = write(fd, data, length);
		if (done < 0 && errno == EAGAIN) {
			/* A non-blocking descriptor that a shell shared with us. */
			poll(&(struct pollfd){ .fd = fd, .events = POLLOUT }, 1, -1);
			continue;
		}
		if (done < 0 && errno == EINTR)
			continue;
		if (done < 0)
			return -1;
		data += done;
		length -= (size_t)done;
	}
	return 0;
}

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static void fill_values(int8_t values[256])
{
	memset(values, -1, 256);
	for (int i = 0; i < 64; i++)
		values[(unsigned char)alphabet[i]] = (int8_t)i;
}

int sos_bytes_from_base64(struct sos_bytes *bytes, const char *text, size_t length)
{
	int8_t values[256];
	fill_values(values);
	if (length % 4)
		return -1;
	size_t padding = 0;
	while (padding < 2 && padding < length && text[length - 1 - padding] == '=')
		padding++;
	size_t size = length / 4 * 3 - padding;
	bytes->length = 0;
	if (reserve(bytes, length / 4 * 3, SIZE_MAX / 4) < 0)
		return -1;
	unsigned char *out = (unsigned char *)bytes->data;
	for (size_t i = 0; i < length; i += 4) {
		uint32_t group = 0;
		for (size_t j = i; j < i + 4; j++) {
			int value = j >= length - padding ? 0 : values[(unsigned char)text[j]];
			if (value < 0)
				return -1;
			group = group << 6 | (uint32_t)value;
		}
		*out++ = (unsigned char)(group >> 16);
		*out++ = (unsigned char)(group >> 8);
		*out++ = (unsigned char)group;
	}
	bytes->length = size;
	bytes->data[size] = 0;
	return 0;
}

char *sos_bytes_to_base64(const struct sos_bytes *bytes)
{
	char *text = malloc((bytes->length + 2) / 3 * 4 + 1);
	if (!text)
		return NULL;
	const unsigned char *in = (const unsigned char *)bytes->data;
	char *out = text;
	for (size_t i = 0; i < bytes->length; i += 3) {
		size_t left = bytes->length - i;
		uint32_t group = (uint32_t)in[i] << 16;
		group |= left > 1 ? (uint32_t)in[i + 1] << 8 : 0;
		group |= left > 2 ? in[i + 2] : 0;
		*out++ = alphabet[group >> 18];
		*out++ = alphabet[group >> 12 & 63];
		*out++ = left > 1 ? alphabet[group >> 6 & 63] : '=';
		*out++ = left > 2 ? alphabet[group & 63] : '=';
	}
	*out = 0;
	return text;
}
