/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "wire/base64.h"

#include "fuzz.h"

/* The input as bytes: there and back. */
static void encode(const uint8_t *data, size_t size)
{
	size_t length = sos_base64_encoded_length(size);
	char *text = malloc(length ? length : 1);
	uint8_t *back = malloc(length / 4 * 3 + 2);
	MUST(text && back && sos_base64_encode(data, size, text) == length);
	MUST(sos_base64_decode(text, length, back) == (ssize_t)size && memcmp(back, data, size) == 0);
	free(text);
	free(back);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *out = malloc(size / 4 * 3 + 2);
	MUST(out);
	ssize_t length = sos_base64_decode((const char *)data, size, out);
	MUST(length >= -1 && length <= (ssize_t)(size / 4 * 3 + 2));
	if (length > 0) {
		/* Strict: a text that is taken is the only one of its bytes, padding apart. */
		char *text = malloc(sos_base64_encoded_length((size_t)length));
		MUST(text);
		size_t n = sos_base64_encode(out, (size_t)length, text);
		MUST(n >= size && memcmp(text, data, size) == 0);
		free(text);
	}
	free(out);
	encode(data, size);
	return 0;
}
