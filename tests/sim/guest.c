/* guest.c - see guest.h. */
#include "tests/sim/guest.h"

#include "tests/sim/database.h"
#include "tests/sim/io.h"
#include "tests/sim/node.h"
#include "tests/sim/pages.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PAGING_PPM 400000 /* of its steps write a page too */
#define THINK_MIN_US (20 * MS)
#define THINK_MAX_US (400 * MS)
#define ACKNOWLEDGED_WITHIN_US (5 * SECOND) /* in a calm world */

/* --- LPARs --- */

static void new_lpar(struct world *world, size_t number)
{
    struct lpar *lpar = &world->lpars[number];
    char text[200], file[40];
    lpar->world = world;
    lpar->number = number;
    lpar->clone = world->swarm.clone[number];
    snprintf(lpar->name, sizeof lpar->name, "l%zu", number + 1);
    snprintf(lpar->key, sizeof lpar->key, "/lpar/%s", lpar->name);
    snprintf(lpar->hibernation_key, sizeof lpar->hibernation_key, "/hibernation/%s", lpar->name);
    snprintf(lpar->lu_key, sizeof lpar->lu_key, "/lu/%s", lpar->name);
    snprintf(lpar->job_key, sizeof lpar->job_key, "/job/%s", lpar->name);
    snprintf(text, sizeof text,
             "{\"v\":1,\"name\":\"%s\",\"generation\":0,\"owner\":null,\"wanted\":\"running\"}",
             lpar->name);
    database_put(world->database, lpar->key, text);
    snprintf(file, sizeof file, "%s.0", lpar->name);
    snprintf(text, sizeof text, "{\"v\":1,\"name\":\"%s\",\"file\":\"%s\",\"dead\":[]}", lpar->name,
             file);
    database_put(world->database, lpar->lu_key, text);
    disk_make(lpar, file, NULL);
}

void guests_new(struct world *world)
{
    world->lpar_count = world->swarm.lpars;
    world->lpars = sim_alloc(SWARM_LPARS_MAX * sizeof *world->lpars);
    for (size_t i = 0; i < world->lpar_count; i++) {
        new_lpar(world, i);
    }
}

void guests_free(struct world *world)
{
    for (size_t i = 0; i < world->lpar_count; i++) {
        struct lpar *lpar = &world->lpars[i];
        while (lpar->copies) {
            struct copy *next = lpar->copies->next;
            free(lpar->copies);
            lpar->copies = next;
        }
        while (lpar->memories) {
            struct memory *next = lpar->memories->next;
            free(lpar->memories);
            lpar->memories = next;
        }
        disk_free(lpar);
    }
    free(world->lpars);
}

/* --- copies --- */

static bool is_runnable(const struct copy *copy)
{
    return copy->alive && copy->state == COPY_RUNNING && !copy->stopped_by_io &&
           !copy->stopped_by_daemon && node_runs(copy->node);
}

/* See oracle.h: what is not covered. */
static bool is_excused(const struct copy *copy)
{
    const struct node *node = copy->node;
    bool nobody_there = !process_runs(&node->io_process) && !process_runs(&node->daemon);
    return node_is_zombie(node) || (nobody_there && node_now_ms(node) >= node->until_stop_ms);
}

static void judge_runnable(struct lpar *lpar)
{
    const struct copy *first = NULL;
    for (const struct copy *copy = lpar->copies; copy; copy = copy->next) {
        if (!is_runnable(copy) || is_excused(copy)) {
            continue;
        }
        if (first) {
            world_fail(lpar->world, 6, "%s runs on %s in generation %lld, and on %s in %lld",
                       lpar->name, first->node->name, (long long)first->generation,
                       copy->node->name, (long long)copy->generation);
        }
        first = copy;
    }
}

struct copy *copy_find(const struct lpar *lpar, const struct node *node)
{
    struct copy *copy = lpar->copies;
    while (copy && !(copy->alive && copy->node == node)) {
        copy = copy->next;
    }
    return copy;
}

static void think(void *context)
{
    struct copy *copy = context;
    struct world *world = copy->lpar->world;
    struct random *random = &world->guest_random;
    copy->thinking = false;
    if (!is_runnable(copy)) {
        return; /* copy_kick goes on */
    }
    size_t block = (size_t)random_below(random, DISK_BLOCKS), slot = COPY_REQUESTS;
    for (size_t i = 0; i < COPY_REQUESTS; i++) {
        slot = copy->requests[i].busy ? slot : i;
        if (copy->requests[i].busy && copy->requests[i].block == block) {
            block = DISK_BLOCKS; /* one at a time for each */
            break;
        }
    }
    if (slot < COPY_REQUESTS && block < DISK_BLOCKS) {
        copy->requests[slot] = (struct request){true, block, ++copy->lpar->disk.last_write};
        io_submit(copy, slot);
    }
    if (random_chance(random, PAGING_PPM)) {
        pages_write(copy);
    }
    copy_kick(copy);
}

