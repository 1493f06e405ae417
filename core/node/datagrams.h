/*
 * datagrams.h - the UDP socket of this node's agent: keep-alives to other members by name, and from
 * them, sealed (net/datagram.h). Whatever cannot be sent is dropped, as the network would; what
 * does not open is dropped and counted. One caller at a time.
 */
#ifndef NODE_DATAGRAMS_H
#define NODE_DATAGRAMS_H

#include "node/node.h"
#include "node/ring.h"

#define DATAGRAMS_BATCH_MAX 64 /* received in one go */

struct datagrams;

/* Takes over `fd`, a bound UDP socket, also when it fails. `start` is of this daemon. */
int datagrams_open(struct datagrams **datagrams, struct node *node, int fd, int64_t start,
                   struct vios_error *error);
void datagrams_close(struct datagrams *datagrams);

int datagrams_descriptor(const struct datagrams *datagrams);

/* The ring keys that are valid from now on. Before the first nothing is sent or opened. */
void datagrams_set_ring(struct datagrams *datagrams, const struct ring *ring);

/* Adds which keys they are to the own record of /alive: "ring": ids, "seal": id. */
void datagrams_tell_ring(const struct datagrams *datagrams, json_t *record);

/* {"good":…,"forged":…, …}: how many packets came of each kind. */
json_t *datagrams_counts(const struct datagrams *datagrams);

/* True once after packets came of a node that is no member, or under a key that is not valid: the
 * listing may be old. */
bool datagrams_had_strangers(struct datagrams *datagrams);

/* Who the members are, and where: /node/N has the address, /alive/N the port, and below which
 * (incarnation, start) nothing of it is believed. */
void datagrams_route(struct datagrams *datagrams, const struct store_list *nodes,
                     const struct store_list *alive);

void datagrams_send(struct datagrams *datagrams, const char *node, const void *data, size_t size);

/* Takes what has arrived, at most DATAGRAMS_BATCH_MAX. */
void datagrams_receive(struct datagrams *datagrams,
                       void (*each)(void *context, const char *from, const uint8_t *data,
                                    size_t size),
                       void *context);

#endif
