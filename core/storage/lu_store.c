/* lu_store.c - see lu_store.h. */
#include "storage/lu_store.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LPAR_PREFIX "/lpar/"

enum edit { EDIT_WRITE, EDIT_DELETE, EDIT_DONE }; /* what an edit wants; or a negative status */

/* One change of a record, on behalf of a job. */
struct change {
    struct store *store;
    const char *udid, *job;
    /* The record as it is now; `lu` NULL: it is gone. */
    int (*edit)(struct change *change, struct lu *lu, struct operation *operation);
    bool alone;            /* its origin is forgotten */
    int64_t lpar_revision; /* of the LPAR's record, which must not change meanwhile; 0: none */
    struct lu lu;          /* as it was written or found; no udid: it is gone */
    bool found;            /* the edit found what it wanted, for lu_abandon */
};

static bool is_held_by(const struct lu *lu, const char *job)
{
    return job[0] && strcmp(lu->job, job) == 0;
}

void lu_begin(struct lu *lu, const char *udid, const char *name, const char *pool,
              uint64_t size_bytes, bool thick)
{
    memset(lu, 0, sizeof *lu);
    snprintf(lu->udid, sizeof lu->udid, "%s", udid);
    snprintf(lu->name, sizeof lu->name, "%s", name);
    snprintf(lu->pool, sizeof lu->pool, "%s", pool);
    snprintf(lu->file, sizeof lu->file, "%s.0", lu->udid);
    lu->size_bytes = size_bytes;
    lu->thick = thick;
    lu->state = LU_MAKING;
}

/* --- a new record --- */

/* After a conflict or in doubt. VIOS_OK: it is there. VIOS_E_NOT_FOUND: it is not, try again. */
static int look_reserved(struct store *store, const struct lu *lu, struct operation *operation)
{
    char key[STORE_KEY_MAX], object[96];
    struct lu there;
    struct store_value value = {0};
    int status = lu_load(store, lu->udid, &there, NULL, operation);
    if (status != VIOS_E_NOT_FOUND) {
        return status;
    }
    status = store_get(store, lu_name_key(lu, key), &value, operation);
    store_value_clear(&value);
    return status == VIOS_OK ? operation_fail(operation, VIOS_E_EXISTS, lu_object(lu->name, object),
                                              "choose another name, or remove that one",
                                              "pool \"%s\" has an LU of this name", lu->pool)
                             : status;
}

static int commit_new(struct store *store, const struct lu *lu, const char *json,
                      struct operation *operation)
{
    char key[STORE_KEY_MAX], name_key[STORE_KEY_MAX], in_pool[STORE_KEY_MAX], name[64];
    struct pool pool;
    int status = pool_load(store, lu->pool, &pool, operation);
    if (status != VIOS_OK) {
        return status;
    }
    struct store_compare compares[] = {
        {STORE_ABSENT, lu_key(lu->udid, key), 0},
        {STORE_ABSENT, lu_name_key(lu, name_key), 0},
        {STORE_REVISION_IS, pool_key(lu->pool, in_pool), pool.revision},
    };
    struct store_change changes[] = {{key, json}, {name_key, lu_name_record(lu, name)}};
    return store_commit(store, compares, 3, changes, 2, NULL, operation);
}

/* One try. `*known`: what stands there was read, and settles it. */
static int try_reserve(struct store *store, const struct lu *lu, const char *json, bool *known,
                       struct operation *operation)
{
    int status = commit_new(store, lu, json, operation);
    if (status != VIOS_E_CONFLICT && status != VIOS_E_UNKNOWN) {
        return status;
    }
    int there = look_reserved(store, lu, operation);
    *known = there == VIOS_OK || there == VIOS_E_EXISTS;
    return there == VIOS_E_NOT_FOUND || (status == VIOS_E_UNKNOWN && !*known) ? status : there;
}

int lu_reserve(struct store *store, struct lu *lu, struct operation *operation)
{
    struct store_tries tries = {0};
    bool known = false;
    int status;
    lu->state = LU_MAKING;
    char *json = lu_format(lu, NULL);
    if (!json) {
        return operation_no_memory(operation, NULL);
    }
    do {
        status = try_reserve(store, lu, json, &known, operation);
    } while (!known && store_try_again(&tries, &status));
    free(json);
    return status;
}

