/* network.c - see network.h: for each pair until when it is cut. */
#include "tests/sim/network.h"

#include "tests/sim/node.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

struct network {
    struct world *world;
    int64_t *cut_until_us; /* [from][to] */
    uint64_t bytes;
};

struct datagram {
    struct node *to;
    const char *from;
    size_t size;
    uint8_t data[];
};

struct network *network_new(struct world *world)
{
    struct network *network = sim_alloc(sizeof *network);
    network->world = world;
    network->cut_until_us = sim_alloc(world->node_count * world->node_count * sizeof(int64_t));
    return network;
}

void network_free(struct network *network)
{
    free(network->cut_until_us);
    free(network);
}

static int64_t *cut_of(struct network *network, size_t from, size_t to)
{
    return &network->cut_until_us[from * network->world->node_count + to];
}

static void arrive(void *context)
{
    struct datagram *datagram = context;
    node_receive(datagram->to, datagram->from, datagram->data, datagram->size);
}

static void travel(struct network *network, struct node *from, struct node *to, const uint8_t *data,
                   size_t size)
{
    struct world *world = network->world;
    struct random *random = &world->network_random;
    struct datagram *datagram = malloc(sizeof *datagram + size);
    assert(datagram);
    datagram->to = to;
    datagram->from = from->name;
    datagram->size = size;
    memcpy(datagram->data, data, size);
    int64_t delay_us = world->swarm.latency_us;
    bool late = !world->calm && random_chance(random, 100000);
    delay_us += random_below(random, late ? world->swarm.jitter_us * 4 : world->swarm.latency_us);
    process_post_owned(&to->daemon, delay_us, arrive, datagram);
}

void network_send(struct network *network, struct node *from, const char *to, const uint8_t *data,
                  size_t size)
{
    struct world *world = network->world;
    struct node *receiver = node_find(world, to);
    network->bytes += size;
    if (!receiver || *cut_of(network, from->number, receiver->number) > world->now_us) {
        return;
    }
    if (!world->calm && random_chance(&world->network_random, world->swarm.loss_ppm)) {
        return;
    }
    travel(network, from, receiver, data, size);
    if (!world->calm && random_chance(&world->network_random, world->swarm.duplicate_ppm)) {
        travel(network, from, receiver, data, size);
    }
}

void network_cut(struct network *network, size_t from, size_t to, int64_t until_us)
{
    int64_t *cut = cut_of(network, from, to);
    *cut = until_us > *cut ? until_us : *cut;
}

void network_part(struct network *network, size_t side, int64_t until_us)
{
    for (size_t from = 0; from < network->world->node_count; from++) {
        for (size_t to = 0; to < network->world->node_count; to++) {
            if ((side >> from & 1) != (side >> to & 1)) {
                network_cut(network, from, to, until_us);
            }
        }
    }
}

void network_heal(struct network *network)
{
    size_t count = network->world->node_count;
    memset(network->cut_until_us, 0, count * count * sizeof(int64_t));
}

uint64_t network_bytes(const struct network *network)
{
    return network->bytes;
}
