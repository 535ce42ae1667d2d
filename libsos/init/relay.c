/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "init/relay.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "init/control.h"

#define INPUT_PAGE 4096u

static bool is_output(const struct sos_stream *s)
{
	return s->kind == SOS_STREAM_RELAY_OUT && s->event.fd >= 0;
}

/* Send up to `max` bytes of the pipe. >0 sent, 0 nothing there or nothing allowed, -1 the pipe has ended. */
static ssize_t send_data(struct sos_stream *s, uint64_t max)
{
	uint64_t window = SOS_FRAME_WINDOW - s->unacked;
	if (max > window)
		max = window;
	if (max > SOS_FRAME_DATA_MAX)
		max = SOS_FRAME_DATA_MAX;
	if (!max || !sos_control_roomy())
		return 0;
	uint8_t *frame = sos_control_scratch();
	struct sos_frame_writer w;
	sos_frame_begin(&w, frame, SOS_CONTROL_SCRATCH);
	sos_frame_put_u32(&w, s->target);
	ssize_t n = read(s->event.fd, frame + w.length, max);
	if (n < 0 && errno == EINTR)
		return 0;
	if (n < 0 && errno == EAGAIN) {
		s->barrier = s->due = 0; /* somebody inside took what lay there */
		return 0;
	}
	uint32_t id = s->child->id;
	if (n <= 0) {
		s->barrier = s->allowed = s->due = 0;
		sos_stream_close(s);
		sos_control_send(frame, sos_frame_end(&w, SOS_FRAME_DATA, 0, id));
		return -1;
	}
	w.length += (size_t)n;
	uint64_t sent = (uint64_t)n;
	s->unacked += (uint32_t)n;
	s->barrier -= s->barrier < sent ? s->barrier : sent;
	s->allowed -= s->allowed < sent ? s->allowed : sent;
	s->due -= s->due < sent ? s->due : sent;
	sos_control_send(frame, sos_frame_end(&w, SOS_FRAME_DATA, 0, id));
	return n;
}

/* All writers are gone and nothing is left. Never true for a pipe that may still get a byte. */
static bool is_over(const struct sos_stream *s)
{
	struct pollfd p = {.fd = s->event.fd, .events = POLLIN};
	return poll(&p, 1, 0) == 1 && (p.revents & POLLHUP) && !(p.revents & POLLIN);
}

static struct sos_stream *last_output(struct sos_child *child)
{
	for (unsigned i = 0; i < child->stream_count; i++)
		if (child->streams[i].last && is_output(&child->streams[i]))
			return &child->streams[i];
	return NULL;
}

static bool barred(const struct sos_child *child)
{
	for (unsigned i = 0; i < child->stream_count; i++)
		if (is_output(&child->streams[i]) && child->streams[i].barrier)
			return true;
	return false;
}

/* How much of the last output lies there first, and only then what lies in the others: all that was written before
 * those bytes is in the second count. */
static void set_barriers(struct sos_child *child, struct sos_stream *last)
{
	if (last->allowed)
		return;
	last->allowed = sos_stream_pending(last);
	if (!last->allowed)
		return;
	for (unsigned i = 0; i < child->stream_count; i++)
		if (is_output(&child->streams[i]) && &child->streams[i] != last)
			child->streams[i].barrier = sos_stream_pending(&child->streams[i]);
}

static void want(struct sos_child *child)
{
	bool roomy = sos_control_roomy(), bar = barred(child);
	for (unsigned i = 0; i < child->stream_count; i++) {
		struct sos_stream *s = &child->streams[i];
		if (is_output(s))
			sos_event_set(&s->event,
				      roomy && s->unacked < SOS_FRAME_WINDOW && !(s->last && bar) ? EPOLLIN : 0);
	}
}

static bool pump_once(struct sos_child *child)
{
	bool more = false;
	struct sos_stream *last = last_output(child);
	if (last)
		set_barriers(child, last);
	for (unsigned i = 0; i < child->stream_count; i++) {
		struct sos_stream *s = &child->streams[i];
		if (!is_output(s) || (s->last && barred(child)))
			continue;
		if (s->last && !s->allowed && !is_over(s))
			continue;
		if (send_data(s, s->last && s->allowed ? s->allowed : UINT64_MAX) > 0)
			more = true;
	}
	return more;
}

static void write_input(struct sos_stream *s);

/* One DATA frame of each stream a round, and few rounds, so that nobody starves. */
void sos_relay_pump(struct sos_child *child)
{
	if (child->state == SOS_CHILD_FREE || child->state == SOS_CHILD_STARTING)
		return;
	for (int round = 0; round < 4 && sos_control_roomy() && pump_once(child); round++)
		;
	for (unsigned i = 0; i < child->stream_count; i++) {
		struct sos_stream *s = &child->streams[i];
		if (s->kind == SOS_STREAM_RELAY_IN && s->event.fd >= 0 && s->in_pipe)
			write_input(s); /* its credit may have been held */
	}
	sos_child_tell(child);
	want(child);
}

void sos_relay_pump_all(void)
{
	static unsigned turn; /* who comes first moves on, or the first in the table would take all room */
	static struct sos_child *in_use[SOS_CHILDREN_MAX];
	unsigned i = 0, count = 0;
	for (struct sos_child *c; (c = sos_child_next(&i));)
		in_use[count++] = c;
	turn++;
	for (unsigned k = 0; k < count; k++)
		sos_relay_pump(in_use[(turn + k) % count]);
}

