/*
 * ownership.c - see ownership.h.
 *
 * A commit is made from /lpar/L as it is known, so that what is committed again after an unknown
 * outcome is the same: whichever lands first makes the others conflict. When the record turns out
 * to have been edited, with the owner and generation that were known, the commit is made anew.
 */
#include "cluster/ownership_private.h"

#include "base/json.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define GENERATION_MAX (INT64_MAX - 2) /* of a guest that is to have another one */

enum state {
    COMMITTING, /* the commit that changes the owner or generation */
    READING,    /* it was a conflict, or nobody knows */
    RESOLVING,  /* a save of unknown outcome: the commit of the next generation, which defeats it */
    RESOLVING_READING,
    FENCING,   /* a takeover: the disks */
    FINISHING, /* a takeover: the commit after that */
    FINISHING_READING,
    RUNNING, /* the end: this node's */
    GOING_ON,
    ENDED
};

static const struct state_row STATES[] = {
    [COMMITTING] = {"COMMITTING", STATE_BIT(READING) | STATE_BIT(RESOLVING) | STATE_BIT(FENCING) |
                                      STATE_BIT(RUNNING) | STATE_BIT(GOING_ON) | STATE_BIT(ENDED)},
    [READING] = {"READING", STATE_BIT(COMMITTING) | STATE_BIT(FENCING) | STATE_BIT(RUNNING) |
                                STATE_BIT(ENDED)},
    [RESOLVING] = {"RESOLVING",
                   STATE_BIT(RESOLVING_READING) | STATE_BIT(RUNNING) | STATE_BIT(ENDED)},
    [RESOLVING_READING] = {"RESOLVING_READING",
                           STATE_BIT(RESOLVING) | STATE_BIT(RUNNING) | STATE_BIT(ENDED)},
    [FENCING] = {"FENCING", STATE_BIT(FINISHING)},
    [FINISHING] = {"FINISHING", STATE_BIT(FINISHING_READING) | STATE_BIT(RUNNING)},
    [FINISHING_READING] = {"FINISHING_READING", STATE_BIT(FENCING) | STATE_BIT(FINISHING) |
                                                    STATE_BIT(RUNNING) | STATE_BIT(ENDED)},
    [RUNNING] = {"RUNNING", 0},
    [GOING_ON] = {"GOING_ON", 0},
    [ENDED] = {"ENDED", 0},
};

static const char *const KIND_NAMES[] = {"start",    "takeover",  "hibernate", "restore",
                                         "continue", "hand over", "release"};

/* --- the records --- */

/* Takes the record as what is known, if it is one. */
static bool learn(struct ownership *ownership, const struct store_value *value)
{
    json_t *record = json_loads(value->json, 0, NULL);
    const json_t *generation = json_object_get(record, "generation");
    const json_t *owner = json_object_get(record, "owner");
    const char *node = json_get_word(owner, "node");
    int64_t incarnation = json_get_integer(owner, "incarnation");
    bool owned = json_is_object(owner);
    if (!json_is_integer(generation) || json_integer_value(generation) < 0 ||
        (owned && (parse_name(node, "node", NULL) != VIOS_OK || incarnation < 1)) ||
        (!owned && owner && !json_is_null(owner))) {
        json_decref(record);
        return false;
    }
    json_decref(ownership->record);
    ownership->record = record;
    ownership->known = (struct ownership_known){.incarnation = incarnation,
                                                .generation = json_integer_value(generation),
                                                .revision = value->revision};
    snprintf(ownership->known.owner, sizeof ownership->known.owner, "%s", node);
    return true;
}

static bool is_mine(const struct ownership *ownership)
{
    return strcmp(ownership->known.owner, ownership->node) == 0 &&
           ownership->known.incarnation == ownership->incarnation;
}

/* This node's now, or of an incarnation of before, whose guests are dead. */
static bool was_mine(const struct ownership *ownership)
{
    return strcmp(ownership->known.owner, ownership->node) == 0 &&
           ownership->known.incarnation <= ownership->incarnation;
}

static bool is_taken(const struct ownership *ownership)
{
    return json_object_get(ownership->record, "taken") != NULL;
}