void copy_kick(struct copy *copy)
{
    if (is_runnable(copy) && !copy->thinking) {
        copy->thinking = true;
        process_post(&copy->node->kernel,
                     random_between(&copy->lpar->world->guest_random, THINK_MIN_US, THINK_MAX_US),
                     think, copy);
        judge_runnable(copy->lpar);
    }
}

struct copy *copy_new(struct lpar *lpar, struct node *node, int64_t generation,
                      enum copy_state state, struct inode *inode)
{
    struct copy *copy = sim_alloc(sizeof *copy);
    *copy = (struct copy){.next = lpar->copies,
                          .lpar = lpar,
                          .node = node,
                          .generation = generation,
                          .incarnation = node->state.incarnation,
                          .state = state,
                          .alive = true,
                          .inode = inode};
    lpar->copies = copy;
    io_add_guest(copy);
    return copy;
}

void copy_kill(struct copy *copy)
{
    if (copy && copy->alive) {
        world_note(copy->lpar->world, "%s: the copy of %s, generation %lld, is dead",
                   copy->node->name, copy->lpar->name, (long long)copy->generation);
        copy->alive = false;
    }
}

/* The record says that this node may run it. */
static void judge_ownership(const struct copy *copy)
{
    const struct lpar *lpar = copy->lpar;
    const struct store_value *value = database_look(lpar->world->database, lpar->key);
    json_t *record = value ? json_loads(value->json, 0, NULL) : NULL;
    const json_t *owner = json_object_get(record, "owner");
    const char *node = json_string_value(json_object_get(owner, "node"));
    bool good = node && strcmp(node, copy->node->name) == 0 &&
                json_integer_value(json_object_get(owner, "incarnation")) == copy->incarnation &&
                json_integer_value(json_object_get(record, "generation")) == copy->generation;
    if (!good && !node_is_zombie(copy->node)) {
        world_fail(lpar->world, 6, "%s is run on %s in generation %lld, and its record is %s",
                   lpar->name, copy->node->name, (long long)copy->generation,
                   value ? value->json : "gone");
    }
    json_decref(record);
}

void copy_run(struct copy *copy, int64_t generation)
{
    world_note(copy->lpar->world, "%s: %s runs in generation %lld on %s", copy->node->name,
               copy->lpar->name, (long long)generation, copy->inode->name);
    copy->generation = generation;
    if (copy->state == COPY_LOADED &&
        memcmp(copy->memory.blocks, copy->inode->blocks, sizeof copy->inode->blocks) != 0) {
        world_fail(copy->lpar->world, 7,
                   "%s: a memory of generation %lld meets a disk that was written since",
                   copy->lpar->name, (long long)copy->memory.generation);
    }
    judge_ownership(copy);
    disk_judge_start(copy->inode, generation);
    copy->state = COPY_RUNNING;
    copy->acknowledged_us = copy->lpar->world->now_us;
    copy_kick(copy);
}

void copy_pause(struct copy *copy)
{
    copy->state = COPY_PAUSED;
}

bool copy_is_drained(const struct copy *copy)
{
    for (size_t i = 0; i < COPY_REQUESTS; i++) {
        if (copy->requests[i].busy) {
            return false;
        }
    }
    return !io_is_busy(copy->node, copy->lpar);
}

void copy_answered(struct copy *copy, size_t slot)
{
    copy->requests[slot].busy = false;
    copy->acknowledged_us = copy->lpar->world->now_us;
}

/* --- what the oracle asks --- */

void guest_judge_stopped(struct node *node, int64_t incarnation)
{
    for (size_t i = 0; i < node->world->lpar_count; i++) {
        const struct copy *copy = copy_find(&node->world->lpars[i], node);
        if (copy && copy->incarnation == incarnation && is_runnable(copy) && !is_excused(copy)) {
            world_fail(node->world, 4, "the fence of %s, incarnation %lld, is free, and %s runs",
                       node->name, (long long)incarnation, copy->lpar->name);
        }
    }
}

static int64_t number_of(const json_t *record, const char *key)
{
    return json_integer_value(json_object_get(record, key));
}

static bool same_owner(const json_t *a, const json_t *b)
{
    const json_t *left = json_object_get(a, "owner"), *right = json_object_get(b, "owner");
    return json_equal(left, right);
}

static bool fence_is_free(const struct world *world, const json_t *owner)
{
    char key[64];
    snprintf(key, sizeof key, "/fence/%s/%lld", json_string_value(json_object_get(owner, "node")),
             (long long)number_of(owner, "incarnation"));
    const struct store_value *fence = database_look(world->database, key);
    return fence && strstr(fence->json, "\"free\"");
}

