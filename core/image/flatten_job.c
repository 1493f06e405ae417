/*
 * flatten_job.c - image.flatten: the linked clones of an image become LUs of their own, while their
 * guests go on.
 *
 * hold (the clones are this job's) -> unshare (their blocks become their own, in place) -> release
 * (the records say that they stand alone; the commit point).
 */
#include "image/jobs.h"
#include "storage/lu_store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define UNSHARE_BYTES ((off_t)64 << 20) /* at once: a cancel is heard in between */

static json_t *job_lus(const struct job *job)
{
    return json_object_get(job->data, "lus");
}

/* --- hold --- */

static int choose(struct job *job)
{
    struct image image;
    struct lu *clones;
    size_t count;
    int status = image_load(job->store, job_text(job, "handle"), &image, &job->operation);
    if (status == VIOS_OK) {
        status = image_dependents(job->store, &image, &clones, &count, &job->operation);
    }
    if (status == VIOS_OK) {
        json_t *lus = json_array();
        for (size_t i = 0; i < count; i++) {
            json_array_append_new(lus, json_string(clones[i].udid));
        }
        json_object_set_new(job->data, "lus", lus);
        free(clones);
    }
    return status;
}

/* Those that are removed meanwhile are let go: nothing of them is left to flatten. */
static int flatten_hold(struct job *job)
{
    json_t *held = json_array(), *udid;
    size_t i;
    int status = job_lus(job) ? VIOS_OK : choose(job);
    json_array_foreach(job_lus(job), i, udid)
    {
        struct lu lu;
        if (status == VIOS_OK) {
            status = lu_hold(job->store, json_string_value(udid), job->id, 0, &lu, &job->operation);
        }
        if (status == VIOS_OK) {
            json_array_append(held, udid);
        }
        status = status == VIOS_E_NOT_FOUND ? VIOS_OK : status;
    }
    if (status == VIOS_OK) {
        json_object_set(job->data, "lus", held);
    }
    json_decref(held);
    return status;
}

/* Calls `let_go` for each LU of the job. */
static int let_go_each(struct job *job, int (*let_go)(struct store *store, const char *udid,
                                                      const char *job, struct operation *operation))
{
    size_t i;
    json_t *udid;
    int status = VIOS_OK;
    json_array_foreach(job_lus(job), i, udid)
    {
        if (status == VIOS_OK) {
            status = let_go(job->store, json_string_value(udid), job->id, &job->operation);
        }
    }
    return status;
}

static int flatten_hold_undo(struct job *job)
{
    return let_go_each(job, lu_release);
}

/* --- unshare --- */

static int open_lu(struct job *job, const char *udid, struct lu *lu, struct stat *info)
{
    char path[PATH_MAX];
    int status = lu_load(job->store, udid, lu, NULL, &job->operation);
    if (status == VIOS_OK) {
        status = lu_path(job_node(job), lu, path, &job->operation.error);
    }
    if (status < 0) {
        return status;
    }
    int fd = open(path, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 || fstat(fd, info) != 0) {
        status = error_set_errno(&job->operation.error, path, "cannot open it");
        if (fd >= 0) {
            close(fd);
        }
        return status;
    }
    return fd;
}

static int explain(struct job *job, const struct lu *lu)
{
    char object[96];
    lu_object(lu->name, object);
    if (errno == EOPNOTSUPP || errno == ENOTTY || errno == EINVAL) {
        return operation_fail(&job->operation, VIOS_E_INVALID, object,
                              "make an LU of its own with lu clone on another pool",
                              "the file system of pool \"%s\" cannot unshare blocks", lu->pool);
    }
    return error_set_errno(&job->operation.error, object,
                           "cannot unshare its blocks in pool \"%s\"", lu->pool);
}

static int unshare_file(struct job *job, const struct lu *lu, int fd, off_t size, int64_t before,
                        int64_t total)
{
    int status = VIOS_OK;
    for (off_t at = 0; status == VIOS_OK && at < size; at += UNSHARE_BYTES) {
        off_t length = size - at < UNSHARE_BYTES ? size - at : UNSHARE_BYTES;
        if (fallocate(fd, FALLOC_FL_UNSHARE_RANGE, at, length) != 0) {
            return explain(job, lu);
        }
        job_progress(job, before + at + length, total, "bytes");
        status = operation_check(&job->operation);
    }
    return status == VIOS_OK && fsync(fd) != 0 ? explain(job, lu) : status;
}

/* Their sizes and how much they may take at most. */
static int measure(struct job *job, int64_t *total)
{
    size_t i;
    json_t *udid;
    int status = VIOS_OK;
    *total = 0;
    json_array_foreach(job_lus(job), i, udid)
    {
        struct lu lu;
        struct stat info;
        char object[96];
        int fd = open_lu(job, json_string_value(udid), &lu, &info);
        if (fd < 0) {
            return fd;
        }
        close(fd);
        *total += info.st_size;
        status = pool_check_space(job_node(job), lu.pool, (uint64_t)info.st_blocks * 512,
                                  lu_object(lu.name, object), &job->operation.error);
        if (status < 0) {
            break;
        }
    }
    return status;
}

static int flatten_unshare(struct job *job)
{
    size_t i;
    json_t *udid;
    int64_t total, before = 0;
    int status = measure(job, &total);
    if (status < 0) {
        return status;
    }
    json_array_foreach(job_lus(job), i, udid)
    {
        struct lu lu;
        struct stat info;
        int fd = open_lu(job, json_string_value(udid), &lu, &info);
        if (fd < 0) {
            return fd;
        }
        status = unshare_file(job, &lu, fd, info.st_size, before, total);
        before += info.st_size;
        close(fd);
        if (status < 0) {
            break;
        }
    }
    return status;
}

/* --- release --- */

static int flatten_release(struct job *job)
{
    int status = let_go_each(job, lu_release_alone);
    if (status == VIOS_OK) {
        job->result = json_pack("{s:O, s:I}", "name", json_object_get(job->data, "name"),
                                "flattened", (json_int_t)json_array_size(job_lus(job)));
    }
    return status;
}

static const struct job_step STEPS[] = {
    {"hold", flatten_hold, flatten_hold_undo},
    {"unshare", flatten_unshare, NULL},
    {"release", flatten_release, NULL},
};

const struct job_kind image_flatten_job = {"image.flatten", STEPS, sizeof STEPS / sizeof *STEPS, 2};
