/*
 * pool_jobs.c - making and removing a pool, step by step.
 *
 * create: record (making) -> folder (and its marker) -> ready (the commit point).
 * remove: mark (deleting) -> check (nothing is in it) -> folder -> forget (the commit point).
 * Whoever makes an LU or an image compares the pool's revision, which the mark changes: what comes
 * after the mark is refused, what came before it is seen by the check.
 */
#include "base/json.h"
#include "node/node.h"
#include "storage/jobs.h"
#include "storage/lu.h"
#include "storage/pool_folder.h"
#include "storage/pool_view.h"
#include "storage/repository.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define IMAGE_PREFIX "/image/"
#define LU_PREFIX "/lu/"
#define NAMED_MAX 3 /* LUs or images that an error names */

enum edit { EDIT_WRITE, EDIT_DELETE, EDIT_DONE }; /* what an edit wants; or a negative status */

static bool is_ours(const struct job *job, const struct pool *pool)
{
    return strcmp(pool->job, job->id) == 0;
}

/* --- the record --- */

static int commit_edit(struct job *job, const struct pool *pool, int wanted)
{
    char key[STORE_KEY_MAX];
    char *json = wanted == EDIT_WRITE ? pool_format(pool) : NULL;
    if (wanted == EDIT_WRITE && !json) {
        return operation_no_memory(&job->operation, NULL);
    }
    pool_key(pool->name, key);
    struct store_compare compare = {pool->revision ? STORE_REVISION_IS : STORE_ABSENT, key,
                                    pool->revision};
    struct store_change change = {key, json};
    int status = store_commit(job->store, &compare, 1, &change, 1, NULL, &job->operation);
    free(json);
    return status;
}

/* One try. `*refused`: the edit did not want what it read. */
static int try_edit(struct job *job, int (*edit)(struct job *, struct pool *), bool *refused)
{
    struct pool pool = {.revision = 0};
    int status = pool_load_any(job->store, job_text(job, "name"), &pool, &job->operation);
    if (status != VIOS_OK && status != VIOS_E_NOT_FOUND) {
        return status;
    }
    int wanted = edit(job, &pool);
    *refused = wanted < 0;
    return *refused ? wanted : wanted == EDIT_DONE ? VIOS_OK : commit_edit(job, &pool, wanted);
}

/* Changes the record by `edit`, which sees revision 0 when there is none; again when somebody else
 * was first, or when it is not known what became of it. */
static int edit_pool(struct job *job, int (*edit)(struct job *, struct pool *))
{
    struct store_tries tries = {0};
    bool refused = false;
    int status;
    do {
        status = try_edit(job, edit, &refused);
    } while (!refused && store_try_again(&tries, &status));
    return status;
}

static int held(struct job *job, const struct pool *pool)
{
    char hint[128];
    snprintf(hint, sizeof hint, "wait for it: job wait %s", pool->job);
    return operation_fail(&job->operation, VIOS_E_LOCKED, job->object, hint,
                          "job %s is at work on it", pool->job);
}

/* --- create --- */

static int edit_new(struct job *job, struct pool *pool)
{
    if (pool->revision && is_ours(job, pool)) {
        return EDIT_DONE;
    }
    if (pool->revision) {
        return pool->job[0] ? held(job, pool)
                            : operation_fail(&job->operation, VIOS_E_EXISTS, job->object,
                                             "choose another name", "there is a pool of this name");
    }
    snprintf(pool->name, sizeof pool->name, "%s", job_text(job, "name"));
    snprintf(pool->uuid, sizeof pool->uuid, "%s", job_text(job, "uuid"));
    snprintf(pool->job, sizeof pool->job, "%s", job->id);
    pool->overcommit = (int)json_get_integer(job->data, "overcommit");
    pool->state = POOL_MAKING;
    return EDIT_WRITE;
}

static int create_record(struct job *job)
{
    int status = repository_check(job_node(job), job->store, true, &job->operation);
    if (status == VIOS_OK) {
        bool exists = pool_folder_exists(job_node(job), job_text(job, "name"));
        json_object_set_new(job->data, "existed", json_boolean(exists));
        status = edit_pool(job, edit_new);
    }
    return status;
}

static int edit_forget(struct job *job, struct pool *pool)
{
    return pool->revision && is_ours(job, pool) ? EDIT_DELETE : EDIT_DONE;
}

static int create_record_undo(struct job *job)
{
    return edit_pool(job, edit_forget);
}

/* The record, which this job holds; VIOS_E_NOT_FOUND when it does not. */
static int load_ours(struct job *job, struct pool *pool)
{
    int status = pool_load_any(job->store, job_text(job, "name"), pool, &job->operation);
    return status == VIOS_OK && !is_ours(job, pool)
               ? operation_fail(&job->operation, VIOS_E_NOT_FOUND, job->object, NULL,
                                "another job has it")
               : status;
}

static int create_folder(struct job *job)
{
    struct pool pool;
    struct pool_probe probe;
    int status = load_ours(job, &pool);
    if (status == VIOS_OK) {
        status = pool_folder_make(job_node(job), &pool, &job->operation.error);
    }
    if (status == VIOS_OK) {
        pool_folder_probe(job_node(job), &pool, &probe);
        if (!probe.writable) {
            status = operation_fail(&job->operation, VIOS_E_INVALID, job->object,
                                    "look at its file system", "it cannot be used: %s", probe.why);
        }
    }
    return status;
}

