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

#include "node/part.h"

extern const struct part event_part;

/* What core/event keeps in a node. */
struct events {
    struct producer *producer;
    struct event_index *index;
    struct feed *feed;
};

extern const struct method_group event_methods;

#endif