static void make_request(struct ownership *ownership)
{
    bool first = ownership->machine.state == COMMITTING;
    if (first && ownership->kind == OWNERSHIP_HAND_OVER) {
        ownership_request_hand_over(ownership);
    } else if (first &&
               (ownership->kind == OWNERSHIP_HIBERNATE || ownership->kind == OWNERSHIP_RELEASE)) {
        ownership_request_give_up(ownership);
    } else {
        ownership_request_own(ownership);
    }
}

/* --- beginning --- */

static int refuse(const struct ownership *ownership, int code, const char *hint,
                  struct vios_error *error, const char *format, ...)
    __attribute__((format(printf, 5, 6)));

static int refuse(const struct ownership *ownership, int code, const char *hint,
                  struct vios_error *error, const char *format, ...)
{
    char object[96], text[200];
    va_list arguments;
    const char *name = json_get_word(ownership->record, "name");
    snprintf(object, sizeof object, "lpar \"%.63s\"",
             name[0] ? name : ownership->lpar_key + strlen("/lpar/"));
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    return error_set(error, code, object, hint, "%s", text);
}

static int check_start(const struct ownership *ownership, struct vios_error *error)
{
    if (ownership->known.owner[0] && !was_mine(ownership)) {
        return refuse(ownership, VIOS_E_CONFLICT,
                      "stop it there, or wait until that node is fenced", error,
                      "it belongs to node %s", ownership->known.owner);
    }
    if (is_taken(ownership)) {
        return refuse(ownership, VIOS_E_LOCKED, "the takeover goes on by itself", error,
                      "its takeover is not finished");
    }
    return VIOS_OK;
}

static int check_takeover(struct ownership *ownership, const struct ownership_facts *facts,
                          struct vios_error *error)
{
    if (is_mine(ownership) && is_taken(ownership)) {
        return VIOS_OK; /* goes on */
    }
    if (!ownership->known.owner[0] || is_mine(ownership)) {
        return refuse(ownership, VIOS_E_CONFLICT, "start it", error, "it is nobody else's");
    }
    json_t *fence = facts->fence ? json_loads(facts->fence->json, 0, NULL) : NULL;
    bool is_free = fence && strcmp(json_get_word(fence, "state"), "free") == 0;
    json_decref(fence);
    if (!is_free) {
        return refuse(ownership, VIOS_E_LOCKED, "wait until its fence is free", error,
                      "the time of node %s is not over", ownership->known.owner);
    }
    ownership->fence_revision = facts->fence->revision;
    return VIOS_OK;
}

static int check_restore(struct ownership *ownership, const struct ownership_facts *facts,
                         struct vios_error *error)
{
    if (ownership->known.owner[0]) {
        return refuse(ownership, VIOS_E_CONFLICT, "stop it there first", error,
                      "it belongs to node %s", ownership->known.owner);
    }
    if (!facts->hibernation) {
        return refuse(ownership, VIOS_E_NOT_FOUND, "start it from its disks", error,
                      "it is not hibernated");
    }
    json_t *saved = json_loads(facts->hibernation->json, 0, NULL);
    const json_t *generation = json_object_get(saved, "generation");
    bool known = json_is_integer(generation);
    int64_t of = json_integer_value(generation);
    json_decref(saved);
    if (!known || of != ownership->known.generation) {
        return refuse(ownership, VIOS_E_STALE, "start it from its disks", error,
                      "it was saved in generation %lld, and is in %lld now: that memory is too old",
                      (long long)of, (long long)ownership->known.generation);
    }
    ownership->hibernation_revision = facts->hibernation->revision;
    return VIOS_OK;
}

static int check_mine(const struct ownership *ownership, struct vios_error *error)
{
    if (!is_mine(ownership)) {
        return refuse(ownership, VIOS_E_CONFLICT, "ask the node that it belongs to", error,
                      "it belongs to %s%s", ownership->known.owner[0] ? "node " : "nobody",
                      ownership->known.owner);
    }
    return is_taken(ownership) ? refuse(ownership, VIOS_E_LOCKED, "the takeover goes on by itself",
                                        error, "its takeover is not finished")
                               : VIOS_OK;
}

