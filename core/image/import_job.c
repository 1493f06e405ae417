/*
 * import_job.c - image.import (MISSION §2, steps 4 to 7).
 *
 * claim -> fetch (a URL) -> unpack (an archive; the whole source is validated here, before anything
 * is made that anybody could see) -> configure (an LU for each file) -> copy (into the working
 * folder, with the digests of all chunks) -> publish -> commit. See making.h.
 */
#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "image/fileset.h"
#include "image/import_source.h"
#include "image/jobs.h"
#include "image/making.h"
#include "storage/copy_told.h"
#include "storage/pool.h"
#include "storage/sparse_copy.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define JOURNAL ".journal"

/* The image, unless there is nothing to do because another job made it. */
static int load(struct job *job, struct image *image, bool *nothing)
{
    *nothing = making_is_existing(job);
    return making_image(job, image, &job->operation.error);
}

static int import_fetch(struct job *job)
{
    struct image image;
    bool nothing;
    int status = load(job, &image, &nothing);
    return status < 0 || nothing ? status : import_source_fetch(job, &image);
}

/* --- unpack --- */

static int check_space(struct job *job, const struct image *image, const struct import_disks *disks)
{
    uint64_t bytes = 0;
    char object[96];
    for (size_t i = 0; i < disks->count; i++) {
        bytes += disks->disks[i].info.allocated_bytes;
    }
    return pool_check_space(job_node(job), image->pool, bytes, image_object(image->name, object),
                            &job->operation.error);
}

/* The words of the description, where the caller gave none. */
static void take_description(struct image *image, const struct image_description *description)
{
    if (description->name[0] && !image->version[0]) {
        snprintf(image->version, sizeof image->version, "%s", description->version);
    }
    if (description->name[0] && !image->architecture[0]) {
        snprintf(image->architecture, sizeof image->architecture, "%s", description->architecture);
    }
}

static int take_files(struct job *job, struct image *image, const struct import_disks *disks)
{
    char object[96];
    for (size_t i = 0; i < disks->count; i++) {
        struct image_file *file = &image->files[i];
        const struct import_disk *disk = &disks->disks[i];
        uint64_t size = disk->info.virtual_size_bytes;
        const char *why = size == 0            ? "is empty"
                          : size % 512 != 0    ? "has a size that is no multiple of 512 bytes"
                          : size > LU_SIZE_MAX ? "is larger than an LU may be"
                                               : NULL;
        if (why) {
            snprintf(object, sizeof object, "file \"%.80s\"", disk->name);
            return operation_fail(&job->operation, VIOS_E_INVALID, object, NULL, "it %s", why);
        }
        snprintf(file->name, sizeof file->name, "%s", disk->name);
        file->size_bytes = size;
    }
    image->file_count = disks->count;
    return making_set_files(job, image);
}

static int import_unpack(struct job *job)
{
    struct image image;
    struct import_disks disks;
    bool nothing;
    int status = load(job, &image, &nothing);
    if (status < 0 || nothing || image.file_count > 0) {
        return status;
    }
    status = import_source_open(job, &image, true, &disks);
    if (status == VIOS_OK) {
        status = check_space(job, &image, &disks);
    }
    if (status == VIOS_OK) {
        take_description(&image, &disks.description);
        status = take_files(job, &image, &disks);
    }
    import_disks_close(&disks);
    return status;
}

/* --- copy --- */

static int explain_space(struct job *job, const struct image *image, int status)
{
    char object[96];
    if (status == VIOS_E_NO_SPACE) {
        struct vios_error why = job->operation.error;
        return operation_fail(&job->operation, status, image_object(image->name, object),
                              "give --pool, or remove LUs", "no space in pool \"%s\": %.250s",
                              image->pool, why.message);
    }
    return status;
}

