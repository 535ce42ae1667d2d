/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The attach stream as a transport: frames both ways. What they carry goes
 * through link_relay.c to the same local pipes that the socket way shares with
 * the container, so that sessions know one kind of descriptor. */

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "engine/engine.h"
#include "util/clock.h"
#include "util/error.h"
#include "util/guard.h"

#include "core/link_attach_internal.h"

#define OUT_MAX (2u * 1024 * 1024) /* bytes that wait for the Engine to read */
#define KEEPALIVE_MS 10000

/* ---- sending ---- */

/* With the link's lock. */
static int flush(struct sos_attach *attach)
{
	while (attach->out.length) {
		ssize_t n = sos_engine_stream_write(attach->stream, attach->out.data, attach->out.length);
		if (n == -EAGAIN)
			break;
		if (n <= 0)
			return n ? (int)n : -EPIPE;
		sos_buffer_consume(&attach->out, (size_t)n);
	}
	if (attach->watch.added)
		sos_loop_modify(attach->link->loop, &attach->watch, attach->out.length ? EPOLLIN | EPOLLOUT : EPOLLIN);
	return 0;
}

int sos_attach_send(struct sos_attach *attach, const void *frame, size_t length)
{
	if (!attach || attach->ended)
		return -ENOTCONN;
	if (attach->out.length > OUT_MAX)
		return -EAGAIN;
	if (sos_buffer_append(&attach->out, frame, length) < 0)
		return -ENOMEM;
	int r = flush(attach);
	return r == -ENOTCONN || r == -EPIPE || r == -ECONNRESET ? 0 : r; /* the reader sees its end */
}

int sos_attach_send_small(struct sos_attach *attach, uint16_t type, uint32_t child, uint32_t target,
			  const uint32_t *bytes, const void *data, size_t length)
{
	uint8_t frame[SOS_FRAME_HEADER + 8 + 4096];
	struct sos_frame_writer w;
	sos_frame_begin(&w, frame, sizeof(frame));
	if (type != SOS_FRAME_KEEPALIVE)
		sos_frame_put_u32(&w, target);
	if (bytes)
		sos_frame_put_u32(&w, *bytes);
	sos_frame_put_raw(&w, data, length);
	SOS_LOCKED(&attach->link->lock);
	return sos_attach_send(attach, frame, sos_frame_end(&w, type, 0, child));
}

static void keep_alive(struct sos_timer *timer)
{
	struct sos_attach *attach = sos_list_entry(timer, struct sos_attach, keepalive);
	sos_attach_send_small(attach, SOS_FRAME_KEEPALIVE, 0, 0, NULL, NULL, 0);
	sos_timer_set(attach->link->loop, timer, sos_clock_deadline(KEEPALIVE_MS));
}

/* ---- the stream ---- */

static void stream_over(struct sos_attach *attach, const char *reason)
{
	bool transport;
	{
		SOS_LOCKED(&attach->link->lock);
		attach->ended = true;
		transport = attach->link->attach_transport;
	}
	sos_loop_remove(attach->link->loop, &attach->watch);
	if (transport)
		sos_link_lost(attach->link, SOS_ERROR_LOST, reason);
}

/* Every whole frame in `in`. */
static bool take_frames(struct sos_attach *attach)
{
	size_t at = 0;
	while (at < attach->in.length) {
		struct sos_frame frame;
		int n = sos_frame_parse(attach->in.data + at, attach->in.length - at, &frame);
		if (n == 0)
			break;
		if (n < 0 || !sos_link_frame(attach->link, &frame, true))
			return false;
		at += (size_t)n;
	}
	sos_buffer_consume(&attach->in, at);
	return true;
}

static void stream_ready(struct sos_watch *watch, uint32_t events)
{
	struct sos_attach *attach = sos_list_entry(watch, struct sos_attach, watch);
	char *scratch = sos_loop_scratch(attach->link->loop);
	if (events & EPOLLOUT) {
		SOS_LOCKED(&attach->link->lock);
		flush(attach);
		pthread_cond_broadcast(&attach->link->changed);
	}
	for (;;) {
		bool is_stderr = false;
		ssize_t n = sos_engine_stream_read(attach->stream, scratch, SOS_LOOP_SCRATCH, &is_stderr);
		if (n == -EAGAIN)
			return;
		if (n <= 0) {
			stream_over(attach, "the Engine closed the attach stream");
			return;
		}
		if (is_stderr)
			continue;
		/* A child may have been spawned since the last read, and its answer, output and end be among these bytes. */
		sos_relay_tasks(attach);
		if (sos_buffer_append(&attach->in, scratch, (size_t)n) < 0 || !take_frames(attach)) {
			stream_over(attach, "its sos-init broke the protocol");
			return;
		}
	}
}

int sos_attach_new(struct sos_link *link, struct sos_engine_stream *stream, struct sos_attach **out,
		   struct sos_error *error)
{
	struct sos_attach *attach = calloc(1, sizeof(*attach));
	if (!attach || pipe2(attach->scratch, O_CLOEXEC | O_NONBLOCK) < 0) {
		free(attach);
		sos_engine_stream_free(stream);
		return sos_error_nomem(error);
	}
	attach->link = link;
	attach->stream = stream;
	sos_list_init(&attach->relays);
	sos_list_init(&attach->deliveries);
	sos_list_init(&attach->tasks);
	sos_timer_init(&attach->kick, sos_relay_tasks_due);
	sos_timer_init(&attach->keepalive, keep_alive);
	attach->watch = (struct sos_watch){ .ready = stream_ready, .fd = sos_engine_stream_fd(stream) };
	/* Frames may come the moment the watch is there: the link must know us. */
	*out = attach;
	int r = sos_loop_add(link->loop, &attach->watch, EPOLLIN);
	if (r < 0)
		return sos_error_errno(error, SOS_ERROR_SYSTEM, -r, "cannot watch the attach stream");
	if (link->attach_transport)
		sos_timer_set(link->loop, &attach->keepalive, sos_clock_deadline(KEEPALIVE_MS));
	return 0;
}

void sos_attach_hang_up(struct sos_attach *attach)
{
	{
		SOS_LOCKED(&attach->link->lock);
		attach->ended = true;
	}
	sos_loop_remove(attach->link->loop, &attach->watch);
	sos_engine_stream_free(SOS_STEAL(attach->stream));
}

void sos_attach_free(struct sos_attach *attach)
{
	if (!attach)
		return;
	struct sos_loop *loop = attach->link->loop;
	sos_loop_remove(loop, &attach->watch);
	sos_timer_cancel(loop, &attach->kick);
	sos_timer_cancel(loop, &attach->keepalive);
	sos_timer_cancel(loop, &attach->keepalive); /* it sets itself again */
	sos_relay_clear(attach);
	sos_engine_stream_free(attach->stream);
	close(attach->scratch[0]);
	close(attach->scratch[1]);
	sos_buffer_free(&attach->in);
	sos_buffer_free(&attach->out);
	free(attach);
}
