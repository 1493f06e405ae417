/*
 * ownership.c - see ownership.h.
 *
 * A commit is made from /lpar/L as it is known, so that what is committed again after an unknown
 * outcome is the same: whichever lands first makes the others conflict. When the record turns out
 * to have been edited, with the owner and generation that were known, the commit is made anew.
 */
#include "cluster/ownership.h"

#include "base/json.h"
#include "base/parse.h"
#include "base/state_machine.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KEY_SIZE 200
#define WHY_SIZE 160
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

static const char *const KIND_NAMES[] = {"start",   "takeover", "hibernate",
                                         "restore", "continue", "release"};

/* What the record says: a commit compares its revision, and so all of it. */
struct known {
    char owner[NAME_MAX_LENGTH + 1]; /* "": nobody */
    int64_t incarnation;             /* of the owner */
    int64_t generation, revision;
};

struct ownership {
    enum ownership_kind kind;
    struct state_machine machine;
    char machine_name[KEY_SIZE + 16];
    char why[WHY_SIZE];
    char node[NAME_MAX_LENGTH + 1];
    int64_t incarnation;
    char *wanted;   /* NULL: it stays */
    json_t *saved;  /* of a HIBERNATE */
    json_t *record; /* /lpar/L as it is known */
    struct known known;
    int64_t hibernation_revision, fence_revision; /* compared; 0: not */
    bool unsure;                                  /* a commit of ours is out that may land */
    bool conflict;                                /* the reading follows a conflict */

    char lpar_key[KEY_SIZE], fence_key[KEY_SIZE], owner_fence_key[KEY_SIZE],
        hibernation_key[KEY_SIZE];
    struct ownership_request request;
    char *lpar_text, *hibernation_text;
    char *lu_keys[OWNERSHIP_DISKS_MAX], *lu_texts[OWNERSHIP_DISKS_MAX];
};

/* --- the records --- */