static int check(struct ownership *ownership, const struct ownership_facts *facts,
                 struct vios_error *error)
{
    if (!learn(ownership, facts->lpar) || ownership->known.generation > GENERATION_MAX) {
        return refuse(ownership, VIOS_E_INVALID, "run vios db check", error,
                      "its record is damaged");
    }
    switch (ownership->kind) {
    case OWNERSHIP_START:
        return check_start(ownership, error);
    case OWNERSHIP_TAKEOVER:
        return check_takeover(ownership, facts, error);
    case OWNERSHIP_RESTORE:
        return check_restore(ownership, facts, error);
    case OWNERSHIP_HIBERNATE:
    case OWNERSHIP_CONTINUE:
    case OWNERSHIP_HAND_OVER:
    case OWNERSHIP_RELEASE:
        break;
    }
    return check_mine(ownership, error);
}

static void name_keys(struct ownership *ownership, const char *lpar_key)
{
    const char *lpar = lpar_key + strlen("/lpar/");
    snprintf(ownership->lpar_key, OWNERSHIP_KEY_SIZE, "%s", lpar_key);
    snprintf(ownership->hibernation_key, OWNERSHIP_KEY_SIZE, "/hibernation/%s", lpar);
    snprintf(ownership->fence_key, OWNERSHIP_KEY_SIZE, "/fence/%s/%lld", ownership->node,
             (long long)ownership->incarnation);
    snprintf(ownership->target_fence_key, OWNERSHIP_KEY_SIZE, "/fence/%s/%lld", ownership->target,
             (long long)ownership->target_incarnation);
    snprintf(ownership->machine_name, sizeof ownership->machine_name, "%s %s",
             KIND_NAMES[ownership->kind], lpar);
}

int ownership_begin(struct ownership **out, enum ownership_kind kind,
                    const struct ownership_facts *facts, struct vios_error *error)
{
    struct ownership *ownership = calloc(1, sizeof *ownership);
    *out = NULL;
    if (!ownership) {
        return error_no_memory(error, NULL);
    }
    assert(strncmp(facts->lpar->key, "/lpar/", strlen("/lpar/")) == 0);
    ownership->kind = kind;
    snprintf(ownership->node, sizeof ownership->node, "%s", facts->node);
    snprintf(ownership->target, sizeof ownership->target, "%s", facts->target ? facts->target : "");
    ownership->target_incarnation = facts->target_incarnation;
    ownership->incarnation = facts->incarnation;
    ownership->wanted = facts->wanted ? strdup(facts->wanted) : NULL;
    ownership->saved = facts->saved ? json_deep_copy(facts->saved) : NULL;
    name_keys(ownership, facts->lpar->key);
    int status = check(ownership, facts, error);
    if (status != VIOS_OK) {
        ownership_free(ownership);
        return status;
    }
    snprintf(ownership->owner_fence_key, OWNERSHIP_KEY_SIZE, "/fence/%s/%lld",
             ownership->known.owner, (long long)ownership->known.incarnation);
    bool begun = kind == OWNERSHIP_TAKEOVER && is_mine(ownership);
    state_machine_start(&ownership->machine, ownership->machine_name, STATES,
                        sizeof STATES / sizeof STATES[0], begun ? FENCING : COMMITTING,
                        facts->recorder);
    if (!begun) {
        make_request(ownership);
    }
    *out = ownership;
    return VIOS_OK;
}

void ownership_free(struct ownership *ownership)
{
    if (ownership) {
        json_decref(ownership->record);
        json_decref(ownership->saved);
        free(ownership->wanted);
        ownership_request_clear(ownership);
        free(ownership);
    }
}

/* --- what came of it --- */

static enum ownership_next move(struct ownership *ownership, enum state state, const char *why)
{
    snprintf(ownership->why, sizeof ownership->why, "%s", why);
    state_machine_move(&ownership->machine, (int)state, why);
    return ownership_next(ownership);
}

