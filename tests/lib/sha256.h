/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stddef.h>

/* SHA-256 (FIPS 180-4) of bytes, in lower-case hex with a NUL. For the tests only. */
void sha256_hex(const void *bytes, size_t length, char hex[65]);