/* Takes the record as what is known, if it is one. */
static bool learn(struct ownership *ownership, const struct store_value *value)
{
    json_t *record = json_loads(value->json, 0, NULL);
    const json_t *generation = json_object_get(record, "generation");
    const json_t *owner = json_object_get(record, "owner");
    const char *node = json_get_word(owner, "node");
    int64_t incarnation = json_integer_value(json_object_get(owner, "incarnation"));
    bool owned = json_is_object(owner);
    if (!json_is_integer(generation) || json_integer_value(generation) < 0 ||
        (owned && (parse_name(node, "node", NULL) != VIOS_OK || incarnation < 1)) ||
        (!owned && owner && !json_is_null(owner))) {
        json_decref(record);
        return false;
    }
    json_decref(ownership->record);
    ownership->record = record;
    ownership->known = (struct known){.incarnation = incarnation,
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

/* --- the commits --- */

static struct ownership_request *begin_request(struct ownership *ownership)
{
    struct ownership_request *request = &ownership->request;
    memset(request, 0, sizeof *request);
    free(ownership->lpar_text);
    free(ownership->hibernation_text);
    ownership->lpar_text = ownership->hibernation_text = NULL;
    request->compares[request->compare_count++] =
        (struct store_compare){STORE_REVISION_IS, ownership->lpar_key, ownership->known.revision};
    request->compares[request->compare_count++] =
        (struct store_compare){STORE_ABSENT, ownership->fence_key, 0};
    return request;
}

static void put_lpar(struct ownership *ownership, json_t *record)
{
    struct ownership_request *request = &ownership->request;
    ownership->lpar_text = json_dumps(record, JSON_COMPACT);
    json_decref(record);
    assert(ownership->lpar_text);
    request->changes[request->change_count++] =
        (struct store_change){ownership->lpar_key, ownership->lpar_text};
}

static json_t *record_with_owner(const struct ownership *ownership, bool mine, int64_t generation)
{
    json_t *record = json_deep_copy(ownership->record);
    json_object_set_new(record, "owner",
                        mine ? json_pack("{s:s, s:I}", "node", ownership->node, "incarnation",
                                         (json_int_t)ownership->incarnation)
                             : json_null());
    json_object_set_new(record, "generation", json_integer((json_int_t)generation));
    if (ownership->wanted && !(mine && ownership->kind == OWNERSHIP_HIBERNATE)) {
        json_object_set_new(record, "wanted", json_string(ownership->wanted));
    }
    return record;
}

/* This node's, under the next generation. */
static void request_own(struct ownership *ownership)
{
    struct ownership_request *request = begin_request(ownership);
    json_t *record = record_with_owner(ownership, true, ownership->known.generation + 1);
    if (ownership->kind == OWNERSHIP_TAKEOVER) {
        request->compares[request->compare_count++] = (struct store_compare){
            STORE_REVISION_IS, ownership->owner_fence_key, ownership->fence_revision};
        json_object_set_new(record, "job", json_null());
        json_object_set_new(record, "taken",
                            json_pack("{s:s, s:I}", "node", ownership->known.owner, "incarnation",
                                      (json_int_t)ownership->known.incarnation));
    }
    put_lpar(ownership, record);
    if (ownership->kind == OWNERSHIP_RESTORE) {
        request->compares[request->compare_count++] = (struct store_compare){
            STORE_REVISION_IS, ownership->hibernation_key, ownership->hibernation_revision};
        request->changes[request->change_count++] =
            (struct store_change){ownership->hibernation_key, NULL};
    }
}

/* Nobody's, under the same generation. */
static void request_give_up(struct ownership *ownership)
{
    struct ownership_request *request = begin_request(ownership);
    put_lpar(ownership, record_with_owner(ownership, false, ownership->known.generation));
    if (ownership->kind == OWNERSHIP_HIBERNATE) {
        json_t *saved = ownership->saved ? json_deep_copy(ownership->saved) : json_object();
        json_object_set_new(saved, "v", json_integer(1));
        json_object_set_new(saved, "generation",
                            json_integer((json_int_t)ownership->known.generation));
        ownership->hibernation_text = json_dumps(saved, JSON_COMPACT);
        json_decref(saved);
        assert(ownership->hibernation_text);
        request->changes[request->change_count++] =
            (struct store_change){ownership->hibernation_key, ownership->hibernation_text};
    }
}

static void make_request(struct ownership *ownership)
{
    bool gives_up = ownership->kind == OWNERSHIP_HIBERNATE || ownership->kind == OWNERSHIP_RELEASE;
    if (gives_up && ownership->machine.state == COMMITTING) {
        request_give_up(ownership);
    } else {
        request_own(ownership);
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
    case OWNERSHIP_RELEASE:
        break;
    }
    return check_mine(ownership, error);
}

static void name_keys(struct ownership *ownership, const char *lpar_key)
{
    const char *lpar = lpar_key + strlen("/lpar/");
    snprintf(ownership->lpar_key, KEY_SIZE, "%s", lpar_key);
    snprintf(ownership->hibernation_key, KEY_SIZE, "/hibernation/%s", lpar);
    snprintf(ownership->fence_key, KEY_SIZE, "/fence/%s/%lld", ownership->node,
             (long long)ownership->incarnation);
    snprintf(ownership->machine_name, sizeof ownership->machine_name, "%s %s",
             KIND_NAMES[ownership->kind], lpar);
}

int ownership_begin(struct ownership **out, enum ownership_kind kind,
                    const struct ownership_facts *facts, struct vios_error *error)
{
    struct ownership *ownership = calloc(1, sizeof *ownership);
    *out = NULL;
    if (!ownership) {
        return error_set(error, VIOS_E_NO_SPACE, NULL, NULL, "out of memory");
    }
    assert(strncmp(facts->lpar->key, "/lpar/", strlen("/lpar/")) == 0);
    ownership->kind = kind;
    snprintf(ownership->node, sizeof ownership->node, "%s", facts->node);
    ownership->incarnation = facts->incarnation;
    ownership->wanted = facts->wanted ? strdup(facts->wanted) : NULL;
    ownership->saved = facts->saved ? json_deep_copy(facts->saved) : NULL;
    name_keys(ownership, facts->lpar->key);
    int status = check(ownership, facts, error);
    if (status != VIOS_OK) {
        ownership_free(ownership);
        return status;
    }
    snprintf(ownership->owner_fence_key, KEY_SIZE, "/fence/%s/%lld", ownership->known.owner,
             (long long)ownership->known.incarnation);
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

static void free_disks(struct ownership *ownership)
{
    for (size_t i = 0; i < OWNERSHIP_DISKS_MAX; i++) {
        free(ownership->lu_keys[i]);
        free(ownership->lu_texts[i]);
        ownership->lu_keys[i] = ownership->lu_texts[i] = NULL;
    }
}

void ownership_free(struct ownership *ownership)
{
    if (ownership) {
        json_decref(ownership->record);
        json_decref(ownership->saved);
        free(ownership->wanted);
        free(ownership->lpar_text);
        free(ownership->hibernation_text);
        free_disks(ownership);
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
    if (ownership->kind == OWNERSHIP_HIBERNATE) {
        return move(ownership, GOING_ON, "the VIOS DB could not be asked: it goes on");
    }
    return move(ownership, ENDED, "the VIOS DB could not be asked");
}

static enum ownership_next first_committed(struct ownership *ownership, int status,
                                           int64_t revision)
{
    if (status == VIOS_OK) {
        return first_done(ownership, revision);
    }
    if (status == VIOS_E_CONFLICT) {
        ownership->conflict = true;
        return move(ownership, READING, "the record has changed, or this node is fenced");
    }
    if (status != VIOS_E_UNKNOWN) {
        return first_not_sent(ownership);
    }
    ownership->unsure = true;
    ownership->conflict = false;
    if (ownership->kind == OWNERSHIP_HIBERNATE) {
        move(ownership, RESOLVING, "nobody knows whether it is hibernated: the next generation");
        make_request(ownership);
        return OWNERSHIP_COMMIT;
    }
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
static bool has_landed(const struct ownership *ownership, const struct known *before)
{
    if (!ownership->unsure) {
        return false;
    }
    if (ownership->kind == OWNERSHIP_RELEASE) {
        return !ownership->known.owner[0] && ownership->known.generation == before->generation;
    }
    return is_mine(ownership) && ownership->known.generation == before->generation + 1;
}

static enum ownership_next first_read(struct ownership *ownership, const struct known *before,
                                      bool resolving)
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

static enum ownership_next finishing_read(struct ownership *ownership, const struct known *before)
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
    const struct known before = ownership->known;
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

/* --- the disks of a takeover --- */

char *ownership_disk_file(const char *key, int64_t generation, char name[OWNERSHIP_FILE_SIZE])
{
    assert(strncmp(key, "/lu/", strlen("/lu/")) == 0);
    snprintf(name, OWNERSHIP_FILE_SIZE, "%.50s.%lld", key + strlen("/lu/"), (long long)generation);
    return name;
}

/* The record with its new file, the old one among the dead. NULL: it is damaged. */
static char *lu_with_file(const struct ownership *ownership, const struct store_value *lu)
{
    char name[OWNERSHIP_FILE_SIZE];
    json_t *record = json_loads(lu->json, 0, NULL);
    json_t *file = json_object_get(record, "file"), *dead = json_object_get(record, "dead");
    char *text = NULL;
    ownership_disk_file(lu->key, ownership->known.generation, name);
    if (json_is_string(file) && (!dead || json_is_array(dead))) {
        if (!dead) {
            dead = json_array();
            json_object_set_new(record, "dead", dead);
        }
        if (strcmp(json_string_value(file), name) != 0) {
            json_array_append(dead, file);
        }
        json_object_set_new(record, "file", json_string(name));
        text = json_dumps(record, JSON_COMPACT);
    }
    json_decref(record);
    return text;
}

static int request_disks(struct ownership *ownership, const struct store_value *lus, size_t count,
                         struct vios_error *error)
{
    struct ownership_request *request = begin_request(ownership);
    for (size_t i = 0; i < count; i++) {
        char *text = lu_with_file(ownership, &lus[i]);
        if (!text) {
            return error_set(error, VIOS_E_INVALID, lus[i].key, "run vios db check",
                             "the record is damaged");
        }
        ownership->lu_keys[i] = strdup(lus[i].key);
        ownership->lu_texts[i] = text;
        request->compares[request->compare_count++] =
            (struct store_compare){STORE_REVISION_IS, ownership->lu_keys[i], lus[i].revision};
        request->changes[request->change_count++] =
            (struct store_change){ownership->lu_keys[i], text};
    }
    json_t *record = json_deep_copy(ownership->record);
    json_object_del(record, "taken");
    put_lpar(ownership, record);
    return VIOS_OK;
}

int ownership_disks_fenced(struct ownership *ownership, const struct store_value *lus, size_t count,
                           struct vios_error *error)
{
    assert(ownership->machine.state == FENCING && count <= OWNERSHIP_DISKS_MAX);
    free_disks(ownership);
    int status = request_disks(ownership, lus, count, error);
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
