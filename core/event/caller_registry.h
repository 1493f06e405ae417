/*
 * caller_registry.h - the registered callers as the primary knows them: /caller/ of the VIOS DB,
 * followed by a thread while it is open; and what they said that they have seen, saved by another
 * thread, one commit of CALLER_SAVES_MAX records in CALLER_SAVE_MS at most, those first that wait
 * longest.
 *
 * Who is not found, or has another token, may have been registered a moment ago: registry_check()
 * reads the record anew before that is believed.
 */
#ifndef EVENT_CALLER_REGISTRY_H
#define EVENT_CALLER_REGISTRY_H

#include "event/caller.h"
#include "node/node.h"

#include <stdatomic.h>

#define CALLER_SAVES_MAX STORE_CHANGES_MAX /* in one commit */
#define CALLER_STORE_MS 5000               /* for one call to the VIOS DB */
#define CALLER_AGAIN_MS 1000               /* after one that failed */

struct caller_registry;
struct caller_connection;

struct registered {
    struct caller caller; /* does not change, but for seen and revision: those by registry_*() */
    atomic_int references;
    atomic_bool gone; /* it was unregistered */
    /* Of the worker's thread. */
    struct caller_connection *connection; /* that it has now; NULL */
    int64_t connects, resyncs;            /* since this node is primary */
    /* Of the registry. */
    bool unsaved, listed;
    struct registered *next, *next_unsaved;
};

/* Starts the threads, closed. `changed` is called by them, without a lock, when somebody is gone or
 * a check is done. */
int registry_new(struct caller_registry **registry, struct node *node,
                 void (*changed)(void *context), void *context, struct vios_error *error);
/* Closes it and ends the threads. NULL does nothing. */
void registry_free(struct caller_registry *registry);

/* Begins to read and follow the records; what callers have seen is of this count of restores. */
int registry_open(struct caller_registry *registry, int64_t restores, struct vios_error *error);
/* Forgets them: all are gone. What is not saved yet is not. */
void registry_close(struct caller_registry *registry);

/* The caller of this id, if its token is this one; registered_release() it. NULL: there is none,
 * as far as is known. In the same time for any. */
struct registered *registry_find(struct caller_registry *registry, const char *id,
                                 const char *token);
void registered_release(struct registered *registered);

/* Whether anybody is gone since this was asked last. */
bool registry_anyone_gone(struct caller_registry *registry);

/* Has the record read anew. Never blocks. Returns a ticket, 0: no memory; registry_checked() tells
 * when it is done, or failed. */
uint64_t registry_check(struct caller_registry *registry, const char *id);
bool registry_checked(struct caller_registry *registry, uint64_t ticket);

/* What it has seen, as far as it said or is saved; and that it has said so. */
struct event_cursor registry_seen(struct caller_registry *registry, struct registered *registered);
void registry_note_seen(struct caller_registry *registry, struct registered *registered,
                        int64_t sequence);

#endif
