/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The attach stream as a transport: frames both ways, and a pump that turns
 * them into the same local pipes that the socket way shares with the
 * container, so that sessions know one kind of descriptor.
 *
 * Everything but `out` (the link's lock) and `tasks` (the link's lock) belongs
 * to the loop's thread. Data of one child is delivered in the order it came,
 * so that a status record never overtakes output; a child whose pipe is full
 * holds up nobody else. */

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "engine/engine.h"
#include "util/clock.h"
#include "util/error.h"
#include "util/guard.h"

#include "core/link_internal.h"

#define OUT_MAX (2u * 1024 * 1024) /* bytes that wait for the Engine to read */
#define PENDING_MAX (4u * 1024 * 1024) /* of deliveries; the windows of a few streams */
#define KEEPALIVE_MS 10000

struct relay {
	struct sos_list node;
	struct sos_attach *attach;
	struct sos_watch watch; /* fd: the container's end of a local pipe */
	uint32_t child, target;
	bool in;
	size_t sent;            /* in: bytes that were sent and are not credited; they stay in the pipe till then */
};

struct delivery {
	struct sos_list node;
	uint32_t child, target;
	bool exited, end_of_file;
	int status;
	size_t length, offset;
	uint8_t data[];
};

struct task {
	struct sos_list node;
	struct relay *relay;  /* to add, or NULL: forget `child` */
	uint32_t child;
};

struct sos_attach {
	struct sos_link *link;
	struct sos_engine_stream *stream;
	struct sos_watch watch;
	struct sos_timer kick, keepalive;
	struct sos_buffer in, out;
	struct sos_list relays, deliveries, tasks;
	size_t pending;
	int scratch[2]; /* where bytes of an `in` pipe are looked at without taking them */
	bool ended;
};

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

static int send_small(struct sos_attach *attach, uint16_t type, uint32_t child, uint32_t target, const uint32_t *bytes,
		      const void *data, size_t length)
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
	send_small(attach, SOS_FRAME_KEEPALIVE, 0, 0, NULL, NULL, 0);
	sos_timer_set(attach->link->loop, timer, sos_clock_deadline(KEEPALIVE_MS));
}

/* ---- relays ---- */

static struct relay *find(struct sos_attach *attach, uint32_t child, uint32_t target)
{
	sos_list_each(node, &attach->relays) {
		struct relay *relay = sos_list_entry(node, struct relay, node);
		if (relay->child == child && relay->target == target)
			return relay;
	}
	return NULL;
}

static void free_relay(struct relay *relay)
{
	sos_loop_remove(relay->attach->link->loop, &relay->watch);
	close(relay->watch.fd);
	sos_list_remove(&relay->node);
	free(relay);
}

static void free_delivery(struct sos_attach *attach, struct delivery *delivery)
{
	attach->pending -= delivery->length;
	sos_list_remove(&delivery->node);
	free(delivery);
}

/* Send what is in an `in` pipe and was not sent; it is taken out when the shell has read it. */
static void send_input(struct relay *relay)
{
	struct sos_attach *attach = relay->attach;
	char bytes[4096];
	sos_loop_modify(attach->link->loop, &relay->watch, 0);
	ssize_t n = tee(relay->watch.fd, attach->scratch[1], sizeof(bytes), SPLICE_F_NONBLOCK);
	if (n <= 0)
		return;
	n = read(attach->scratch[0], bytes, sizeof(bytes));
	if (n <= (ssize_t)relay->sent)
		return;
	if (send_small(attach, SOS_FRAME_DATA, relay->child, relay->target, NULL, bytes + relay->sent,
		       (size_t)n - relay->sent) == 0)
		relay->sent = (size_t)n;
}

static void deliver(struct sos_attach *attach);

static void relay_ready(struct sos_watch *watch, uint32_t events)
{
	struct relay *relay = sos_list_entry(watch, struct relay, watch);
	if (relay->in) {
		send_input(relay);
	} else {
		sos_loop_modify(relay->attach->link->loop, watch, 0);
		if (events & EPOLLERR)
			sos_loop_remove(relay->attach->link->loop, watch); /* our reader is gone */
		deliver(relay->attach);
	}
}

static bool credited(struct sos_attach *attach, struct relay *relay, uint32_t count)
{
	char bytes[4096];
	if (!relay->in || count > relay->sent || count > sizeof(bytes))
		return false;
	if (count && read(relay->watch.fd, bytes, count) != (ssize_t)count)
		return false;
	relay->sent -= count;
	sos_loop_modify(attach->link->loop, &relay->watch, EPOLLIN);
	return true;
}

/* One delivery as far as it goes. true: done with it. */
static bool deliver_one(struct sos_attach *attach, struct delivery *delivery)
{
	if (delivery->exited) {
		sos_link_exited(attach->link, delivery->child, delivery->status);
		return true;
	}
	struct relay *relay = find(attach, delivery->child, delivery->target);
	if (!relay || delivery->end_of_file) {
		if (relay && !relay->in)
			free_relay(relay);
		return true;
	}
	while (delivery->offset < delivery->length) {
		ssize_t n = write(relay->watch.fd, delivery->data + delivery->offset, delivery->length - delivery->offset);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN) {
			sos_loop_modify(attach->link->loop, &relay->watch, EPOLLOUT);
			return false;
		}
		if (n < 0)
			return true; /* nobody reads it any more */
		uint32_t count = (uint32_t)n;
		delivery->offset += count;
		send_small(attach, SOS_FRAME_CREDIT, delivery->child, delivery->target, &count, NULL, 0);
	}
	return true;
}

