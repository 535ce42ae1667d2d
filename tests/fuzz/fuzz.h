/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the targets share. Each has one LLVMFuzzerTestOneInput: clang's
 * LibFuzzer calls it, or replay.c with the seeds of corpus/TARGET. A property
 * that does not hold aborts, as a memory error does. */

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MUST(condition)                                                                                                \
	do {                                                                                                           \
		if (!(condition)) {                                                                                    \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);                                \
			abort();                                                                                       \
		}                                                                                                      \
	} while (0)

/* A copy of exactly that size on the heap, so that reading beyond it is seen. */
static inline void *fuzz_copy(const void *data, size_t size)
{
	void *copy = malloc(size ? size : 1);
	MUST(copy);
	memcpy(copy, data, size);
	return copy;
}
