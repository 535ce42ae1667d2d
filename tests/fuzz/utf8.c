/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "wire/utf8.h"

#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t length = sos_utf8_cleaned_length(data, size);
	MUST(length <= size * 3);
	char *out = malloc(length ? length : 1);
	MUST(out && sos_utf8_clean(data, size, out) == length);
	MUST(sos_utf8_valid(out, length));
	MUST(sos_utf8_valid(data, size) == (length == size && memcmp(out, data, size) == 0));
	/* What is clean stays as it is, and can be cut anywhere near. */
	char *again = malloc(length ? length : 1);
	MUST(again && sos_utf8_cleaned_length(out, length) == length && sos_utf8_clean(out, length, again) == length);
	MUST(memcmp(out, again, length) == 0);
	for (size_t limit = 0; limit <= length && limit < 64; limit++) {
		size_t cut = sos_utf8_truncated_length(out, length, limit);
		MUST(cut <= limit && limit - cut < 4 && sos_utf8_valid(out, cut));
	}
	free(again);
	free(out);
	return 0;
}
