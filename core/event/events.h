/*
 * events.h - the part of the daemon that tells what happens (MISSION §3). Read in this order:
 *
 * payload.h, record.h    what an event is: a line in a payload file whose name is committed
 * publish.h, producer.h  how a node makes one happen; spool.h while the repository is away
 * derive.h, deriver.h    how the primary makes events of the commits of the VIOS DB
 * source.h, retrieve.h   how events are read, in the order of their numbers
 * feed.h, callers.h      how the primary posts them to registered callers; PROTOCOL.md
 * retention.h            how long they are kept
 */
#ifndef EVENT_EVENTS_H
#define EVENT_EVENTS_H

#include "event/payload.h"
#include "node/part.h"

extern const struct part event_part;

/* Tells everybody, as soon as may be; never blocks. From any thread; nothing while the part is not
 * there. What the VIOS DB shows need not be told: the primary derives it. */
void event_emit(struct node *node, const struct event *event);

/* What core/event keeps in a node. */
struct events {
    struct producer *producer;
    struct event_index *index;
    struct feed *feed;
};

extern const struct method_group event_methods;

#endif
