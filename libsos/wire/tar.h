/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A ustar archive of a few directories and files in memory, owned by 0:0, with
 * no time stamps: the same input gives the same bytes. */

#include <stddef.h>
#include <stdint.h>

#include "util/buffer.h"

/* Paths are relative, without "..", at most 100 bytes (255 where a "/" stands so that they can be split).
 * Return 0; -ENOMEM; -ENAMETOOLONG; -EINVAL: path or mode is wrong; -EFBIG: over 8 GiB. */
int sos_tar_directory(struct sos_buffer *tar, const char *path, uint32_t mode);
int sos_tar_file(struct sos_buffer *tar, const char *path, uint32_t mode, const void *data, size_t length);
/* The two empty blocks at the end. */
int sos_tar_end(struct sos_buffer *tar);
