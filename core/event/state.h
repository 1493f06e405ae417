/*
 * state.h - the current state of the cluster, as a caller is told it first: what it would know if
 * it had seen all events so far.
 *
 *     {"cluster":"lab","primary":"n1","epoch":7,
 *      "nodes":[{"name","state"}],"lpars":[{"name","state","node","generation"}],
 *      "pools":[{"name"}],"lus":[{"name","pool","size_bytes"}],"images":[{"name","pool"}]}
 */
#ifndef EVENT_STATE_H
#define EVENT_STATE_H

#include "node/node.h"

#include <jansson.h>

/* From one snapshot of the VIOS DB; `*sequence` is the number up to which events are in it, while
 * what later ones tell may be in it too. The nodes' states are those that this node sees. */
int event_state(struct node *node, json_t **state, int64_t *sequence, struct operation *operation);

#endif
