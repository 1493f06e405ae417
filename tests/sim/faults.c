/* faults.c - see faults.h. */
#include "tests/sim/faults.h"

#include "tests/sim/database.h"
#include "tests/sim/io.h"
#include "tests/sim/keeper.h"
#include "tests/sim/network.h"
#include "tests/sim/node.h"

#include <assert.h>
#include <stdlib.h>

struct happening {
    struct world *world;
    const struct fault *fault;
};

static void begin(struct world *world, const struct fault *fault, struct node *node);
static void end(struct world *world, const struct fault *fault, struct node *node);

static void fault_begins(void *context)
{
    const struct happening *happening = context;
    struct world *world = happening->world;
    const struct fault *fault = happening->fault;
    if (!world->calm) {
        world_note(world, "fault: %s n%zu %zu l%zu for %.3f s", fault_name(fault->kind),
                   fault->node + 1, fault->other, fault->lpar + 1, (double)fault->for_us / 1e6);
        begin(world, fault, &world->nodes[fault->node]);
    }
}

static void fault_ends(void *context)
{
    const struct happening *happening = context;
    if (!happening->world->calm) {
        end(happening->world, happening->fault, &happening->world->nodes[happening->fault->node]);
    }
}

/* dispatch */
static void begin(struct world *world, const struct fault *fault, struct node *node)
{
    int64_t until_us = world->now_us + fault->for_us;
    switch (fault->kind) {
    case FAULT_CUT:
        network_cut(world->network, fault->node, fault->other, until_us);
        break;
    case FAULT_PARTITION:
        network_part(world->network, fault->other, until_us);
        break;
    case FAULT_STORE_AWAY:
        database_away(world->database, NULL, until_us);
        break;
    case FAULT_STORE_AWAY_NODE:
        database_away(world->database, node, until_us);
        break;
    case FAULT_STORE_SLOW:
        database_slow(world->database, until_us);
        break;
    case FAULT_PAUSE:
        node_pause(node);
        break;
    case FAULT_FREEZE_DAEMON:
        node_freeze(&node->daemon);
        break;
    case FAULT_FREEZE_IO:
        node_freeze(&node->io_process);
        break;
    case FAULT_KILL_DAEMON:
        node_kill_daemon(node);
        break;
    case FAULT_KILL_IO:
        io_kill(node);
        break;
    case FAULT_CRASH:
        node_crash(node);
        break;
    case FAULT_JUMP:
        node->wall_offset_ms += random_between(&world->node_random, -20000, 20000);
        break;
    case FAULT_RESIGN:
        if (node->agent && process_runs(&node->daemon)) {
            agent_resign(node->agent, NULL, NULL);
        }
        break;
    case FAULT_STOP_GUEST:
    case FAULT_HIBERNATE_GUEST:
    case FAULT_START_GUEST:
    case FAULT_RESTART_GUEST:
        keeper_administer(world, fault);
        break;
    case FAULT_KINDS:
        break;
    }
}

/* Nobody else does: not while it is frozen. */
static void daemon_starts_io(void *context)
{
    io_start(context, MS);
}

static void revive(struct node *node)
{
    node_power_on(node);
    if (!node->daemon.alive) {
        node_start_daemon(node, random_between(&node->world->node_random, 10, 300) * MS);
    }
    if (!node->world->plain) {
        process_post(&node->daemon, random_between(&node->world->node_random, 1, 100) * MS,
                     daemon_starts_io, node);
    }
}

/* dispatch */
static void end(struct world *world, const struct fault *fault, struct node *node)
{
    (void)world;
    switch (fault->kind) {
    case FAULT_PAUSE:
        node_resume(node);
        break;
    case FAULT_FREEZE_DAEMON:
        node_thaw(&node->daemon);
        break;
    case FAULT_FREEZE_IO:
        node_thaw(&node->io_process);
        break;
    case FAULT_KILL_DAEMON:
    case FAULT_KILL_IO:
        if (node->up) {
            revive(node);
        }
        break;
    case FAULT_CRASH:
        revive(node);
        break;
    default: /* these end by themselves */
        break;
    }
}

void faults_arrange(struct world *world)
{
    static struct happening happenings[SWARM_FAULTS_MAX];
    for (size_t i = 0; i < world->swarm.fault_count; i++) {
        const struct fault *fault = &world->swarm.faults[i];
        if (fault->kind == FAULT_KINDS) {
            continue;
        }
        happenings[i] = (struct happening){world, fault};
        world_post(world, fault->at_us - world->now_us, fault_begins, &happenings[i]);
        world_post(world, fault->at_us + fault->for_us - world->now_us, fault_ends, &happenings[i]);
    }
}

void faults_end(struct world *world)
{
    world_note(world, "the faults are over");
    world->calm = true;
    database_heal(world->database);
    network_heal(world->network);
    for (size_t i = 0; i < world->node_count; i++) {
        struct node *node = &world->nodes[i];
        node->store_away_until_us = 0;
        node->wall_offset_ms = 0;
        node_resume(node);
        node_thaw(&node->io_process);
        node_thaw(&node->daemon);
        revive(node);
    }
}
