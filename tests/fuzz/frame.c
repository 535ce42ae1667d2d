/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "wire/frame.h"

#include "fuzz.h"

#define LIST_MAX 64

static void setup(const struct sos_frame *frame)
{
	struct sos_frame_string environment[LIST_MAX], again[LIST_MAX];
	struct sos_frame_setup s, t;
	struct sos_frame f;
	if (!sos_frame_read_setup(frame, &s, environment, LIST_MAX))
		return;
	size_t capacity = SOS_FRAME_HEADER + frame->length;
	uint8_t *out = malloc(capacity);
	MUST(out);
	size_t size = sos_frame_write_setup(out, capacity, frame->id, &s);
	MUST(size == capacity && sos_frame_parse(out, size, &f) == (int)size);
	MUST(memcmp(f.payload, frame->payload, f.length) == 0);
	MUST(sos_frame_read_setup(&f, &t, again, LIST_MAX) && t.environment_count == s.environment_count);
	free(out);
}

static void spawn(const struct sos_frame *frame)
{
	struct sos_frame_string argv[LIST_MAX];
	struct sos_frame_fd fds[SOS_SPAWN_FDS_MAX];
	struct sos_frame_spawn s;
	struct sos_frame f;
	if (!sos_frame_read_spawn(frame, &s, argv, LIST_MAX, fds))
		return;
	MUST(s.fd_count <= SOS_SPAWN_FDS_MAX && s.argc <= LIST_MAX);
	size_t capacity = SOS_FRAME_HEADER + frame->length;
	uint8_t *out = malloc(capacity);
	MUST(out);
	size_t size = sos_frame_write_spawn(out, capacity, frame->id, frame->fds, &s);
	MUST(size == capacity && sos_frame_parse(out, size, &f) == (int)size);
	MUST(memcmp(f.payload, frame->payload, f.length) == 0);
	free(out);
}

/* The primitive readers, in an order that the payload itself gives. */
static void read_parts(const struct sos_frame *frame)
{
	struct sos_frame_reader r;
	struct sos_frame_string list[LIST_MAX];
	sos_frame_reader_init(&r, frame);
	for (uint32_t i = 0; !r.failed && r.left; i++) {
		const uint8_t *end = frame->payload + frame->length;
		struct sos_frame_string s = { "", 0 };
		uint32_t count = 0;
		switch ((frame->id >> (i % 16 * 2)) & 3) {
		case 0:
			sos_frame_read_u32(&r);
			break;
		case 1:
			s = sos_frame_read_bytes(&r);
			break;
		case 2:
			s = sos_frame_read_string(&r);
			MUST(!memchr(s.data, 0, s.length));
			break;
		default:
			count = sos_frame_read_list(&r, list, LIST_MAX);
			MUST(count <= LIST_MAX);
			for (uint32_t k = 0; k < count; k++)
				MUST((const uint8_t *)list[k].data + list[k].length <= end);
		}
		MUST(!s.length ||
		     ((const uint8_t *)s.data >= frame->payload && (const uint8_t *)s.data + s.length <= end));
	}
	MUST(sos_frame_read_done(&r) == (!r.failed && !r.left));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	while (size) {
		struct sos_frame frame;
		int n = sos_frame_parse(data, size, &frame);
		if (n <= 0)
			break;
		MUST((size_t)n <= size && (uint32_t)n == SOS_FRAME_HEADER + frame.length &&
		     frame.length <= SOS_FRAME_MAX);
		MUST(frame.fds <= SOS_FRAME_FDS && frame.payload == data + SOS_FRAME_HEADER);
		setup(&frame);
		spawn(&frame);
		read_parts(&frame);
		data += n;
		size -= (size_t)n;
	}
	return 0;
}