/* --- changes of one that is there --- */

static int commit_change(struct change *change, int wanted, struct store_value *value,
                         const struct lu *lu, struct operation *operation)
{
    char key[STORE_KEY_MAX], other[STORE_KEY_MAX];
    char *json = wanted == EDIT_WRITE ? lu_format(lu, value->json) : NULL;
    if (wanted == EDIT_WRITE && !json) {
        return operation_no_memory(operation, NULL);
    }
    struct store_compare compares[2] = {
        {STORE_REVISION_IS, lu_key(change->udid, key), value->revision}};
    struct store_change changes[2] = {{key, json}};
    size_t compare_count = 1, change_count = 1;
    if (wanted == EDIT_DELETE) {
        changes[change_count++] = (struct store_change){lu_name_key(lu, other), NULL};
    } else if (change->lpar_revision) {
        snprintf(other, sizeof other, LPAR_PREFIX "%s", lu->lpar);
        compares[compare_count++] =
            (struct store_compare){STORE_REVISION_IS, other, change->lpar_revision};
    }
    int status = store_commit(change->store, compares, compare_count, changes, change_count, NULL,
                              operation);
    free(json);
    return status;
}

/* One try. VIOS_E_CONFLICT or VIOS_E_UNKNOWN of the commit: read again. `*failed`: the edit refused
 * what it read. */
static int try_change(struct change *change, bool *failed, struct operation *operation)
{
    struct lu *lu = &change->lu;
    struct store_value value = {0};
    int status = lu_load(change->store, change->udid, lu, &value, operation);
    if (status != VIOS_OK && status != VIOS_E_NOT_FOUND) {
        return status;
    }
    if (status == VIOS_E_NOT_FOUND) {
        memset(lu, 0, sizeof *lu);
    }
    int wanted = change->edit(change, lu->udid[0] ? lu : NULL, operation);
    *failed = wanted < 0;
    status = wanted;
    if (wanted == EDIT_DONE) {
        status = VIOS_OK;
    } else if (wanted >= 0) {
        status = commit_change(change, wanted, &value, lu, operation);
    }
    store_value_clear(&value);
    return status;
}

static int make_change(struct change *change, struct operation *operation)
{
    struct store_tries tries = {0};
    bool failed = false;
    int status;
    do {
        status = try_change(change, &failed, operation);
    } while (!failed && store_try_again(&tries, &status));
    return status;
}

static int let_go(const struct change *change, struct lu *lu)
{
    lu->job[0] = 0;
    if (change->alone) {
        lu->origin[0] = 0;
    }
    return EDIT_WRITE;
}

static int publish(struct change *change, struct lu *lu, struct operation *operation)
{
    (void)operation;
    if (!lu || lu->state != LU_MAKING || !is_held_by(lu, change->job)) {
        return EDIT_DONE;
    }
    lu->state = LU_READY;
    return let_go(change, lu);
}

int lu_publish(struct store *store, const char *udid, const char *job, struct operation *operation)
{
    struct change change = {.store = store, .udid = udid, .job = job, .edit = publish};
    return make_change(&change, operation);
}

int lu_publish_alone(struct store *store, const char *udid, const char *job,
                     struct operation *operation)
{
    struct change change = {
        .store = store, .udid = udid, .job = job, .edit = publish, .alone = true};
    return make_change(&change, operation);
}

static int gone(const char *udid, struct operation *operation)
{
    char object[96];
    return operation_fail(operation, VIOS_E_NOT_FOUND, lu_object(udid, object), "see lu list",
                          "it was removed meanwhile");
}

static int hold(struct change *change, struct lu *lu, struct operation *operation)
{
    if (lu && is_held_by(lu, change->job)) {
        return EDIT_DONE;
    }
    if (!lu || lu->state == LU_DELETING) {
        return gone(change->udid, operation);
    }
    int status = lu_check_lock(lu, NULL, &operation->error);
    if (status == VIOS_OK) {
        snprintf(lu->job, sizeof lu->job, "%s", change->job);
        status = EDIT_WRITE;
    }
    return status;
}

