/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The sos-init program inside the library. The bytes are made by the build. */

#include <stdio.h>

#include "core/session.h"

extern const unsigned char sos_init_image_data[];
extern const unsigned long sos_init_image_size;

const void *sos_init_image(size_t *length)
{
	*length = sos_init_image_size;
	return sos_init_image_data;
}

void sos_init_hash(char hex[17])
{
	uint64_t hash = 0xcbf29ce484222325u;
	for (unsigned long i = 0; i < sos_init_image_size; i++)
		hash = (hash ^ sos_init_image_data[i]) * 0x100000001b3u;
	snprintf(hex, 17, "%016llx", (unsigned long long)hash);
}
