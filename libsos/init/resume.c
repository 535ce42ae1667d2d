/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "init/resume.h"

#include <errno.h>
#include <poll.h>
#include <unistd.h>

#include "init/child.h"
#include "init/control.h"
#include "init/relay.h"

static struct {
	bool active;
	uint32_t flags;
	uint32_t request;
	unsigned next;           /* cursor of sos_child_next */
	struct sos_child *child; /* the one in hand */
	uint32_t child_id;       /* to see that it is still the same */
	bool introduced;         /* its CHILD frame is out, or not needed */
	unsigned stream;
} hand_over;

static void on_drain(struct sos_event *event, uint32_t events)
{
	struct sos_stream *s = (struct sos_stream *)event;
	bool status = s->last && s->child->kind == SOS_KIND_SESSION;
	bool full = sos_stream_buffer(s) < 0 || s->length == SOS_FRAME_WINDOW;
	if (full && (status || !s->buffer)) {
		sos_event_set(event, 0);
		return;
	}
	uint8_t *to = full ? sos_control_scratch() : s->buffer + s->length;
	ssize_t n = read(event->fd, to, full ? SOS_CONTROL_SCRATCH : SOS_FRAME_WINDOW - s->length);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		sos_event_set(event, 0); /* the library will find the end itself */
		return;
	}
	if (full)
		s->dropped += (uint64_t)n;
	else
		s->length += (size_t)n;
}

void sos_resume_prepare(struct sos_stream *stream)
{
	if (stream->kind == SOS_STREAM_KEPT_OUT)
		stream->event.ready = on_drain;
}

static void drain(bool on)
{
	unsigned i = 0;
	for (struct sos_child *c; (c = sos_child_next(&i));)
		for (unsigned k = 0; k < c->stream_count; k++)
			if (c->streams[k].kind == SOS_STREAM_KEPT_OUT && c->streams[k].event.fd >= 0)
				sos_event_set(&c->streams[k].event, on ? EPOLLIN : 0);
}

void sos_resume_lost(void)
{
	hand_over.active = false;
	unsigned i = 0;
	for (struct sos_child *c; (c = sos_child_next(&i));) {
		c->held = true;
		sos_child_unnotify(c);
		for (unsigned k = 0; k < c->stream_count; k++)
			c->streams[k].unacked = 0;
	}
	drain(true);
}

/* A child whose exec is still under way has no pid that could be told: wait for it, which takes no longer than an
 * exec. */
static void settle_starting(void)
{
	unsigned i = 0;
	for (struct sos_child *c; (c = sos_child_next(&i));) {
		struct pollfd p = {.fd = c->exec.fd, .events = POLLIN};
		if (c->state == SOS_CHILD_STARTING && poll(&p, 1, 100) == 1)
			sos_child_started(c);
	}
}

void sos_resume_start(uint32_t request, uint32_t flags)
{
	drain(false);
	settle_starting();
	hand_over.active = true;
	hand_over.flags = flags;
	hand_over.request = request;
	hand_over.next = 0;
	hand_over.child = NULL;
	sos_resume_more();
}

/* The CHILD frame with the library's ends. 1 done, 0 not now. */
static int introduce(struct sos_child *c)
{
	if (hand_over.flags & SOS_RESUME_HAS_FDS)
		return 1;
	uint32_t targets[SOS_FRAME_FDS];
	int fds[SOS_FRAME_FDS];
	unsigned count = 0;
	for (unsigned i = 0; i < c->stream_count && count < SOS_FRAME_FDS; i++) {
		struct sos_stream *s = &c->streams[i];
		if ((s->kind != SOS_STREAM_KEPT_OUT && s->kind != SOS_STREAM_KEPT_IN) || s->event.fd < 0)
			continue;
		targets[count] = s->target;
		fds[count++] = s->event.fd;
	}
	uint8_t frame[SOS_FRAME_HEADER + 12 + sizeof targets];
	struct sos_frame_writer w;
	sos_frame_begin(&w, frame, sizeof frame);
	sos_frame_put_u32(&w, (uint32_t)c->pid);
	sos_frame_put_u32(&w, c->kind);
	sos_frame_put_u32(&w, count);
	for (unsigned i = 0; i < count; i++)
		sos_frame_put_u32(&w, targets[i]);
	size_t length = sos_frame_end(&w, SOS_FRAME_CHILD, (uint16_t)count, c->id);
	if (count)
		return sos_control_send_fds(frame, length, fds, count) != 0;
	sos_control_send(frame, length);
	return 1;
}

static void send_dropped(const struct sos_stream *s)
{
	uint8_t data[SOS_FRAME_HEADER + 12];
	struct sos_frame_writer w;
	sos_frame_begin(&w, data, sizeof data);
	sos_frame_put_u32(&w, s->target);
	sos_frame_put_u64(&w, s->dropped);
	sos_control_send(data, sos_frame_end(&w, SOS_FRAME_DROPPED, 0, s->child->id));
}

/* One piece of what was drained. True: this stream is done. */
static bool deliver(struct sos_stream *s)
{
	if (s->kind != SOS_STREAM_KEPT_OUT)
		return true;
	if (s->length) {
		size_t n = s->length < SOS_FRAME_DATA_MAX ? s->length : SOS_FRAME_DATA_MAX;
		struct sos_frame_writer w;
		sos_frame_begin(&w, sos_control_scratch(), SOS_CONTROL_SCRATCH);
		sos_frame_put_u32(&w, s->target);
		sos_frame_put_raw(&w, s->buffer + s->start, n);
		s->start += n;
		s->length -= n;
		sos_control_send(w.data, sos_frame_end(&w, SOS_FRAME_DATA, 0, s->child->id));
		return false;
	}
	sos_stream_unbuffer(s);
	if (s->dropped && (hand_over.flags & SOS_RESUME_DROPPED))
		send_dropped(s);
	s->dropped = 0;
	return true;
}

/* One step for the child in hand. False: not now. */
static bool step(struct sos_child *c)
{
	if (!hand_over.introduced) {
		if (!introduce(c))
			return false;
		hand_over.introduced = true;
	} else if (hand_over.stream < c->stream_count) {
		if (deliver(&c->streams[hand_over.stream]))
			hand_over.stream++;
	} else {
		c->held = false;
		c->told = false; /* the last connection may have broken with EXITED under way */
		hand_over.child = NULL;
		sos_relay_pump(c);
	}
	return true;
}

void sos_resume_more(void)
{
	while (hand_over.active && sos_control_roomy()) {
		struct sos_child *c = hand_over.child;
		if (!c || c->id != hand_over.child_id || c->state == SOS_CHILD_FREE) {
			c = hand_over.child = sos_child_next(&hand_over.next);
			if (!c) {
				hand_over.active = false;
				sos_control_ok(hand_over.request);
				return;
			}
			hand_over.child_id = c->id;
			hand_over.introduced = false;
			hand_over.stream = 0;
		}
		if (!step(c))
			return;
	}
}
