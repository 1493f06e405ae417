/*
 * lu_copy_jobs.c - an LU that begins as a copy of another.
 *
 * clone: source (held, so that nobody starts a guest on it, changes or removes it) -> reserve ->
 *        copy (blocks shared where the file system can) -> publish (the commit point) -> release.
 */
#include "node/node.h"
#include "storage/copy_told.h"
#include "storage/jobs.h"
#include "storage/lu_make.h"
#include "storage/lu_store.h"
#include "storage/sparse_copy.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LPAR_PREFIX "/lpar/"
#define STAT_BLOCK 512 /* of st_blocks */

/* --- the source --- */

/* That the LPAR whose disk it is does not run; its record's revision, 0 when there is none. */
static int check_stopped(struct job *job, const struct lu *lu, int64_t *revision)
{
    char key[STORE_KEY_MAX], object[96];
    json_t *lpar = NULL;
    *revision = 0;
    if (!lu->lpar[0]) {
        return VIOS_OK;
    }
    snprintf(key, sizeof key, LPAR_PREFIX "%s", lu->lpar);
    int status = node_record(job->store, key, &lpar, revision, &job->operation);
    if (status == VIOS_E_NOT_FOUND) {
        return VIOS_OK;
    }
    if (status == VIOS_OK && json_is_object(json_object_get(lpar, "owner"))) {
        status = operation_fail(&job->operation, VIOS_E_CONFLICT, lu_object(lu->name, object),
                                "stop it first, or make an image of it: image capture",
                                "lpar \"%s\" is running on it", lu->lpar);
    }
    json_decref(lpar);
    return status;
}

/* `*refused`: its LPAR runs. */
static int try_hold(struct job *job, struct lu *lu, bool *refused)
{
    int64_t revision = 0;
    const char *udid = job_text(job, "source");
    int status = lu_load(job->store, udid, lu, NULL, &job->operation);
    if (status == VIOS_OK) {
        status = check_stopped(job, lu, &revision);
        *refused = status == VIOS_E_CONFLICT;
    }
    return status < 0 ? status : lu_hold(job->store, udid, job->id, revision, lu, &job->operation);
}

static int hold_source(struct job *job)
{
    struct lu lu;
    struct store_tries tries = {0};
    bool refused = false;
    int status;
    do {
        status = try_hold(job, &lu, &refused);
    } while (!refused && store_try_again(&tries, &status));
    if (status == VIOS_OK) {
        json_object_set_new(job->data, "size_bytes", json_integer((json_int_t)lu.size_bytes));
    }
    return status;
}

static int release_source(struct job *job)
{
    return lu_release(job->store, job_text(job, "source"), job->id, &job->operation);
}

/* --- the copy --- */

/* Where there is no space, the error of the copy names a file; people know the LU and its pool. */
static int explain(struct job *job, const struct lu *lu, int status)
{
    static const char BEFORE[] = "no space: ";
    struct vios_error error = job->operation.error;
    const char *why = error.message;
    why += strncmp(why, BEFORE, strlen(BEFORE)) == 0 ? strlen(BEFORE) : 0;
    return status == VIOS_E_NO_SPACE
               ? operation_fail(&job->operation, status, job->object, "give --pool, or remove LUs",
                                "no space in pool \"%s\": %.250s", lu->pool, why)
               : status;
}

static int copy_bytes(struct job *job, const struct lu *lu, int from, int to)
{
    struct stat source;
    const struct copy_progress progress = {copy_told, job};
    int status = VIOS_OK;
    if (fstat(from, &source) == 0) { /* known beforehand is better than found out at the end */
        status = pool_check_space(job_node(job), lu->pool, (uint64_t)source.st_blocks * STAT_BLOCK,
                                  job->object, &job->operation.error);
    }
    return status == VIOS_OK
               ? explain(job, lu,
                         sparse_copy(from, to, lu->size_bytes, NULL, &progress, &job->operation))
               : status;
}

static int fill(struct job *job, const struct lu *lu, const struct lu_making *making)
{
    char path[PATH_MAX], object[96];
    struct lu source;
    int status = lu_load(job->store, job_text(job, "source"), &source, NULL, &job->operation);
    if (status == VIOS_OK) {
        status = lu_path(job_node(job), &source, path, &job->operation.error);
    }
    if (status < 0) {
        return status;
    }
    int from = open(path, O_RDONLY | O_CLOEXEC);
    if (from < 0) {
        return error_set_errno(&job->operation.error, lu_object(source.name, object),
                               "cannot open its file in pool \"%s\"", source.pool);
    }
    status = sparse_clone(from, making->fd, &job->operation.error);
    if (status == VIOS_E_INVALID) {
        status = copy_bytes(job, lu, from, making->fd);
    } else if (status < 0) {
        status = explain(job, lu, status);
    }
    close(from);
    return status;
}

static int copy_file(struct job *job)
{
    struct lu lu;
    struct lu_making making;
    int status = lu_job_load(job, &lu);
    if (status < 0) {
        return status;
    }
    status = lu_make_begin(&making, job_node(job), &lu, &job->operation.error);
    if (status == VIOS_OK) {
        status = fill(job, &lu, &making);
    }
    if (status == VIOS_OK) {
        status = lu_make_size(&making, &job->operation.error);
    }
    if (status == VIOS_OK) {
        status = lu_make_publish(&making, &job->operation.error);
    }
    lu_make_end(&making);
    return status == VIOS_E_EXISTS ? VIOS_OK : status;
}

static const struct job_step CLONE_STEPS[] = {
    {"source", hold_source, release_source}, {"reserve", lu_job_reserve, lu_job_reserve_undo},
    {"copy", copy_file, lu_job_file_undo},   {"publish", lu_job_publish, NULL},
    {"release", release_source, NULL},
};

const struct job_kind lu_clone_job = {"lu.clone", CLONE_STEPS, 5, 3, .is_local = false};
