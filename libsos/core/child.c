/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "core/child.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/clock.h"
#include "util/error.h"
#include "util/guard.h"

#include "core/link_call.h"
#include "core/link_internal.h"

#define CONTROL_MS 10000 /* for an answer of sos-init to a signal or a kill */

int sos_child_pipe(int fds[2], bool we_read, int size)
{
	if (pipe2(fds, O_CLOEXEC) < 0)
		return -errno;
	int ours = we_read ? fds[0] : fds[1];
	if (fcntl(ours, F_SETFL, O_NONBLOCK | (we_read ? O_RDONLY : O_WRONLY)) < 0) {
		int saved = errno;
		close(fds[0]);
		close(fds[1]);
		return -saved;
	}
	/* Refused beyond an ordinary user's share of pipe memory: the default does too. */
	if (size)
		fcntl(ours, F_SETPIPE_SZ, size);
	return 0;
}

static void close_ports(const struct sos_port *ports, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (ports[i].kind == SOS_PORT_IN || ports[i].kind == SOS_PORT_OUT)
			close(ports[i].fd);
}

static enum sos_frame_end frame_end(const struct sos_port *port, bool attach)
{
	switch (port->kind) {
	case SOS_PORT_IN:
		return attach ? SOS_END_IN : SOS_END_PASSED;
	case SOS_PORT_OUT:
		return attach ? SOS_END_OUT : SOS_END_PASSED;
	case SOS_PORT_FILE:
		return attach ? SOS_END_FILE : SOS_END_PASSED;
	case SOS_PORT_NULL:
		return SOS_END_NULL;
	case SOS_PORT_DUP:
		break;
	}
	return SOS_END_DUP;
}

/* A SPAWN on its way out. */
struct spawn {
	enum sos_frame_kind kind;
	uint32_t flags;
	uint8_t *frame;
	size_t length;
	int fds[SOS_FRAME_FDS];
	size_t fd_count;
};

static int too_long(struct sos_error *error)
{
	return sos_error_set(error, SOS_ERROR_INVALID, "arguments are too long: at most %u KiB together",
			     SOS_FRAME_MAX / 1024 - 1);
}

static int add_fd(struct spawn *spawn, int fd)
{
	if (spawn->fd_count == SOS_FRAME_FDS)
		return -1;
	spawn->fds[spawn->fd_count++] = fd;
	return 0;
}

static int write_ports(struct spawn *spawn, const struct sos_port *ports, size_t count, bool attach,
		       struct sos_frame_fd ends[SOS_SPAWN_FDS_MAX])
{
	if (count > SOS_SPAWN_FDS_MAX)
		return -1;
	for (size_t i = 0; i < count; i++) {
		ends[i] = (struct sos_frame_fd){ ports[i].target, frame_end(&ports[i], attach), ports[i].source,
						 ports[i].kind == SOS_PORT_FILE };
		if (ends[i].end == SOS_END_PASSED && add_fd(spawn, ports[i].fd) < 0)
			return -1;
	}
	return 0;
}

/* No larger than it is: a frame of the largest size would be mapped and unmapped for each command. */
static int write_spawn(struct spawn *spawn, const struct sos_child *child, const char *const *argv,
		       const struct sos_port *ports, size_t port_count, struct sos_error *error)
{
	struct sos_frame_fd ends[SOS_SPAWN_FDS_MAX];
	struct sos_frame_spawn out = { .kind = spawn->kind, .flags = spawn->flags, .path = { "", 0 }, .fds = ends };
	size_t size = SOS_FRAME_HEADER + 64 + sizeof(ends);
	while (argv[out.argc])
		out.argc++;
	SOS_AUTO_FREE struct sos_frame_string *strings = calloc(out.argc + 1, sizeof(*strings));
	if (!strings)
		return sos_error_nomem(error);
	for (uint32_t i = 0; i < out.argc; i++) {
		size_t length = strlen(argv[i]);
		if (length > SOS_FRAME_MAX)
			return too_long(error);
		strings[i] = (struct sos_frame_string){ argv[i], (uint32_t)length };
		size += sizeof(uint32_t) + length;
	}
	out.argv = strings;
	out.fd_count = (uint32_t)port_count;
	if (out.argc > SOS_FRAME_LIST_MAX || size > 2 * SOS_FRAME_MAX ||
	    write_ports(spawn, ports, port_count, child->link->attach_transport, ends) < 0)
		return too_long(error);
	if ((spawn->flags & SOS_SPAWN_NOTIFY) && add_fd(spawn, child->wake_fd) < 0)
		return too_long(error);
	spawn->frame = malloc(size);
	if (!spawn->frame)
		return sos_error_nomem(error);
	spawn->length = sos_frame_write_spawn(spawn->frame, size, child->id, (uint16_t)spawn->fd_count, &out);
	return spawn->length ? 0 : too_long(error);
}

