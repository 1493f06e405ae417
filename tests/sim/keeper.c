/*
 * keeper.c - see keeper.h.
 *
 * For each guest a slot: what was listed of it, and at most one thing that is being done to it. A
 * daemon that starts finds the guests of the one before as they are, and decides by their records.
 */
#include "tests/sim/keeper.h"

#include "cluster/ownership.h"
#include "tests/sim/database.h"
#include "tests/sim/guest.h"
#include "tests/sim/io.h"
#include "tests/sim/node.h"
#include "tests/sim/pages.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LOOK_US (700 * MS)
#define PAUSE_US (200 * MS) /* before what failed is done again */
#define DRAIN_LOOK_US (20 * MS)
#define GRACE_MS 10000 /* fence-grace of pools without clones */
#define INTENT_MS 4000 /* nobody acted on it: another node is asked */

enum { PART_LPARS, PART_HIBERNATIONS, PART_JOBS, PART_FENCES, PART_LUS, PARTS };

struct slot {
    struct keeper *keeper;
    struct lpar *lpar;
    struct store_value lpar_value, hibernation, lu, job; /* as listed; key NULL: absent */
    struct store_value fence;                            /* of its owner's incarnation */
    json_t *record;

    bool listed; /* since the last thing that was done */
    bool busy;
    enum ownership_kind kind;
    struct ownership *ownership; /* NULL while it saves or loads */
    bool reads_for_disks;
    struct copy *copy; /* that it is about */
    const char *wanted;
    int64_t ready_us; /* saving or loading takes until then */
    int64_t ended_us; /* a listing asked for before is too old */
    int64_t intent_revision, intent_ms;
};

struct keeper {
    struct node *node;
    struct slot slots[SWARM_LPARS_MAX];
    int64_t asked_us;
};

static void step(void *context);

void keepers_new(struct world *world)
{
    for (size_t i = 0; i < world->node_count; i++) {
        struct keeper *keeper = sim_alloc(sizeof *keeper);
        keeper->node = &world->nodes[i];
        world->nodes[i].keeper = keeper;
        for (size_t k = 0; k < world->lpar_count; k++) {
            keeper->slots[k].keeper = keeper;
            keeper->slots[k].lpar = &world->lpars[k];
        }
    }
}

void keepers_free(struct world *world)
{
    for (size_t i = 0; i < world->node_count; i++) {
        keeper_stop(&world->nodes[i]);
        free(world->nodes[i].keeper);
    }
}

/* --- what it may do --- */

/* Its time is not over, and no promise binds it. */
static bool serves(const struct node *node)
{
    return node->agent && !node->fenced && node_now_ms(node) < agent_until_stop_ms(node->agent);
}

static bool may_commit(const struct node *node)
{
    return serves(node) && agent_may_commit(node->agent, node_now_ms(node));
}

static void post(struct slot *slot, int64_t delay_us, void (*run)(void *context))
{
    process_post(&slot->keeper->node->daemon, delay_us, run, slot);
}

static void end(struct slot *slot)
{
    world_note(slot->lpar->world, "%s: what was done to %s has ended: %s", slot->keeper->node->name,
               slot->lpar->name,
               slot->ownership ? ownership_why(slot->ownership) : "before it began");
    ownership_free(slot->ownership);
    slot->ownership = NULL;
    slot->busy = false;
    slot->copy = NULL;
    slot->listed = false;
    slot->ended_us = slot->lpar->world->now_us;
}

/* --- the end of what is done: the guest runs, or not --- */

/* Starts from the disk that the record names. */
static void start_from(void *context, const struct database_answer *answer)
{
    struct slot *slot = context;
    struct node *node = slot->keeper->node;
    if (!slot->busy) {
        return; /* the node was fenced meanwhile */
    }
    if (answer->status != VIOS_OK || !serves(node) || io_is_busy(node, slot->lpar)) {
        post(slot, PAUSE_US, step);
        return;
    }
    json_t *lu = json_loads(answer->value.json, 0, NULL);
    struct inode *inode = disk_find(slot->lpar, json_string_value(json_object_get(lu, "file")));
    json_decref(lu);
    assert(inode);
    int64_t generation = ownership_generation(slot->ownership);
    struct copy *copy = copy_new(slot->lpar, node, generation, COPY_PAUSED, inode);
    pages_claim(node, slot->lpar, generation);
    copy_run(copy, generation);
    end(slot);
}