/* Raw files go on where a predecessor of the same incarnation was killed. */
static int copy_disk(struct job *job, const struct import_disk *disk, int work,
                     const struct image_file *file, int to, struct chunks *chunks,
                     const struct copy_progress *progress)
{
    char name[UUID_TEXT_SIZE + sizeof JOURNAL];
    struct copy_journal journal = {.folder_fd = work, .name = name};
    snprintf(name, sizeof name, "%s" JOURNAL, file->udid);
    if (disk->info.format != DISK_RAW) {
        return disk_convert(disk->fd, disk->name, &disk->info, to, chunks, progress,
                            &job->operation);
    }
    int status = sparse_copy_tag(disk->fd, &journal.source_tag, &job->operation.error);
    if (status == VIOS_OK) {
        status = sparse_copy_resume(disk->fd, to, file->size_bytes, chunks, &journal, progress,
                                    &job->operation);
    }
    if (status == VIOS_OK) {
        unlinkat(work, name, 0);
    }
    return status;
}

static int copy_file(struct job *job, const struct import_disk *disk, int work, size_t i,
                     const struct image_file *file, const struct copy_progress *progress)
{
    struct chunks chunks = {0};
    int to = openat(work, file->udid, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (to < 0 || fsync(work) != 0) {
        int status = error_set_errno(&job->operation.error, file->udid, "cannot make it");
        if (to >= 0) {
            close(to);
        }
        return status;
    }
    int status = copy_disk(job, disk, work, file, to, &chunks, progress);
    if (status == VIOS_OK && chunks.size_bytes != file->size_bytes) {
        status = operation_fail(&job->operation, VIOS_E_CONFLICT, job->object, "import it again",
                                "file \"%.100s\" has changed meanwhile", file->name);
    }
    if (status == VIOS_OK) {
        status = making_save_digests(job, i, work, &chunks);
    }
    chunks_clear(&chunks);
    close(to);
    return status;
}

static int copy_all(struct job *job, const struct image *image, const struct import_disks *disks,
                    int work)
{
    struct copy_files files = {.job = job, .total_bytes = image_size(image)};
    struct copy_progress progress = {copy_files_told, &files};
    int status = VIOS_OK;
    for (size_t i = 0; status == VIOS_OK && i < image->file_count; i++) {
        files.size_bytes = image->files[i].size_bytes;
        status = copy_file(job, &disks->disks[i], work, i, &image->files[i], &progress);
        files.before_bytes += files.size_bytes;
    }
    return status;
}

static int import_copy(struct job *job)
{
    struct image image;
    struct import_disks disks;
    bool nothing;
    int status = load(job, &image, &nothing);
    if (status < 0 || nothing) {
        return status;
    }
    status = import_source_open(job, &image, false, &disks);
    if (status < 0) {
        return status;
    }
    int work = fileset_open_work(job_node(job), &image, &job->operation.error);
    if (work < 0) {
        status = work;
    } else if (disks.count != image.file_count) {
        status = operation_fail(&job->operation, VIOS_E_CONFLICT, job->object, "import it again",
                                "the source has changed meanwhile");
    } else {
        status = explain_space(job, &image, copy_all(job, &image, &disks, work));
    }
    if (work >= 0) {
        close(work);
    }
    import_disks_close(&disks);
    return status < 0 ? status : import_source_clear(job, &image);
}

/* --- the rest --- */

static int import_publish(struct job *job)
{
    return making_publish(job, import_copy);
}

static void remove_spool(struct job *job)
{
    const json_t *source = json_object_get(job->data, "source");
    const char *kind = json_get_text(source, "kind");
    const char *path = json_get_text(source, "path");
    if (kind && path && strcmp(kind, "spool") == 0 && unlink(path) != 0 && errno != ENOENT) {
        log_warning("image", "%s: %s", path, strerror(errno));
    }
}

static int import_claim_undo(struct job *job)
{
    remove_spool(job);
    return making_claim_undo(job);
}

static int import_commit(struct job *job)
{
    int status = making_commit(job);
    if (status == VIOS_OK) {
        remove_spool(job);
    }
    return status;
}

static const struct job_step STEPS[] = {
    {"claim", making_claim, import_claim_undo},
    {"fetch", import_fetch, making_clear_work},
    {"unpack", import_unpack, NULL},
    {"configure", making_configure, making_configure_undo},
    {"copy", import_copy, NULL},
    {"publish", import_publish, making_publish_undo},
    {"commit", import_commit, NULL},
};

const struct job_kind image_import_job = {"image.import", STEPS, sizeof STEPS / sizeof *STEPS, 6};
