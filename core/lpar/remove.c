/*
 * remove.c - see remove.h.
 *
 * claim: (the record is held by this job; the job's data get the list of its LUs) -> forget (one
 *        commit: the LPAR is gone, its LUs are free, or with "disks" being deleted by this job; the
 *        commit point) -> unlink (their files) -> finish (their records).
 * The job's data tell what is left to do once the LPAR's record is gone. The nodes that lend memory
 * to it see the commit and free it. Any node that reaches the pools may go on with it.
 */
#include "lpar/remove.h"

#include "base/json.h"
#include "lpar/hold.h"
#include "lpar/lookup.h"
#include "lpar/record.h"
#include "lpar/saved.h"
#include "node/node.h"
#include "storage/lu_file.h"
#include "storage/lu_store.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define OWN_RECORDS 5 /* of the LPAR, beside those of its LUs */

static bool takes_disks(const struct job *job)
{
    return json_is_true(json_object_get(job->data, "disks"));
}

/* --- claim --- */

/* Whether the LU is this LPAR's: one that is gone, or another's, is not touched. */
static int load_own(struct job *job, const struct lpar *lpar, const char *udid, struct lu *lu,
                    struct store_value *value, bool *own)
{
    int status = lu_load(job->store, udid, lu, value, &job->operation);
    *own = status == VIOS_OK && (!lu->lpar[0] || strcmp(lu->lpar, lpar->name) == 0);
    return status == VIOS_E_NOT_FOUND ? VIOS_OK : status;
}

/* That this node can reach what it is to unlink. */
static int check_pool(struct job *job, const char *name)
{
    struct pool pool;
    int status = pool_load(job->store, name, &pool, &job->operation);
    return status == VIOS_OK ? pool_check(job_node(job), &pool, &job->operation.error) : status;
}

static int check_lu(struct job *job, const struct lu *lu)
{
    int status = lu_check_lock(lu, job->id, &job->operation.error);
    return status == VIOS_OK && takes_disks(job) ? check_pool(job, lu->pool) : status;
}

static int list_lus(struct job *job, const struct lpar *lpar)
{
    json_t *list = json_array();
    int status = VIOS_OK;
    for (size_t i = 0; status == VIOS_OK && i < lpar->disk_count; i++) {
        struct lu lu;
        bool own = false;
        if (lpar->disks[i].lu[0]) {
            status = load_own(job, lpar, lpar->disks[i].lu, &lu, NULL, &own);
        }
        if (own) {
            json_array_append_new(list, json_pack("{s:s, s:s, s:s}", "udid", lu.udid, "name",
                                                  lu.name, "pool", lu.pool));
            status = check_lu(job, &lu);
        }
    }
    json_object_set_new(job->data, "lus", list);
    return status;
}

/* A file that could not be removed would be nobody's. */
static int check_left(struct job *job, const struct lpar *lpar)
{
    char object[96], hint[128];
    struct saved saved;
    int status = saved_load(job->store, lpar->name, &saved, &job->operation);
    if (status == VIOS_OK || status == VIOS_E_CORRUPT) {
        snprintf(hint, sizeof hint, "remove that first: lpar cleanup %s", lpar->name);
        return operation_fail(&job->operation, VIOS_E_CONFLICT, lpar_object(lpar->name, object),
                              hint, "a hibernation of it is left");
    }
    return status == VIOS_E_NOT_FOUND ? VIOS_OK : status;
}

static int check(struct job *job, struct lpar *lpar)
{
    char object[96], hint[128];
    if (strcmp(lpar->uuid, job_text(job, "uuid")) != 0) {
        return operation_fail(&job->operation, VIOS_E_STALE, lpar_object(lpar->name, object),
                              "see lpar list", "it is another one than a moment ago");
    }
    if (lpar->owner[0]) {
        snprintf(hint, sizeof hint, "stop it first: lpar stop %s", lpar->name);
        return operation_fail(&job->operation, VIOS_E_CONFLICT, lpar_object(lpar->name, object),
                              hint, "it runs on node \"%s\"", lpar->owner);
    }
    if (lpar->wanted == LPAR_HIBERNATED) {
        snprintf(hint, sizeof hint, "give that up first: hibernation remove %s", lpar->name);
        return operation_fail(&job->operation, VIOS_E_CONFLICT, lpar_object(lpar->name, object),
                              hint, "it is hibernated");
    }
    return check_left(job, lpar);
}

static int remove_claim(struct job *job)
{
    struct lpar lpar;
    int status = lpar_job_claim(job, job_text(job, "name"), check, &lpar);
    return status == VIOS_OK ? list_lus(job, &lpar) : status;
}

static int remove_claim_undo(struct job *job)
{
    return lpar_job_release(job, job_text(job, "name"), NULL);
}

/* --- forget --- */

struct commit {
    struct store_compare compares[1 + LPAR_DISKS_MAX];
    struct store_change changes[OWN_RECORDS + LPAR_DISKS_MAX];
    char own[OWN_RECORDS][STORE_KEY_MAX];
    char keys[LPAR_DISKS_MAX][STORE_KEY_MAX];
    char *records[LPAR_DISKS_MAX]; /* ours to free */
    size_t lu_count;
};

static void add_own(struct commit *commit, const struct lpar *lpar)
{
    static const char *const prefixes[OWN_RECORDS] = {"/lpar/", "/lpar-run/", "/paging/",
                                                      "/paging-run/", "/migration/"};
    for (size_t i = 0; i < OWN_RECORDS; i++) {
        snprintf(commit->own[i], STORE_KEY_MAX, "%s%s", prefixes[i], lpar->name);
        commit->changes[i] = (struct store_change){commit->own[i], NULL};
    }
    commit->compares[0] = (struct store_compare){STORE_REVISION_IS, commit->own[0], lpar->revision};
}