static bool waits_before(struct sos_attach *attach, const struct delivery *delivery)
{
	sos_list_each(node, &attach->deliveries) {
		const struct delivery *other = sos_list_entry(node, struct delivery, node);
		if (other == delivery)
			return false;
		if (other->child == delivery->child)
			return true;
	}
	return false;
}

static void deliver(struct sos_attach *attach)
{
	struct sos_list *node = attach->deliveries.next;
	while (node != &attach->deliveries) {
		struct delivery *delivery = sos_list_entry(node, struct delivery, node);
		node = node->next;
		if (!waits_before(attach, delivery) && deliver_one(attach, delivery))
			free_delivery(attach, delivery);
	}
}

bool sos_attach_frame(struct sos_attach *attach, const struct sos_frame *frame)
{
	struct sos_frame_reader r;
	sos_frame_reader_init(&r, frame);
	uint32_t first = sos_frame_read_u32(&r);
	if (frame->type == SOS_FRAME_CREDIT) {
		uint32_t count = sos_frame_read_u32(&r);
		struct relay *relay = find(attach, frame->id, first);
		return sos_frame_read_done(&r) && (!relay || credited(attach, relay, count));
	}
	size_t length = frame->type == SOS_FRAME_DATA ? r.left : 0;
	if (r.failed || attach->pending + length > PENDING_MAX)
		return false;
	struct delivery *delivery = malloc(sizeof(*delivery) + length);
	if (!delivery)
		return false;
	*delivery = (struct delivery){ .child = frame->id, .target = first, .length = length };
	delivery->exited = frame->type == SOS_FRAME_EXITED;
	delivery->end_of_file = frame->type == SOS_FRAME_DATA && length == 0;
	delivery->status = (int)first;
	memcpy(delivery->data, r.data, length);
	attach->pending += length;
	sos_list_append(&attach->deliveries, &delivery->node);
	deliver(attach);
	return true;
}

/* ---- tasks of other threads ---- */

static void forget(struct sos_attach *attach, uint32_t child)
{
	for (struct sos_list *n = attach->relays.next, *next; n != &attach->relays; n = next) {
		next = n->next;
		struct relay *relay = sos_list_entry(n, struct relay, node);
		if (relay->child == child)
			free_relay(relay);
	}
	for (struct sos_list *n = attach->deliveries.next, *next; n != &attach->deliveries; n = next) {
		next = n->next;
		struct delivery *delivery = sos_list_entry(n, struct delivery, node);
		if (delivery->child == child)
			free_delivery(attach, delivery);
	}
}

static void do_tasks(struct sos_attach *attach)
{
	for (;;) {
		struct task *task;
		{
			SOS_LOCKED(&attach->link->lock);
			if (sos_list_empty(&attach->tasks))
				return;
			task = sos_list_entry(attach->tasks.next, struct task, node);
			sos_list_remove(&task->node);
		}
		if (task->relay) {
			sos_list_append(&attach->relays, &task->relay->node);
			sos_loop_add(attach->link->loop, &task->relay->watch, task->relay->in ? EPOLLIN : 0);
		} else {
			forget(attach, task->child);
		}
		free(task);
	}
}

static void kicked(struct sos_timer *timer)
{
	do_tasks(sos_list_entry(timer, struct sos_attach, kick));
}

static void add_task(struct sos_attach *attach, struct task *task)
{
	{
		SOS_LOCKED(&attach->link->lock);
		sos_list_append(&attach->tasks, &task->node);
	}
	sos_timer_set(attach->link->loop, &attach->kick, 0);
}

static int add_relay(struct sos_attach *attach, uint32_t child, const struct sos_port *port)
{
	struct relay *relay = calloc(1, sizeof(*relay));
	struct task *task = calloc(1, sizeof(*task));
	if (!relay || !task) {
		free(relay);
		free(task);
		close(port->fd);
		return -ENOMEM;
	}
	fcntl(port->fd, F_SETFL, O_NONBLOCK | (port->kind == SOS_PORT_IN ? O_RDONLY : O_WRONLY));
	relay->attach = attach;
	relay->watch = (struct sos_watch){ .ready = relay_ready, .fd = port->fd };
	relay->child = child;
	relay->target = port->target;
	relay->in = port->kind == SOS_PORT_IN;
	sos_list_init(&relay->node);
	task->relay = relay;
	add_task(attach, task);
	return 0;
}

int sos_attach_ports(struct sos_attach *attach, uint32_t child, bool session, const struct sos_port *ports,
		     size_t port_count)
{
	int r = 0;
	for (size_t i = 0; i < port_count; i++)
		if (ports[i].kind == SOS_PORT_IN || ports[i].kind == SOS_PORT_OUT)
			if (add_relay(attach, child, &ports[i]) < 0)
				r = -ENOMEM;
	return r;
}

void sos_attach_forget(struct sos_attach *attach, uint32_t child)
{
	struct task *task = calloc(1, sizeof(*task));
	if (!task)
		return; /* its relays go with the link */
	task->child = child;
	add_task(attach, task);
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
		do_tasks(attach);
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
	sos_timer_init(&attach->kick, kicked);
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
	do_tasks(attach);
	while (!sos_list_empty(&attach->relays))
		free_relay(sos_list_entry(attach->relays.next, struct relay, node));
	while (!sos_list_empty(&attach->deliveries))
		free_delivery(attach, sos_list_entry(attach->deliveries.next, struct delivery, node));
	sos_engine_stream_free(attach->stream);
	close(attach->scratch[0]);
	close(attach->scratch[1]);
	sos_buffer_free(&attach->in);
	sos_buffer_free(&attach->out);
	free(attach);
}
