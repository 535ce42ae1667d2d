/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "init/file.h"

#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#include "init/child.h"
#include "util/clock.h"

#define FILE_MAX (UINT64_C(256) << 20) /* a command of 64 MiB, and room to spare */
#define AHEAD_MAX 64u

/* Files whose child is still to come. */
static struct ahead {
	uint32_t child, target;
	int fd;
	bool used;
} ahead[AHEAD_MAX];

static struct ahead *find(uint32_t child, uint32_t target)
{
	for (unsigned i = 0; i < AHEAD_MAX; i++)
		if (ahead[i].used && ahead[i].child == child && ahead[i].target == target)
			return &ahead[i];
	return NULL;
}

static void drop(struct ahead *a)
{
	close(a->fd);
	a->used = false;
}

/* Too many: NULL. */
static struct ahead *add(uint32_t child, uint32_t target, int fd)
{
	for (unsigned i = 0; i < AHEAD_MAX; i++) {
		if (ahead[i].used)
			continue;
		ahead[i] = (struct ahead){.child = child, .target = target, .fd = fd, .used = true};
		return &ahead[i];
	}
	return NULL;
}

/* A new one. No room, or no memory: NULL; SPAWN then finds an empty file. */
static struct ahead *make(uint32_t child, uint32_t target)
{
	int fd = memfd_create("sos", MFD_CLOEXEC);
	struct ahead *a = fd < 0 ? NULL : add(child, target, fd);
	if (!a && fd >= 0)
		close(fd);
	return a;
}

static int find_fd(uint32_t child, uint32_t target)
{
	struct sos_stream *s = sos_child_stream(child, target, SOS_STREAM_FILE);
	if (s)
		return s->event.fd;
	if (sos_child_find(child))
		return -1;
	struct ahead *a = find(child, target);
	if (!a)
		a = make(child, target);
	return a ? a->fd : -1;
}

bool sos_file_put(const struct sos_frame *frame)
{
	struct sos_frame_reader r;
	sos_frame_reader_init(&r, frame);
	uint32_t target = sos_frame_read_u32(&r);
	uint64_t offset = sos_frame_read_u64(&r);
	if (r.failed || r.left > SOS_FRAME_DATA_MAX || offset > FILE_MAX)
		return false;
	int fd = find_fd(frame->id, target);
	if (fd < 0)
		return true;
	struct sos_child *child = sos_child_find(frame->id);
	if (child && offset == 0)
		child->put_at = sos_clock_ns();
	size_t done = 0;
	while (done < r.left) {
		ssize_t n = pwrite(fd, r.data + done, r.left - done, (off_t)(offset + done));
		if (n <= 0 && errno != EINTR)
			break; /* out of memory: the file stays short, and its reader sees an early end */
		done += n > 0 ? (size_t)n : 0;
	}
	while (ftruncate(fd, (off_t)(offset + done)) < 0 && errno == EINTR)
		;
	return true;
}

int sos_file_take(uint32_t child, uint32_t target)
{
	struct ahead *a = find(child, target);
	if (a) {
		a->used = false;
		return a->fd;
	}
	int fd = memfd_create("sos", MFD_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

void sos_file_give_back(uint32_t child, uint32_t target, int fd)
{
	if (!add(child, target, fd))
		close(fd);
}

void sos_file_forget(uint32_t child)
{
	for (unsigned i = 0; i < AHEAD_MAX; i++)
		if (ahead[i].used && ahead[i].child == child)
			drop(&ahead[i]);
}