int lu_hold(struct store *store, const char *udid, const char *job, int64_t lpar_revision,
            struct lu *lu, struct operation *operation)
{
    struct change change = {
        .store = store, .udid = udid, .job = job, .edit = hold, .lpar_revision = lpar_revision};
    int status = make_change(&change, operation);
    *lu = change.lu;
    return status;
}

static int release(struct change *change, struct lu *lu, struct operation *operation)
{
    (void)operation;
    return lu && lu->state == LU_READY && is_held_by(lu, change->job) ? let_go(change, lu)
                                                                      : EDIT_DONE;
}

int lu_release(struct store *store, const char *udid, const char *job, struct operation *operation)
{
    struct change change = {.store = store, .udid = udid, .job = job, .edit = release};
    return make_change(&change, operation);
}

int lu_release_alone(struct store *store, const char *udid, const char *job,
                     struct operation *operation)
{
    struct change change = {
        .store = store, .udid = udid, .job = job, .edit = release, .alone = true};
    return make_change(&change, operation);
}

static int refuse_mapped(const struct lu *lu, struct operation *operation)
{
    char object[96], hint[200];
    snprintf(hint, sizeof hint, "remove that first: lpar remove %s", lu->lpar);
    return operation_fail(operation, VIOS_E_CONFLICT, lu_object(lu->name, object), hint,
                          "it is a disk of lpar \"%s\"", lu->lpar);
}

static int mark(struct change *change, struct lu *lu, struct operation *operation)
{
    if (!lu || (lu->state == LU_DELETING && is_held_by(lu, change->job))) {
        return EDIT_DONE;
    }
    int status = lu_check_lock(lu, change->job, &operation->error);
    if (status == VIOS_OK && lu->lpar[0]) {
        status = refuse_mapped(lu, operation);
    }
    if (status == VIOS_OK) {
        lu->state = LU_DELETING;
        snprintf(lu->job, sizeof lu->job, "%s", change->job);
        status = EDIT_WRITE;
    }
    return status;
}

int lu_mark(struct store *store, const char *udid, const char *job, struct lu *lu,
            struct operation *operation)
{
    struct change change = {.store = store, .udid = udid, .job = job, .edit = mark};
    int status = make_change(&change, operation);
    *lu = change.lu;
    return status;
}

static int unmark(struct change *change, struct lu *lu, struct operation *operation)
{
    (void)operation;
    if (!lu || lu->state != LU_DELETING || !is_held_by(lu, change->job)) {
        return EDIT_DONE;
    }
    lu->state = LU_READY;
    return let_go(change, lu);
}

int lu_unmark(struct store *store, const char *udid, const char *job, struct operation *operation)
{
    struct change change = {.store = store, .udid = udid, .job = job, .edit = unmark};
    return make_change(&change, operation);
}

static int abandon(struct change *change, struct lu *lu, struct operation *operation)
{
    (void)operation;
    change->found = lu && lu->state != LU_READY && is_held_by(lu, change->job);
    if (!change->found || lu->state == LU_DELETING) {
        return EDIT_DONE;
    }
    lu->state = LU_DELETING;
    return EDIT_WRITE;
}

int lu_abandon(struct store *store, const char *udid, const char *job, bool *marked,
               struct operation *operation)
{
    struct change change = {.store = store, .udid = udid, .job = job, .edit = abandon};
    int status = make_change(&change, operation);
    *marked = change.found;
    return status;
}

static int forget(struct change *change, struct lu *lu, struct operation *operation)
{
    (void)operation;
    return lu && lu->state != LU_READY && is_held_by(lu, change->job) ? EDIT_DELETE : EDIT_DONE;
}

int lu_forget(struct store *store, const char *udid, const char *job, struct operation *operation)
{
    struct change change = {.store = store, .udid = udid, .job = job, .edit = forget};
    return make_change(&change, operation);
}
