/*
 * capture_job.c - image.capture, step by step.
 *
 * claim -> hold (the LPAR is this job's: nobody starts, stops or removes it meanwhile) -> configure
 * -> copy -> publish -> release (the LPAR is free) -> commit. See making.h and capture.h.
 */
#include "image/capture.h"
#include "image/fileset.h"
#include "image/jobs.h"
#include "image/making.h"
#include "lpar/hold.h"
#include "node/node.h"
#include "storage/copy_told.h"
#include "storage/pool.h"
#include "storage/sparse_copy.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *job_lpar(const struct job *job)
{
    return job_text(job, "lpar");
}

/* --- the LPAR --- */

static int hold_once(struct job *job, struct lpar *lpar)
{
    char object[96], hint[128];
    int status = lpar_load(job->store, job_lpar(job), lpar, &job->operation);
    if (status == VIOS_OK) {
        status = lpar_check_lock(job->store, lpar, job->id, &job->operation);
    }
    if (status < 0) {
        return status;
    }
    lpar_object(lpar->name, object);
    if (lpar->owner[0] && strcmp(lpar->owner, job_node(job)->name) != 0) {
        snprintf(hint, sizeof hint, "say it there: --on %s", lpar->owner);
        return operation_fail(&job->operation, VIOS_E_INVALID, object, hint,
                              "it runs on node \"%s\"", lpar->owner);
    }
    if (lpar->disk_count == 0) {
        return operation_fail(&job->operation, VIOS_E_INVALID, object, NULL,
                              "it has no disk to capture");
    }
    snprintf(lpar->job, sizeof lpar->job, "%s", job->id);
    return lpar_save(job->store, lpar, &job->operation);
}

static int disk_path(struct job *job, const struct lpar_disk *disk, char path[PATH_MAX])
{
    struct lu lu;
    if (!disk->lu[0]) {
        snprintf(path, PATH_MAX, "%s", disk->file);
        return VIOS_OK;
    }
    int status = lu_load(job->store, disk->lu, &lu, NULL, &job->operation);
    return status < 0 ? status : lu_path(job_node(job), &lu, path, &job->operation.error);
}

static int open_disk(struct job *job, const struct lpar_disk *disk, uint64_t *size,
                     uint64_t *allocated)
{
    char path[PATH_MAX];
    struct stat info;
    int status = disk_path(job, disk, path);
    if (status < 0) {
        return status;
    }
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    off_t end = fd < 0 ? -1 : lseek(fd, 0, SEEK_END);
    if (fd < 0 || end < 0 || fstat(fd, &info) != 0) {
        status = error_set_errno(&job->operation.error, path, "cannot open this disk");
        if (fd >= 0) {
            close(fd);
        }
        return status;
    }
    *size = (uint64_t)end;
    *allocated = S_ISREG(info.st_mode) ? (uint64_t)info.st_blocks * 512 : (uint64_t)end;
    return fd;
}

static int take_files(struct job *job, const struct lpar *lpar)
{
    struct image image;
    char object[96];
    uint64_t allocated, bytes = 0;
    int status = making_image(job, &image, &job->operation.error);
    if (status < 0 || image.file_count > 0) {
        return status;
    }
    for (size_t i = 0; i < lpar->disk_count; i++) {
        int fd = open_disk(job, &lpar->disks[i], &image.files[i].size_bytes, &allocated);
        if (fd < 0) {
            return fd;
        }
        close(fd);
        bytes += allocated;
        snprintf(image.files[i].name, sizeof image.files[i].name, "%s.raw", lpar->disks[i].id);
    }
    image.file_count = lpar->disk_count;
    status = pool_check_space(job_node(job), image.pool, bytes, image_object(image.name, object),
                              &job->operation.error);
    return status < 0 ? status : making_set_files(job, &image);
}

static int capture_hold(struct job *job)
{
    struct lpar lpar;
    struct store_tries tries = {0};
    int status;
    do {
        status = hold_once(job, &lpar);
    } while (store_try_again(&tries, &status));
    return status < 0 ? status : take_files(job, &lpar);
}

static int release_once(struct job *job)
{
    struct lpar lpar;
    int status = lpar_load(job->store, job_lpar(job), &lpar, &job->operation);
    if (status == VIOS_E_NOT_FOUND || (status == VIOS_OK && strcmp(lpar.job, job->id) != 0)) {
        return VIOS_OK;
    }
    lpar.job[0] = 0;
    return status < 0 ? status : lpar_save(job->store, &lpar, &job->operation);
}

static int capture_release(struct job *job)
{
    return job_commit(job, release_once);
}

/* --- copy --- */