static void run_it(struct slot *slot)
{
    struct node *node = slot->keeper->node;
    if (slot->kind == OWNERSHIP_START || slot->kind == OWNERSHIP_TAKEOVER) {
        database_ask(node->world->database, &node->daemon,
                     &(struct database_request){.kind = DATABASE_READ,
                                                .key = slot->lpar->lu_key,
                                                .answered = start_from,
                                                .context = slot});
        return;
    }
    if (!slot->copy->alive) {
        end(slot); /* its QEMU died meanwhile: it starts from its disk */
        return;
    }
    pages_claim(node, slot->lpar, ownership_generation(slot->ownership));
    copy_run(slot->copy, ownership_generation(slot->ownership));
    end(slot);
}

static void go_on(struct slot *slot)
{
    if (slot->copy->alive) {
        copy_run(slot->copy, slot->copy->generation);
    }
    end(slot);
}

/* --- the disks of a takeover --- */

static void clone(void *context, const struct database_answer *answer)
{
    struct slot *slot = context;
    struct lpar *lpar = slot->lpar;
    char name[OWNERSHIP_FILE_SIZE];
    if (!slot->busy) {
        return; /* the node was fenced meanwhile */
    }
    if (answer->status != VIOS_OK) {
        post(slot, PAUSE_US, step);
        return;
    }
    json_t *lu = json_loads(answer->value.json, 0, NULL);
    const char *file = json_string_value(json_object_get(lu, "file"));
    ownership_disk_file(lpar->lu_key, ownership_generation(slot->ownership), name);
    if (strcmp(file, name) != 0) {
        disk_make(lpar, name, disk_find(lpar, file));
    }
    json_decref(lu);
    int status = ownership_disks_fenced(slot->ownership, &answer->value, 1, NULL);
    assert(status == VIOS_OK);
    (void)status;
    post(slot, random_below(&lpar->world->guest_random, 50 * MS), step);
}

static void grace_is_over(void *context)
{
    struct slot *slot = context;
    if (!slot->busy) {
        return; /* the node was fenced meanwhile */
    }
    int status = ownership_disks_fenced(slot->ownership, NULL, 0, NULL);
    assert(status == VIOS_OK);
    (void)status;
    step(slot);
}

static void fence_disks(struct slot *slot)
{
    struct node *node = slot->keeper->node;
    if (slot->lpar->clone) {
        database_ask(node->world->database, &node->daemon,
                     &(struct database_request){.kind = DATABASE_READ,
                                                .key = slot->lpar->lu_key,
                                                .answered = clone,
                                                .context = slot});
    } else {
        process_post_at(&node->daemon, node_now_ms(node) + GRACE_MS, grace_is_over, slot);
    }
}

/* --- commits and readings --- */

static void committed(void *context, const struct database_answer *answer)
{
    struct slot *slot = context;
    if (!slot->busy) {
        return; /* the node was fenced meanwhile */
    }
    ownership_committed(slot->ownership, answer->status, answer->revision);
    post(slot,
         answer->status == VIOS_OK ? 0 : random_below(&slot->lpar->world->guest_random, PAUSE_US),
         step);
}

static void commit(struct slot *slot)
{
    struct node *node = slot->keeper->node;
    const struct ownership_request *request = ownership_request(slot->ownership);
    if (!may_commit(node)) {
        ownership_committed(slot->ownership, VIOS_E_TIMEOUT, 0);
        post(slot, PAUSE_US, step);
        return;
    }
    database_ask(node->world->database, &node->daemon,
                 &(struct database_request){.kind = DATABASE_COMMIT,
                                            .compares = request->compares,
                                            .compare_count = request->compare_count,
                                            .changes = request->changes,
                                            .change_count = request->change_count,
                                            .answered = committed,
                                            .context = slot});
}