static int add_child(struct sos_link *link, struct sos_child *child, struct sos_error *error)
{
	*child = (struct sos_child){ .link = link, .wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK) };
	sos_list_init(&child->node);
	if (child->wake_fd < 0) {
		child->link = NULL;
		return sos_error_errno(error, SOS_ERROR_SYSTEM, errno, "cannot make an eventfd");
	}
	SOS_LOCKED(&link->lock);
	child->id = ++link->next_id;
	sos_list_append(&link->children, &child->node);
	return 0;
}

static int put_by_frames(struct sos_child *child, uint32_t target, const char *data, size_t length,
			 struct sos_error *error)
{
	SOS_AUTO_FREE uint8_t *frame = malloc(SOS_FRAME_HEADER + SOS_FRAME_DATA_MAX + 64);
	if (!frame)
		return sos_error_nomem(error);
	size_t offset = 0;
	do {
		size_t piece = length - offset < SOS_FRAME_DATA_MAX ? length - offset : SOS_FRAME_DATA_MAX;
		struct sos_frame_writer w;
		sos_frame_begin(&w, frame, SOS_FRAME_HEADER + SOS_FRAME_DATA_MAX + 64);
		sos_frame_put_u32(&w, target);
		sos_frame_put_u64(&w, offset);
		sos_frame_put_raw(&w, data + offset, piece);
		int r = sos_link_post(child->link, frame, sos_frame_end(&w, SOS_FRAME_PUT, 0, child->id), NULL, 0,
				      sos_clock_deadline(CONTROL_MS * 6), error);
		if (r < 0)
			return r;
		offset += piece;
	} while (offset < length);
	return 0;
}

/* By attach a file's contents go ahead of the SPAWN that it belongs to. */
static int put_file(struct sos_child *child, uint32_t target, int fd, struct sos_error *error)
{
	struct stat facts;
	if (fstat(fd, &facts) < 0)
		return sos_error_errno(error, SOS_ERROR_SYSTEM, errno, "cannot read the command's file");
	size_t length = (size_t)facts.st_size;
	void *data = length ? mmap(NULL, length, PROT_READ, MAP_PRIVATE, fd, 0) : NULL;
	if (data == MAP_FAILED)
		return sos_error_nomem(error);
	int r = put_by_frames(child, target, data ? data : "", length, error);
	if (data)
		munmap(data, length);
	return r;
}

static int put_files(struct sos_child *child, const struct sos_port *ports, size_t count, struct sos_error *error)
{
	int r = 0;
	for (size_t i = 0; i < count && r == 0; i++)
		if (ports[i].kind == SOS_PORT_FILE)
			r = put_file(child, ports[i].target, ports[i].fd, error);
	return r;
}

/* `reply`: wait for the answer. */
static int send_spawn(struct sos_link *link, struct sos_child *child, struct spawn *spawn, const char *const *argv,
		      const struct sos_port *ports, size_t port_count, int64_t deadline, struct sos_link_reply *reply,
		      struct sos_error *error)
{
	bool attach = link->attach_transport, taken = false;
	int r = add_child(link, child, error);
	if (r == 0)
		r = write_spawn(spawn, child, argv, ports, port_count, error);
	if (r == 0 && attach) {
		taken = true;
		r = sos_attach_ports(link->attach, child->id, spawn->kind == SOS_KIND_SESSION, ports, port_count);
		r = r < 0 ? sos_error_nomem(error) : put_files(child, ports, port_count, error);
	}
	if (r == 0 && reply)
		r = sos_link_call(link, spawn->frame, spawn->length, child->id, spawn->fds, spawn->fd_count, deadline,
				  reply, error);
	else if (r == 0)
		r = sos_link_post(link, spawn->frame, spawn->length, spawn->fds, spawn->fd_count, deadline, error);
	if (!taken)
		close_ports(ports, port_count);
	free(spawn->frame);
	if (r < 0)
		sos_child_free(child);
	return r;
}

