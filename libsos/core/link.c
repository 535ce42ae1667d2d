/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A link's state, the calls that wait on it and the frames that come in. See
 * link_internal.h for threads and the lock. */

#include "core/link.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "util/clock.h"
#include "util/error.h"
#include "util/guard.h"

#include "core/link_call.h"
#include "core/link_internal.h"

#define GRACE_MARGIN_MS 2000
#define SETUP_MS 30000

static void poke(int fd)
{
	uint64_t one = 1;
	while (fd >= 0 && write(fd, &one, sizeof(one)) < 0 && errno == EINTR)
		;
}

void sos_link_wake_children(struct sos_link *link)
{
	sos_list_each(node, &link->children)
		poke(sos_list_entry(node, struct sos_child, node)->wake_fd);
}

struct sos_child *sos_link_child(struct sos_link *link, uint32_t id)
{
	sos_list_each(node, &link->children) {
		struct sos_child *child = sos_list_entry(node, struct sos_child, node);
		if (child->id == id)
			return child;
	}
	return NULL;
}

/* With the lock: something that waiters look at has changed. */
static void changed(struct sos_link *link)
{
	pthread_cond_broadcast(&link->changed);
	poke(link->waiter_fd);
}

static void fail_calls(struct sos_link *link, int errnum, const char *message)
{
	sos_list_each(node, &link->calls) {
		struct sos_link_reply *reply = sos_list_entry(node, struct sos_link_reply, node);
		if (reply->done)
			continue;
		reply->done = true;
		reply->errnum = errnum;
		snprintf(reply->message, sizeof(reply->message), "%s", message);
	}
}

/* With the lock. */
static void end_locked(struct sos_link *link, int code, const char *reason)
{
	if (link->state == SOS_LINK_ENDED)
		return;
	link->state = SOS_LINK_ENDED;
	link->end_code = code;
	snprintf(link->end_reason, sizeof(link->end_reason), "%s", reason);
	fail_calls(link, ECONNRESET, reason);
	sos_link_wake_children(link);
	changed(link);
}

void sos_link_end(struct sos_link *link, int code, const char *reason)
{
	SOS_LOCKED(&link->lock);
	end_locked(link, code, reason);
}

bool sos_link_ended(struct sos_link *link)
{
	SOS_LOCKED(&link->lock);
	return link->state == SOS_LINK_ENDED;
}

void sos_link_lost(struct sos_link *link, int code, const char *reason)
{
	bool tell;
	char text[200];
	{
		SOS_LOCKED(&link->lock);
		/* What sos-init said on its way out is the better reason. */
		snprintf(text, sizeof(text), "%s", link->closing[0] ? link->closing : reason);
		tell = link->state != SOS_LINK_ENDED && !link->lost_told && link->options.lost;
		link->lost_told = true;
		end_locked(link, code, text);
	}
	if (tell)
		link->options.lost(link->options.data, code, text);
}

void sos_link_broken(struct sos_link *link)
{
	SOS_LOCKED(&link->lock);
	if (link->state != SOS_LINK_UP)
		return;
	link->state = SOS_LINK_DOWN;
	fail_calls(link, ECONNRESET, "the connection to sos-init broke");
	sos_list_each(node, &link->children) {
		struct sos_child *child = sos_list_entry(node, struct sos_child, node);
		child->paused = true;
		child->breaks++;
	}
	sos_link_wake_children(link);
	changed(link);
	sos_timer_set(link->loop, &link->grace, sos_clock_deadline(link->grace_ms));
}

static void grace_over(struct sos_timer *timer)
{
	struct sos_link *link = sos_list_entry(timer, struct sos_link, grace);
	bool down;
	{
		SOS_LOCKED(&link->lock);
		down = link->state == SOS_LINK_DOWN;
	}
	if (down)
		sos_link_lost(link, SOS_ERROR_LOST, "its sos-init did not connect again");
}

/* ---- frames ---- */

static void resume(struct sos_link *link)
{
	uint8_t frame[64];
	struct sos_frame_writer w;
	sos_frame_begin(&w, frame, sizeof(frame));
	sos_frame_put_u32(&w, SOS_RESUME_HAS_FDS | SOS_RESUME_DROPPED);
	link->resume_id = ++link->next_id;
	sos_link_send(link, frame, sos_frame_end(&w, SOS_FRAME_RESUME, 0, link->resume_id), NULL, 0);
}

