/* changes.h - a thread that follows what changes in the VIOS DB, for whoever then looks himself. */
#ifndef NODE_CHANGES_H
#define NODE_CHANGES_H

#include "node/node.h"

/*
 * Calls `changed` at the beginning, and again after one or more changes below `prefix`, until
 * `cancel` is triggered. When the VIOS DB was away, and when it has forgotten what was not seen, it
 * begins anew with a call: so whoever looks at all there is below `prefix` misses nothing. A store
 * connection is borrowed for as long as this runs. `who` is for the log.
 */
void changes_follow(struct node *node, const char *prefix, const char *who,
                    void (*changed)(void *context), void *context, struct cancel *cancel);

#endif