static void was_read(void *context, const struct database_answer *answer)
{
    struct slot *slot = context;
    if (!slot->busy) {
        return; /* the node was fenced meanwhile */
    }
    ownership_read(slot->ownership, answer->status, &answer->value);
    post(slot, ownership_next(slot->ownership) == OWNERSHIP_READ ? PAUSE_US : MS, step);
}

static void step(void *context)
{
    struct slot *slot = context;
    struct node *node = slot->keeper->node;
    if (!slot->busy) {
        return; /* the node was fenced meanwhile */
    }
    switch (ownership_next(slot->ownership)) {
    case OWNERSHIP_COMMIT:
        commit(slot);
        break;
    case OWNERSHIP_READ:
        database_ask(node->world->database, &node->daemon,
                     &(struct database_request){.kind = DATABASE_READ,
                                                .key = slot->lpar->key,
                                                .answered = was_read,
                                                .context = slot});
        break;
    case OWNERSHIP_DISKS:
        fence_disks(slot);
        break;
    case OWNERSHIP_RUN:
    case OWNERSHIP_GO_ON:
        if (!serves(node)) { /* the gate is closed: it may not be its any more */
            post(slot, PAUSE_US, step);
        } else if (ownership_next(slot->ownership) == OWNERSHIP_RUN) {
            run_it(slot);
        } else {
            go_on(slot);
        }
        break;
    case OWNERSHIP_END:
        copy_kill(slot->copy);
        end(slot);
        break;
    }
}

/* --- beginnings --- */

static void take(struct slot *slot, enum ownership_kind kind, struct copy *copy,
                 const char *wanted);
static void begin(struct slot *slot);

/* The records do not allow it. A memory that is too old is no use to anybody: from the disk then.
 */
static void refused(struct slot *slot, int status, const struct vios_error *error)
{
    struct node *node = slot->keeper->node;
    world_note(node->world, "%s: %s: %s", node->name, error->object, error->message);
    if (slot->kind == OWNERSHIP_HIBERNATE && slot->copy->alive && serves(node)) {
        copy_run(slot->copy, slot->copy->generation);
    } else if (slot->kind == OWNERSHIP_RESTORE) {
        copy_kill(slot->copy);
    }
    end(slot);
    if (status == VIOS_E_STALE) {
        take(slot, OWNERSHIP_START, NULL, "running");
        begin(slot);
    }
}

static void begin(struct slot *slot)
{
    struct vios_error error = {0};
    struct node *node = slot->keeper->node;
    const struct ownership_facts facts = {
        .node = node->name,
        .incarnation = node->state.incarnation,
        .lpar = &slot->lpar_value,
        .hibernation = slot->hibernation.key ? &slot->hibernation : NULL,
        .fence = slot->fence.key ? &slot->fence : NULL,
        .wanted = slot->wanted,
    };
    int status = ownership_begin(&slot->ownership, slot->kind, &facts, &error);
    if (status == VIOS_OK) {
        step(slot);
    } else {
        refused(slot, status, &error);
    }
}

static void take(struct slot *slot, enum ownership_kind kind, struct copy *copy, const char *wanted)
{
    static const char *const NAMES[] = {"start",    "takeover",  "hibernate", "restore",
                                        "continue", "hand over", "release"};
    world_note(slot->lpar->world, "%s: %s of %s begins", slot->keeper->node->name, NAMES[kind],
               slot->lpar->name);
    slot->busy = true;
    slot->kind = kind;
    slot->copy = copy;
    slot->wanted = wanted;
}

/* Saved to its file, and nothing of it on its way any more. */
static void saving(void *context)
{
    struct slot *slot = context;
    struct lpar *lpar = slot->lpar;
    if (!slot->busy) {
        return; /* the node was fenced meanwhile */
    }
    if (!slot->copy->alive) {
        end(slot);
        return;
    }
    if (lpar->world->now_us < slot->ready_us || !copy_is_drained(slot->copy)) {
        post(slot, DRAIN_LOOK_US, saving);
        return;
    }
    struct memory *memory = sim_alloc(sizeof *memory);
    memory->generation = slot->copy->generation;
    memcpy(memory->blocks, slot->copy->inode->blocks, sizeof memory->blocks);
    memory->next = lpar->memories;
    lpar->memories = memory;
    begin(slot);
}

