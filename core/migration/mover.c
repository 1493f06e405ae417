/*
 * mover.c - see mover.h.
 *
 * All is done in one look, made again whenever the cluster or a guest has changed: whose jobs have
 * ended, what the records say, who has to leave, and what is next for each. A look that finds
 * nothing new costs no call to the VIOS DB.
 */
#include "migration/mover.h"

#include "base/crash.h"
#include "base/json.h"
#include "base/log.h"
#include "base/thread.h"
#include "lpar/hold.h"
#include "lpar/place.h"
#include "lpar/saved.h"
#include "migration/attempt.h"
#include "migration/leaving.h"
#include "node/changes.h"
#include "node/driver.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LOOK_MS 20000 /* for the VIOS DB and all targets of one look */
#define WAIT_MS 1000  /* at most, until a pause is looked at again */

struct mover {
    struct node *node;
    struct runner cluster, guests; /* wait for changes of these */
    pthread_mutex_t lock;          /* one look at a time */
    struct attempt *attempts;
    int64_t epoch;      /* of the term that they are of */
    uint64_t signature; /* of leaving, at the last look that was complete */
    bool pending;       /* something is to be moved */
};

enum { LPARS, FENCES, MOVES, SAVED, CLUSTER, LISTS };
static const char *const PREFIXES[LISTS] = {"/lpar/", "/fence/", MOVE_PREFIX, SAVED_PREFIX,
                                            "/cluster"};

struct look {
    struct mover *mover;
    struct node *node;
    struct driver_term term;
    struct leaving *leaving;
    struct store *store;
    struct store_list lists[LISTS];
    struct places places;
    bool surveyed;
    size_t under_way;
    struct operation *operation;
};

/* --- what was asked of targets --- */

static struct attempt *attempt_of(struct mover *mover, const char *name)
{
    struct attempt *attempt = mover->attempts;
    while (attempt && strcmp(attempt->name, name) != 0) {
        attempt = attempt->next;
    }
    if (!attempt && (attempt = calloc(1, sizeof *attempt))) {
        snprintf(attempt->name, sizeof attempt->name, "%s", name);
        attempt->next = mover->attempts;
        mover->attempts = attempt;
    }
    return attempt;
}

static void forget_attempt(struct mover *mover, const char *name)
{
    for (struct attempt **at = &mover->attempts; *at; at = &(*at)->next) {
        if (strcmp((*at)->name, name) == 0) {
            struct attempt *gone = *at;
            *at = gone->next;
            free(gone);
            return;
        }
    }
}

static void forget_attempts(struct mover *mover)
{
    while (mover->attempts) {
        forget_attempt(mover, mover->attempts->name);
    }
}

/* --- the journal --- */

/* While this node is the primary, and nobody changed the LPAR (`lpar`; NULL: whatever it is). */
static int write_move(struct look *look, struct move *move, const struct lpar *lpar)
{
    char key[STORE_KEY_MAX], lpar_key[STORE_KEY_MAX], *text = move_format(move);
    struct store_compare compares[3] = {
        {.kind = STORE_REVISION_IS, .key = "/primary", .revision = look->term.revision},
        {.kind = move->revision ? STORE_REVISION_IS : STORE_ABSENT,
         .key = move_key(move->name, key),
         .revision = move->revision}};
    struct store_change change = {.key = key, .json = text};
    size_t count = 2;
    if (lpar) {
        snprintf(lpar_key, sizeof lpar_key, "/lpar/%s", lpar->name);
        compares[count++] = (struct store_compare){STORE_REVISION_IS, lpar_key, lpar->revision};
    }
    int status = text ? store_commit(look->store, compares, count, &change, 1, &move->revision,
                                     look->operation)
                      : operation_no_memory(look->operation, "migration");
    free(text);
    return status;
}

static void note(const struct look *look, const struct move *move, const char *what)
{
    recorder_note(look->node->recorder, "migration", "%s, from %s: %s", move->name, move->from,
                  what);
    log_notice("migration", "%s, from %s: %s", move->name, move->from, what);
}

static void end_move(struct look *look, struct move *move, enum move_state state, const char *why)
{
    char what[MOVE_CAUSE_SIZE + 64];
    move->state = state;
    snprintf(move->error, sizeof move->error, "%s", state == MOVE_MOVED ? "" : why);
    clock_format(clock_wall_ms(), move->ended);
    if (write_move(look, move, NULL) == VIOS_OK) {
        crash_at("move:end:after");
        snprintf(what, sizeof what, "%s: %s", move_state_name(state), why);
        note(look, move, what);
        forget_attempt(look->mover, move->name);
    }
}

