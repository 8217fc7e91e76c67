/* SPDX-License-Identifier: Apache-2.0 */
#include "list.h"

#include "check.h"

static void insert_after(struct list *list, struct link *place, struct link *link)
{
    check(!link_is_linked(link));
    link->prev = place;
    link->next = place->next;
    place->next->prev = link;
    place->next = link;
    list->count++;
}

static void make_circular(struct list *list)
{
    if (list->head.next == NULL) {
        list->head.next = &list->head;
        list->head.prev = &list->head;
    }
}

void list_push(struct list *list, struct link *link)
{
    make_circular(list);
    insert_after(list, list->head.prev, link);
}

void list_push_front(struct list *list, struct link *link)
{
    make_circular(list);
    insert_after(list, &list->head, link);
}

void list_remove(struct list *list, struct link *link)
{
    check(link_is_linked(link) && list->count > 0);
    link->prev->next = link->next;
    link->next->prev = link->prev;
    *link = (struct link){NULL, NULL};
    list->count--;
}

struct link *list_first(const struct list *list)
{
    return list->count == 0 ? NULL : list->head.next;
}

struct link *list_next(const struct list *list, const struct link *link)
{
    return link->next == &list->head ? NULL : link->next;
}

struct link *list_pop(struct list *list)
{
    struct link *first = list_first(list);

    if (first != NULL) {
        list_remove(list, first);
    }
    return first;
}
