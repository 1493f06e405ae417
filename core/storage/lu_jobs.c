/*
 * lu_jobs.c - making and removing an LU, step by step.
 *
 * create: reserve (the record, being made) -> file -> publish (the commit point).
 * remove: mark (deleting; the commit point) -> unlink -> forget.
 * The UDID is chosen before the job begins, so each step finds what an earlier run of it did.
 */
#include "base/json.h"
#include "node/node.h"
#include "storage/jobs.h"
#include "storage/lu_file.h"
#include "storage/lu_make.h"
#include "storage/lu_store.h"
#include "storage/lu_view.h"

#include <stdio.h>
#include <string.h>

void lu_job_result(struct job *job, const char *udid)
{
    struct operation looking;
    operation_start(&looking, LU_VIEW_MS, NULL);
    json_decref(job->result);
    job->result = NULL;
    if (lu_view_show(job_node(job), job->store, udid, &job->result, &looking) != VIOS_OK) {
        job->result = json_pack("{s:s}", "udid", udid); /* it is done, but cannot be shown */
    }
}

int lu_job_load(struct job *job, struct lu *lu)
{
    char object[96];
    int status = lu_load(job->store, job_text(job, "udid"), lu, NULL, &job->operation);
    return status == VIOS_OK && strcmp(lu->job, job->id) != 0
               ? operation_fail(&job->operation, VIOS_E_STALE, lu_object(lu->name, object), NULL,
                                "another job has it")
               : status;
}

/* --- create --- */

static int check_pool(struct job *job, const struct lu *lu)
{
    struct pool pool;
    struct node *node = job_node(job);
    int status = pool_load(job->store, lu->pool, &pool, &job->operation);
    if (status == VIOS_OK) {
        status = pool_check(node, &pool, &job->operation.error);
    }
    if (status == VIOS_OK) {
        status = pool_check_promise(node, job->store, &pool, lu->size_bytes, job->object,
                                    &job->operation);
    }
    if (status == VIOS_OK && lu->thick) {
        status =
            pool_check_space(node, lu->pool, lu->size_bytes, job->object, &job->operation.error);
    }
    return status;
}

int lu_job_reserve(struct job *job)
{
    struct lu lu;
    if (lu_job_load(job, &lu) == VIOS_OK) {
        return VIOS_OK; /* by an earlier run: its own promise would count against it */
    }
    lu_begin(&lu, job_text(job, "udid"), job_text(job, "name"), job_text(job, "pool"),
             (uint64_t)json_get_integer(job->data, "size_bytes"),
             json_is_true(json_object_get(job->data, "thick")));
    snprintf(lu.job, sizeof lu.job, "%s", job->id);
    int status = check_pool(job, &lu);
    return status == VIOS_OK ? lu_reserve(job->store, &lu, &job->operation) : status;
}

int lu_job_reserve_undo(struct job *job)
{
    return lu_forget(job->store, job_text(job, "udid"), job->id, &job->operation);
}

static int create_file(struct job *job)
{
    struct lu lu;
    int status = lu_job_load(job, &lu);
    return status == VIOS_OK ? lu_make(job_node(job), &lu, &job->operation.error) : status;
}

/* All files that the UDID has. */
static int unlink_files(struct job *job, const struct lu *lu)
{
    char folder[PATH_MAX];
    int status = lu_folder(job_node(job), lu, folder, &job->operation.error);
    return status == VIOS_OK ? lu_file_remove_all(folder, lu->udid, &job->operation.error) : status;
}

int lu_job_file_undo(struct job *job)
{
    struct lu lu;
    bool marked = false;
    int status = lu_abandon(job->store, job_text(job, "udid"), job->id, &marked, &job->operation);
    if (status == VIOS_OK && marked) {
        status = lu_job_load(job, &lu);
    }
    return status == VIOS_OK && marked ? unlink_files(job, &lu) : status;
}

int lu_job_publish(struct job *job)
{
    const char *udid = job_text(job, "udid");
    int status = lu_publish(job->store, udid, job->id, &job->operation);
    if (status == VIOS_OK) {
        lu_job_result(job, udid);
    }
    return status;
}

static const struct job_step CREATE_STEPS[] = {
    {"reserve", lu_job_reserve, lu_job_reserve_undo},
    {"file", create_file, lu_job_file_undo},
    {"publish", lu_job_publish, NULL},
};

const struct job_kind lu_create_job = {"lu.create", CREATE_STEPS, 3, 2, .is_local = false};

/* --- remove --- */

/* That this node can reach what it is to unlink. */
static int check_removable(struct job *job, const struct lu *lu)
{
    struct pool pool;
    if (lu->image[0]) {
        return operation_fail(&job->operation, VIOS_E_CONFLICT, job->object,
                              "remove the image: image remove", "it is a file of an image");
    }
    int status = pool_load(job->store, lu->pool, &pool, &job->operation);
    return status == VIOS_OK ? pool_check(job_node(job), &pool, &job->operation.error) : status;
}

static int remove_mark(struct job *job)
{
    struct lu lu;
    const char *udid = job_text(job, "udid");
    int status = lu_load(job->store, udid, &lu, NULL, &job->operation);
    if (status == VIOS_E_NOT_FOUND) {
        return VIOS_OK; /* somebody else was faster */
    }
    if (status == VIOS_OK && lu.state != LU_DELETING) {
        status = check_removable(job, &lu);
    }
    return status == VIOS_OK ? lu_mark(job->store, udid, job->id, &lu, &job->operation) : status;
}

/* Nothing was unlinked: that is the next step. */
static int remove_mark_undo(struct job *job)
{
    return lu_unmark(job->store, job_text(job, "udid"), job->id, &job->operation);
}

static int remove_unlink(struct job *job)
{
    struct lu lu;
    int status = lu_job_load(job, &lu);
    return status == VIOS_OK            ? unlink_files(job, &lu)
           : status == VIOS_E_NOT_FOUND ? VIOS_OK /* it was gone before it was marked */
                                        : status;
}

static int remove_forget(struct job *job)
{
    const char *udid = job_text(job, "udid");
    int status = lu_forget(job->store, udid, job->id, &job->operation);
    if (status == VIOS_OK) {
        json_decref(job->result);
        job->result = json_pack("{s:s, s:s}", "name", job_text(job, "name"), "udid", udid);
    }
    return status;
}

static const struct job_step REMOVE_STEPS[] = {
    {"mark", remove_mark, remove_mark_undo},
    {"unlink", remove_unlink, NULL},
    {"forget", remove_forget, NULL},
};

const struct job_kind lu_remove_job = {"lu.remove", REMOVE_STEPS, 3, 0, .is_local = false};