static int make_file(struct job *job, int work, const struct image_file *file)
{
    int fd = openat(work, file->udid, O_RDWR | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd >= 0 && ftruncate(fd, (off_t)file->size_bytes) != 0) {
        close(fd);
        fd = -1;
    }
    return fd >= 0 ? fd : error_set_errno(&job->operation.error, file->udid, "cannot make it");
}

static int copy_stopped(struct job *job, const struct lpar *lpar, size_t i, int to,
                        struct chunks *chunks)
{
    struct copy_progress progress = {copy_told, job};
    uint64_t size, allocated;
    int from = open_disk(job, &lpar->disks[i], &size, &allocated);
    if (from < 0) {
        return from;
    }
    int status = sparse_copy(from, to, size, chunks, &progress, &job->operation);
    close(from);
    return status;
}

/* What QEMU copied: synced, and its digests. */
static int digest_copied(struct job *job, const struct image_file *file, int fd,
                         struct chunks *chunks)
{
    struct copy_progress progress = {copy_told, job};
    if (fsync(fd) != 0) {
        return error_set_errno(&job->operation.error, file->name, "cannot write it");
    }
    return chunks_of(fd, file->size_bytes, chunks, &progress, &job->operation);
}

static int finish_file(struct job *job, const struct lpar *lpar, const struct image *image,
                       size_t i, int work)
{
    struct chunks chunks = {0};
    const struct image_file *file = &image->files[i];
    int fd = openat(work, file->udid, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0) {
        return error_set_errno(&job->operation.error, file->name, "cannot open it");
    }
    int status = lpar->owner[0] ? digest_copied(job, file, fd, &chunks)
                                : copy_stopped(job, lpar, i, fd, &chunks);
    if (status == VIOS_OK) {
        status = making_save_digests(job, i, work, &chunks);
    }
    chunks_clear(&chunks);
    close(fd);
    return status;
}

static int copy_running(struct job *job, const struct lpar *lpar, const struct image *image)
{
    char path[PATH_MAX], object[96];
    struct copy_progress progress = {copy_told, job};
    struct guest *guest = lpars_find(job_node(job)->lpars, lpar->name);
    int status = fileset_work_path(job_node(job), image, path, &job->operation.error);
    if (status == VIOS_OK && (!guest || strcmp(lpar->owner, job_node(job)->name) != 0)) {
        status = operation_fail(&job->operation, VIOS_E_CONFLICT, lpar_object(lpar->name, object),
                                "capture it again", "it does not run here any more");
    }
    if (status == VIOS_OK) {
        status = capture_guest(job_node(job), guest, image, path, &progress, &job->operation);
    }
    guest_release(guest);
    return status;
}

static int copy_all(struct job *job, const struct lpar *lpar, const struct image *image, int work)
{
    int status = VIOS_OK;
    for (size_t i = 0; status == VIOS_OK && i < image->file_count; i++) {
        int fd = make_file(job, work, &image->files[i]);
        status = fd < 0 ? fd : VIOS_OK;
        if (fd >= 0) {
            close(fd);
        }
    }
    if (status == VIOS_OK && lpar->owner[0]) {
        status = copy_running(job, lpar, image);
    }
    for (size_t i = 0; status == VIOS_OK && i < image->file_count; i++) {
        status = finish_file(job, lpar, image, i, work);
    }
    return status;
}

static int capture_copy(struct job *job)
{
    struct image image;
    struct lpar lpar;
    char object[96];
    int status = making_image(job, &image, &job->operation.error);
    if (status == VIOS_OK) {
        status = lpar_load(job->store, job_lpar(job), &lpar, &job->operation);
    }
    if (status == VIOS_OK && lpar.disk_count != image.file_count) {
        status = operation_fail(&job->operation, VIOS_E_CONFLICT, lpar_object(lpar.name, object),
                                "capture it again", "its disks have changed meanwhile");
    }
    int work =
        status < 0 ? status : fileset_open_work(job_node(job), &image, &job->operation.error);
    if (work < 0) {
        return work;
    }
    status = copy_all(job, &lpar, &image, work);
    close(work);
    return status;
}

static int capture_publish(struct job *job)
{
    return making_publish(job, capture_copy);
}

static const struct job_step STEPS[] = {
    {"claim", making_claim, making_claim_undo},
    {"hold", capture_hold, capture_release},
    {"configure", making_configure, making_configure_undo},
    {"copy", capture_copy, making_clear_work},
    {"publish", capture_publish, making_publish_undo},
    {"release", capture_release, NULL},
    {"commit", making_commit, NULL},
};

const struct job_kind image_capture_job = {"image.capture", STEPS, sizeof STEPS / sizeof *STEPS, 6};
