/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "wire/chunked.h"

#include "fuzz.h"
#include "util/buffer.h"

struct outcome {
	struct sos_buffer out;
	size_t used;
	enum sos_chunked_step last;
};

static struct outcome decode(const uint8_t *data, size_t size, size_t piece)
{
	struct sos_chunked chunked = { 0 };
	struct outcome o = { .last = SOS_CHUNKED_MORE };
	while (o.used < size && o.last != SOS_CHUNKED_BAD && o.last != SOS_CHUNKED_END) {
		size_t n = size - o.used < piece ? size - o.used : piece, used = 0, length = 0;
		const uint8_t *in = data + o.used, *slice = NULL;
		o.last = sos_chunked_read(&chunked, in, n, &used, &slice, &length);
		MUST(used <= n && (used || o.last == SOS_CHUNKED_BAD || o.last == SOS_CHUNKED_END));
		if (o.last == SOS_CHUNKED_DATA) {
			MUST(length && slice >= in && slice + length <= in + used);
			MUST(sos_buffer_append(&o.out, slice, length) == 0);
			o.last = SOS_CHUNKED_MORE;
		} else if (o.last == SOS_CHUNKED_MORE) {
			MUST(used == n);
		}
		o.used += used;
	}
	return o;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct outcome whole = decode(data, size, SIZE_MAX), single = decode(data, size, 1);
	MUST(whole.last == single.last && whole.used == single.used && whole.out.length == single.out.length);
	MUST(!whole.out.length || memcmp(whole.out.data, single.out.data, whole.out.length) == 0);
	sos_buffer_free(&whole.out);
	sos_buffer_free(&single.out);
	return 0;
}
