/* oracle.c - see oracle.h: the invariants of the records. Those of files and guests are judged in
 * disk.c and keeper.c. */
#include "tests/sim/oracle.h"

#include "tests/sim/database.h"
#include "tests/sim/guest.h"
#include "tests/sim/io.h"
#include "tests/sim/node.h"
#include "tests/sim/split_oracle.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TIMER_KEEPALIVES 5 /* the election timer */
#define SPLIT_PAUSE_US (30 * SECOND)
#define NAME_SIZE 16

struct fact { /* what a node knows of another's /alive, from its listings */
    int64_t revision, first_seen_ms;
    bool fenced;
    const char *json;
};

struct viewer {
    uint64_t life;
    int64_t asked_ms, listed_ms;
    char primary[NAME_SIZE];
    struct fact facts[SPLIT_ORACLE_MAX];
};

struct oracle {
    struct world *world;
    struct viewer *viewers;
    /* /primary as it is */
    char state[16], holder[NAME_SIZE];
    int64_t epoch, start, primary_us;
    int64_t committed_epoch;
    int64_t split_us;
    struct oracle_counts counts;
};

struct oracle *oracle_new(struct world *world)
{
    struct oracle *oracle = sim_alloc(sizeof *oracle);
    oracle->world = world;
    oracle->viewers = sim_alloc(world->node_count * sizeof *oracle->viewers);
    oracle->split_us = -SPLIT_PAUSE_US;
    return oracle;
}

void oracle_free(struct oracle *oracle)
{
    free(oracle->viewers);
    free(oracle);
}

const struct oracle_counts *oracle_counts(const struct oracle *oracle)
{
    return &oracle->counts;
}

static const char *text_of(const json_t *record, const char *key)
{
    const char *text = json_string_value(json_object_get(record, key));
    return text ? text : "";
}

static int64_t number_of(const json_t *record, const char *key)
{
    return json_integer_value(json_object_get(record, key));
}

/* As short as a drifting clock can make it. */
static int64_t shortest_us(const struct world *world, int64_t us)
{
    return us - us * (world->swarm.drift_ppm + 100) / 1000000 - 2 * MS;
}

/* --- /primary --- */

static void judge_lock(struct oracle *oracle, const json_t *record)
{
    struct world *world = oracle->world;
    int64_t timer_us = TIMER_KEEPALIVES * world->swarm.keepalive_ms * MS;
    const char *node = text_of(record, "node");
    if (number_of(record, "epoch") <= oracle->epoch && oracle->state[0]) {
        world_fail(world, 1, "%s locks epoch %lld over epoch %lld", node,
                   (long long)number_of(record, "epoch"), (long long)oracle->epoch);
    }
    if (strcmp(oracle->state, "locking") == 0 &&
        (strcmp(oracle->holder, node) != 0 || oracle->start != number_of(record, "start")) &&
        world->now_us - oracle->primary_us < shortest_us(world, timer_us)) {
        world_fail(world, 3, "%s takes the lock of %s, which is %lld ms old", node, oracle->holder,
                   (long long)((world->now_us - oracle->primary_us) / MS));
    }
}

static void judge_committed(struct oracle *oracle, const json_t *record)
{
    const char *node = text_of(record, "node");
    int64_t epoch = number_of(record, "epoch");
    if (strcmp(oracle->state, "locking") != 0 || strcmp(oracle->holder, node) != 0 ||
        oracle->epoch != epoch || oracle->start != number_of(record, "start")) {
        world_fail(oracle->world, 1, "%s commits epoch %lld without its lock", node,
                   (long long)epoch);
    }
    if (epoch <= oracle->committed_epoch) {
        world_fail(oracle->world, 1, "a second primary of epoch %lld: %s", (long long)epoch, node);
    }
    oracle->committed_epoch = epoch;
    oracle->counts.elections++;
}

static void judge_primary(struct oracle *oracle, const json_t *record)
{
    const char *state = text_of(record, "state");
    if (strcmp(state, "locking") == 0) {
        judge_lock(oracle, record);
    } else if (strcmp(state, "committed") == 0) {
        judge_committed(oracle, record);
    } else if (strcmp(oracle->state, "committed") != 0 ||
               number_of(record, "epoch") != oracle->epoch) {
        world_fail(oracle->world, 1, "somebody resigns who is not primary");
    }
    snprintf(oracle->state, sizeof oracle->state, "%s", state);
    snprintf(oracle->holder, sizeof oracle->holder, "%s", text_of(record, "node"));
    oracle->epoch = number_of(record, "epoch");
    oracle->start = number_of(record, "start");
    oracle->primary_us = oracle->world->now_us;
}

