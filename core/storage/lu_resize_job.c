/*
 * lu_resize_job.c - enlarging an LU, step by step.
 *
 * hold (nobody maps, copies, removes or enlarges it meanwhile) -> grow (its file) -> record (the
 * commit point) -> guest (told, if it runs on this node) -> release.
 * The record never promises more than the file has: the file grows first, and a failure before the
 * commit point cuts it back if no LPAR has it. A takeover may have given the LU
 * another file meanwhile, so the record's step looks at the file once more.
 */
#include "base/json.h"
#include "base/log.h"
#include "node/node.h"
#include "storage/jobs.h"
#include "storage/lu_guest.h"
#include "storage/lu_make.h"
#include "storage/lu_store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *job_udid(const struct job *job)
{
    return job_text(job, "udid");
}

static uint64_t wanted_bytes(const struct job *job)
{
    return (uint64_t)json_get_integer(job->data, "size_bytes");
}

static int check_larger(struct job *job, const struct lu *lu)
{
    char object[96], has[PARSE_SIZE_TEXT];
    return wanted_bytes(job) >= lu->size_bytes
               ? VIOS_OK
               : operation_fail(&job->operation, VIOS_E_INVALID, lu_object(lu->name, object),
                                "copy what is on it to a smaller one",
                                "it has %s, and what a guest wrote at its end would be lost",
                                size_format(lu->size_bytes, has));
}

static int hold(struct job *job)
{
    struct lu lu;
    int status = lu_load(job->store, job_udid(job), &lu, NULL, &job->operation);
    if (status == VIOS_OK) {
        status = check_larger(job, &lu);
    }
    return status == VIOS_OK ? lu_hold(job->store, job_udid(job), job->id, 0, &lu, &job->operation)
                             : status;
}

static int release(struct job *job)
{
    return lu_release(job->store, job_udid(job), job->id, &job->operation);
}

/* --- its file --- */

static int open_file(struct job *job, const struct lu *lu, int *fd)
{
    char path[PATH_MAX], object[96];
    int status = lu_path(job_node(job), lu, path, &job->operation.error);
    if (status < 0) {
        return status;
    }
    *fd = open(path, O_RDWR | O_CLOEXEC);
    return *fd >= 0 ? VIOS_OK
                    : error_set_errno(&job->operation.error, lu_object(lu->name, object),
                                      "cannot open its file in pool \"%s\"", lu->pool);
}

static int enlarge(struct job *job, const struct lu *lu)
{
    int fd = -1;
    int status = open_file(job, lu, &fd);
    if (status == VIOS_OK) {
        status = lu_make_larger(fd, lu, wanted_bytes(job), &job->operation.error);
        close(fd);
    }
    return status;
}

static int grow(struct job *job)
{
    struct lu lu;
    struct pool pool;
    int status = lu_job_load(job, &lu);
    if (status == VIOS_OK) {
        status = pool_load(job->store, lu.pool, &pool, &job->operation);
    }
    if (status == VIOS_OK) {
        status = pool_check(job_node(job), &pool, &job->operation.error);
    }
    if (status == VIOS_OK && wanted_bytes(job) > lu.size_bytes) {
        status =
            pool_check_promise(job_node(job), job->store, &pool, wanted_bytes(job) - lu.size_bytes,
                               job->object, &job->operation);
    }
    return status == VIOS_OK ? enlarge(job, &lu) : status;
}

/* Back to what the record says, which nobody else changes while this job holds it. Under a guest it
 * is left: io may have looked at it meanwhile, and a disk that shrinks would be worse. */
static int grow_undo(struct job *job)
{
    struct lu lu;
    struct stat file;
    char object[96];
    int fd = -1;
    int status = lu_job_load(job, &lu);
    if (status < 0) {
        return status == VIOS_E_NOT_FOUND || status == VIOS_E_STALE ? VIOS_OK : status;
    }
    status = lu.lpar[0] ? VIOS_E_NOT_FOUND : open_file(job, &lu, &fd);
    if (status < 0) {
        return status == VIOS_E_NOT_FOUND ? VIOS_OK : status;
    }
    if (fstat(fd, &file) == 0 && (uint64_t)file.st_size > lu.size_bytes &&
        (ftruncate(fd, (off_t)lu.size_bytes) != 0 || fsync(fd) != 0)) {
        status = error_set_errno(&job->operation.error, lu_object(lu.name, object),
                                 "cannot cut its file back");
    }
    close(fd);
    return status;
}

/* --- its record --- */

static int try_record(struct job *job)
{
    struct lu lu;
    struct store_value value = {0};
    int status = lu_load(job->store, job_udid(job), &lu, &value, &job->operation);
    if (status == VIOS_OK && lu.size_bytes < wanted_bytes(job)) {
        status = enlarge(job, &lu);
        lu.size_bytes = wanted_bytes(job);
        if (status == VIOS_OK) {
            status = lu_save(job->store, &lu, &value, &job->operation);
        }
    }
    store_value_clear(&value);
    return status;
}

static int record(struct job *job)
{
    return job_commit(job, try_record);
}

/* --- its guest --- */

/* A guest that could not be told goes on with the size it knows: that undoes nothing. */
static int tell_guest(struct job *job)
{
    struct lu lu;
    struct operation telling;
    bool told = false;
    const struct lu_guest_operations *guests = job_node(job)->lu_guests;
    int status = lu_job_load(job, &lu);
    if (status < 0) {
        return status == VIOS_E_NOT_FOUND || status == VIOS_E_STALE ? VIOS_OK : status;
    }
    const char *guest = lu.lpar[0] ? "sees it when it starts" : "none";
    operation_start(&telling, OPERATION_NO_DEADLINE, job->operation.cancel);
    if (lu.lpar[0] && guests) {
        status = guests->resized(job_node(job), lu.lpar, lu.udid, lu.size_bytes, &told, &telling);
        guest = status < 0 ? telling.error.message : told ? "told" : guest;
    }
    if (status < 0) {
        log_warning("lu", "%s: %s", telling.error.object, telling.error.message);
    }
    json_object_set_new(job->data, "guest", json_string(guest));
    return VIOS_OK;
}

static int finish(struct job *job)
{
    int status = release(job);
    if (status == VIOS_OK) {
        lu_job_result(job, job_udid(job));
        json_t *guest = json_object_get(job->data, "guest");
        json_object_set_new(job->result, "guest", guest ? json_incref(guest) : json_null());
    }
    return status;
}

static const struct job_step RESIZE_STEPS[] = {
    {"hold", hold, release},     {"grow", grow, grow_undo}, {"record", record, NULL},
    {"guest", tell_guest, NULL}, {"release", finish, NULL},
};

const struct job_kind lu_resize_job = {"lu.resize", RESIZE_STEPS, 5, 2, .is_local = false};