static void hibernate(struct slot *slot, struct copy *copy, const char *wanted)
{
    struct world *world = slot->lpar->world;
    take(slot, OWNERSHIP_HIBERNATE, copy, wanted);
    copy_pause(copy);
    slot->ready_us = world->now_us + random_magnitude(&world->guest_random, 50 * MS, 3 * SECOND);
    saving(slot);
}

/* Ended here, and drained: then it is nobody's. */
static void releasing(void *context)
{
    struct slot *slot = context;
    if (!slot->busy) {
        return; /* the node was fenced meanwhile */
    }
    if (io_is_busy(slot->keeper->node, slot->lpar)) {
        post(slot, DRAIN_LOOK_US, releasing);
        return;
    }
    begin(slot);
}

static void release(struct slot *slot, const char *wanted)
{
    copy_kill(copy_find(slot->lpar, slot->keeper->node));
    take(slot, OWNERSHIP_RELEASE, NULL, wanted);
    releasing(slot);
}

static void loaded(void *context)
{
    struct slot *slot = context;
    if (slot->busy) {
        begin(slot);
    }
}

static void load_from(void *context, const struct database_answer *answer)
{
    struct slot *slot = context;
    struct world *world = slot->lpar->world;
    if (!slot->busy) {
        return; /* the node was fenced meanwhile */
    }
    const struct memory *memory = slot->lpar->memories;
    json_t *saved = json_loads(slot->hibernation.json, 0, NULL);
    int64_t generation = json_integer_value(json_object_get(saved, "generation"));
    json_decref(saved);
    while (memory && memory->generation != generation) {
        memory = memory->next; /* the newest of a generation comes first */
    }
    if (answer->status != VIOS_OK || !memory) {
        end(slot);
        return;
    }
    json_t *lu = json_loads(answer->value.json, 0, NULL);
    struct inode *inode = disk_find(slot->lpar, json_string_value(json_object_get(lu, "file")));
    json_decref(lu);
    slot->copy = copy_new(slot->lpar, slot->keeper->node, generation, COPY_LOADED, inode);
    slot->copy->memory = *memory;
    post(slot, random_magnitude(&world->guest_random, 20 * MS, 2 * SECOND), loaded);
}

static void restore(struct slot *slot)
{
    struct node *node = slot->keeper->node;
    take(slot, OWNERSHIP_RESTORE, NULL, "running");
    database_ask(node->world->database, &node->daemon,
                 &(struct database_request){.kind = DATABASE_READ,
                                            .key = slot->lpar->lu_key,
                                            .answered = load_from,
                                            .context = slot});
}

/* --- deciding, from what was listed --- */

static const char *text_of(const json_t *record, const char *key)
{
    const char *text = json_string_value(json_object_get(record, key));
    return text ? text : "";
}

static int64_t number_of(const json_t *record, const char *key)
{
    return json_integer_value(json_object_get(record, key));
}

/* The primary asks this node to take it, as it is now. */
static bool is_asked(const struct slot *slot)
{
    json_t *job = slot->job.key ? json_loads(slot->job.json, 0, NULL) : NULL;
    bool asked = strcmp(text_of(job, "node"), slot->keeper->node->name) == 0 &&
                 number_of(job, "revision") == slot->lpar_value.revision;
    json_decref(job);
    return asked;
}

