/* run.c - see run.h. */
#include "tests/sim/run.h"

#include "tests/sim/database.h"
#include "tests/sim/faults.h"
#include "tests/sim/guest.h"
#include "tests/sim/io.h"
#include "tests/sim/keeper.h"
#include "tests/sim/network.h"
#include "tests/sim/node.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BOUND_US (120 * SECOND) /* after the faults all is well within it */
#define LOOK_US (SECOND / 2)
#define SHRINK_RUNS_MAX 200

static void put_members(struct world *world)
{
    char key[40];
    database_put(world->database, "/cluster", "{\"v\":1,\"name\":\"sim\",\"level\":1}");
    for (size_t i = 0; i < world->node_count; i++) {
        bool witness = world->swarm.witness && i + 1 == world->node_count;
        snprintf(key, sizeof key, "/node/%s", world->nodes[i].name);
        database_put(world->database, key,
                     witness ? "{\"v\":1,\"level\":1,\"role\":\"witness\"}"
                             : "{\"v\":1,\"level\":1,\"role\":\"member\"}");
    }
}

static struct world *make_world(uint64_t seed, const struct swarm_cut *cut)
{
    struct swarm swarm;
    swarm_draw(&swarm, seed, cut);
    struct world *world = world_new(seed, &swarm);
    nodes_new(world);
    world->network = network_new(world);
    world->database = database_new(world);
    world->oracle = oracle_new(world);
    put_members(world);
    ios_new(world);
    guests_new(world);
    keepers_new(world);
    return world;
}

static void end_world(struct world *world)
{
    nodes_stop(world);
    keepers_free(world);
    guests_free(world);
    ios_free(world);
    nodes_free(world);
    oracle_free(world->oracle);
    database_free(world->database);
    network_free(world->network);
    world_free(world);
}

/* Runs on until all is well, or too long. */
static void await_all_well(struct world *world)
{
    char why[200] = "";
    int64_t until_us = world->now_us + BOUND_US;
    while (!world->failed && !oracle_all_well(world, why)) {
        if (world->now_us >= until_us) {
            world_fail(world, 9, "%lld s after the faults: %s", (long long)(BOUND_US / SECOND),
                       why);
            return;
        }
        world_run(world, world->now_us + LOOK_US);
    }
}

void run_seed(uint64_t seed, const struct swarm_cut *cut, int trace, struct run_result *result)
{
    struct world *world = make_world(seed, cut);
    world->tracing = trace > 0;
    world->tracing_all = trace > 1;
    for (size_t i = 0; i < world->node_count; i++) {
        node_power_on(&world->nodes[i]);
    }
    faults_arrange(world);
    world_run(world, world->swarm.faults_end_us);
    faults_end(world);
    await_all_well(world);
    *result = (struct run_result){.failed = world->failed,
                                  .lasted_us = world->now_us,
                                  .counts = *oracle_counts(world->oracle)};
    snprintf(result->failure, sizeof result->failure, "%s", world->failure);
    if (trace == 1 && world->failed) {
        world_print_trace(world);
    }
    end_world(world);
}

/* The number of the invariant: what fails must stay the same. */
static bool same_failure(const char *a, const char *b)
{
    size_t length = strcspn(a, "0123456789");
    length += strspn(a + length, "0123456789");
    return strncmp(a, b, length + 1) == 0;
}

static bool still_fails(uint64_t seed, const struct swarm_cut *cut, const char *failure, int *runs)
{
    struct run_result result;
    if (*runs >= SHRINK_RUNS_MAX) {
        return false;
    }
    ++*runs;
    run_seed(seed, cut, 0, &result);
    return result.failed && same_failure(failure, result.failure);
}

static void try_without(uint64_t seed, struct swarm_cut *cut, bool *flag, const char *failure,
                        int *runs)
{
    if (!*flag) {
        *flag = true;
        if (!still_fails(seed, cut, failure, runs)) {
            *flag = false;
        }
    }
}

void run_shrink(uint64_t seed, struct swarm_cut *cut, const char *failure)
{
    struct swarm swarm;
    int runs = 0;
    for (int i = 0; i < FEATURES; i++) {
        try_without(seed, cut, &cut->off[i], failure, &runs);
    }
    swarm_draw(&swarm, seed, cut);
    for (size_t i = swarm.fault_count; i > 0; i--) {
        if (swarm.faults[i - 1].kind != FAULT_KINDS) {
            try_without(seed, cut, &cut->dropped[i - 1], failure, &runs);
        }
    }
}
