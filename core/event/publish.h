/*
 * publish.h - makes events happen: the payload file, durably, then the commit of its name (MISSION
 * §3.3). Between the two the events are nobody's: who comes back after a crash commits the name,
 * or the file is removed (retention.h).
 */
#ifndef EVENT_PUBLISH_H
#define EVENT_PUBLISH_H

#include "event/payload.h"
#include "event/record.h"
#include "node/node.h"

/* Begins a payload of this node: its header and a new name, no events yet. */
void publish_begin(struct node *node, struct payload *payload);

/* The repository is there and this cluster's. VIOS_E_INVALID when not. */
int publish_check(struct node *node, struct store *store, struct operation *operation);

/*
 * Commits the name of a payload file that is there, and gives the revision that numbers its events.
 * It may have been committed already, by whomever. VIOS_E_STALE: this incarnation is fenced.
 * VIOS_E_UNKNOWN: it may or may not be; call again.
 */
int publish_commit(struct node *node, struct store *store, const char *name, size_t count,
                   int64_t *revision, struct operation *operation);

/* Checks, writes the file, and commits. Repeatable. */
int publish(struct node *node, struct store *store, const struct payload *payload,
            int64_t *revision, struct operation *operation);

#endif
