/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Lock: queue->lock guards the queue and every ticket in it; innermost, held
 * for list work only. */

#include "core/queue.h"

#include "core/thread.h"
#include "util/error.h"
#include "util/guard.h"

void sos_queue_init(struct sos_queue *queue, unsigned capacity, unsigned limit)
{
	pthread_mutex_init(&queue->lock, NULL);
	sos_list_init(&queue->waiting);
	queue->capacity = capacity;
	queue->limit = limit;
	queue->used = queue->queued = 0;
}

void sos_queue_clear(struct sos_queue *queue)
{
	pthread_mutex_destroy(&queue->lock);
}

void sos_ticket_init(struct sos_ticket *ticket, bool wants_position)
{
	*ticket = (struct sos_ticket){.wants_position = wants_position};
	sos_list_init(&ticket->node);
	sos_cond_init(&ticket->changed);
}

void sos_ticket_clear(struct sos_ticket *ticket)
{
	pthread_cond_destroy(&ticket->changed);
}

/* Take it out; those behind it move up. */
static void remove_locked(struct sos_queue *queue, struct sos_ticket *ticket)
{
	struct sos_list *behind = ticket->node.next;
	sos_list_remove(&ticket->node);
	ticket->waiting = false;
	queue->queued--;
	for (; behind != &queue->waiting; behind = behind->next) {
		struct sos_ticket *other = sos_list_entry(behind, struct sos_ticket, node);
		other->moved = true;
		if (other->wants_position)
			pthread_cond_signal(&other->changed);
	}
}

int sos_queue_enter(struct sos_queue *queue, struct sos_ticket *ticket, bool may_wait, struct sos_error *error)
{
	SOS_LOCKED(&queue->lock);
	if (queue->used < queue->capacity && sos_list_empty(&queue->waiting)) {
		queue->used++;
		ticket->granted = true;
		return 0;
	}
	if (!may_wait)
		return sos_error_set(error, SOS_ERROR_DEADLINE, "no free slot: all %u are in use", queue->capacity);
	if (queue->queued >= queue->limit)
		return sos_error_set(error, SOS_ERROR_FULL, "no free slot, and %u starts wait already: try later",
				     queue->queued);
	sos_list_append(&queue->waiting, &ticket->node);
	queue->queued++;
	ticket->waiting = true;
	return SOS_QUEUE_WAITING;
}

int sos_queue_wait(struct sos_queue *queue, struct sos_ticket *ticket, int64_t deadline, struct sos_error *error)
{
	SOS_LOCKED(&queue->lock);
	for (;;) {
		if (ticket->granted)
			return 0;
		if (ticket->cancelled)
			return sos_error_set(error, ticket->cancelled, "cancelled while waiting for a slot");
		if (ticket->moved && ticket->wants_position) {
			ticket->moved = false;
			return SOS_QUEUE_WAITING;
		}
		if (!sos_cond_wait(&ticket->changed, &queue->lock, deadline) && !ticket->granted &&
		    !ticket->cancelled && sos_clock_ns() >= deadline) {
			remove_locked(queue, ticket);
			return sos_error_set(error, SOS_ERROR_DEADLINE,
					     "no slot became free in time: all %u are in use", queue->capacity);
		}
	}
}

void sos_queue_cancel(struct sos_queue *queue, struct sos_ticket *ticket, int code)
{
	SOS_LOCKED(&queue->lock);
	if (!ticket->waiting)
		return;
	remove_locked(queue, ticket);
	ticket->cancelled = code;
	pthread_cond_signal(&ticket->changed);
}

unsigned sos_queue_position(struct sos_queue *queue, const struct sos_ticket *ticket)
{
	SOS_LOCKED(&queue->lock);
	if (!ticket->waiting)
		return 0;
	unsigned position = 1;
	for (struct sos_list *l = queue->waiting.next; l != &ticket->node; l = l->next)
		position++;
	return position;
}

void sos_queue_release(struct sos_queue *queue)
{
	SOS_LOCKED(&queue->lock);
	queue->used--;
	if (queue->used >= queue->capacity || sos_list_empty(&queue->waiting))
		return;
	struct sos_ticket *first = sos_list_entry(queue->waiting.next, struct sos_ticket, node);
	remove_locked(queue, first);
	queue->used++;
	first->granted = true;
	pthread_cond_signal(&first->changed);
}

bool sos_queue_try(struct sos_queue *queue)
{
	SOS_LOCKED(&queue->lock);
	if (queue->used >= queue->capacity || !sos_list_empty(&queue->waiting))
		return false;
	queue->used++;
	return true;
}

/* NULL: there is none behind so many. */
static struct sos_ticket *behind_locked(struct sos_queue *queue, unsigned skip)
{
	if (skip >= queue->queued)
		return NULL;
	struct sos_list *node = queue->waiting.next;
	while (skip--)
		node = node->next;
	return sos_list_entry(node, struct sos_ticket, node);
}

bool sos_queue_wants(struct sos_queue *queue, unsigned skip, bool (*takes)(void *wants, void *data), void *data)
{
	SOS_LOCKED(&queue->lock);
	struct sos_ticket *ticket = behind_locked(queue, skip);
	return ticket && takes(ticket->wants, data);
}

bool sos_queue_offer(struct sos_queue *queue, unsigned skip, bool (*takes)(void *wants, void *data), void *data,
		     void *gift)
{
	SOS_LOCKED(&queue->lock);
	struct sos_ticket *ticket = behind_locked(queue, skip);
	if (!ticket || !takes(ticket->wants, data))
		return false;
	remove_locked(queue, ticket);
	ticket->gift = gift;
	ticket->granted = true;
	pthread_cond_signal(&ticket->changed);
	return true;
}

void sos_queue_take(struct sos_queue *queue)
{
	SOS_LOCKED(&queue->lock);
	queue->used++;
}

void sos_queue_count(struct sos_queue *queue, unsigned *used, unsigned *queued)
{
	SOS_LOCKED(&queue->lock);
	*used = queue->used;
	*queued = queue->queued;
}
