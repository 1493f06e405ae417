/*
 * feed.h - what the primary does for the callers (MISSION §3.1, §3.4): while this node is the
 * primary, a thread starts the deriver, follows the events (source.h) and posts them (callers.h).
 */
#ifndef EVENT_FEED_H
#define EVENT_FEED_H

#include "event/callers.h"
#include "event/index.h"
#include "event/producer.h"
#include "node/node.h"

struct feed;

/* `callers` and `producer` outlive it. */
int feed_start(struct feed **feed, struct node *node, struct callers *callers,
               struct event_index *index, struct producer *producer, struct vios_error *error);
/* NULL does nothing. */
void feed_stop(struct feed *feed);

#endif