static void decide_with_copy(struct slot *slot, struct copy *copy, bool mine)
{
    struct node *node = slot->keeper->node;
    int64_t generation = number_of(slot->record, "generation");
    if (!mine || (copy->state == COPY_LOADED && generation != copy->generation + 1)) {
        copy_kill(copy); /* another's, hibernated, or never committed */
    } else if (copy->state == COPY_LOADED) {
        copy_run(copy, generation); /* committed by a daemon that died before it could continue */
    } else if (copy->state == COPY_PAUSED) {
        take(slot, OWNERSHIP_CONTINUE, copy, NULL);
        begin(slot);
    } else if (node->loses_until_ms > 0 && node_now_ms(node) < node->loses_until_ms) {
        hibernate(slot, copy, NULL);
    } else if (node->loses_until_ms > 0) {
        copy_kill(copy); /* not saved in time */
    }
}

/* This node's, of this incarnation or of one before, and not there. */
static void decide_own(struct slot *slot, bool mine)
{
    bool wanted = strcmp(text_of(slot->record, "wanted"), "running") == 0;
    if (json_object_get(slot->record, "taken")) {
        take(slot, OWNERSHIP_TAKEOVER, NULL, NULL);
        begin(slot);
    } else if (wanted) {
        take(slot, OWNERSHIP_START, NULL, NULL);
        begin(slot);
    } else if (mine) {
        release(slot, NULL);
    }
}

static void decide_asked(struct slot *slot, bool owned)
{
    json_t *saved = slot->hibernation.key ? json_loads(slot->hibernation.json, 0, NULL) : NULL;
    if (owned) {
        take(slot, OWNERSHIP_TAKEOVER, NULL, NULL);
        begin(slot);
    } else if (saved) {
        restore(slot);
    } else {
        take(slot, OWNERSHIP_START, NULL, "running");
        begin(slot);
    }
    json_decref(saved);
}

static void decide(struct slot *slot)
{
    struct node *node = slot->keeper->node;
    const json_t *owner = json_object_get(slot->record, "owner");
    struct copy *copy = copy_find(slot->lpar, node);
    bool here = strcmp(text_of(owner, "node"), node->name) == 0;
    bool mine = here && number_of(owner, "incarnation") == node->state.incarnation;
    if (copy) {
        decide_with_copy(slot, copy, mine);
    } else if (node->loses_until_ms > 0) {
        return;
    } else if (here) {
        decide_own(slot, mine);
    } else if (is_asked(slot)) {
        decide_asked(slot, json_is_object(owner));
    }
}

/* --- what the primary says --- */

static void nothing(void *context, const struct database_answer *answer)
{
    (void)context;
    (void)answer;
}

/* A member that could take it; NULL: there is none. */
static const struct node *choose(const struct node *by)
{
    struct world *world = by->world;
    size_t first = (size_t)random_below(&world->guest_random, (int64_t)world->node_count);
    for (size_t i = 0; i < world->node_count; i++) {
        const struct node *node = &world->nodes[(first + i) % world->node_count];
        bool witness = world->swarm.witness && node->number + 1 == world->node_count;
        if (!witness && agent_member_state(by->agent, node->name, node_now_ms(by)) == MEMBER_UP) {
            return node;
        }
    }
    return NULL;
}

static void put_intent(struct slot *slot, const struct node *to)
{
    struct node *node = slot->keeper->node;
    char text[160];
    int64_t epoch;
    agent_primary(node->agent, &epoch);
    snprintf(text, sizeof text,
             "{\"v\":1,\"node\":\"%s\",\"revision\":%lld,\"by\":\"%s\",\"epoch\":%lld}", to->name,
             (long long)slot->lpar_value.revision, node->name, (long long)epoch);
    const struct store_compare compares[] = {
        {STORE_REVISION_IS, slot->lpar->key, slot->lpar_value.revision},
        {STORE_REVISION_IS, "/primary", agent_primary_revision(node->agent)},
        {slot->job.key ? STORE_REVISION_IS : STORE_ABSENT, slot->lpar->job_key, slot->job.revision},
    };
    const struct store_change change = {slot->lpar->job_key, text};
    database_ask(node->world->database, &node->daemon,
                 &(struct database_request){.kind = DATABASE_COMMIT,
                                            .compares = compares,
                                            .compare_count = 3,
                                            .changes = &change,
                                            .change_count = 1,
                                            .answered = nothing});
}

