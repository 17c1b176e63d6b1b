/* SPDX-License-Identifier: Apache-2.0 */
/* Intrusive doubly linked list: the links live in the objects, so adding cannot fail.
 *
 * A list head and every node are struct list; a node that is on no list points to itself. */
#pragma once

#include "common/base/cleanup.h" /* container_of */

#include <stdbool.h>

struct list {
	struct list *next, *prev;
};

static inline void list_init(struct list *l)
{
	l->next = l->prev = l;
}

static inline bool list_empty(const struct list *l)
{
	return l->next == l;
}

/* Adds @node as the last one. */
static inline void list_add_tail(struct list *head, struct list *node)
{
	node->prev = head->prev;
	node->next = head;
	head->prev->next = node;
	head->prev = node;
}

/* Adds @node as the first one. */
static inline void list_add_head(struct list *head, struct list *node)
{
	list_add_tail(head->next, node);
}

/* Takes @node off its list, if it is on one. */
static inline void list_remove(struct list *node)
{
	node->prev->next = node->next;
	node->next->prev = node->prev;
	list_init(node);
}

/* Moves all of @from to the end of @to; @from is empty afterwards. */
static inline void list_move_all(struct list *to, struct list *from)
{
	if (list_empty(from))
		return;
	from->next->prev = to->prev;
	to->prev->next = from->next;
	from->prev->next = to;
	to->prev = from->prev;
	list_init(from);
}

/* The first node, taken off, or NULL. */
static inline struct list *list_pop(struct list *head)
{
	struct list *node = head->next;
	if (node == head)
		return NULL;
	head->next = node->next; /* by way of the head, so that an analyser can follow */
	node->next->prev = head;
	list_init(node);
	return node;
}

/* The body may remove @node, and nothing else. */
#define list_for_each(node, head)                                                                  \
	for (struct list *node = (head)->next, *node##_next = node->next; node != (head);          \
		node = node##_next, node##_next = node->next)
