/* SPDX-License-Identifier: Apache-2.0
 *
 * list.h: a doubly linked list whose links live in its members.
 *
 * A member is in at most one list by each of its links. An unlinked link is all zero.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct link {
    struct link *next;
    struct link *prev;
};

struct list {
    struct link head; /* circular; zero until the first push */
    size_t count;
};

#define container_of(pointer, type, member) ((type *)(void *)((char *)(pointer)-offsetof(type, member)))

static inline bool link_is_linked(const struct link *link)
{
    return link->next != NULL;
}
void list_push(struct list *list, struct link *link);                     /* at the end */
void list_push_front(struct list *list, struct link *link);               /* at the beginning */
void list_remove(struct list *list, struct link *link);                   /* must be in this list */
struct link *list_first(const struct list *list);                         /* NULL if empty */
struct link *list_next(const struct list *list, const struct link *link); /* NULL at the end */
struct link *list_pop(struct list *list);                                 /* NULL if empty */