/* It is wanted, and its owner is gone, or there is none: somebody shall take it. */
static void intend(struct slot *slot)
{
    struct node *node = slot->keeper->node;
    const json_t *owner = json_object_get(slot->record, "owner");
    bool left = !json_is_object(owner) || slot->fence.key; /* it waits until it is free */
    json_t *job = slot->job.key ? json_loads(slot->job.json, 0, NULL) : NULL;
    bool asked = number_of(job, "revision") == slot->lpar_value.revision;
    json_decref(job);
    if (slot->intent_revision != slot->job.revision) {
        slot->intent_revision = slot->job.revision;
        slot->intent_ms = node_now_ms(node);
    }
    if (!left || strcmp(text_of(slot->record, "wanted"), "running") != 0 ||
        (asked && node_now_ms(node) - slot->intent_ms < INTENT_MS)) {
        return;
    }
    const struct node *to = choose(node);
    if (to) {
        put_intent(slot, to);
    }
}

/* --- looking --- */

static void look(void *context);

static struct store_value find(const struct store_list *list, const char *key)
{
    for (size_t i = 0; i < list->count; i++) {
        if (strcmp(list->values[i].key, key) == 0) {
            return list->values[i];
        }
    }
    return (struct store_value){0};
}

static void learn(struct slot *slot, const struct database_answer *answer)
{
    char key[64];
    slot->listed = true;
    slot->lpar_value = find(&answer->lists[PART_LPARS], slot->lpar->key);
    slot->hibernation = find(&answer->lists[PART_HIBERNATIONS], slot->lpar->hibernation_key);
    slot->job = find(&answer->lists[PART_JOBS], slot->lpar->job_key);
    slot->lu = find(&answer->lists[PART_LUS], slot->lpar->lu_key);
    json_decref(slot->record);
    slot->record = json_loads(slot->lpar_value.json, 0, NULL);
    const json_t *owner = json_object_get(slot->record, "owner");
    snprintf(key, sizeof key, "/fence/%s/%lld", text_of(owner, "node"),
             (long long)number_of(owner, "incarnation"));
    slot->fence = find(&answer->lists[PART_FENCES], key);
}

static void looked(void *context, const struct database_answer *answer)
{
    struct node *node = context;
    struct keeper *keeper = node->keeper;
    process_post(&node->daemon, LOOK_US, look, node);
    if (answer->status != VIOS_OK) {
        return;
    }
    for (size_t i = 0; i < node->world->lpar_count; i++) {
        struct slot *slot = &keeper->slots[i];
        if (slot->busy || slot->ended_us >= keeper->asked_us) {
            continue;
        }
        learn(slot, answer);
        if (serves(node) && may_commit(node)) {
            decide(slot);
        }
        if (!slot->busy && agent_is_primary(node->agent, node_now_ms(node)) && may_commit(node)) {
            intend(slot);
        }
    }
}

static void look(void *context)
{
    struct node *node = context;
    node->keeper->asked_us = node->world->now_us;
    database_ask(node->world->database, &node->daemon,
                 &(struct database_request){
                     .kind = DATABASE_LIST,
                     .prefixes = {"/lpar/", "/hibernation/", "/job/", "/fence/", "/lu/"},
                     .prefix_count = PARTS,
                     .answered = looked,
                     .context = node});
}

/* --- the daemon's life --- */

void keeper_start(struct node *node)
{
    process_post(&node->daemon, LOOK_US, look, node);
}

void keeper_stop(struct node *node)
{
    for (size_t i = 0; node->keeper && i < SWARM_LPARS_MAX; i++) {
        struct slot *slot = &node->keeper->slots[i];
        ownership_free(slot->ownership);
        json_decref(slot->record);
        *slot = (struct slot){.keeper = slot->keeper, .lpar = slot->lpar};
    }
}

static void kill_copies(struct node *node)
{
    for (size_t i = 0; i < node->world->lpar_count; i++) {
        copy_kill(copy_find(&node->world->lpars[i], node));
    }
}