static const struct store_value *find_value(const struct store_list *list, const char *prefix,
                                            const char *name)
{
    char key[STORE_KEY_MAX];
    snprintf(key, sizeof key, "%s%s", prefix, name);
    size_t low = 0, high = list->count;
    while (low < high) { /* lists are sorted */
        size_t middle = low + (high - low) / 2;
        int order = strcmp(list->values[middle].key, key);
        if (order == 0) {
            return &list->values[middle];
        }
        low = order < 0 ? middle + 1 : low;
        high = order < 0 ? high : middle;
    }
    return NULL;
}

static int survey(struct look *look)
{
    int status =
        look->surveyed ? VIOS_OK : places_survey(look->node, &look->places, look->operation);
    look->surveyed = status == VIOS_OK;
    return status;
}

/* A node that is well is left only for a place that there is: the guest would stand still. */
static bool has_place(struct look *look, const struct lpar *lpar)
{
    struct attempt *attempt = attempt_of(look->mover, lpar->name);
    if (!attempt || clock_now_ms() < attempt->not_before_ms) {
        return false;
    }
    bool has = survey(look) == VIOS_OK &&
               places_have(look->node, &look->places, lpar, look->operation) == VIOS_OK;
    if (!has) {
        attempt_refused(attempt, look->operation->error.message);
    }
    return has;
}

/* The LPAR has to leave its owner, and nobody has written that down. */
static void begin_move(struct look *look, const struct lpar *lpar)
{
    const struct store_value *old = find_value(&look->lists[MOVES], MOVE_PREFIX, lpar->name);
    struct move before = {0},
                move = {.incarnation = lpar->owner_incarnation, .generation = lpar->generation};
    struct vios_error ignored;
    if (!lpar->owner[0] || !lpar_moves(lpar) ||
        !leaving_has(look->leaving, &look->lists[FENCES], lpar->owner, lpar->owner_incarnation,
                     move.cause, &move.drains) ||
        (old && move_parse(old, &before, &ignored) == VIOS_OK && before.state == MOVE_MOVING)) {
        return;
    }
    look->mover->pending = true;
    if (move.drains && !has_place(look, lpar)) {
        return;
    }
    move.revision = old ? old->revision : 0;
    snprintf(move.name, sizeof move.name, "%s", lpar->name);
    snprintf(move.from, sizeof move.from, "%s", lpar->owner);
    clock_format(clock_wall_ms(), move.began);
    if (write_move(look, &move, lpar) == VIOS_OK) {
        crash_at("move:begin:after");
        note(look, &move, move.cause);
    }
}

static void begin_moves(struct look *look)
{
    for (size_t i = 0; i < look->lists[LPARS].count; i++) {
        const struct store_value *value = &look->lists[LPARS].values[i];
        struct lpar lpar;
        struct vios_error ignored; /* who asks for it is told that it is damaged */
        if (lpar_parse(value->json, &lpar, &ignored) == VIOS_OK) {
            lpar.revision = value->revision;
            begin_move(look, &lpar);
        }
    }
}

/* --- what is next --- */

static enum move_source source_of(enum plan plan, enum move_source before)
{
    return plan == PLAN_RESTART ? MOVE_FROM_MEMORY
           : plan == PLAN_START ? MOVE_FROM_STORAGE
                                : before;
}

static void ask_target(struct look *look, struct move *move, const struct lpar *lpar,
                       enum plan plan)
{
    struct move before = *move;
    struct operation *operation = look->operation;
    struct attempt *attempt = attempt_of(look->mover, move->name);
    if (!attempt || attempt->job[0] || clock_now_ms() < attempt->not_before_ms ||
        look->under_way >= MOVER_AT_ONCE) {
        return;
    }
    snprintf(move->error, sizeof move->error, "%s", attempt->error);
    move->source = source_of(plan, move->source);
    int status = survey(look);
    if (status == VIOS_OK) {
        status =
            places_pick(look->node, &look->places, lpar, move->from,
                        attempt->failures > 0 ? attempt->target : NULL, move->target, operation);
    }
    if (status != VIOS_OK) {
        move->target[0] = 0;
        snprintf(move->error, sizeof move->error, "%.*s", MOVE_ERROR_SIZE - 1,
                 operation->error.message);
    }
    bool differs = move->source != before.source || strcmp(move->target, before.target) != 0 ||
                   strcmp(move->error, before.error) != 0;
    int written = differs ? write_move(look, move, NULL) : VIOS_OK;
    if (status != VIOS_OK || written != VIOS_OK) {
        return;
    }
    crash_at("move:ask:before");
    if (attempt_ask(look->node, attempt, plan, lpar, move->target, operation) == VIOS_OK) {
        crash_at("move:ask:after");
        look->under_way++;
        note(look, move, move->target);
    }
}

