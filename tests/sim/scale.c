/*
 * scale.c - see scale.h.
 *
 * What a node costs is measured on one agent of a cluster that is at rest: the datagrams that its
 * neighbours sent last are given to it again and again, at the pace at which they come, and it
 * ticks; its renewals succeed at once, listings are not answered. So the processor's clock is read
 * twice, around many seconds of its life, and nothing of the simulator but the loop is in between.
 */
#include "tests/sim/scale.h"

#include "cluster/agent.h"
#include "tests/sim/network.h"
#include "tests/sim/node.h"
#include "tests/sim/oracle.h"
#include "tests/sim/run.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define AGREE_US (60 * SECOND) /* the longest until everybody agrees */
#define LOOK_US (SECOND / 4)
#define BATCH_S 100
#define NEIGHBOURS_MAX 16
#define DATAGRAM_MAX 1400

static struct world *make(size_t nodes)
{
    struct swarm swarm;
    const struct swarm_cut all = {.off = {true, true, true, true, true, true, true, true, true,
                                          true, true, true, true, true}};
    swarm_draw(&swarm, 1, &all);
    swarm.nodes = nodes;
    swarm.witness = false;
    struct world *world = run_make_world(1, &swarm, true);
    world->calm = true;
    for (size_t i = 0; i < nodes; i++) {
        node_power_on(&world->nodes[i]);
    }
    return world;
}

static bool agree(struct world *world, char why[200])
{
    int64_t until_us = world->now_us + AGREE_US;
    snprintf(why, 200, "%.190s", world->failure);
    while (!world->failed && world->now_us < until_us) {
        world_run(world, world->now_us + LOOK_US);
        if (oracle_all_well(world, why)) {
            return true;
        }
    }
    return false;
}

bool scale_elects_again(size_t nodes, char why[200])
{
    struct world *world = make(nodes);
    bool good = agree(world, why);
    if (good) {
        struct node *first = node_find(world, oracle_primary(world->oracle));
        node_crash(first);
        good = agree(world, why) && node_find(world, oracle_primary(world->oracle)) != first;
    }
    run_end_world(world);
    return good;
}

/* --- what a node costs --- */

struct message {
    const char *from;
    uint8_t data[DATAGRAM_MAX];
    size_t size;
};

struct sample {
    struct node *node;
    struct message messages[NEIGHBOURS_MAX];
    size_t count;
    /* while it is measured */
    bool renews;
    int64_t revision;
    uint64_t bytes;
};

/* The last datagram of each neighbour. */
static void seen(void *context, const struct node *from, const char *to, const uint8_t *data,
                 size_t size)
{
    struct sample *sample = context;
    size_t i = 0;
    if (strcmp(to, sample->node->name) != 0) {
        return;
    }
    while (i < sample->count && sample->messages[i].from != from->name) {
        i++;
    }
    if (i < NEIGHBOURS_MAX && size <= DATAGRAM_MAX) {
        sample->count += i == sample->count;
        sample->messages[i].from = from->name;
        sample->messages[i].size = size;
        memcpy(sample->messages[i].data, data, size);
    }
}

static void count_bytes(void *context, const char *to, const uint8_t *data, size_t size)
{
    (void)to;
    (void)data;
    ((struct sample *)context)->bytes += size;
}

static void note_request(void *context, const struct agent_request *request)
{
    struct sample *sample = context;
    sample->renews = sample->renews || request->lane == AGENT_RENEWAL;
}

static void live(struct sample *sample, struct agent *agent, int64_t from_ms, int64_t keepalive_ms)
{
    for (int64_t ms = from_ms; ms < from_ms + BATCH_S * 1000; ms += keepalive_ms / 2) {
        for (size_t i = 0; (ms - from_ms) % keepalive_ms == 0 && i < sample->count; i++) {
            const struct message *message = &sample->messages[i];
            agent_receive(agent, message->from, message->data, message->size, ms);
        }
        agent_tick(agent, ms, ms);
        if (sample->renews) {
            sample->renews = false;
            agent_answered(agent,
                           &(struct agent_answer){.lane = AGENT_RENEWAL,
                                                  .status = VIOS_OK,
                                                  .revision = ++sample->revision},
                           ms);
        }
    }
}

static void measure(struct world *world, struct sample *sample)
{
    struct timespec before, after;
    struct node *node = sample->node;
    while (node->renewing) {
        world_run(world, world->now_us + MS);
    }
    node->diverted =
        (struct agent_outlet){.send = count_bytes, .request = note_request, .context = sample};
    sample->revision = INT64_C(1) << 40;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &before);
    live(sample, node->agent, node_now_ms(node), world->swarm.keepalive_ms);
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &after);
    double seconds =
        (double)(after.tv_sec - before.tv_sec) + (double)(after.tv_nsec - before.tv_nsec) / 1e9;
    printf("{\"nodes\":%zu,\"bytes_per_second\":%.0f,\"cpu_us_per_second\":%.1f}\n",
           world->node_count, (double)sample->bytes / BATCH_S, seconds * 1e6 / BATCH_S);
}

int scale_print(void)
{
    static const size_t SIZES[] = {5, 17, 100, 500};
    char why[200] = "";
    for (size_t i = 0; i < sizeof SIZES / sizeof SIZES[0]; i++) {
        struct world *world = make(SIZES[i]);
        struct sample *sample = sim_alloc(sizeof *sample);
        bool good = agree(world, why);
        sample->node = &world->nodes[SIZES[i] / 2];
        network_watch(world->network, seen, sample);
        world_run(world, world->now_us + SECOND);
        if (good) {
            measure(world, sample);
        }
        network_watch(world->network, NULL, NULL);
        run_end_world(world);
        free(sample);
        if (!good) {
            fprintf(stderr, "sim: %zu nodes: %s\n", SIZES[i], why);
            return 1;
        }
    }
    return 0;
}
