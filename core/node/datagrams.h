/*
 * datagrams.h - the UDP socket of this node's agent: keep-alives to other members by name, and from
 * them. Whatever cannot be sent is dropped, as the network would.
 */
#ifndef NODE_DATAGRAMS_H
#define NODE_DATAGRAMS_H

#include "node/node.h"

#define DATAGRAMS_BATCH_MAX 64 /* received in one go */

struct datagrams;

/* Binds `address`, UDP, at the configured port (0: a free one). */
int datagrams_open(struct datagrams **datagrams, struct node *node, int64_t start,
                   struct vios_error *error);
void datagrams_close(struct datagrams *datagrams);

int datagrams_descriptor(const struct datagrams *datagrams);
/* The port that was bound. */
int datagrams_port(const struct datagrams *datagrams);

/* Where the members are: /node/N has the address, /alive/N the port. */
void datagrams_route(struct datagrams *datagrams, const struct store_list *nodes,
                     const struct store_list *alive);

void datagrams_send(struct datagrams *datagrams, const char *node, const void *data, size_t size);

/* Takes what has arrived, at most DATAGRAMS_BATCH_MAX. */
void datagrams_receive(struct datagrams *datagrams,
                       void (*each)(void *context, const char *from, const uint8_t *data,
                                    size_t size),
                       void *context);

#endif
