/* network.h - the simulated datagrams: lost, late, out of order, doubled; links cut one way, and
 * partitions that come and go. */
#ifndef SIM_NETWORK_H
#define SIM_NETWORK_H

#include "tests/sim/world.h"

struct network *network_new(struct world *world);
void network_free(struct network *network);

void network_send(struct network *network, struct node *from, const char *to, const uint8_t *data,
                  size_t size);

/* `to` does not hear `from` until then. */
void network_cut(struct network *network, size_t from, size_t to, int64_t until_us);
/* The nodes whose bit is set, and the others, hear each other no more until then. */
void network_part(struct network *network, size_t side, int64_t until_us);
void network_heal(struct network *network);

/* Bytes that nodes sent, all together. */
uint64_t network_bytes(const struct network *network);

#endif
