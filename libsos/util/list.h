/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A circular doubly linked list with an embedded node. A node that is in no
 * list points at itself. */

#include <stdbool.h>
#include <stddef.h>

struct sos_list {
	struct sos_list *next, *prev;
};

static inline void sos_list_init(struct sos_list *l)
{
	l->next = l->prev = l;
}

static inline bool sos_list_empty(const struct sos_list *l)
{
	return l->next == l;
}

static inline void sos_list_append(struct sos_list *head, struct sos_list *node)
{
	node->prev = head->prev;
	node->next = head;
	head->prev->next = node;
	head->prev = node;
}

static inline void sos_list_remove(struct sos_list *node)
{
	node->prev->next = node->next;
	node->next->prev = node->prev;
	sos_list_init(node);
}

#define sos_list_entry(node, type, member) ((type *)((char *)(node) - offsetof(type, member)))
#define sos_list_each(node, head) for (struct sos_list *node = (head)->next; node != (head); node = node->next)