int sos_child_spawn(struct sos_link *link, struct sos_child *child, enum sos_frame_kind kind, uint32_t flags,
		    const char *const *argv, const struct sos_port *ports, size_t port_count, int64_t deadline,
		    int *exec_errno, struct sos_error *error)
{
	struct sos_link_reply reply = { 0 };
	struct spawn spawn = { .kind = kind, .flags = flags };
	int r = send_spawn(link, child, &spawn, argv, ports, port_count, deadline, &reply, error);
	if (r < 0)
		return r;
	*exec_errno = reply.refused ? reply.errnum : 0;
	return 0;
}

int sos_child_start(struct sos_link *link, struct sos_child *child, uint32_t flags, const char *const *argv,
		    const struct sos_port *ports, size_t port_count, int64_t deadline, struct sos_error *error)
{
	struct spawn spawn = { .kind = SOS_KIND_STANDALONE, .flags = flags };
	if (!link->attach_transport)
		spawn.flags |= SOS_SPAWN_NOTIFY;
	return send_spawn(link, child, &spawn, argv, ports, port_count, deadline, NULL, error);
}

static size_t small_frame(uint8_t *frame, size_t capacity, uint16_t type, uint32_t id, uint32_t a, const uint64_t *b,
			  uint32_t c, bool has_c)
{
	struct sos_frame_writer w;
	sos_frame_begin(&w, frame, capacity);
	sos_frame_put_u32(&w, a);
	if (b)
		sos_frame_put_u64(&w, *b);
	if (has_c)
		sos_frame_put_u32(&w, c);
	return sos_frame_end(&w, type, 0, id);
}

void sos_child_free(struct sos_child *child)
{
	struct sos_link *link = child->link;
	if (!link)
		return;
	uint8_t frame[64];
	{
		SOS_LOCKED(&link->lock);
		sos_list_remove(&child->node);
		/* Without an answer, which would matter to nobody; when the link is down or full, sos-init's own bounds hold. */
		if (link->state == SOS_LINK_UP)
			sos_link_send(link, frame,
				      small_frame(frame, sizeof(frame), SOS_FRAME_FORGET, 0, child->id, NULL, 0,
						  false),
				      NULL, 0);
	}
	if (link->attach_transport)
		sos_attach_forget(link->attach, child->id);
	close(child->wake_fd);
	for (int i = 0; i < SOS_CHILD_DRAINED; i++)
		sos_buffer_free(&child->drained[i].data);
	*child = (struct sos_child){ 0 };
}

/* The low half counts the link's own pokes, the high one is what sos-init said of the end. */
void sos_child_quiet(struct sos_child *child)
{
	uint64_t value;
	if (read(child->wake_fd, &value, sizeof(value)) != sizeof(value) || !(value >> 32))
		return; /* quiet, or a poke */
	SOS_LOCKED(&child->link->lock);
	if (child->exited)
		return;
	child->exited = true;
	child->status = (int)(uint16_t)((value >> 32) - 1);
}

struct sos_child_state sos_child_look(struct sos_child *child)
{
	SOS_LOCKED(&child->link->lock);
	struct sos_child_state state = {
		.exited = child->exited,
		.paused = child->paused,
		.breaks = child->breaks,
		.status = child->status,
		.refused = child->refused,
		.ended = child->link->state == SOS_LINK_ENDED ? child->link->end_code : 0,
	};
	for (int i = 0; i < SOS_CHILD_DRAINED; i++)
		state.drained |= child->drained[i].target != 0;
	return state;
}