enum ownership_next ownership_next(const struct ownership *ownership)
{
    switch ((enum state)ownership->machine.state) {
    case COMMITTING:
    case RESOLVING:
    case FINISHING:
        return OWNERSHIP_COMMIT;
    case READING:
    case RESOLVING_READING:
    case FINISHING_READING:
        return OWNERSHIP_READ;
    case FENCING:
        return OWNERSHIP_DISKS;
    case RUNNING:
        return OWNERSHIP_RUN;
    case GOING_ON:
        return OWNERSHIP_GO_ON;
    case ENDED:
        break;
    }
    return OWNERSHIP_END;
}

/* The commit was done at `revision`: what is known now is what it put. */
static void learn_own(struct ownership *ownership, int64_t revision)
{
    struct store_value value = {.json = ownership->lpar_text, .revision = revision};
    bool good = learn(ownership, &value);
    assert(good);
    (void)good;
}

static enum ownership_next first_done(struct ownership *ownership, int64_t revision)
{
    learn_own(ownership, revision);
    switch (ownership->kind) {
    case OWNERSHIP_TAKEOVER:
        return move(ownership, FENCING, "it is this node's; its disks are not yet");
    case OWNERSHIP_HIBERNATE:
        return move(ownership, ENDED, "it is hibernated");
    case OWNERSHIP_HAND_OVER:
        return move(ownership, ENDED, "it is handed over");
    case OWNERSHIP_RELEASE:
        return move(ownership, ENDED, "it is stopped");
    case OWNERSHIP_START:
    case OWNERSHIP_RESTORE:
    case OWNERSHIP_CONTINUE:
        break;
    }
    return move(ownership, RUNNING, "it is this node's");
}

/* It was never sent, and nothing else of ours is out: nothing was done. One that another commit of
 * may land for is tried again. */
static enum ownership_next first_not_sent(struct ownership *ownership)
{
    if (ownership->unsure || ownership->kind == OWNERSHIP_CONTINUE ||
        ownership->kind == OWNERSHIP_RELEASE) {
        return OWNERSHIP_COMMIT;
    }
    if (ownership_gives(ownership->kind)) {
        return move(ownership, GOING_ON, "the VIOS DB could not be asked: it goes on");
    }
    return move(ownership, ENDED, "the VIOS DB could not be asked");
}

/* Whatever came of giving it away: the commit of a generation of its own is known, or that one. */
static enum ownership_next resolve(struct ownership *ownership, const char *why)
{
    ownership->unsure = true;
    move(ownership, RESOLVING, why);
    make_request(ownership);
    return OWNERSHIP_COMMIT;
}

static enum ownership_next first_committed(struct ownership *ownership, int status,
                                           int64_t revision)
{
    if (status == VIOS_OK) {
        return first_done(ownership, revision);
    }
    if (status == VIOS_E_CONFLICT && ownership->kind == OWNERSHIP_HAND_OVER) {
        return resolve(ownership, "it is refused: the next generation");
    }
    if (status == VIOS_E_CONFLICT) {
        ownership->conflict = true;
        return move(ownership, READING, "the record has changed, or this node is fenced");
    }
    if (status != VIOS_E_UNKNOWN) {
        return first_not_sent(ownership);
    }
    ownership->conflict = false;
    if (ownership_gives(ownership->kind)) {
        return resolve(ownership, "nobody knows whether it is given away: the next generation");
    }
    ownership->unsure = true;
    return move(ownership, READING, "the outcome is unknown");
}

static enum ownership_next later_committed(struct ownership *ownership, int status,
                                           int64_t revision, enum state reading)
{
    if (status == VIOS_OK) {
        learn_own(ownership, revision);
        return move(ownership, RUNNING, "it is this node's");
    }
    if (status != VIOS_E_CONFLICT && status != VIOS_E_UNKNOWN) {
        return OWNERSHIP_COMMIT; /* never sent */
    }
    ownership->conflict = status == VIOS_E_CONFLICT;
    return move(ownership, reading, ownership->conflict ? "a conflict" : "the outcome is unknown");
}

