/*
 * alive.h - the alive lane: one thread with its own store connection that renews /alive/N and
 * moves io's gate (DESIGN "Alive"), and lists the members.
 */
#ifndef DAEMON_ALIVE_H
#define DAEMON_ALIVE_H

#include "node/node.h"

struct alive;

/*
 * Finds this node's incarnation (+1 on a new boot; kept in STATE_DIR/boot) and puts it into
 * `node->incarnation`, renews once, lists the members once, then starts the thread.
 * VIOS_E_CONFLICT: another daemon runs under this node's name.
 */
int alive_start(struct alive **alive, struct node *node, const char *store_address,
                struct operation *operation);

/* The gate runs out by itself after this. */
void alive_stop(struct alive *alive);

#endif