static bool read_lpar(const struct look *look, const char *name, struct lpar *lpar)
{
    const struct store_value *value = find_value(&look->lists[LPARS], "/lpar/", name);
    struct vios_error ignored;
    if (!value || lpar_parse(value->json, lpar, &ignored) != VIOS_OK) {
        return false;
    }
    lpar->revision = value->revision;
    return true;
}

static bool is_saved(struct look *look, const struct lpar *lpar)
{
    const struct store_value *value = find_value(&look->lists[SAVED], SAVED_PREFIX, lpar->name);
    const struct attempt *attempt = attempt_of(look->mover, lpar->name);
    struct saved saved;
    struct vios_error ignored;
    return value && attempt && !attempt->unreadable &&
           saved_parse(value, &saved, &ignored) == VIOS_OK && saved.generation == lpar->generation;
}

static void find_facts(struct look *look, const struct lpar *lpar, struct plan_facts *facts)
{
    char cause[MOVE_CAUSE_SIZE];
    bool drains;
    const struct store_list *fences = &look->lists[FENCES];
    facts->at_work = lpar_is_held(look->store, lpar, look->operation);
    facts->owner_free =
        lpar->owner[0] && leaving_is_free(fences, lpar->owner, lpar->owner_incarnation);
    facts->owner_leaves = lpar->owner[0] && leaving_has(look->leaving, fences, lpar->owner,
                                                        lpar->owner_incarnation, cause, &drains);
    facts->saved = is_saved(look, lpar);
}

/* The last of its generations that its old owner had: one beyond it is of those who moved it. */
static void keep_generation(struct look *look, struct move *move, const struct lpar *lpar)
{
    if (strcmp(lpar->owner, move->from) == 0 && lpar->owner_incarnation == move->incarnation &&
        lpar->generation > move->generation) {
        move->generation = lpar->generation;
        (void)write_move(look, move, lpar);
    }
}

static void go_on(struct look *look, struct move *move)
{
    struct lpar lpar;
    bool exists = read_lpar(look, move->name, &lpar);
    struct plan_facts facts = {.move = move, .lpar = exists ? &lpar : NULL};
    if (exists) {
        find_facts(look, &lpar, &facts);
    }
    enum plan plan = plan_next(&facts);
    look->mover->pending = look->mover->pending || (plan != PLAN_MOVED && plan != PLAN_DROP);
    if (plan == PLAN_MOVED) {
        end_move(look, move, MOVE_MOVED, lpar.owner);
    } else if (plan == PLAN_DROP) {
        end_move(look, move, MOVE_DROPPED, plan_why_dropped(&facts));
    } else if (plan == PLAN_WAIT) {
        keep_generation(look, move, &lpar);
    } else {
        ask_target(look, move, &lpar, plan);
    }
}

static void go_on_all(struct look *look)
{
    const struct store_list *moves = &look->lists[MOVES];
    for (size_t i = 0; i < moves->count && operation_check(look->operation) == VIOS_OK; i++) {
        struct move move;
        struct vios_error error;
        if (move_parse(&moves->values[i], &move, &error) != VIOS_OK) {
            log_warning("migration", "%s: %s", error.object, error.message);
        } else if (move.state == MOVE_MOVING) {
            go_on(look, &move);
        }
    }
}

/* --- a look --- */

/* Before the records are read: what a job did is in them, then. */
static void look_at_attempts(struct look *look)
{
    for (struct attempt *at = look->mover->attempts; at; at = at->next) {
        attempt_look(look->node, at, look->operation);
    }
}

