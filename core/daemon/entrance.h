/*
 * entrance.h - who gets in by this node's TCP port, and what is told of those who do not get in at
 * any of its ports: the gateway and the refusals, which come and go with the cluster. Whoever has
 * something for them may say so at any time, from any thread; while they are not there it is
 * dropped.
 */
#ifndef DAEMON_ENTRANCE_H
#define DAEMON_ENTRANCE_H

#include "daemon/gateway.h"
#include "daemon/refusals.h"

#include <pthread.h>

struct entrance {
    pthread_mutex_t lock; /* of both */
    struct gateway *gateway;
    struct refusals *refusals;
};

/* Closed. */
void entrance_init(struct entrance *entrance);
void entrance_destroy(struct entrance *entrance);

/* Takes over `listener`, also when it fails; entrance_shut() and entrance_close() in any case. */
int entrance_open(struct entrance *entrance, struct node *node, struct server *server, int listener,
                  struct vios_error *error);

/* Lets nobody in any more, and closes the connections of those who are. Refusals are told still. */
void entrance_shut(struct entrance *entrance);

/* Ends the refusals too. */
void entrance_close(struct entrance *entrance);

/* See gateway_recheck() and refusals_note(). */
void entrance_recheck(struct entrance *entrance);
void entrance_refused(struct entrance *entrance, const char *port, const char *who,
                      const char *why);

#endif
