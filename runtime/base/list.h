/* SPDX-License-Identifier: MIT */
/*
 * List: an intrusive, circular, doubly linked list.
 *
 * The head is a node of its own; an empty head points to itself. A node that
 * is in no list points to itself too after rti_list_init() or
 * rti_list_remove(), so removing twice is harmless.
 */
#ifndef RTI_BASE_LIST_H
#define RTI_BASE_LIST_H

#include <stdbool.h>

#include "base/compiler.h"

struct rti_list {
    struct rti_list *next;
    struct rti_list *prev;
};

static inline void rti_list_init(struct rti_list *node)
{
    node->next = node;
    node->prev = node;
}

static inline bool rti_list_is_empty(const struct rti_list *head)
{
    return head->next == head;
}

static inline void rti_list_push_back(struct rti_list *head, struct rti_list *node)
{
    node->prev = head->prev;
    node->next = head;
    head->prev->next = node;
    head->prev = node;
}

static inline void rti_list_remove(struct rti_list *node)
{
    node->prev->next = node->next;
    node->next->prev = node->prev;
    rti_list_init(node);
}

/* The first node, or NULL. */
static inline struct rti_list *rti_list_first(struct rti_list *head)
{
    return head->next == head ? NULL : head->next;
}

#endif /* RTI_BASE_LIST_H */
