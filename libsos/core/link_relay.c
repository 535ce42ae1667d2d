/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The pump between an attach stream and local pipes. Data of one child is
 * delivered in the order it came, so that a status record never overtakes
 * output, and the word that a shell has read its line never overtakes the
 * record that it wrote before; a child whose pipe is full holds up nobody
 * else. */

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "util/guard.h"

#include "core/link_attach_internal.h"

#define PENDING_MAX (4u * 1024 * 1024) /* of deliveries; the windows of a few streams */

static struct sos_relay *find(struct sos_attach *attach, uint32_t child, uint32_t target)
{
	sos_list_each(node, &attach->relays) {
		struct sos_relay *relay = sos_list_entry(node, struct sos_relay, node);
		if (relay->child == child && relay->target == target)
			return relay;
	}
	return NULL;
}

static void free_relay(struct sos_relay *relay)
{
	sos_loop_remove(relay->attach->link->loop, &relay->watch);
	close(relay->watch.fd);
	sos_list_remove(&relay->node);
	free(relay);
}

static void free_delivery(struct sos_attach *attach, struct sos_delivery *delivery)
{
	attach->pending -= delivery->length;
	sos_list_remove(&delivery->node);
	free(delivery);
}

/* Send what is in an `in` pipe and was not sent; it is taken out when the shell has read it. */
static void send_input(struct sos_relay *relay)
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
	if (sos_attach_send_small(attach, SOS_FRAME_DATA, relay->child, relay->target, NULL, bytes + relay->sent,
		       (size_t)n - relay->sent) == 0)
		relay->sent = (size_t)n;
}

static void deliver(struct sos_attach *attach);

static void relay_ready(struct sos_watch *watch, uint32_t events)
{
	struct sos_relay *relay = sos_list_entry(watch, struct sos_relay, watch);
	if (relay->in) {
		send_input(relay);
	} else {
		sos_loop_modify(relay->attach->link->loop, watch, 0);
		if (events & EPOLLERR)
			sos_loop_remove(relay->attach->link->loop, watch); /* our reader is gone */
		deliver(relay->attach);
	}
}

/* The shell has read that much of its input. */
static void credited(struct sos_relay *relay, uint32_t count)
{
	char bytes[4096];
	for (uint32_t left = count; left;) {
		ssize_t n = read(relay->watch.fd, bytes, left < sizeof(bytes) ? left : sizeof(bytes));
		if (n <= 0)
			break;
		left -= (uint32_t)n;
	}
	relay->sent -= count;
	relay->promised -= count;
	sos_loop_modify(relay->attach->link->loop, &relay->watch, EPOLLIN);
}

/* One delivery as far as it goes. true: done with it. */
static bool deliver_one(struct sos_attach *attach, struct sos_delivery *delivery)
{
	if (delivery->exited) {
		sos_link_exited(attach->link, delivery->child, delivery->status);
		return true;
	}
	struct sos_relay *relay = find(attach, delivery->child, delivery->target);
	if (delivery->credit) {
		if (relay)
			credited(relay, delivery->credit);
		return true;
	}
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
		sos_attach_send_small(attach, SOS_FRAME_CREDIT, delivery->child, delivery->target, &count, NULL, 0);
	}
	return true;
}

static bool waits_before(struct sos_attach *attach, const struct sos_delivery *delivery)
{
	sos_list_each(node, &attach->deliveries) {
		const struct sos_delivery *other = sos_list_entry(node, struct sos_delivery, node);
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
		struct sos_delivery *delivery = sos_list_entry(node, struct sos_delivery, node);
		node = node->next;
		if (!waits_before(attach, delivery) && deliver_one(attach, delivery))
			free_delivery(attach, delivery);
	}
}

static bool queue(struct sos_attach *attach, const struct sos_delivery *what, const void *data)
{
	struct sos_delivery *delivery = malloc(sizeof(*delivery) + what->length);
	if (!delivery)
		return false;
	*delivery = *what;
	memcpy(delivery->data, data, what->length);
	attach->pending += what->length;
	sos_list_append(&attach->deliveries, &delivery->node);
	deliver(attach);
	return true;
}

static bool take_credit(struct sos_attach *attach, uint32_t child, uint32_t target, uint32_t count)
{
	struct sos_relay *relay = find(attach, child, target);
	if (!relay || !count)
		return true;
	if (!relay->in || count > relay->sent - relay->promised)
		return false;
	relay->promised += count;
	const struct sos_delivery delivery = { .child = child, .target = target, .credit = count };
	return queue(attach, &delivery, "");
}

bool sos_attach_frame(struct sos_attach *attach, const struct sos_frame *frame)
{
	struct sos_frame_reader r;
	sos_frame_reader_init(&r, frame);
	uint32_t first = sos_frame_read_u32(&r);
	if (frame->type == SOS_FRAME_CREDIT) {
		uint32_t count = sos_frame_read_u32(&r);
		return sos_frame_read_done(&r) && take_credit(attach, frame->id, first, count);
	}
	bool data = frame->type == SOS_FRAME_DATA;
	if (r.failed || (data && attach->pending + r.left > PENDING_MAX))
		return false;
	const struct sos_delivery delivery = {
		.child = frame->id,
		.target = first,
		.exited = frame->type == SOS_FRAME_EXITED,
		.end_of_file = data && r.left == 0,
		.status = (int)first,
		.length = data ? r.left : 0,
	};
	return queue(attach, &delivery, r.data);
}

/* ---- tasks of other threads ---- */

static void forget(struct sos_attach *attach, uint32_t child)
{
	for (struct sos_list *n = attach->relays.next, *next; n != &attach->relays; n = next) {
		next = n->next;
		struct sos_relay *relay = sos_list_entry(n, struct sos_relay, node);
		if (relay->child == child)
			free_relay(relay);
	}
	for (struct sos_list *n = attach->deliveries.next, *next; n != &attach->deliveries; n = next) {
		next = n->next;
		struct sos_delivery *delivery = sos_list_entry(n, struct sos_delivery, node);
		if (delivery->child == child)
			free_delivery(attach, delivery);
	}
}

void sos_relay_tasks(struct sos_attach *attach)
{
	for (;;) {
		struct sos_relay_task *task;
		{
			SOS_LOCKED(&attach->link->lock);
			if (sos_list_empty(&attach->tasks))
				return;
			task = sos_list_entry(attach->tasks.next, struct sos_relay_task, node);
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

void sos_relay_tasks_due(struct sos_timer *timer)
{
	sos_relay_tasks(sos_list_entry(timer, struct sos_attach, kick));
}

static void add_task(struct sos_attach *attach, struct sos_relay_task *task)
{
	{
		SOS_LOCKED(&attach->link->lock);
		sos_list_append(&attach->tasks, &task->node);
	}
	sos_timer_set(attach->link->loop, &attach->kick, 0);
}

static int add_relay(struct sos_attach *attach, uint32_t child, const struct sos_port *port)
{
	struct sos_relay *relay = calloc(1, sizeof(*relay));
	struct sos_relay_task *task = calloc(1, sizeof(*task));
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
	struct sos_relay_task *task = calloc(1, sizeof(*task));
	if (!task)
		return; /* its relays go with the link */
	task->child = child;
	add_task(attach, task);
}

void sos_relay_clear(struct sos_attach *attach)
{
	sos_relay_tasks(attach);
	while (!sos_list_empty(&attach->relays))
		free_relay(sos_list_entry(attach->relays.next, struct sos_relay, node));
	while (!sos_list_empty(&attach->deliveries))
		free_delivery(attach, sos_list_entry(attach->deliveries.next, struct sos_delivery, node));
}
