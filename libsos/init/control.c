/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "init/control.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "init/clocks.h"
#include "init/event.h"
#include "init/socket.h"
#include "util/clock.h"

#define QUEUE_MAX (1024u * 1024u)
#define QUEUE_ROOMY (256u * 1024u)                       /* stream data stops above it */
#define QUEUE_DEAF (QUEUE_MAX - 2 * SOS_CONTROL_SCRATCH) /* requests stop above it: replies always fit */
#define BACK_OFF_MIN INT64_C(1000000)
#define BACK_OFF_MAX INT64_C(1000000000)
#define AUTO_PATIENCE INT64_C(1000000000) /* a refused first connection may still be the library not listening yet */

static const struct sos_control_handler *handler;
static enum sos_transport transport;
static char nonce[33];
static bool connected, ever_connected, is_socket, spoken_to;
static int64_t started, dial_at = SOS_CLOCK_NEVER, back_off = BACK_OFF_MIN;

static void on_socket(struct sos_event *event, uint32_t events);
static void on_stdin(struct sos_event *event, uint32_t events);
static void on_stdout(struct sos_event *event, uint32_t events);
static struct sos_event in = {.ready = on_stdin, .fd = -1};   /* the socket, both ways, or descriptor 0 */
static struct sos_event out = {.ready = on_stdout, .fd = -1}; /* descriptor 1 */

static uint8_t input[SOS_CONTROL_SCRATCH];
static size_t input_length;
static uint8_t queue[QUEUE_MAX]; /* frames from queue_start on; on the socket the first one is always whole */
static size_t queue_start, queue_length;
static uint8_t scratch[SOS_CONTROL_SCRATCH];

bool sos_control_connected(void)
{
	return connected;
}

bool sos_control_is_socket(void)
{
	return is_socket;
}

const char *sos_control_nonce(void)
{
	return nonce;
}

void *sos_control_scratch(void)
{
	return scratch;
}

int64_t sos_control_due(void)
{
	return dial_at;
}

bool sos_control_roomy(void)
{
	return connected && queue_length < QUEUE_ROOMY;
}

static void want(void)
{
	bool write = queue_length > 0, read = queue_length < QUEUE_DEAF;
	if (is_socket) {
		sos_event_set(&in, (read ? EPOLLIN : 0) | (write ? EPOLLOUT : 0) | EPOLLRDHUP);
	} else {
		sos_event_set(&in, read ? EPOLLIN : 0);
		sos_event_set(&out, write ? EPOLLOUT : 0);
	}
}

static void hang_up(void)
{
	if (!connected)
		return;
	connected = false;
	queue_start = queue_length = input_length = 0;
	if (is_socket) {
		sos_event_close(&in);
		/* One that never said a word does not want us: not at once again. */
		dial_at = sos_clock_ns() + (spoken_to ? 0 : back_off);
		back_off = spoken_to ? BACK_OFF_MIN : back_off * 2 < BACK_OFF_MAX ? back_off * 2 : BACK_OFF_MAX;
	} else {
		/* There is one attach stream in a container's life. */
		sos_event_set(&in, 0);
		sos_event_set(&out, 0);
	}
	if (is_socket && !spoken_to)
		sos_clocks_refused();
	else
		sos_clocks_connected(false);
	handler->lost();
}

/* A broken frame ends the socket connection, and by attach, where no other can come, the container: the lease is not
 * waited for. */
static void violation(void)
{
	if (!is_socket)
		_exit(70);
	hang_up();
}

/* As many bytes as go at once: their number, or -1. */
static ssize_t send_some(const uint8_t *data, size_t length)
{
	if (!is_socket) {
		ssize_t n = write(out.fd, data, length);
		return n >= 0 ? n : errno == EAGAIN || errno == EINTR ? 0 : -1;
	}
	size_t done = 0;
	while (done < length) {
		struct sos_frame frame;
		int size = sos_frame_parse(data + done, length - done, &frame);
		int sent = sos_socket_send(in.fd, data + done, (size_t)size, NULL, 0);
		if (sent < 0)
			return -1;
		if (!sent)
			break;
		done += (size_t)size;
	}
	return (ssize_t)done;
}

static void flush(void)
{
	if (!queue_length)
		return;
	ssize_t n = send_some(queue + queue_start, queue_length);
	if (n < 0) {
		hang_up();
		return;
	}
	queue_start += (size_t)n;
	queue_length -= (size_t)n;
	if (!queue_length)
		queue_start = 0;
}

void sos_control_send(const void *frame, size_t length)
{
	if (!connected || !length)
		return;
	ssize_t n = 0;
	if (!queue_length && (n = send_some(frame, length)) < 0) {
		hang_up();
		return;
	}
	length -= (size_t)n;
	if (!length)
		return;
	if (queue_start + queue_length + length > QUEUE_MAX) {
		memmove(queue, queue + queue_start, queue_length);
		queue_start = 0;
	}
	if (queue_length + length > QUEUE_MAX) {
		violation(); /* replies are bounded by requests, data by QUEUE_ROOMY: the reader is not one of ours */
		return;
	}
	memcpy(queue + queue_start + queue_length, (const uint8_t *)frame + n, length);
	queue_length += length;
	want();
}

