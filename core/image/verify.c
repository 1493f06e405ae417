/* verify.c - see verify.h; and the job image.verify. */
#include "image/verify.h"

#include "base/clock.h"
#include "image/fileset.h"
#include "image/jobs.h"
#include "image/view.h"
#include "storage/copy_told.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct stamp {
    char udid[UUID_TEXT_SIZE];
    struct stat seen;
    int64_t at_ms;
};

struct verified {
    pthread_mutex_t lock;
    struct stamp stamps[VERIFIED_FILES_MAX];
    size_t next; /* the one that is written over */
};

struct verified *verified_new(void)
{
    struct verified *verified = calloc(1, sizeof *verified);
    if (verified) {
        pthread_mutex_init(&verified->lock, NULL);
    }
    return verified;
}

void verified_free(struct verified *verified)
{
    if (verified) {
        pthread_mutex_destroy(&verified->lock);
        free(verified);
    }
}

static bool is_same_file(const struct stat *one, const struct stat *other)
{
    return one->st_ino == other->st_ino && one->st_dev == other->st_dev &&
           one->st_size == other->st_size && one->st_mtim.tv_sec == other->st_mtim.tv_sec &&
           one->st_mtim.tv_nsec == other->st_mtim.tv_nsec &&
           one->st_ctim.tv_sec == other->st_ctim.tv_sec &&
           one->st_ctim.tv_nsec == other->st_ctim.tv_nsec;
}

static bool is_known(struct verified *verified, const char *udid, const struct stat *now)
{
    bool known = false;
    pthread_mutex_lock(&verified->lock);
    for (size_t i = 0; i < VERIFIED_FILES_MAX; i++) {
        const struct stamp *stamp = &verified->stamps[i];
        known = known || (strcmp(stamp->udid, udid) == 0 && is_same_file(&stamp->seen, now) &&
                          clock_now_ms() - stamp->at_ms < VERIFIED_VALID_MS);
    }
    pthread_mutex_unlock(&verified->lock);
    return known;
}

static void learn(struct verified *verified, const char *udid, const struct stat *seen)
{
    pthread_mutex_lock(&verified->lock);
    struct stamp *stamp = &verified->stamps[verified->next++ % VERIFIED_FILES_MAX];
    snprintf(stamp->udid, sizeof stamp->udid, "%s", udid);
    stamp->seen = *seen;
    stamp->at_ms = clock_now_ms();
    pthread_mutex_unlock(&verified->lock);
}

/* The chunks' digests as they were recorded. */
static int load_chunks(const struct image *image, size_t i, int folder, struct chunks *chunks,
                       struct vios_error *error)
{
    char name[UUID_TEXT_SIZE + sizeof FILESET_DIGESTS], digest[CHUNKS_TEXT_SIZE], object[96];
    snprintf(name, sizeof name, "%s" FILESET_DIGESTS, image->files[i].udid);
    int status = chunks_load(folder, name, chunks, error);
    if (status == VIOS_OK) {
        chunks_digest(chunks, digest);
        if (strcmp(digest, image->files[i].digest) != 0) {
            chunks_clear(chunks);
            status = error_set(error, VIOS_E_CORRUPT, image_object(image->name, object),
                               "import it again", "the digests of its file %.60s are not its own",
                               image->files[i].name);
        }
    }
    return status;
}

int verify_file(const struct image *image, size_t i, int folder, int fd, struct verified *verified,
                const struct copy_progress *progress, struct operation *operation)
{
    char what[IMAGE_FILE_NAME_SIZE + 80];
    struct stat before;
    struct chunks chunks = {0};
    const char *udid = image->files[i].udid;
    if (fstat(fd, &before) != 0) {
        return error_set_errno(&operation->error, udid, "cannot look at it");
    }
    if (verified && is_known(verified, udid, &before)) {
        return VIOS_OK;
    }
    int status = load_chunks(image, i, folder, &chunks, &operation->error);
    if (status == VIOS_OK) {
        snprintf(what, sizeof what, "%s of image \"%s\"", image->files[i].name, image->name);
        status = chunks_verify(fd, what, &chunks, progress, operation);
    }
    if (status == VIOS_OK && verified) {
        learn(verified, udid, &before);
    }
    chunks_clear(&chunks);
    return status;
}

/* --- the job --- */

static int verify_all(struct job *job, const struct image *image, int folder)
{
    struct copy_files files = {.job = job, .total_bytes = image_size(image)};
    struct copy_progress progress = {copy_files_told, &files};
    int status = VIOS_OK;
    for (size_t i = 0; status == VIOS_OK && i < image->file_count; i++) {
        files.size_bytes = image->files[i].size_bytes;
        int fd = openat(folder, image->files[i].udid, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
        status = fd < 0 ? error_set_errno(&job->operation.error, image->files[i].name,
                                          "cannot open this file of the image")
                        : verify_file(image, i, folder, fd, NULL, &progress, &job->operation);
        files.before_bytes += files.size_bytes;
        if (fd >= 0) {
            close(fd);
        }
    }
    return status;
}

static int verify_read(struct job *job)
{
    struct image image;
    int status = image_load(job->store, job_text(job, "handle"), &image, &job->operation);
    int folder = status < 0 ? status : fileset_open(job_node(job), &image, &job->operation.error);
    if (folder < 0) {
        return folder;
    }
    status = verify_all(job, &image, folder);
    close(folder);
    return status < 0 ? status : view_image(job->store, &image, &job->result, &job->operation);
}

static const struct job_step STEPS[] = {{"read", verify_read, NULL}};

const struct job_kind image_verify_job = {"image.verify", STEPS, 1, 1};
