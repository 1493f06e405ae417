/*
 * caller_chain.h - lists in which a connection stands without anything being allocated: a ring of
 * links with the list's own link between its last and its first.
 */
#ifndef EVENT_CALLER_CHAIN_H
#define EVENT_CALLER_CHAIN_H

#include <stdbool.h>
#include <stddef.h>

struct chain {
    struct chain *next, *previous;
};

/* An empty list; or a link that stands in none. */
static inline void chain_init(struct chain *link)
{
    link->next = link->previous = link;
}

static inline bool chain_is_empty(const struct chain *list)
{
    return list->next == list;
}

/* Takes the link out of the list in which it stands, if it does. */
static inline void chain_remove(struct chain *link)
{
    link->previous->next = link->next;
    link->next->previous = link->previous;
    chain_init(link);
}

/* Puts the link at the end of this list, from wherever it stands. */
static inline void chain_append(struct chain *list, struct chain *link)
{
    chain_remove(link);
    link->next = list;
    link->previous = list->previous;
    list->previous->next = link;
    list->previous = link;
}

/* The first link, or NULL. */
static inline struct chain *chain_first(struct chain *list)
{
    return chain_is_empty(list) ? NULL : list->next;
}

/* Moves all links of `other` behind those of `list`. */
static inline void chain_append_all(struct chain *list, struct chain *other)
{
    if (!chain_is_empty(other)) {
        other->next->previous = list->previous;
        list->previous->next = other->next;
        other->previous->next = list;
        list->previous = other->previous;
        chain_init(other);
    }
}

#endif