/* The LU is free, or on its way out. */
static int add_lu(struct job *job, struct commit *commit, struct lu *lu,
                  const struct store_value *value)
{
    lu->lpar[0] = 0;
    if (takes_disks(job)) {
        lu->state = LU_DELETING;
        snprintf(lu->job, sizeof lu->job, "%s", job->id);
    }
    char *json = lu_format(lu, value->json);
    if (!json) {
        return operation_no_memory(&job->operation, NULL);
    }
    size_t i = commit->lu_count++;
    const char *key = lu_key(lu->udid, commit->keys[i]);
    commit->records[i] = json;
    commit->compares[1 + i] = (struct store_compare){STORE_REVISION_IS, key, value->revision};
    commit->changes[OWN_RECORDS + i] = (struct store_change){key, json};
    return VIOS_OK;
}

static int add_lus(struct job *job, struct commit *commit, const struct lpar *lpar)
{
    int status = VIOS_OK;
    for (size_t i = 0; status == VIOS_OK && i < lpar->disk_count; i++) {
        struct lu lu;
        struct store_value value = {0};
        bool own = false;
        if (lpar->disks[i].lu[0]) {
            status = load_own(job, lpar, lpar->disks[i].lu, &lu, &value, &own);
        }
        if (status == VIOS_OK && own) {
            status = lu_check_lock(&lu, job->id, &job->operation.error);
        }
        if (status == VIOS_OK && own) {
            status = add_lu(job, commit, &lu, &value);
        }
        store_value_clear(&value);
    }
    return status;
}

static int commit_forget(struct job *job, const struct lpar *lpar)
{
    struct commit *commit = calloc(1, sizeof *commit);
    assert(commit);
    add_own(commit, lpar);
    int status = add_lus(job, commit, lpar);
    if (status == VIOS_OK) {
        status = store_commit(job->store, commit->compares, 1 + commit->lu_count, commit->changes,
                              OWN_RECORDS + commit->lu_count, NULL, &job->operation);
    }
    for (size_t i = 0; i < commit->lu_count; i++) {
        free(commit->records[i]);
    }
    free(commit);
    return status;
}

static int forget_once(struct job *job)
{
    struct lpar lpar;
    int status = lpar_load(job->store, job_text(job, "name"), &lpar, &job->operation);
    if (status == VIOS_E_NOT_FOUND || (status == VIOS_OK && strcmp(lpar.job, job->id) != 0)) {
        return VIOS_OK; /* an earlier run did it; one of that name is another one */
    }
    return status == VIOS_OK ? commit_forget(job, &lpar) : status;
}

static int remove_forget(struct job *job)
{
    return job_commit(job, forget_once);
}

/* --- its LUs --- */

/* Calls `work` for each LU that this job is deleting. */
static int each_lu(struct job *job, int (*work)(struct job *, const struct lu *))
{
    size_t i;
    json_t *item;
    int status = VIOS_OK;
    if (!takes_disks(job)) {
        return VIOS_OK;
    }
    json_array_foreach(json_object_get(job->data, "lus"), i, item)
    {
        struct lu lu;
        status = lu_load(job->store, json_get_text(item, "udid"), &lu, NULL, &job->operation);
        if (status == VIOS_OK && lu.state == LU_DELETING && strcmp(lu.job, job->id) == 0) {
            status = work(job, &lu);
        }
        if (status < 0 && status != VIOS_E_NOT_FOUND) {
            return status;
        }
    }
    return VIOS_OK;
}

static int unlink_files(struct job *job, const struct lu *lu)
{
    char folder[PATH_MAX];
    int status = check_pool(job, lu->pool);
    if (status == VIOS_E_NOT_FOUND) {
        return VIOS_OK; /* the pool went, and its files with it */
    }
    if (status == VIOS_OK) {
        status = lu_folder(job_node(job), lu, folder, &job->operation.error);
    }
    return status == VIOS_OK ? lu_file_remove_all(folder, lu->udid, &job->operation.error) : status;
}

static int forget_lu(struct job *job, const struct lu *lu)
{
    return lu_forget(job->store, lu->udid, job->id, &job->operation);
}

static int remove_unlink(struct job *job)
{
    return each_lu(job, unlink_files);
}

static int remove_finish(struct job *job)
{
    int status = each_lu(job, forget_lu);
    if (status == VIOS_OK) {
        job->result =
            json_pack("{s:s, s:O, s:b}", "name", job_text(job, "name"), "lus",
                      json_object_get(job->data, "lus"), "disks_removed", takes_disks(job));
    }
    return status;
}

static const struct job_step REMOVE_STEPS[] = {
    {"claim", remove_claim, remove_claim_undo},
    {"forget", remove_forget, NULL},
    {"unlink", remove_unlink, NULL},
    {"finish", remove_finish, NULL},
};

const struct job_kind lpar_remove_job = {
    "lpar.remove", REMOVE_STEPS, sizeof REMOVE_STEPS / sizeof *REMOVE_STEPS, 1, .is_local = false};

/* --- the method --- */

int lpar_call_remove(struct call *call, const json_t *parameters, json_t **result,
                     struct operation *operation)
{
    struct lpar lpar;
    char object[96];
    int status = lpar_of_call(call, parameters, &lpar, operation);
    if (status < 0) {
        return status;
    }
    json_t *data = json_pack("{s:s, s:s, s:b}", "name", lpar.name, "uuid", lpar.uuid, "disks",
                             json_is_true(json_object_get(parameters, "disks")));
    return call_job(call, &lpar_remove_job, lpar_object(lpar.name, object), data, parameters,
                    result, operation);
}