static void count_attempts(struct look *look)
{
    for (struct attempt *at = look->mover->attempts; at; at = at->next) {
        if (at->job[0] && leaving_is_free(&look->lists[FENCES], at->target, at->incarnation)) {
            attempt_void(at);
        }
        look->under_way += at->job[0] != 0;
    }
}

static bool is_in_maintenance(const struct look *look)
{
    const struct store_list *list = &look->lists[CLUSTER];
    json_t *cluster = list->count ? json_loads(list->values[0].json, 0, NULL) : NULL;
    bool is = json_is_true(json_object_get(cluster, "maintenance"));
    json_decref(cluster);
    return is;
}

static int look_at_records(struct look *look)
{
    look_at_attempts(look);
    int status = store_list_many(look->store, PREFIXES, LISTS, look->lists, NULL, look->operation);
    if (status != VIOS_OK) {
        return status;
    }
    look->mover->pending = is_in_maintenance(look); /* its end is to be seen */
    if (!look->mover->pending) {
        count_attempts(look);
        begin_moves(look);
        go_on_all(look);
    }
    for (size_t i = 0; i < LISTS; i++) {
        store_list_clear(&look->lists[i]);
    }
    places_clear(&look->places);
    return operation_check(look->operation);
}

static void look_as_primary(struct look *look, bool guests_changed)
{
    struct mover *mover = look->mover;
    if (look->term.epoch != mover->epoch) {
        forget_attempts(mover);
        mover->epoch = look->term.epoch;
        mover->pending = true;
    }
    uint64_t signature = leaving_signature(look->leaving);
    if (!mover->pending && signature == mover->signature &&
        !(guests_changed && leaving_is_any(look->leaving))) {
        return;
    }
    int status = node_store(look->node, &look->store, look->operation);
    if (status == VIOS_OK) {
        status = look_at_records(look);
        node_store_return(look->node, look->store);
    }
    if (status == VIOS_OK) {
        mover->signature = signature;
    } else {
        mover->pending = true;
        log_debug("migration", "not looked at: %s", look->operation->error.message);
    }
}

static void look_once(struct mover *mover, const struct runner *runner, bool guests_changed)
{
    struct operation operation;
    operation_start(&operation, LOOK_MS, runner->cancel);
    pthread_mutex_lock(&mover->lock);
    struct look look = {.mover = mover, .node = mover->node, .operation = &operation};
    if (driver_term(mover->node->driver, &look.term)) {
        look.leaving = leaving_new(mover->node);
        if (look.leaving) {
            look_as_primary(&look, guests_changed);
        }
        leaving_free(look.leaving);
    } else {
        forget_attempts(mover);
        mover->epoch = 0;
    }
    pthread_mutex_unlock(&mover->lock);
}

/* --- the threads --- */

static void *follow_cluster(void *argument)
{
    struct mover *mover = argument;
    struct operation operation;
    uint64_t seen = 0;
    int status;
    do {
        look_once(mover, &mover->cluster, false);
        operation_start(&operation, WAIT_MS, mover->cluster.cancel);
        status = driver_await_change(mover->node->driver, &seen, &operation);
    } while (status == VIOS_OK || status == VIOS_E_TIMEOUT);
    return NULL;
}

static void guests_changed(void *context)
{
    struct mover *mover = context;
    look_once(mover, &mover->guests, true);
}

static void *follow_guests(void *argument)
{
    struct mover *mover = argument;
    changes_follow(mover->node, "/lpar/", "migration", guests_changed, mover, mover->guests.cancel);
    return NULL;
}

int mover_start(struct mover **mover, struct node *node, struct vios_error *error)
{
    struct mover *made = calloc(1, sizeof *made);
    *mover = NULL;
    if (!made) {
        return error_no_memory(error, "migration");
    }
    made->node = node;
    pthread_mutex_init(&made->lock, NULL);
    int status = runner_start(&made->cluster, "mover", follow_cluster, made, "migration", error);
    if (status == VIOS_OK) {
        status =
            runner_start(&made->guests, "mover-guests", follow_guests, made, "migration", error);
    }
    if (status != VIOS_OK) {
        mover_stop(made);
        return status;
    }
    *mover = made;
    return VIOS_OK;
}

void mover_stop(struct mover *mover)
{
    if (!mover) {
        return;
    }
    runner_stop(&mover->cluster);
    runner_stop(&mover->guests);
    forget_attempts(mover);
    pthread_mutex_destroy(&mover->lock);
    free(mover);
}