static bool got_hello(struct sos_link *link, const struct sos_frame *frame)
{
	struct sos_frame_reader r;
	sos_frame_reader_init(&r, frame);
	uint32_t version = sos_frame_read_u32(&r);
	sos_frame_read_u32(&r); /* flags */
	sos_frame_read_u32(&r); /* shell: the answer to SETUP has it */
	sos_frame_read_u32(&r); /* children */
	struct sos_frame_string nonce = sos_frame_read_string(&r);
	sos_frame_read_bytes(&r); /* record */
	char hex[33];
	for (int i = 0; i < 16; i++)
		snprintf(hex + 2 * i, 3, "%02x", link->options.nonce[i]);
	if (!sos_frame_read_done(&r) || version != SOS_PROTOCOL_VERSION || nonce.length != 32 ||
	    memcmp(nonce.data, hex, 32) != 0)
		return false;
	if (link->attach && !link->attach_transport)
		sos_attach_hang_up(link->attach);
	SOS_LOCKED(&link->lock);
	if (link->state == SOS_LINK_ENDED)
		return true;
	bool again = link->state == SOS_LINK_DOWN;
	link->state = SOS_LINK_UP;
	sos_timer_cancel(link->loop, &link->grace);
	if (again)
		resume(link);
	changed(link);
	return true;
}

static void resumed(struct sos_link *link)
{
	sos_list_each(node, &link->children)
		sos_list_entry(node, struct sos_child, node)->paused = false;
	sos_link_wake_children(link);
}

/* With the lock. An error that no call waits for is about a child that was to be started. */
static void refused(struct sos_link *link, uint32_t id, int errnum)
{
	struct sos_child *child = sos_link_child(link, id);
	if (!child || child->exited || child->refused)
		return;
	child->refused = errnum;
	poke(child->wake_fd);
}

static bool got_reply(struct sos_link *link, const struct sos_frame *frame)
{
	struct sos_frame_reader r;
	sos_frame_reader_init(&r, frame);
	uint32_t value = frame->length >= 4 ? sos_frame_read_u32(&r) : 0;
	struct sos_frame_string message = { "", 0 };
	if (frame->type == SOS_FRAME_ERROR)
		message = sos_frame_read_string(&r);
	if (!sos_frame_read_done(&r))
		return false;
	int errnum = frame->type != SOS_FRAME_ERROR ? 0 : value ? (int)value : EIO;
	SOS_LOCKED(&link->lock);
	if (frame->id == link->resume_id && !errnum)
		resumed(link);
	sos_list_each(node, &link->calls) {
		struct sos_link_reply *reply = sos_list_entry(node, struct sos_link_reply, node);
		if (reply->id != frame->id || reply->done)
			continue;
		reply->done = true;
		reply->value = value;
		reply->refused = errnum != 0;
		reply->errnum = errnum;
		snprintf(reply->message, sizeof(reply->message), "%.*s", (int)message.length, message.data);
		pthread_cond_broadcast(&link->changed);
		return true;
	}
	if (errnum)
		refused(link, frame->id, errnum);
	return true;
}

void sos_link_exited(struct sos_link *link, uint32_t id, int status)
{
	SOS_LOCKED(&link->lock);
	struct sos_child *child = sos_link_child(link, id);
	if (!child || child->exited)
		return;
	child->exited = true;
	child->status = status;
	poke(child->wake_fd);
}

/* Bytes that sos-init drained while the connection was broken, or the number of those that it could not keep. */
static bool got_drained(struct sos_link *link, const struct sos_frame *frame)
{
	struct sos_frame_reader r;
	sos_frame_reader_init(&r, frame);
	uint32_t target = sos_frame_read_u32(&r);
	uint64_t dropped = frame->type == SOS_FRAME_DROPPED ? sos_frame_read_u64(&r) : 0;
	if (r.failed || !target)
		return false;
	SOS_LOCKED(&link->lock);
	struct sos_child *child = sos_link_child(link, frame->id);
	for (int i = 0; child && i < SOS_CHILD_DRAINED; i++) {
		struct sos_buffer *data = &child->drained[i].data;
		if (child->drained[i].target && child->drained[i].target != target)
			continue;
		child->drained[i].target = target;
		child->drained[i].dropped += dropped;
		/* sos-init's own buffers are bounded; so is what we take from it. */
		return data->length + r.left <= 4u * 1024 * 1024 && sos_buffer_append(data, r.data, r.left) == 0;
	}
	return true;
}

static bool got_closing(struct sos_link *link, const struct sos_frame *frame)
{
	struct sos_frame_reader r;
	sos_frame_reader_init(&r, frame);
	struct sos_frame_string reason = sos_frame_read_string(&r);
	SOS_LOCKED(&link->lock);
	snprintf(link->closing, sizeof(link->closing), "%.*s", (int)reason.length, reason.data);
	return sos_frame_read_done(&r);
}

