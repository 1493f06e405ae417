/* create.c - see create.h. */
#include "lpar/create.h"

#include "lpar/spec.h"
#include "lpar/view.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TRY_AGAIN 1

/* --- its LUs --- */

static int check_free(const struct lu *lu, struct operation *operation)
{
    char object[96], hint[200];
    if (lu->image[0]) {
        return operation_fail(operation, VIOS_E_CONFLICT, lu_object(lu->name, object),
                              "deploy the image, which copies it", "it is a file of image %s",
                              lu->image);
    }
    if (lu->lpar[0]) {
        snprintf(hint, sizeof hint, "remove that first: lpar remove %s", lu->lpar);
        return operation_fail(operation, VIOS_E_CONFLICT, lu_object(lu->name, object), hint,
                              "it is a disk of lpar \"%s\"", lu->lpar);
    }
    return lu_check_lock(lu, NULL, &operation->error);
}

static int check_twice(const struct lpar_lus *found, const struct lu *lu,
                       struct operation *operation)
{
    for (size_t i = 0; i < found->count; i++) {
        if (strcmp(found->lus[i].udid, lu->udid) == 0) {
            return operation_fail(operation, VIOS_E_USAGE, "disk", NULL, "lu \"%s\" is given twice",
                                  lu->name);
        }
    }
    return VIOS_OK;
}

int lpar_lus_find(struct store *store, const json_t *parameters, struct lpar_lus *found,
                  struct operation *operation)
{
    const char *word;
    int status = VIOS_OK;
    found->count = 0;
    for (size_t i = 0; status == VIOS_OK && (word = spec_word(parameters, "disk", i)) != NULL;
         i++) {
        if (!word[0] || spec_is_path(word)) {
            continue; /* spec_build() tells what is wrong with none */
        }
        if (found->count == LPAR_DISKS_MAX) {
            return operation_fail(operation, VIOS_E_USAGE, "disk", NULL, "more than %d disks",
                                  LPAR_DISKS_MAX);
        }
        struct lu *lu = &found->lus[found->count];
        struct store_value *value = &found->values[found->count];
        memset(value, 0, sizeof *value);
        status = lu_find(store, word, lu, value, operation);
        if (status == VIOS_OK) {
            status = check_twice(found, lu, operation);
            found->count++;
        }
        if (status == VIOS_OK) {
            status = check_free(lu, operation);
        }
    }
    return status;
}

void lpar_lus_clear(struct lpar_lus *found)
{
    for (size_t i = 0; i < found->count; i++) {
        store_value_clear(&found->values[i]);
    }
    found->count = 0;
}

/* --- the commit --- */

struct commit {
    struct store_compare compares[1 + LPAR_DISKS_MAX + LPAR_ALSO_MAX];
    struct store_change changes[1 + LPAR_DISKS_MAX + LPAR_ALSO_MAX];
    char keys[1 + LPAR_DISKS_MAX][STORE_KEY_MAX];
    char *records[1 + LPAR_DISKS_MAX]; /* ours to free */
    size_t compare_count, change_count, record_count;
};

static void add_record(struct commit *commit, char *json, int64_t revision)
{
    const char *key = commit->keys[commit->record_count];
    commit->records[commit->record_count++] = json;
    commit->compares[commit->compare_count++] =
        revision ? (struct store_compare){STORE_REVISION_IS, key, revision}
                 : (struct store_compare){STORE_ABSENT, key, 0};
    commit->changes[commit->change_count++] = (struct store_change){key, json};
}

static void add_also(struct commit *commit, const struct lpar_also *also)
{
    assert(also->compare_count <= LPAR_ALSO_MAX && also->change_count <= LPAR_ALSO_MAX);
    for (size_t i = 0; i < also->compare_count; i++) {
        commit->compares[commit->compare_count++] = also->compares[i];
    }
    for (size_t i = 0; i < also->change_count; i++) {
        commit->changes[commit->change_count++] = also->changes[i];
    }
}

/* What stands behind a conflict, or an outcome that is not known. */
static int judge(struct store *store, const struct lpar *lpar, int status,
                 struct operation *operation)
{
    struct lpar there;
    char object[96];
    struct vios_error before = operation->error;
    int found = lpar_load(store, lpar->name, &there, operation);
    if (found == VIOS_OK && strcmp(there.uuid, lpar->uuid) == 0) {
        return VIOS_OK;
    }
    if (found == VIOS_OK) {
        return operation_fail(operation, VIOS_E_EXISTS, lpar_object(lpar->name, object),
                              "choose another name", "there is an LPAR of this name");
    }
    operation->error = before;
    return status;
}

int lpar_create_commit(struct store *store, const struct lpar *lpar, struct lu *lus,
                       const struct store_value *values, size_t count, const struct lpar_also *also,
                       struct operation *operation)
{
    struct commit *commit = calloc(1, sizeof *commit);
    assert(commit && count <= LPAR_DISKS_MAX);
    bool whole = true;
    snprintf(commit->keys[0], STORE_KEY_MAX, "/lpar/%s", lpar->name);
    add_record(commit, lpar_format(lpar), 0);
    for (size_t i = 0; i < count; i++) {
        snprintf(lus[i].lpar, sizeof lus[i].lpar, "%s", lpar->name);
        lu_key(lus[i].udid, commit->keys[1 + i]);
        add_record(commit, lu_format(&lus[i], values[i].json), values[i].revision);
        whole = whole && commit->records[1 + i];
    }
    if (also) {
        add_also(commit, also);
    }
    int status = whole ? store_commit(store, commit->compares, commit->compare_count,
                                      commit->changes, commit->change_count, NULL, operation)
                       : operation_no_memory(operation, NULL);
    if (status == VIOS_E_CONFLICT || status == VIOS_E_UNKNOWN) {
        status = judge(store, lpar, status, operation);
    }
    for (size_t i = 0; i < commit->record_count; i++) {
        free(commit->records[i]);
    }
    free(commit);
    return status;
}

/* --- the method --- */

/* TRY_AGAIN: nothing was written, an LU changed under our hands. */
static int try_create(struct store *store, const json_t *parameters, struct lpar *lpar,
                      struct operation *operation)
{
    struct lpar_lus *found = calloc(1, sizeof *found);
    assert(found);
    int status = lpar_lus_find(store, parameters, found, operation);
    bool refused = status < 0;
    if (status == VIOS_OK) {
        status = spec_build(parameters, found->lus, found->count, lpar, &operation->error);
    }
    if (status == VIOS_OK) {
        status = VIOS_E_UNKNOWN;
    }
    for (int i = 0; i < STORE_TRIES && status == VIOS_E_UNKNOWN; i++) {
        status = lpar_create_commit(store, lpar, found->lus, found->values, found->count, NULL,
                                    operation);
    }
    lpar_lus_clear(found);
    free(found);
    return status == VIOS_E_CONFLICT && !refused ? TRY_AGAIN : status;
}

int lpar_call_create(struct call *call, const json_t *parameters, json_t **result,
                     struct operation *operation)
{
    struct store *store = NULL;
    struct lpar lpar;
    int status = node_store(call->node, &store, operation);
    if (status < 0) {
        return status;
    }
    status = TRY_AGAIN;
    for (int i = 0; i < STORE_TRIES && status == TRY_AGAIN; i++) {
        status = try_create(store, parameters, &lpar, operation);
    }
    if (status == TRY_AGAIN) {
        status = VIOS_E_CONFLICT;
    }
    if (status == VIOS_OK) {
        status = view_show(call->node, store, lpar.name, result, operation);
    }
    node_store_return(call->node, store);
    return status;
}
