/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "wire/tar.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/* POSIX.1-1988 ustar; numbers are octal text. */
struct header {
	char name[100], mode[8], uid[8], gid[8], size[12], mtime[12], checksum[8], type, link[100];
	char magic[6], version[2], user[32], group[32], major[8], minor[8], prefix[155], pad[12];
};
_Static_assert(sizeof(struct header) == 512, "a tar header is one block");

static const char zeros[1024];

static bool path_valid(const char *path)
{
	if (!*path || *path == '/')
		return false;
	for (const char *part = path; part;) {
		const char *slash = strchr(part, '/');
		size_t length = slash ? (size_t)(slash - part) : strlen(part);
		if (length == 2 && part[0] == '.' && part[1] == '.')
			return false;
		part = slash ? slash + 1 : NULL;
	}
	return true;
}

/* The name's field takes 100 bytes; what is longer has its front, up to a slash, in the prefix. */
static int put_path(struct header *h, const char *path)
{
	size_t length = strlen(path);
	if (length <= sizeof(h->name)) {
		memcpy(h->name, path, length);
		return 0;
	}
	for (size_t i = length - sizeof(h->name) - 1; i <= sizeof(h->prefix) && i + 1 < length; i++) {
		if (path[i] != '/' || !i)
			continue;
		memcpy(h->prefix, path, i);
		memcpy(h->name, path + i + 1, length - i - 1);
		return 0;
	}
	return -ENAMETOOLONG;
}

static void put_checksum(struct header *h)
{
	unsigned int sum = 0;
	memset(h->checksum, ' ', sizeof(h->checksum));
	for (size_t i = 0; i < sizeof(*h); i++)
		sum += ((const unsigned char *)h)[i];
	snprintf(h->checksum, sizeof(h->checksum), "%06o", sum);
	h->checksum[7] = ' ';
}

static int put_header(struct sos_buffer *tar, const char *path, char type, uint32_t mode, size_t size)
{
	struct header h = { .type = type };
	if (!path_valid(path) || mode > 07777)
		return -EINVAL;
	if (size > 077777777777u)
		return -EFBIG;
	int r = put_path(&h, path);
	if (r < 0)
		return r;
	snprintf(h.mode, sizeof(h.mode), "%07o", mode);
	snprintf(h.uid, sizeof(h.uid), "%07o", 0);
	snprintf(h.gid, sizeof(h.gid), "%07o", 0);
	snprintf(h.size, sizeof(h.size), "%011zo", size);
	snprintf(h.mtime, sizeof(h.mtime), "%011o", 0);
	memcpy(h.magic, "ustar", 6);
	memcpy(h.version, "00", 2);
	put_checksum(&h);
	return sos_buffer_append(tar, &h, sizeof(h)) < 0 ? -ENOMEM : 0;
}

int sos_tar_directory(struct sos_buffer *tar, const char *path, uint32_t mode)
{
	return put_header(tar, path, '5', mode, 0);
}

int sos_tar_file(struct sos_buffer *tar, const char *path, uint32_t mode, const void *data, size_t length)
{
	size_t before = tar->length;
	int r = put_header(tar, path, '0', mode, length);
	if (r < 0)
		return r;
	if (sos_buffer_append(tar, data, length) < 0 || sos_buffer_append(tar, zeros, -length & 511) < 0) {
		tar->length = before; /* no half entry stays */
		return -ENOMEM;
	}
	return 0;
}

int sos_tar_end(struct sos_buffer *tar)
{
	return sos_buffer_append(tar, zeros, sizeof(zeros)) < 0 ? -ENOMEM : 0;
}