bool sos_link_frame(struct sos_link *link, const struct sos_frame *frame, bool from_attach)
{
	struct sos_frame_reader r;
	/* A stream that is attached beside the socket is there for one word only. */
	if (from_attach && !link->attach_transport && frame->type != SOS_FRAME_NO_SOCKET)
		return true;
	switch (frame->type) {
	case SOS_FRAME_HELLO:
		return got_hello(link, frame);
	case SOS_FRAME_OK:
	case SOS_FRAME_ERROR:
		return got_reply(link, frame);
	case SOS_FRAME_CLOSING:
		return got_closing(link, frame);
	case SOS_FRAME_NO_SOCKET: {
		SOS_LOCKED(&link->lock);
		link->no_socket = true;
		changed(link);
		return from_attach;
	}
	case SOS_FRAME_EXITED:
		if (from_attach)
			return sos_attach_frame(link->attach, frame);
		sos_frame_reader_init(&r, frame);
		int status = (int)sos_frame_read_u32(&r);
		if (r.failed)
			return false;
		sos_link_exited(link, frame->id, status);
		return true;
	case SOS_FRAME_DATA:
		return from_attach ? sos_attach_frame(link->attach, frame) : got_drained(link, frame);
	case SOS_FRAME_DROPPED:
		return !from_attach && got_drained(link, frame);
	case SOS_FRAME_CREDIT:
		return from_attach && sos_attach_frame(link->attach, frame);
	default:
		return false;
	}
}

/* ---- life ---- */

static void kicked(struct sos_timer *timer)
{
	sos_link_socket_judge(sos_list_entry(timer, struct sos_link, kick));
}

int sos_link_new(struct sos_loop *loop, const struct sos_link_options *options, struct sos_link **out,
		 struct sos_error *error)
{
	struct sos_link *link = calloc(1, sizeof(*link));
	if (!link)
		return sos_error_nomem(error);
	pthread_condattr_t attributes;
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&link->changed, &attributes);
	pthread_condattr_destroy(&attributes);
	pthread_mutex_init(&link->lock, NULL);
	link->loop = loop;
	link->options = *options;
	link->options.directory = NULL; /* the caller's string; ours is link->directory */
	link->waiter_fd = -1;
	link->grace_ms = 60000;
	link->listener.fd = link->conn.fd = link->pidfd.fd = -1;
	for (int i = 0; i < SOS_LINK_PARKED; i++)
		link->parked[i].fd = -1;
	sos_list_init(&link->calls);
	sos_list_init(&link->children);
	sos_timer_init(&link->kick, kicked);
	sos_timer_init(&link->grace, grace_over);
	if (options->directory) {
		link->directory = strdup(options->directory);
		int r = link->directory ? sos_link_socket_open(link, error) : sos_error_nomem(error);
		if (r < 0) {
			sos_link_free(link);
			return r;
		}
	}
	*out = link;
	return 0;
}

void sos_link_free(struct sos_link *link)
{
	if (!link)
		return;
	sos_link_end(link, SOS_ERROR_ENDED, "the sandbox was stopped");
	sos_timer_cancel(link->loop, &link->grace);
	sos_timer_cancel(link->loop, &link->kick);
	sos_link_socket_free(link);
	sos_attach_free(link->attach);
	/* The socket's callback may have set them again before it was removed. */
	sos_timer_cancel(link->loop, &link->grace);
	sos_timer_cancel(link->loop, &link->kick);
	free(link->directory);
	pthread_cond_destroy(&link->changed);
	pthread_mutex_destroy(&link->lock);
	free(link);
}

int sos_link_attach(struct sos_link *link, struct sos_engine_stream *stream, bool socket_too, struct sos_error *error)
{
	{
		SOS_LOCKED(&link->lock);
		link->attach_transport = !socket_too;
	}
	return sos_attach_new(link, stream, &link->attach, error);
}

void sos_link_set_pid(struct sos_link *link, pid_t pid)
{
	{
		SOS_LOCKED(&link->lock);
		link->pid = pid;
	}
	if (link->directory)
		sos_timer_set(link->loop, &link->kick, 0);
}

int sos_link_send(struct sos_link *link, const void *frame, size_t length, const int *fds, size_t fd_count)
{
	if (!length)
		return -EMSGSIZE;
	if (link->attach_transport)
		return sos_attach_send(link->attach, frame, length);
	return sos_link_socket_send(link, frame, length, fds, fd_count);
}