static bool fence_is_there(const struct world *world, const json_t *owner)
{
    char key[64];
    snprintf(key, sizeof key, "/fence/%s/%lld", json_string_value(json_object_get(owner, "node")),
             (long long)number_of(owner, "incarnation"));
    return database_look(world->database, key) != NULL;
}

static void judge_new_owner(struct world *world, const struct store_change *change,
                            const json_t *before, const json_t *after, struct oracle_counts *counts)
{
    const json_t *old = json_object_get(before, "owner"), *new = json_object_get(after, "owner");
    if (fence_is_there(world, new)) {
        world_fail(world, 4, "a fenced incarnation becomes an owner: %s = %s", change->key,
                   change->json);
    }
    if (json_is_object(old) && strcmp(json_string_value(json_object_get(old, "node")),
                                      json_string_value(json_object_get(new, "node"))) != 0) {
        counts->takeovers++;
        if (!fence_is_free(world, old)) {
            world_fail(world, 4, "%s is taken over before the fence of its owner is free: %s",
                       change->key, change->json);
        }
    } else if (number_of(after, "generation") > number_of(before, "generation")) {
        counts->restarts++;
    }
}

static void judge_lpar(struct world *world, const struct store_change *change,
                       struct oracle_counts *counts)
{
    const struct store_value *value = database_look(world->database, change->key);
    json_t *before = json_loads(value->json, 0, NULL), *after = json_loads(change->json, 0, NULL);
    int64_t from = number_of(before, "generation"), to = number_of(after, "generation");
    bool owned = json_is_object(json_object_get(after, "owner"));
    if (to < from || (to == from && owned && !same_owner(before, after)) || to > from + 1) {
        world_fail(world, 1, "%s goes from generation %lld to %s", change->key, (long long)from,
                   change->json);
    }
    if (owned && to > from) {
        judge_new_owner(world, change, before, after, counts);
    }
    json_decref(before);
    json_decref(after);
}

/* It is saved, or restored and gone: of the guest's present generation. */
static void judge_hibernation(struct world *world, const struct store_change *change,
                              struct oracle_counts *counts)
{
    char key[40];
    const struct store_value *old = database_look(world->database, change->key);
    snprintf(key, sizeof key, "/lpar/%s", change->key + strlen("/hibernation/"));
    const struct store_value *lpar = database_look(world->database, key);
    json_t *record = json_loads(lpar->json, 0, NULL);
    json_t *saved = json_loads(change->json ? change->json : old->json, 0, NULL);
    if (number_of(saved, "generation") != number_of(record, "generation")) {
        world_fail(world, 7, "%s of generation %lld is %s, and the guest is in generation %lld",
                   change->key, (long long)number_of(saved, "generation"),
                   change->json ? "saved" : "restored", (long long)number_of(record, "generation"));
    }
    counts->hibernations += change->json != NULL;
    counts->restores += change->json == NULL;
    json_decref(record);
    json_decref(saved);
}

void guest_judge_commit(struct world *world, const struct store_change *changes, size_t count,
                        struct oracle_counts *counts)
{
    for (size_t i = 0; i < count; i++) {
        if (strncmp(changes[i].key, "/lpar/", strlen("/lpar/")) == 0) {
            judge_lpar(world, &changes[i], counts);
        } else if (strncmp(changes[i].key, "/hibernation/", strlen("/hibernation/")) == 0) {
            judge_hibernation(world, &changes[i], counts);
        }
    }
}

/* --- when the faults are over --- */

static bool is_well(struct lpar *lpar, char why[200])
{
    const struct store_value *value = database_look(lpar->world->database, lpar->key);
    json_t *record = json_loads(value->json, 0, NULL);
    bool wanted = strcmp(json_string_value(json_object_get(record, "wanted")), "running") == 0;
    size_t running = 0;
    bool writes = false;
    for (const struct copy *copy = lpar->copies; copy; copy = copy->next) {
        running += is_runnable(copy);
        writes = writes || (is_runnable(copy) &&
                            lpar->world->now_us - copy->acknowledged_us < ACKNOWLEDGED_WITHIN_US);
    }
    bool good = running == wanted && writes == wanted;
    if (!good) {
        snprintf(why, 200, "%s: %zu copies run%s, and its record is %.120s", lpar->name, running,
                 writes ? "" : " (none gets answers)", value->json);
    }
    json_decref(record);
    return good;
}

bool guest_all_well(struct world *world, char why[200])
{
    for (size_t i = 0; i < world->lpar_count; i++) {
        if (!is_well(&world->lpars[i], why)) {
            return false;
        }
    }
    return true;
}
