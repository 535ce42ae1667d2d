/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "wire/http_head.h"

#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct sos_http_head head = { 0 }, early = { 0 };
	ssize_t whole = sos_http_head_parse((const char *)data, size, &head);
	MUST(whole >= -1 && whole <= (ssize_t)size && whole <= SOS_HTTP_HEAD_LIMIT);
	if (whole > 0) {
		MUST(head.status >= 100 && head.status < 600 && head.content_length >= -1);
		MUST(!head.chunked || head.content_length == -1);
		MUST(memcmp(data + whole - 4, "\r\n\r\n", 4) == 0);
	}
	/* It does not matter in what pieces it came. */
	size_t length = 0, step = size / 16 + 1;
	ssize_t pieces = 0;
	while (!pieces && length < size) {
		length = size - length < step ? size : length + step;
		char *prefix = fuzz_copy(data, length);
		pieces = sos_http_head_parse(prefix, length, &early);
		free(prefix);
	}
	MUST(pieces == whole);
	MUST(whole <= 0 || (early.status == head.status && early.content_length == head.content_length &&
			    early.chunked == head.chunked));
	return 0;
}