static int wait_over(struct sos_link *link, struct sos_error *error)
{
	SOS_LOCKED(&link->lock);
	if (link->state == SOS_LINK_ENDED)
		return sos_error_set(error, link->end_code, "%s", link->end_reason);
	if (link->state == SOS_LINK_UP)
		return 0;
	if (link->no_socket)
		return sos_error_set(error, SOS_ERROR_UNSUPPORTED,
				     "the container cannot reach this process by a unix socket");
	return 1;
}

int sos_link_wait(struct sos_link *link, int64_t deadline, int cancel_fd, struct sos_error *error)
{
	SOS_AUTO_CLOSE int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (fd < 0)
		return sos_error_errno(error, SOS_ERROR_SYSTEM, errno, "cannot wait for sos-init");
	pthread_mutex_lock(&link->lock);
	link->waiter_fd = fd;
	pthread_mutex_unlock(&link->lock);
	int r;
	while ((r = wait_over(link, error)) > 0) {
		struct pollfd polls[2] = { { fd, POLLIN, 0 }, { cancel_fd, POLLIN, 0 } };
		int n = poll(polls, 2, sos_clock_poll_ms(deadline));
		uint64_t value;
		if (n > 0 && polls[1].revents) {
			r = sos_error_set(error, SOS_ERROR_CANCELLED, "cancelled");
			break;
		}
		if (n > 0 && read(fd, &value, sizeof(value)) < 0) {
			/* taken already */
		}
		if (n == 0 && deadline <= sos_clock_ns()) {
			r = sos_error_set(error, SOS_ERROR_DEADLINE,
					  "sos-init did not connect within the time for the start");
			break;
		}
	}
	pthread_mutex_lock(&link->lock);
	link->waiter_fd = -1;
	pthread_mutex_unlock(&link->lock);
	return r;
}

static struct sos_frame_string string(const char *text)
{
	return (struct sos_frame_string){ text ? text : "", text ? (uint32_t)strlen(text) : 0 };
}

int sos_link_set_up(struct sos_link *link, const struct sos_link_setup *setup, int64_t deadline,
		    enum sos_shell *shell, struct sos_error *error)
{
	uint32_t count = 0;
	while (setup->environment && setup->environment[count])
		count++;
	SOS_AUTO_FREE struct sos_frame_string *environment = calloc(count + 1, sizeof(*environment));
	SOS_AUTO_FREE uint8_t *frame = malloc(SOS_FRAME_HEADER + SOS_FRAME_MAX);
	if (!environment || !frame)
		return sos_error_nomem(error);
	for (uint32_t i = 0; i < count; i++)
		environment[i] = string(setup->environment[i]);
	struct sos_frame_setup out = {
		.lifetime_ms = (uint64_t)setup->lifetime_ms,
		.idle_timeout_ms = (uint64_t)setup->idle_timeout_ms,
		.lease_ms = (uint64_t)setup->lease_ms,
		.flags = (setup->strict ? SOS_SETUP_STRICT : 0) | (setup->network ? SOS_SETUP_NETWORK : 0),
		.user = string(setup->user),
		.working_directory = string(setup->working_directory),
		.hostname = string(setup->hostname),
		.record = { setup->record, (uint32_t)setup->record_length },
		.environment = environment,
		.environment_count = count,
	};
	uint32_t id;
	{
		SOS_LOCKED(&link->lock);
		id = ++link->next_id;
		link->idle_clock = setup->idle_timeout_ms > 0;
		link->grace_ms = setup->lease_ms + GRACE_MARGIN_MS;
	}
	size_t length = sos_frame_write_setup(frame, SOS_FRAME_HEADER + SOS_FRAME_MAX, id, &out);
	if (!length || count > SOS_FRAME_LIST_MAX)
		return sos_error_set(error, SOS_ERROR_INVALID, "environment and record are too long: at most %u KiB",
				     SOS_FRAME_MAX / 1024);
	struct sos_link_reply reply;
	if (sos_clock_deadline(SETUP_MS) < deadline)
		deadline = sos_clock_deadline(SETUP_MS);
	int r = sos_link_call(link, frame, length, id, NULL, 0, deadline, &reply, error);
	if (r < 0)
		return r;
	if (reply.refused)
		return sos_error_set(error, SOS_ERROR_INVALID, "%s", reply.message);
	*shell = reply.value <= SOS_SHELL_BASH ? (enum sos_shell)reply.value : SOS_SHELL_NONE;
	return 0;
}
