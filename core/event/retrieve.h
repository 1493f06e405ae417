/*
 * retrieve.h - gets the events of a record (MISSION §3.4): the payload file as this node sees it,
 * else from its producer's daemon.
 *
 * A file that is not to be seen yet (a cached folder) is tried again; after RETRIEVE_ASK_MS its
 * producer is asked for it, and after RETRIEVE_PATIENCE_MS its events are given up.
 */
#ifndef EVENT_RETRIEVE_H
#define EVENT_RETRIEVE_H

#include "event/payload.h"
#include "event/record.h"
#include "node/node.h"

#define RETRIEVE_ASK_MS 1000
#define RETRIEVE_PATIENCE_MS 60000

/*
 * Blocks until it is there. `*since_ms` is when the first try was made, 0 before it: a call that
 * ended with VIOS_E_TIMEOUT or VIOS_E_CANCELLED may be made again. VIOS_E_NOT_FOUND,
 * VIOS_E_CORRUPT: it cannot be had.
 */
int retrieve(struct node *node, const struct event_record *record, int64_t *since_ms,
             struct payload *payload, struct operation *operation);

#endif