enum ownership_next ownership_committed(struct ownership *ownership, int status, int64_t revision)
{
    switch ((enum state)ownership->machine.state) {
    case COMMITTING:
        return first_committed(ownership, status, revision);
    case RESOLVING:
        return later_committed(ownership, status, revision, RESOLVING_READING);
    case FINISHING:
        return later_committed(ownership, status, revision, FINISHING_READING);
    default:
        assert(false);
        return ownership_next(ownership);
    }
}

/* --- what there is --- */

static enum ownership_next again(struct ownership *ownership, bool edited, enum state state)
{
    if (!edited && ownership->conflict) {
        return move(ownership, ENDED, "this node is fenced, or what was read has changed");
    }
    move(ownership, state, edited ? "the record was edited" : "it has not landed");
    make_request(ownership);
    return OWNERSHIP_COMMIT;
}

/* Only what was sent and is unsure can have. What looks the same after a conflict alone was done by
 * somebody before, and the guest may have run since. */
static bool has_landed(const struct ownership *ownership, const struct ownership_known *before)
{
    if (!ownership->unsure) {
        return false;
    }
    if (ownership->kind == OWNERSHIP_RELEASE) {
        return !ownership->known.owner[0] && ownership->known.generation == before->generation;
    }
    return is_mine(ownership) && ownership->known.generation == before->generation + 1;
}

static enum ownership_next first_read(struct ownership *ownership,
                                      const struct ownership_known *before, bool resolving)
{
    if (has_landed(ownership, before)) {
        enum state state = ownership->kind == OWNERSHIP_RELEASE    ? ENDED
                           : ownership->kind == OWNERSHIP_TAKEOVER ? FENCING
                                                                   : RUNNING;
        return move(ownership, state, "it was done");
    }
    if (ownership->kind == OWNERSHIP_HIBERNATE && !ownership->known.owner[0] &&
        ownership->known.generation == before->generation) {
        return move(ownership, ENDED, "it is hibernated");
    }
    if (strcmp(ownership->known.owner, before->owner) == 0 &&
        ownership->known.incarnation == before->incarnation &&
        ownership->known.generation == before->generation) {
        return again(ownership, ownership->known.revision != before->revision,
                     resolving ? RESOLVING : COMMITTING);
    }
    return move(ownership, ENDED, "it is another's");
}

static enum ownership_next finishing_read(struct ownership *ownership,
                                          const struct ownership_known *before)
{
    if (!is_mine(ownership) || ownership->known.generation != before->generation) {
        return move(ownership, ENDED, "it is another's");
    }
    if (!is_taken(ownership)) {
        return move(ownership, RUNNING, "it was done");
    }
    if (ownership->known.revision == before->revision && !ownership->conflict) {
        return move(ownership, FINISHING, "it has not landed");
    }
    return move(ownership, FENCING, "a record has changed");
}

enum ownership_next ownership_read(struct ownership *ownership, int status,
                                   const struct store_value *lpar)
{
    const struct ownership_known before = ownership->known;
    assert(ownership_next(ownership) == OWNERSHIP_READ);
    if (status == VIOS_E_NOT_FOUND) {
        return move(ownership, ENDED, "it was removed");
    }
    if (status != VIOS_OK || !learn(ownership, lpar)) {
        return OWNERSHIP_READ;
    }
    if (ownership->machine.state == FINISHING_READING) {
        return finishing_read(ownership, &before);
    }
    return first_read(ownership, &before, ownership->machine.state == RESOLVING_READING);
}

int ownership_disks_fenced(struct ownership *ownership, const struct store_value *lus, size_t count,
                           struct vios_error *error)
{
    assert(ownership->machine.state == FENCING && count <= OWNERSHIP_DISKS_MAX);
    int status = ownership_request_disks(ownership, lus, count, error);
    if (status == VIOS_OK) {
        move(ownership, FINISHING, count > 0 ? "its disks have new files" : "the grace is over");
    }
    return status;
}

/* --- looking --- */

int64_t ownership_generation(const struct ownership *ownership)
{
    return ownership->known.generation;
}

const char *ownership_why(const struct ownership *ownership)
{
    return ownership->why;
}

const struct ownership_request *ownership_request(const struct ownership *ownership)
{
    assert(ownership_next(ownership) == OWNERSHIP_COMMIT);
    return &ownership->request;
}
