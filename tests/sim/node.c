/* node.c - see node.h. */
#include "tests/sim/node.h"

#include "tests/sim/database.h"
#include "tests/sim/io.h"
#include "tests/sim/keeper.h"
#include "tests/sim/network.h"
#include "tests/sim/oracle.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BOOT_LOCAL_US (1000 * SECOND) /* a clock shows something when a machine starts */
#define STORE_RETRY_US (300 * MS)
#define DRAIN_LOOK_US (20 * MS)
#define DRAIN_PATIENCE_MS 2000 /* then io is killed */
#define WALL_MS INT64_C(1795000000000)

/* --- the clock --- */

bool node_runs(const struct node *node)
{
    return node->up && !node->paused;
}

int64_t node_local_us(const struct node *node)
{
    int64_t passed_us = node->paused ? 0 : node->world->now_us - node->clock_true_us;
    return node->clock_local_us + passed_us + passed_us * node->drift_ppm / 1000000;
}

int64_t node_now_ms(const struct node *node)
{
    return node_local_us(node) / MS;
}

int64_t node_until_us(const struct node *node, int64_t local_us)
{
    int64_t left_us = local_us - node_local_us(node);
    return left_us > 0 ? left_us * 1000000 / (1000000 + node->drift_ppm) + 2 : 0;
}

static void set_clock(struct node *node, int64_t local_us)
{
    node->clock_local_us = local_us;
    node->clock_true_us = node->world->now_us;
}

/* Paused, or thawed and not yet at `until_ms`, which it was told before. */
static bool is_behind(const struct node *node, int64_t until_ms)
{
    int64_t ttl_ms = node->world->swarm.ttl_ms;
    int64_t sent_ms = node->until_stop_ms - ttl_ms + ttl_ms / AGENT_RENEWALS_PER_TTL;
    return node->paused || (node->last_pause_ms > 0 && node->last_pause_ms >= sent_ms &&
                            node_now_ms(node) <= until_ms);
}

bool node_is_zombie(const struct node *node)
{
    return is_behind(node, node->until_stop_ms);
}

bool node_drains_as_zombie(const struct node *node)
{
    return is_behind(node, node->until_kill_ms);
}

/* --- the agent's outlet --- */

static int64_t wall_ms(const struct node *node)
{
    return WALL_MS + node->world->now_us / MS + node->wall_offset_ms;
}

static void tick(void *context);

static void arrange_tick(struct node *node)
{
    int64_t due_ms = agent_due_ms(node->agent);
    if (due_ms < node->tick_ms) {
        node->tick_ms = due_ms;
        process_post_at(&node->daemon, due_ms, tick, node);
    }
}

static void tick(void *context)
{
    struct node *node = context;
    int64_t now_ms = node_now_ms(node);
    node->tick_ms = INT64_MAX;
    if (!node->agent) {
        return;
    }
    if (now_ms >= agent_due_ms(node->agent)) {
        agent_tick(node->agent, now_ms, wall_ms(node));
    }
    arrange_tick(node);
}

static void send_datagram(void *context, const char *to, const uint8_t *data, size_t size)
{
    struct node *node = context;
    if (node->diverted.send) {
        node->diverted.send(node->diverted.context, to, data, size);
    } else {
        network_send(node->world->network, node, to, data, size);
    }
}

static void answered(struct node *node, enum agent_lane lane, bool lists,
                     const struct database_answer *from)
{
    struct store_value value = from->value;
    struct roster_listing listing = {0};
    struct agent_answer answer = {.lane = lane,
                                  .status = from->status,
                                  .revision = from->revision,
                                  .value = &value,
                                  .listing = &listing};
    for (size_t i = 0; i < ROSTER_PREFIXES; i++) {
        *roster_listing_part(&listing, i) = from->lists[i];
    }
    if (!node->agent) {
        return;
    }
    node->renewing = node->renewing && lane != AGENT_RENEWAL;
    if (lists && from->status == VIOS_OK) {
        oracle_listed(node, &listing);
    }
    agent_answered(node->agent, &answer, node_now_ms(node));
    arrange_tick(node);
}

static void answered_renewal(void *context, const struct database_answer *answer)
{
    answered(context, AGENT_RENEWAL, false, answer);
}

static void answered_control(void *context, const struct database_answer *answer)
{
    answered(context, AGENT_CONTROL, false, answer);
}

static void answered_list(void *context, const struct database_answer *answer)
{
    answered(context, AGENT_CONTROL, true, answer);
}

