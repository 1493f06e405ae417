/*
 * index.h - the records of all payload files that are kept, in the order of their numbers, in the
 * primary's memory: for who catches up, and for who removes old ones. Thread-safe.
 */
#ifndef EVENT_INDEX_H
#define EVENT_INDEX_H

#include "event/record.h"

struct event_index;

/* NULL: no memory. */
struct event_index *event_index_new(void);
void event_index_free(struct event_index *index);

/* Forgets all: `records` in their order are all there are, above `dropped`. */
int event_index_set(struct event_index *index, const struct event_record *records, size_t count,
                    int64_t dropped, struct vios_error *error);

/* The same from the VIOS DB, and how often that was restored. */
int event_index_load(struct event_index *index, struct store *store, struct operation *operation);

/* One more, of a later revision than all others; another one is left out. */
int event_index_add(struct event_index *index, const struct event_record *record,
                    struct vios_error *error);

/* The first with an event above `sequence`; false: there is none. */
bool event_index_after(struct event_index *index, int64_t sequence, struct event_record *record);

/* The names of one node's files as they are now, for who looks for many. */
struct event_names {
    char (*names)[PAYLOAD_NAME_SIZE]; /* sorted */
    size_t count;
};
int event_index_names(struct event_index *index, const char *node, struct event_names *names,
                      struct vios_error *error);
bool event_names_has(const struct event_names *names, const char *name);
void event_names_clear(struct event_names *names);

/* How many events there are in all. */
size_t event_index_events(struct event_index *index);

/* Events up to here are not kept any more: their records are forgotten. */
void event_index_drop(struct event_index *index, int64_t sequence);
int64_t event_index_dropped(struct event_index *index);

/* See event_cursor; 0 until it was loaded. */
int64_t event_index_restores(struct event_index *index);

#endif