void keeper_crash(struct node *node)
{
    kill_copies(node);
    io_crash(node);
}

bool keeper_drain(struct node *node)
{
    bool busy = false;
    kill_copies(node);
    keeper_stop(node);
    for (size_t i = 0; i < node->world->lpar_count; i++) {
        busy = busy || io_is_busy(node, &node->world->lpars[i]);
    }
    return !busy;
}

/* --- the time --- */

static void stop_guests(struct node *node, bool stopped)
{
    for (size_t i = 0; i < node->world->lpar_count; i++) {
        struct copy *copy = copy_find(&node->world->lpars[i], node);
        if (copy) {
            copy->stopped_by_daemon = stopped;
            copy_kick(copy);
        }
    }
}

/* The daemon stops them too: io may be frozen, and not stop them itself. */
static void time_is_over(void *context)
{
    struct node *node = context;
    if (node_now_ms(node) >= node->until_stop_ms) {
        stop_guests(node, true);
    }
}

/* An answer that came late says a time that is over: nothing goes on by that. */
void keeper_serves(struct node *node)
{
    if (node_now_ms(node) < node->until_stop_ms) {
        stop_guests(node, false);
    }
    process_post_at(&node->daemon, node->until_stop_ms, time_is_over, node);
}

void keeper_look_at_time(struct node *node)
{
    io_look(node);
    if (process_runs(&node->daemon)) {
        time_is_over(node);
    }
}

void keeper_resumed(struct node *node)
{
    for (size_t i = 0; i < node->world->lpar_count; i++) {
        struct copy *copy = copy_find(&node->world->lpars[i], node);
        if (copy) {
            copy_kick(copy);
        }
    }
}

/* It has no time of its own yet: the guests go on only until the time that io says it has. */
void keeper_begin(struct node *node)
{
    io_start(node, MS);
    if (!process_runs(&node->io_process) || io_is_closed(node)) {
        stop_guests(node, true);
    }
    process_post_at(&node->daemon, node->until_stop_ms, time_is_over, node);
}

/* --- administrators --- */

/* The slot on the node where it is, if its daemon can do something now. */
static struct slot *slot_of_owner(struct world *world, const struct lpar *lpar)
{
    for (size_t i = 0; i < world->node_count; i++) {
        struct node *node = &world->nodes[i];
        struct copy *copy = copy_find(lpar, node);
        if (copy && copy->state == COPY_RUNNING && process_runs(&node->daemon) && serves(node) &&
            !node->keeper->slots[lpar->number].busy && node->keeper->slots[lpar->number].listed) {
            return &node->keeper->slots[lpar->number];
        }
    }
    return NULL;
}

/* Nobody's: this node starts it, or restores it. */
static void start_here(struct node *node, const struct lpar *lpar)
{
    struct slot *slot = &node->keeper->slots[lpar->number];
    if (!process_runs(&node->daemon) || !may_commit(node) || slot->busy || !slot->listed ||
        json_is_object(json_object_get(slot->record, "owner")) || copy_find(lpar, node)) {
        return;
    }
    if (slot->hibernation.key && random_chance(&node->world->guest_random, 500000)) {
        restore(slot);
    } else {
        take(slot, OWNERSHIP_START, NULL, "running");
        begin(slot);
    }
}

void keeper_administer(struct world *world, const struct fault *fault)
{
    struct lpar *lpar = &world->lpars[fault->lpar];
    struct slot *slot = slot_of_owner(world, lpar);
    struct copy *copy = slot ? copy_find(lpar, slot->keeper->node) : NULL;
    if (fault->kind == FAULT_START_GUEST) {
        start_here(&world->nodes[fault->node], lpar);
    } else if (slot && fault->kind == FAULT_STOP_GUEST) {
        release(slot, random_chance(&world->guest_random, 500000) ? "stopped" : NULL);
    } else if (slot && fault->kind == FAULT_HIBERNATE_GUEST) {
        hibernate(slot, copy, random_chance(&world->guest_random, 500000) ? "hibernated" : NULL);
    } else if (slot) {
        copy_kill(copy);
    }
}