static void ask_store(void *context, const struct agent_request *from)
{
    struct node *node = context;
    struct database_request request = {
        .kind = from->kind == AGENT_LIST   ? DATABASE_LIST
                : from->kind == AGENT_READ ? DATABASE_READ
                                           : DATABASE_COMMIT,
        .key = from->key,
        .compares = from->compares,
        .compare_count = from->compare_count,
        .changes = from->changes,
        .change_count = from->change_count,
        .answered = from->kind == AGENT_LIST      ? answered_list
                    : from->lane == AGENT_RENEWAL ? answered_renewal
                                                  : answered_control,
        .context = node,
    };
    if (node->diverted.request) {
        node->diverted.request(node->diverted.context, from);
        return;
    }
    node->renewing = node->renewing || from->lane == AGENT_RENEWAL;
    if (from->kind == AGENT_LIST) {
        for (size_t i = 0; i < ROSTER_PREFIXES; i++) {
            request.prefixes[request.prefix_count++] = roster_prefix(i);
        }
        oracle_lists(node);
    }
    oracle_asks(node, from);
    database_ask(node->world->database, &node->daemon, &request);
}

static void serve(void *context, int64_t until_stop_ms, int64_t until_kill_ms)
{
    struct node *node = context;
    world_note(node->world, "%s serves until %lld (now %lld)", node->name, (long long)until_stop_ms,
               (long long)node_now_ms(node));
    node->until_stop_ms = until_stop_ms;
    node->until_kill_ms = until_kill_ms;
    node->state.rejoins = 0; /* the first renewal committed its end */
    oracle_serves(node);
    if (!node->world->plain) {
        io_serve(node);
        keeper_serves(node);
    }
}

static bool promised(void *context, bool are_made)
{
    struct node *node = context;
    node->state.promised = are_made;
    return true;
}

static void go_on_draining(void *context);

static void notice(void *context, const struct agent_notice *notice)
{
    struct node *node = context;
    static const char *const NAMES[] = {"primary", "state",   "FENCED",  "REMOVED",
                                        "LOSES",   "FOREIGN", "promises"};
    world_note(node->world, "%s: notice %s %s %lld", node->name, NAMES[notice->kind],
               notice->node ? notice->node : "", (long long)notice->epoch);
    if (notice->kind == AGENT_FENCED && !node->fenced) {
        node->fenced = true;
        node->fenced_ms = node_now_ms(node);
        process_post(&node->daemon, 0, go_on_draining, node);
    } else if (notice->kind == AGENT_LOSES) {
        node->loses_until_ms = node_now_ms(node) + notice->time_ms;
    }
}

static void extend(void *context, json_t *record)
{
    (void)context;
    (void)record;
}

/* --- the daemon's life --- */

static void daemon_reads(void *context);

static void new_agent(struct node *node, int64_t known_n, int64_t known_revision)
{
    int64_t now_ms = node_now_ms(node);
    struct agent_settings settings = {
        .name = node->name,
        .incarnation = node->state.incarnation,
        .start = node->start,
        .known_n = known_n,
        .known_revision = known_revision,
        .rejoins = node->state.rejoins,
        .level = 1,
        .ttl_ms = node->world->swarm.ttl_ms,
        .keepalive_ms = node->world->swarm.keepalive_ms,
        .promised = node->state.promised,
        .outlet = {send_datagram, ask_store, serve, promised, notice, extend, node},
    };
    node->agent = agent_new(&settings, now_ms, wall_ms(node));
    assert(node->agent);
    world_note(node->world, "%s: the daemon begins, incarnation %lld, start %lld", node->name,
               (long long)node->state.incarnation, (long long)node->start);
    arrange_tick(node);
    if (!node->world->plain) {
        keeper_start(node);
    }
}

static void daemon_knows(void *context, const struct database_answer *answer)
{
    struct node *node = context;
    if (answer->status != VIOS_OK && answer->status != VIOS_E_NOT_FOUND) {
        process_post(&node->daemon, STORE_RETRY_US, daemon_reads, node);
        return;
    }
    json_t *record = answer->status == VIOS_OK ? json_loads(answer->value.json, 0, NULL) : NULL;
    int64_t n = json_integer_value(json_object_get(record, "n"));
    json_decref(record);
    new_agent(node, n, answer->value.revision);
}

static void daemon_reads(void *context)
{
    struct node *node = context;
    char key[32];
    snprintf(key, sizeof key, "/alive/%s", node->name);
    database_ask(node->world->database, &node->daemon,
                 &(struct database_request){
                     .kind = DATABASE_READ, .key = key, .answered = daemon_knows, .context = node});
}

static void begin_incarnation(struct node *node)
{
    /* One that never renewed owned nothing: the end of the one before is what is owed still. */
    if (node->state.rejoins == 0) {
        node->state.rejoins = node->state.incarnation;
    }
    node->state.incarnation++;
    node->until_stop_ms = node->until_kill_ms = 0;
}

static void daemon_begins(struct node *node)
{
    if (node->state.boot != node->boot) {
        node->state.boot = node->boot;
        begin_incarnation(node);
    }
    node->start = random_between(&node->world->node_random, 1, INT64_C(1) << 40);
    node->fenced = false;
    node->loses_until_ms = 0;
    if (!node->world->plain) {
        keeper_begin(node);
    }
    daemon_reads(node);
}