/* An effect of a primary: it must be the present one. */
static void judge_epoch(struct oracle *oracle, const char *key, const json_t *record)
{
    if (strcmp(oracle->state, "committed") != 0 ||
        strcmp(oracle->holder, text_of(record, "by")) != 0 ||
        oracle->epoch != number_of(record, "epoch")) {
        world_fail(oracle->world, 2, "%s by %s of epoch %lld is accepted in epoch %lld (%s %s)",
                   key, text_of(record, "by"), (long long)number_of(record, "epoch"),
                   (long long)oracle->epoch, oracle->holder, oracle->state);
    }
}

/* --- /alive and /fence --- */

static void judge_alive(struct oracle *oracle, const char *key, const json_t *record)
{
    char fence[64];
    const struct store_value *before = database_look(oracle->world->database, key);
    int64_t incarnation = number_of(record, "incarnation");
    snprintf(fence, sizeof fence, "/fence/%s/%lld", key + strlen("/alive/"),
             (long long)incarnation);
    if (database_look(oracle->world->database, fence)) {
        world_fail(oracle->world, 4, "a renewal lands although there is %s", fence);
    }
    json_t *old = before ? json_loads(before->json, 0, NULL) : NULL;
    if (number_of(old, "incarnation") > incarnation) {
        world_fail(oracle->world, 1, "%s: incarnation %lld after %lld", key, (long long)incarnation,
                   (long long)number_of(old, "incarnation"));
    }
    json_decref(old);
}

/* The incarnation may do no harm from here on. */
static void judge_stopped(struct oracle *oracle, struct node *node, int64_t incarnation)
{
    struct world *world = oracle->world;
    bool is_present = node->state.incarnation == incarnation && node->state.boot == node->boot;
    if (!node->up || node_is_zombie(node)) {
        return;
    }
    if (is_present && node_now_ms(node) < node->until_stop_ms) {
        world_fail(world, 4,
                   "the fence of %s, incarnation %lld, is free, and it serves for %lld ms",
                   node->name, (long long)incarnation,
                   (long long)(node->until_stop_ms - node_now_ms(node)));
    }
    if (!world->plain) {
        io_judge_stopped(node, incarnation);
        guest_judge_stopped(node, incarnation);
    }
}

static void judge_closing(struct oracle *oracle, const char *key, const char *name,
                          const json_t *record)
{
    char alive[40];
    snprintf(alive, sizeof alive, "/alive/%s", name);
    const struct store_value *value = database_look(oracle->world->database, alive);
    if (!value || value->revision != number_of(record, "alive")) {
        world_fail(oracle->world, 4, "%s judges revision %lld of %s, which is at %lld", key,
                   (long long)number_of(record, "alive"), alive,
                   (long long)(value ? value->revision : 0));
    }
    oracle->counts.fences++;
}

/* "/fence/NAME/INCARNATION" */
static void judge_fence(struct oracle *oracle, const char *key, const json_t *record)
{
    char name[NAME_SIZE];
    const char *text = key + strlen("/fence/"), *slash = strchr(text, '/');
    assert(slash);
    snprintf(name, sizeof name, "%.*s", (int)(slash - text), text);
    struct node *node = node_find(oracle->world, name);
    bool own = strcmp(text_of(record, "by"), name) == 0; /* it rejoins */
    if (!own) {
        judge_epoch(oracle, key, record);
    }
    if (strcmp(text_of(record, "state"), "free") != 0) {
        judge_closing(oracle, key, name, record);
        return;
    }
    oracle->counts.frees += !own;
    oracle->counts.rejoins += own;
    judge_stopped(oracle, node, strtoll(slash + 1, NULL, 10));
}