static int create_folder_undo(struct job *job)
{
    struct pool pool;
    int status = load_ours(job, &pool);
    if (status == VIOS_E_NOT_FOUND) {
        return VIOS_OK;
    }
    bool existed = json_is_true(json_object_get(job->data, "existed"));
    return status == VIOS_OK
               ? pool_folder_remove(job_node(job), &pool, !existed, &job->operation.error)
               : status;
}

/* Also what a job lets go of that was refused. */
static int edit_ready(struct job *job, struct pool *pool)
{
    if (!pool->revision || !is_ours(job, pool)) {
        return EDIT_DONE;
    }
    pool->state = POOL_READY;
    pool->job[0] = 0;
    return EDIT_WRITE;
}

/* A pool that is there, and then cannot be shown, is there. */
static void set_result(struct job *job)
{
    struct operation looking;
    operation_start(&looking, POOL_VIEW_MS, NULL);
    json_decref(job->result);
    job->result = NULL;
    if (pool_view_one(job_node(job), job->store, job_text(job, "name"), &job->result, &looking) !=
        VIOS_OK) {
        job->result = json_pack("{s:s}", "name", job_text(job, "name"));
    }
}

static int create_ready(struct job *job)
{
    int status = edit_pool(job, edit_ready);
    if (status == VIOS_OK) {
        set_result(job);
    }
    return status;
}

static const struct job_step CREATE_STEPS[] = {
    {"record", create_record, create_record_undo},
    {"folder", create_folder, create_folder_undo},
    {"ready", create_ready, NULL},
};

const struct job_kind pool_create_job = {"pool.create", CREATE_STEPS, 3, 2, .is_local = false};

/* --- remove --- */

static int edit_mark(struct job *job, struct pool *pool)
{
    if (!pool->revision) {
        return operation_fail(&job->operation, VIOS_E_NOT_FOUND, job->object, "see pool list",
                              "there is no such pool");
    }
    if (is_ours(job, pool)) {
        return EDIT_DONE;
    }
    if (pool->job[0]) {
        return held(job, pool);
    }
    snprintf(pool->job, sizeof pool->job, "%s", job->id);
    pool->state = POOL_DELETING;
    return EDIT_WRITE;
}

static int remove_mark(struct job *job)
{
    return edit_pool(job, edit_mark);
}

static int remove_mark_undo(struct job *job)
{
    return edit_pool(job, edit_ready);
}

/* Refuses when records below `prefix` name the pool: how many, and the first of their names. */
static int refuse_used(struct job *job, const char *prefix, const char *what, const char *hint)
{
    struct store_list list;
    char names[NAMED_MAX * (NAME_MAX_LENGTH + 4)] = "";
    size_t count = 0;
    int status = store_list(job->store, prefix, &list, NULL, &job->operation);
    for (size_t i = 0; status == VIOS_OK && i < list.count; i++) {
        json_t *json = json_loads(list.values[i].json, 0, NULL);
        const char *pool = json_get_text(json, "pool");
        const char *name = json_get_text(json, "name");
        if (pool && strcmp(pool, job_text(job, "name")) == 0 && count++ < NAMED_MAX) {
            size_t used = strlen(names);
            snprintf(names + used, sizeof names - used, "%s\"%.63s\"", used ? ", " : "",
                     name ? name : list.values[i].key + strlen(prefix));
        }
        json_decref(json);
    }
    store_list_clear(&list);
    return status == VIOS_OK && count > 0
               ? operation_fail(&job->operation, VIOS_E_CONFLICT, job->object, hint,
                                "it has %zu %s%s: %s%s", count, what, count == 1 ? "" : "s", names,
                                count > NAMED_MAX ? " ..." : "")
               : status;
}

static int remove_check(struct job *job)
{
    struct pool pool;
    int status = load_ours(job, &pool);
    if (status == VIOS_OK) {
        status = refuse_used(job, IMAGE_PREFIX, "image", "remove them first: image remove NAME");
    }
    if (status == VIOS_OK) {
        status = refuse_used(job, LU_PREFIX, "LU", "remove them first: lu remove NAME");
    }
    if (status == VIOS_OK) {
        status = pool_check(job_node(job), &pool, &job->operation.error);
    }
    return status == VIOS_OK ? pool_folder_check_empty(job_node(job), &pool, &job->operation.error)
                             : status;
}

static int remove_folder(struct job *job)
{
    struct pool pool;
    int status = load_ours(job, &pool);
    return status == VIOS_OK ? pool_folder_remove(job_node(job), &pool, true, &job->operation.error)
                             : status;
}

static int remove_folder_undo(struct job *job)
{
    struct pool pool;
    int status = load_ours(job, &pool);
    if (status == VIOS_E_NOT_FOUND) {
        return VIOS_OK;
    }
    return status == VIOS_OK ? pool_folder_make(job_node(job), &pool, &job->operation.error)
                             : status;
}

static int remove_forget(struct job *job)
{
    int status = edit_pool(job, edit_forget);
    if (status == VIOS_OK) {
        json_decref(job->result);
        job->result = json_pack("{s:s}", "name", job_text(job, "name"));
    }
    return status;
}

static const struct job_step REMOVE_STEPS[] = {
    {"mark", remove_mark, remove_mark_undo},
    {"check", remove_check, NULL},
    {"folder", remove_folder, remove_folder_undo},
    {"forget", remove_forget, NULL},
};

const struct job_kind pool_remove_job = {"pool.remove", REMOVE_STEPS, 4, 3, .is_local = false};
