/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "init/stream.h"

#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "wire/frame.h"

int sos_stream_buffer(struct sos_stream *stream)
{
	if (stream->buffer)
		return 0;
	void *p = mmap(NULL, SOS_FRAME_WINDOW, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED)
		return -1;
	stream->buffer = p;
	stream->start = stream->length = 0;
	return 0;
}

void sos_stream_unbuffer(struct sos_stream *stream)
{
	if (stream->buffer)
		munmap(stream->buffer, SOS_FRAME_WINDOW);
	stream->buffer = NULL;
	stream->start = stream->length = 0;
}

void sos_stream_close(struct sos_stream *stream)
{
	sos_event_close(&stream->event);
	if (stream->other >= 0)
		close(stream->other);
	stream->other = -1;
	sos_stream_unbuffer(stream);
}

uint32_t sos_stream_pending(const struct sos_stream *stream)
{
	int n = 0;
	if (stream->event.fd < 0 || ioctl(stream->event.fd, FIONREAD, &n) < 0 || n < 0)
		return 0;
	return (uint32_t)n;
}