void oracle_serves(struct node *node)
{
    char key[64];
    const struct world *world = node->world;
    snprintf(key, sizeof key, "/fence/%s/%lld", node->name, (long long)node->state.incarnation);
    const struct store_value *fence = database_look(world->database, key);
    if (fence && strstr(fence->json, "\"free\"") && node_now_ms(node) < node->until_stop_ms &&
        !node_is_zombie(node)) {
        world_fail(node->world, 4, "%s serves %lld ms more, and its fence is free", node->name,
                   (long long)(node->until_stop_ms - node_now_ms(node)));
    }
}

/* --- /split --- */

static void judge_split(struct oracle *oracle, const char *key, const json_t *record)
{
    struct world *world = oracle->world;
    judge_epoch(oracle, key, record);
    if (world->now_us - oracle->split_us < shortest_us(world, SPLIT_PAUSE_US)) {
        world_fail(world, 8, "%s comes %lld ms after the decision before", key,
                   (long long)((world->now_us - oracle->split_us) / MS));
    }
    oracle->split_us = world->now_us;
    oracle->counts.splits++;
}

void oracle_lists(struct node *node)
{
    struct oracle *oracle = node->world->oracle;
    struct viewer *viewer = &oracle->viewers[node->number];
    if (viewer->life != node->daemon.life) {
        memset(viewer, 0, sizeof *viewer);
        viewer->life = node->daemon.life;
    }
    viewer->asked_ms = node_now_ms(node);
}

static bool is_fenced(const struct roster_listing *listing, const char *name, int64_t incarnation)
{
    char key[64];
    snprintf(key, sizeof key, "/fence/%s/%lld", name, (long long)incarnation);
    for (size_t i = 0; i < listing->fences.count; i++) {
        if (strcmp(listing->fences.values[i].key, key) == 0) {
            return true;
        }
    }
    return false;
}

static void view_alive(struct node *node, const struct roster_listing *listing,
                       struct viewer *viewer, const struct store_value *value)
{
    const struct node *of = node_find(node->world, value->key + strlen("/alive/"));
    struct fact *fact = &viewer->facts[of->number];
    if (fact->revision != value->revision) {
        fact->revision = value->revision;
        fact->first_seen_ms = node_now_ms(node);
        fact->json = value->json;
    }
    const char *incarnation = strstr(value->json, "\"incarnation\":");
    assert(incarnation);
    fact->fenced =
        is_fenced(listing, of->name, strtoll(incarnation + strlen("\"incarnation\":"), NULL, 10));
}

/* Nobody's record ages while the viewer could not look. */
static void pass_gap(const struct node *node, struct viewer *viewer)
{
    int64_t usual_ms = node->world->swarm.ttl_ms / AGENT_RENEWALS_PER_TTL;
    int64_t gap_ms = viewer->asked_ms - viewer->listed_ms;
    for (size_t i = 0; viewer->listed_ms > 0 && gap_ms > 2 * usual_ms && i < SPLIT_ORACLE_MAX;
         i++) {
        viewer->facts[i].first_seen_ms += gap_ms - usual_ms;
    }
    viewer->listed_ms = node_now_ms(node);
}

void oracle_listed(struct node *node, const struct roster_listing *listing)
{
    struct viewer *viewer = &node->world->oracle->viewers[node->number];
    if (node->world->node_count > SPLIT_ORACLE_MAX) {
        return;
    }
    pass_gap(node, viewer);
    for (size_t i = 0; i < listing->alive.count; i++) {
        view_alive(node, listing, viewer, &listing->alive.values[i]);
    }
    json_t *primary =
        listing->primary.count > 0 ? json_loads(listing->primary.values[0].json, 0, NULL) : NULL;
    bool committed = strcmp(text_of(primary, "state"), "committed") == 0;
    snprintf(viewer->primary, sizeof viewer->primary, "%s",
             committed ? text_of(primary, "node") : "");
    json_decref(primary);
}

static void take_row(const struct world *world, struct split_facts *facts, const size_t *place_of,
                     size_t place, const char *json)
{
    json_t *record = json_loads(json, 0, NULL);
    const json_t *row = json_object_get(record, "row");
    for (size_t i = 0; i < json_array_size(row); i++) {
        const struct node *heard =
            node_find((struct world *)world, json_string_value(json_array_get(row, i)));
        if (place_of[heard->number] < facts->count) {
            facts->hears[place][place_of[heard->number]] = true;
        }
    }
    json_decref(record);
}