static void on_output(struct sos_event *event, uint32_t events)
{
	sos_relay_pump(((struct sos_stream *)event)->child);
}

static void send_credit(const struct sos_stream *s, uint32_t bytes)
{
	uint8_t data[SOS_FRAME_HEADER + 8];
	struct sos_frame_writer w;
	if (!bytes)
		return;
	sos_frame_begin(&w, data, sizeof data);
	sos_frame_put_u32(&w, s->target);
	sos_frame_put_u32(&w, bytes);
	sos_control_send(data, sos_frame_end(&w, SOS_FRAME_CREDIT, 0, s->child->id));
}

static void credit_read(struct sos_stream *s)
{
	if (s->in_pipe && !sos_stream_pending(s)) {
		send_credit(s, s->in_pipe);
		s->in_pipe = 0;
	}
}

/* What the child wrote to its last output before it read goes first: a shell that asks for its next line has reported
 * on the one before. */
static bool held(const struct sos_stream *s)
{
	const struct sos_stream *last = last_output(s->child);
	return last && sos_stream_pending(last);
}

/* The library learns what the child had read before it learns of the end: a shell that ended without having read its
 * line did not run it. */
void sos_relay_ended(struct sos_child *child)
{
	for (unsigned i = 0; i < child->stream_count; i++) {
		struct sos_stream *s = &child->streams[i];
		if (is_output(s))
			s->due = sos_stream_pending(s);
		else if (s->kind == SOS_STREAM_RELAY_IN && s->event.fd >= 0)
			credit_read(s);
	}
}

bool sos_relay_settled(const struct sos_child *child)
{
	for (unsigned i = 0; i < child->stream_count; i++)
		if (is_output(&child->streams[i]) && child->streams[i].due)
			return false;
	return true;
}

/* Input. The pipe has one page, and gets more only when it is empty: that is when it takes a byte again, and the moment
 * at which the library may know that the child has read (a shell that asks for its next line). */

static void take_input(struct sos_stream *s, uint32_t bytes)
{
	s->start += bytes;
	s->length -= bytes;
}

static void write_input(struct sos_stream *s)
{
	if (s->in_pipe && !sos_stream_pending(s) && !held(s))
		credit_read(s);
	if (s->length && !s->in_pipe) {
		ssize_t n = write(s->event.fd, s->buffer + s->start, s->length < INPUT_PAGE ? s->length : INPUT_PAGE);
		if (n > 0) {
			s->in_pipe = (uint32_t)n;
			take_input(s, s->in_pipe);
		} else if (n < 0 && errno != EAGAIN && errno != EINTR) {
			send_credit(s, (uint32_t)s->length); /* nobody reads any more: swallowed, the sender goes on */
			take_input(s, (uint32_t)s->length);
		}
	}
	if (!s->length)
		sos_stream_unbuffer(s);
	if (!s->length && s->ending) {
		send_credit(s, s->in_pipe); /* once closed, nothing tells when the rest is read */
		sos_stream_close(s);
		return;
	}
	/* By edge: where a pipe takes a byte as long as it is not full, a level would never rest. */
	sos_event_set(&s->event, 0);
	sos_event_set(&s->event, s->in_pipe || s->length ? EPOLLOUT | EPOLLET : 0);
}

static void on_input(struct sos_event *event, uint32_t events)
{
	struct sos_stream *s = (struct sos_stream *)event;
	if (events & EPOLLERR) {
		send_credit(s, s->in_pipe);
		s->in_pipe = 0;
	}
	write_input(s);
}

/* A child or stream that is gone is no violation: the frame may have crossed its end. */
bool sos_relay_data(const struct sos_frame *frame)
{
	struct sos_frame_reader r;
	sos_frame_reader_init(&r, frame);
	uint32_t target = sos_frame_read_u32(&r);
	if (r.failed || r.left > SOS_FRAME_DATA_MAX)
		return false;
	struct sos_stream *s = sos_child_stream(frame->id, target, SOS_STREAM_RELAY_IN);
	if (!s || s->ending)
		return true;
	if (!r.left) {
		s->ending = true;
	} else {
		if (s->in_pipe + s->length + r.left > SOS_FRAME_WINDOW)
			return false;
		if (sos_stream_buffer(s) < 0)
			return true; /* lost with the memory of its container */
		if (s->start + s->length + r.left > SOS_FRAME_WINDOW) {
			memmove(s->buffer, s->buffer + s->start, s->length);
			s->start = 0;
		}
		memcpy(s->buffer + s->start + s->length, r.data, r.left);
		s->length += r.left;
	}
	write_input(s);
	return true;
}

bool sos_relay_credit(const struct sos_frame *frame)
{
	struct sos_frame_reader r;
	sos_frame_reader_init(&r, frame);
	uint32_t target = sos_frame_read_u32(&r), bytes = sos_frame_read_u32(&r);
	if (!sos_frame_read_done(&r))
		return false;
	struct sos_stream *s = sos_child_stream(frame->id, target, SOS_STREAM_RELAY_OUT);
	if (!s)
		return true;
	if (bytes > s->unacked)
		return false;
	s->unacked -= bytes;
	sos_relay_pump(s->child);
	return true;
}

void sos_relay_prepare(struct sos_stream *s)
{
	if (s->kind == SOS_STREAM_RELAY_OUT)
		s->event.ready = on_output;
	else if (s->kind == SOS_STREAM_RELAY_IN)
		s->event.ready = on_input;
}