static void daemon_starts(void *context)
{
    struct node *node = context;
    if (!node->daemon.alive) {
        process_start(&node->daemon);
        node->tick_ms = INT64_MAX;
        daemon_begins(node);
    }
}

void node_start_daemon(struct node *node, int64_t delay_us)
{
    process_post(&node->kernel, delay_us, daemon_starts, node);
}

void node_kill_daemon(struct node *node)
{
    if (node->daemon.alive) {
        process_end(&node->daemon);
        agent_free(node->agent);
        node->agent = NULL;
        if (!node->world->plain) {
            keeper_stop(node);
        }
    }
}

/* After a fence: the guests are dead, then io drains, then all begins anew. Called from an event,
 * never from within the agent. */
static void go_on_draining(void *context)
{
    struct node *node = context;
    bool drained = node->world->plain || keeper_drain(node);
    if (!drained && node_now_ms(node) - node->fenced_ms > DRAIN_PATIENCE_MS) {
        io_kill(node);
    }
    if (!drained) {
        process_post(&node->daemon, DRAIN_LOOK_US, go_on_draining, node);
        return;
    }
    node_kill_daemon(node);
    begin_incarnation(node);
    node_start_daemon(node, MS);
}

void node_freeze(struct process *process)
{
    if (process->alive) {
        process->frozen = true;
    }
}

void node_thaw(struct process *process)
{
    if (process->alive && process->frozen) {
        process->frozen = false;
        process->thawed_in_pause = process->node->paused;
        if (!process->world->plain && !process->node->paused) {
            keeper_look_at_time(process->node); /* the first thing that it does */
        }
        process_thaw(process);
    }
}

void node_receive(struct node *node, const char *from, const uint8_t *data, size_t size)
{
    if (node->agent) {
        bool good = agent_receive(node->agent, from, data, size, node_now_ms(node));
        assert(good);
        (void)good;
        arrange_tick(node);
    }
}

/* --- the machine's life --- */

void node_power_on(struct node *node)
{
    struct random *random = &node->world->node_random;
    if (node->up) {
        return;
    }
    node->up = true;
    node->boot++;
    node->last_pause_ms = 0;
    node->until_stop_ms = node->until_kill_ms = 0;
    set_clock(node, BOOT_LOCAL_US + random_below(random, 1000 * SECOND));
    process_start(&node->kernel);
    node_start_daemon(node, random_between(random, 10, 800) * MS);
}

void node_crash(struct node *node)
{
    if (!node->up) {
        return;
    }
    node->paused = false;
    node_kill_daemon(node);
    if (!node->world->plain) {
        keeper_crash(node);
    }
    process_end(&node->kernel);
    node->up = false;
}

void node_pause(struct node *node)
{
    if (node_runs(node)) {
        set_clock(node, node_local_us(node));
        node->last_pause_ms = node_now_ms(node);
        node->paused = true;
    }
}

void node_resume(struct node *node)
{
    if (node->up && node->paused) {
        node->clock_true_us = node->world->now_us;
        node->paused = false;
        if (!node->world->plain &&
            (node->daemon.thawed_in_pause || node->io_process.thawed_in_pause)) {
            keeper_look_at_time(node);
        }
        node->daemon.thawed_in_pause = node->io_process.thawed_in_pause = false;
        process_thaw(&node->kernel);
        process_thaw(&node->io_process);
        process_thaw(&node->daemon);
        if (!node->world->plain) {
            keeper_resumed(node);
        }
    }
}

/* --- all of them --- */

static void init_process(struct process *process, struct node *node, const char *name)
{
    process->node = node;
    process->world = node->world;
    process->name = name;
}

void nodes_new(struct world *world)
{
    world->node_count = world->swarm.nodes;
    world->nodes = sim_alloc(world->node_count * sizeof *world->nodes);
    for (size_t i = 0; i < world->node_count; i++) {
        struct node *node = &world->nodes[i];
        node->world = world;
        node->number = i;
        snprintf(node->name, sizeof node->name, world->node_count < 10 ? "n%zu" : "n%03zu", i + 1);
        node->drift_ppm =
            random_between(&world->node_random, -world->swarm.drift_ppm, world->swarm.drift_ppm);
        init_process(&node->kernel, node, "kernel");
        init_process(&node->daemon, node, "daemon");
        init_process(&node->io_process, node, "io");
    }
}

void nodes_stop(struct world *world)
{
    for (size_t i = 0; i < world->node_count; i++) {
        node_crash(&world->nodes[i]);
    }
}

void nodes_free(struct world *world)
{
    free(world->nodes);
}

struct node *node_find(struct world *world, const char *name)
{
    size_t number = strtoul(name + 1, NULL, 10);
    return number >= 1 && number <= world->node_count ? &world->nodes[number - 1] : NULL;
}
