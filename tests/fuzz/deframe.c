/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "wire/deframe.h"

#include "fuzz.h"
#include "util/buffer.h"

struct outcome {
	struct sos_buffer streams[2];
	bool bad, boundary;
};

static struct outcome decode(const uint8_t *data, size_t size, size_t piece)
{
	struct sos_deframe deframe = { 0 };
	struct outcome o = { .bad = false };
	for (size_t at = 0; at < size && !o.bad;) {
		size_t n = size - at < piece ? size - at : piece, used = 0, length = 0;
		const uint8_t *in = data + at, *slice = NULL;
		bool is_stderr = false;
		enum sos_deframe_step step = sos_deframe_read(&deframe, in, n, &used, &slice, &length, &is_stderr);
		MUST(used <= n && (used || step == SOS_DEFRAME_BAD));
		if (step == SOS_DEFRAME_DATA) {
			MUST(length && slice >= in && slice + length <= in + used);
			MUST(sos_buffer_append(&o.streams[is_stderr], slice, length) == 0);
		}
		o.bad = step == SOS_DEFRAME_BAD;
		at += used;
	}
	o.boundary = sos_deframe_at_boundary(&deframe);
	MUST(!o.bad || !o.boundary);
	return o;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct outcome whole = decode(data, size, SIZE_MAX), single = decode(data, size, 1);
	MUST(whole.bad == single.bad && whole.boundary == single.boundary);
	for (int i = 0; i < 2; i++) {
		struct sos_buffer *a = &whole.streams[i], *b = &single.streams[i];
		MUST(a->length == b->length && (!a->length || memcmp(a->data, b->data, a->length) == 0));
		sos_buffer_free(a);
		sos_buffer_free(b);
	}
	return 0;
}
