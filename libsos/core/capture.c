/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "core/capture.h"

#include <errno.h>
#include <stdbool.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

#define STRIDE ((size_t)256 * 1024) /* as much as a pipe holds */
#define STRIDE_MIN ((size_t)64 * 1024) /* less is not worth the call */

static int keep(struct sos_buffer *buffer, uint64_t *dropped, uint64_t cap, const void *data, size_t length)
{
	uint64_t room = cap > buffer->length ? cap - buffer->length : 0;
	size_t kept = length < room ? length : (size_t)room;
	if (kept && sos_buffer_append(buffer, data, kept) < 0)
		return -1;
	*dropped += length - kept;
	return 0;
}

int sos_capture_bytes(struct sos_capture *capture, enum sos_capture_stream stream, const void *data, size_t length)
{
	struct sos_result *r = capture->result;
	if (keep(&r->output, &r->dropped_output, capture->cap, data, length) < 0)
		return -1;
	if (!r->separate)
		return 0;
	if (stream == SOS_CAPTURE_ERR)
		return keep(&r->err, &r->dropped_err, capture->cap, data, length);
	return keep(&r->out, &r->dropped_out, capture->cap, data, length);
}

void sos_capture_lost(struct sos_capture *capture, enum sos_capture_stream stream, uint64_t count)
{
	struct sos_result *r = capture->result;
	r->dropped_output += count;
	if (r->separate && stream == SOS_CAPTURE_ERR)
		r->dropped_err += count;
	else if (r->separate)
		r->dropped_out += count;
}

static size_t stride_end(size_t offset)
{
	return (offset + STRIDE - 1) & ~(STRIDE - 1);
}

/* New memory comes in one call a stride rather than by a fault a page, which costs more than the copy of its bytes.
 * (Huge pages would be better still where the machine has them at hand, and were four times slower where it had not.)
 * Kernels before 5.14 do not know it, and fault. */
static void populate(const struct sos_buffer *buffer, size_t want)
{
	size_t from = stride_end(buffer->length), to = stride_end(buffer->length + want);
	if (to > buffer->capacity)
		to = buffer->capacity;
	if (from + STRIDE_MIN > to)
		return;
	uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
	uintptr_t start = ((uintptr_t)buffer->data + from + page - 1) & ~(page - 1);
	uintptr_t end = ((uintptr_t)buffer->data + to) & ~(page - 1);
	madvise((void *)start, end - start, MADV_POPULATE_WRITE);
}

/* Merged streams, the usual case, are read into their place. */
static ssize_t read_in_place(struct sos_capture *capture, int fd, size_t want)
{
	struct sos_buffer *buffer = &capture->result->output;
	uint64_t room = capture->cap - buffer->length;
	if (want > room)
		want = (size_t)room;
	if (sos_buffer_reserve(buffer, want) < 0)
		return -ENOMEM;
	populate(buffer, want);
	ssize_t n = read(fd, buffer->data + buffer->length, want);
	if (n > 0) {
		buffer->length += (size_t)n;
		buffer->data[buffer->length] = 0;
	}
	return n < 0 ? -errno : n;
}

static ssize_t read_aside(struct sos_capture *capture, enum sos_capture_stream stream, int fd, size_t want)
{
	char bytes[16384];
	ssize_t n = read(fd, bytes, want < sizeof(bytes) ? want : sizeof(bytes));
	if (n > 0 && sos_capture_bytes(capture, stream, bytes, (size_t)n) < 0)
		return -ENOMEM;
	return n < 0 ? -errno : n;
}

int64_t sos_capture_pipe(struct sos_capture *capture, enum sos_capture_stream stream, int fd)
{
	int available = 0;
	if (ioctl(fd, FIONREAD, &available) < 0 || available <= 0)
		return 0;
	int64_t total = 0;
	while (total < available) {
		bool in_place = !capture->result->separate && capture->result->output.length < capture->cap;
		size_t want = (size_t)(available - total);
		ssize_t n = in_place ? read_in_place(capture, fd, want) : read_aside(capture, stream, fd, want);
		if (n == -EINTR)
			continue;
		if (n == -ENOMEM)
			return -ENOMEM;
		if (n <= 0)
			break;
		total += n;
	}
	return total;
}