/* The facts that the node's last listing left it with. */
static void take_facts(const struct node *node, struct split_facts *facts)
{
    const struct world *world = node->world;
    const struct viewer *viewer = &world->oracle->viewers[node->number];
    size_t place_of[SPLIT_ORACLE_MAX];
    const char *json[SPLIT_ORACLE_MAX];
    memset(facts, 0, sizeof *facts);
    facts->primary = SPLIT_ORACLE_MAX;
    for (size_t i = 0; i < world->node_count; i++) {
        const struct fact *fact = &viewer->facts[i];
        int64_t age_ms = viewer->asked_ms - fact->first_seen_ms;
        place_of[i] = SPLIT_ORACLE_MAX;
        if (fact->revision == 0 || fact->fenced || 5 * age_ms >= 3 * world->swarm.ttl_ms) {
            continue;
        }
        if (strcmp(world->nodes[i].name, viewer->primary) == 0) {
            facts->primary = facts->count;
        }
        place_of[i] = facts->count;
        json[facts->count] = fact->json;
        facts->names[facts->count++] = world->nodes[i].name;
    }
    for (size_t i = 0; i < facts->count; i++) {
        take_row(world, facts, place_of, i, json[i]);
    }
}

void oracle_asks(struct node *node, const struct agent_request *request)
{
    struct split_facts facts;
    if (request->kind != AGENT_COMMIT ||
        strncmp(request->changes[0].key, "/split/", strlen("/split/")) != 0) {
        return;
    }
    take_facts(node, &facts);
    json_t *record = json_loads(request->changes[0].json, 0, NULL);
    const char *wrong = split_oracle_judge(&facts, record);
    if (wrong) {
        world_fail(node->world, 8, "%s decides %s, and %s", node->name, request->changes[0].json,
                   wrong);
    }
    json_decref(record);
}

/* --- all commits --- */

static bool begins(const char *key, const char *prefix)
{
    return strncmp(key, prefix, strlen(prefix)) == 0;
}

static void judge_change(struct oracle *oracle, const struct store_change *change)
{
    json_t *record = change->json ? json_loads(change->json, 0, NULL) : NULL;
    if (begins(change->key, "/alive/")) {
        judge_alive(oracle, change->key, record);
    } else if (begins(change->key, "/fence/")) {
        judge_fence(oracle, change->key, record);
    } else if (begins(change->key, "/split/")) {
        judge_split(oracle, change->key, record);
    } else if (begins(change->key, "/job/") && record) {
        judge_epoch(oracle, change->key, record);
    } else if (strcmp(change->key, "/primary") == 0) {
        judge_primary(oracle, record);
    }
    json_decref(record);
}

void oracle_commit(struct world *world, const struct store_change *changes, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        judge_change(world->oracle, &changes[i]);
    }
    if (!world->plain) {
        guest_judge_commit(world, changes, count, &world->oracle->counts);
    }
}

/* --- when the faults are over --- */

static bool renews(const struct node *node, int64_t incarnation, char why[200])
{
    if (!node->agent || node_now_ms(node) >= agent_until_stop_ms(node->agent) || node->fenced) {
        snprintf(why, 200, "%s does not serve", node->name);
        return false;
    }
    (void)incarnation;
    return true;
}

bool oracle_all_well(struct world *world, char why[200])
{
    const struct oracle *oracle = world->oracle;
    int64_t epoch;
    if (strcmp(oracle->state, "committed") != 0) {
        snprintf(why, 200, "there is no committed primary, /primary is %s", oracle->state);
        return false;
    }
    for (size_t i = 0; i < world->node_count; i++) {
        const struct node *node = &world->nodes[i];
        if (!renews(node, node->state.incarnation, why)) {
            return false;
        }
        const char *primary = agent_primary(node->agent, &epoch);
        if (strcmp(primary, oracle->holder) != 0 || epoch != oracle->epoch) {
            snprintf(why, 200, "%s believes in primary \"%s\" of epoch %lld, it is %s of %lld",
                     node->name, primary, (long long)epoch, oracle->holder,
                     (long long)oracle->epoch);
            return false;
        }
    }
    const struct node *holder = node_find(world, oracle->holder);
    if (!agent_is_primary(holder->agent, node_now_ms(holder))) {
        snprintf(why, 200, "%s does not know that it is primary", holder->name);
        return false;
    }
    return world->plain || guest_all_well(world, why);
}