int sos_child_take_drained(struct sos_child *child, uint32_t target, struct sos_buffer *buffer, uint64_t *dropped)
{
	*dropped = 0;
	SOS_LOCKED(&child->link->lock);
	for (int i = 0; i < SOS_CHILD_DRAINED; i++) {
		if (child->drained[i].target != target)
			continue;
		struct sos_buffer *data = &child->drained[i].data;
		int r = data->length ? sos_buffer_append(buffer, data->data, data->length) : 0;
		*dropped = child->drained[i].dropped;
		sos_buffer_free(data);
		child->drained[i].target = 0;
		child->drained[i].dropped = 0;
		return r;
	}
	return 0;
}

int sos_child_ended(struct sos_child *child, struct sos_error *error)
{
	SOS_LOCKED(&child->link->lock);
	return sos_error_set(error, child->link->end_code, "%s", child->link->end_reason);
}

int sos_child_put(struct sos_child *child, uint32_t target, int fd, const void *data, size_t length,
		  struct sos_error *error)
{
	if (child->link->attach_transport)
		return put_by_frames(child, target, data, length, error);
	/* The tenant may have the file open too; it can only confuse its own shell. */
	size_t written = 0;
	while (written < length) {
		ssize_t n = pwrite(fd, (const char *)data + written, length - written, (off_t)written);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return sos_error_errno(error, SOS_ERROR_SYSTEM, errno, "cannot write the command");
		written += (size_t)n;
	}
	if (ftruncate(fd, (off_t)length) < 0)
		return sos_error_errno(error, SOS_ERROR_SYSTEM, errno, "cannot write the command");
	return 0;
}

static size_t signal_frame(uint8_t *frame, size_t capacity, uint32_t id, uint32_t child, int signal,
			   enum sos_frame_scope scope)
{
	struct sos_frame_writer w;
	sos_frame_begin(&w, frame, capacity);
	sos_frame_put_u32(&w, child);
	sos_frame_put_u32(&w, (uint32_t)signal);
	sos_frame_put_u32(&w, scope);
	return sos_frame_end(&w, SOS_FRAME_SIGNAL, 0, id);
}

int sos_child_signal(struct sos_child *child, int signal, enum sos_frame_scope scope, struct sos_error *error)
{
	uint8_t frame[64];
	struct sos_link_reply reply;
	uint32_t id = sos_link_next_id(child->link);
	size_t length = signal_frame(frame, sizeof(frame), id, child->id, signal, scope);
	return sos_link_call(child->link, frame, length, id, NULL, 0, sos_clock_deadline(CONTROL_MS), &reply, error);
}

int sos_child_lives(struct sos_child *child, bool *lives, struct sos_error *error)
{
	uint8_t frame[64];
	struct sos_link_reply reply;
	uint32_t id = sos_link_next_id(child->link);
	size_t length = signal_frame(frame, sizeof(frame), id, child->id, 0, SOS_SCOPE_PROCESS);
	int r = sos_link_call(child->link, frame, length, id, NULL, 0, sos_clock_deadline(CONTROL_MS), &reply, error);
	*lives = r == 0 && !reply.refused;
	return r;
}

int sos_child_reap(struct sos_child *child, int64_t elapsed_ns, uint32_t last, struct sos_error *error)
{
	uint8_t frame[64];
	struct sos_link_reply reply;
	uint32_t id = sos_link_next_id(child->link);
	uint64_t elapsed = child->link->attach_transport ? 0 : (uint64_t)elapsed_ns;
	size_t length = small_frame(frame, sizeof(frame), SOS_FRAME_REAP, id, child->id, &elapsed, last, true);
	return sos_link_call(child->link, frame, length, id, NULL, 0, sos_clock_deadline(CONTROL_MS), &reply, error);
}

void sos_child_busy(struct sos_child *child, bool busy)
{
	if (!child->link->idle_clock)
		return;
	uint8_t frame[64];
	sos_link_post(child->link, frame,
		      small_frame(frame, sizeof(frame), SOS_FRAME_BUSY, child->id, busy, NULL, 0, false), NULL, 0,
		      sos_clock_deadline(CONTROL_MS), NULL);
}