int sos_control_send_fds(const void *frame, size_t length, const int *fds, unsigned count)
{
	if (!connected || !is_socket)
		return -1;
	int sent = queue_length ? 0 : sos_socket_send(in.fd, frame, length, fds, count);
	if (sent < 0)
		hang_up();
	else if (!sent)
		sos_event_set(&in, EPOLLIN | EPOLLOUT | EPOLLRDHUP);
	return sent;
}

void sos_control_flush(int64_t deadline)
{
	while (connected && queue_length) {
		struct pollfd p = {.fd = is_socket ? in.fd : out.fd, .events = POLLOUT};
		if (poll(&p, 1, sos_clock_poll_ms(deadline)) <= 0)
			return;
		flush();
	}
}

static void room(void)
{
	flush();
	if (!connected)
		return;
	want();
	if (queue_length < QUEUE_ROOMY)
		handler->room();
}

static void on_socket(struct sos_event *event, uint32_t events)
{
	if (events & EPOLLOUT)
		room();
	if (!connected || !(events & ~(uint32_t)EPOLLOUT))
		return;
	int fds[SOS_FRAME_FDS];
	unsigned count;
	ssize_t n = sos_socket_receive(event->fd, input, sizeof input, fds, &count);
	if (n == -EAGAIN)
		return;
	if (n == 0) {
		hang_up();
		return;
	}
	spoken_to = true;
	if (n < 0) {
		violation();
		return;
	}
	struct sos_frame frame;
	bool good = sos_frame_parse(input, (size_t)n, &frame) == n && frame.fds == count && handler->frame(&frame, fds);
	sos_socket_close_all(fds, count);
	if (!good)
		violation();
}

static void on_stdin(struct sos_event *event, uint32_t events)
{
	ssize_t n = read(event->fd, input + input_length, sizeof input - input_length);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		hang_up();
		return;
	}
	input_length += (size_t)n;
	sos_clocks_connected(false); /* a break can't be seen here: every sign of life starts the lease again */
	size_t done = 0;
	int size;
	struct sos_frame frame;
	while (connected && (size = sos_frame_parse(input + done, input_length - done, &frame)) != 0) {
		if (size < 0 || frame.fds || !handler->frame(&frame, NULL)) {
			violation();
			return;
		}
		done += (size_t)size;
	}
	if (!connected)
		return;
	memmove(input, input + done, input_length - done);
	input_length -= done;
}

static void on_stdout(struct sos_event *event, uint32_t events)
{
	room();
}

static void attach(bool say_so)
{
	transport = SOS_TRANSPORT_ATTACH;
	dial_at = SOS_CLOCK_NEVER;
	is_socket = false;
	in.ready = on_stdin;
	in.fd = 0;
	out.fd = 1;
	fcntl(0, F_SETFL, fcntl(0, F_GETFL) | O_NONBLOCK);
	fcntl(1, F_SETFL, fcntl(1, F_GETFL) | O_NONBLOCK);
	connected = ever_connected = true;
	want();
	if (say_so) {
		uint8_t head[SOS_FRAME_HEADER];
		sos_frame_head(head, SOS_FRAME_NO_SOCKET, 0, 0, 0);
		sos_control_send(head, sizeof head);
	}
	handler->hello();
}

void sos_control_tick(void)
{
	int64_t now = sos_clock_ns();
	if (connected || transport == SOS_TRANSPORT_ATTACH || now < dial_at)
		return;
	bool matches = ever_connected || sos_socket_is_ours(nonce);
	int e = matches ? sos_socket_dial(&in.fd) : -ENOENT;
	if (!e) {
		is_socket = connected = ever_connected = true;
		in.ready = on_socket;
		dial_at = SOS_CLOCK_NEVER;
		spoken_to = false;
		want();
		sos_clocks_connected(true);
		handler->hello();
		return;
	}
	if (transport == SOS_TRANSPORT_AUTO && !ever_connected && (e < 0 || now - started > AUTO_PATIENCE)) {
		attach(true);
		return;
	}
	dial_at = now + back_off;
	back_off = back_off * 2 < BACK_OFF_MAX ? back_off * 2 : BACK_OFF_MAX;
}

void sos_control_start(enum sos_transport by, const char *hex, const struct sos_control_handler *h)
{
	handler = h;
	transport = by;
	memcpy(nonce, hex, 32);
	started = dial_at = sos_clock_ns();
	if (by == SOS_TRANSPORT_ATTACH)
		attach(false);
	else
		sos_control_tick();
}

void sos_control_ok(uint32_t id)
{
	uint8_t head[SOS_FRAME_HEADER];
	sos_frame_head(head, SOS_FRAME_OK, 0, id, 0);
	sos_control_send(head, sizeof head);
}

void sos_control_ok_u32(uint32_t id, uint32_t value)
{
	uint8_t data[SOS_FRAME_HEADER + 4];
	struct sos_frame_writer w;
	sos_frame_begin(&w, data, sizeof data);
	sos_frame_put_u32(&w, value);
	sos_control_send(data, sos_frame_end(&w, SOS_FRAME_OK, 0, id));
}

void sos_control_error(uint32_t id, int errnum, const char *message)
{
	uint8_t data[SOS_FRAME_HEADER + 8 + 512];
	struct sos_frame_writer w;
	sos_frame_begin(&w, data, sizeof data);
	sos_frame_put_u32(&w, (uint32_t)errnum);
	sos_frame_put_string(&w, message);
	sos_control_send(data, sos_frame_end(&w, SOS_FRAME_ERROR, 0, id));
}
