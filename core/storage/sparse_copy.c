/*
 * sparse_copy.c - see sparse_copy.h.
 *
 * The threads of chunk_walk() read, digest and write. Each asks the kernel to begin with writing
 * its chunk to the device at once, so that the sync at the end finds little left to do. With a
 * journal, the thread that called syncs the data now and then and appends what was done before
 * the sync began; the others go on meanwhile.
 */
#include "storage/sparse_copy.h"

#include "base/clock.h"
#include "storage/chunk_walk.h"
#include "storage/copy_error.h"
#include "storage/copy_journal.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

struct copy {
    int from, to;
    uint64_t size_bytes;
    struct chunks *chunks; /* NULL: no digests */

    /* only with a journal */
    int journal_fd;
    uint64_t every_bytes;
    uint8_t *durable; /* a byte for each chunk */
    pthread_mutex_t lock;
    uint64_t *fresh; /* with the lock: chunks that were copied and are not in the journal */
    size_t fresh_count;
    int64_t synced_ms;
};

/* --- when there is no space --- */

/* How much data the source has, as far as its file system knows. */
static uint64_t data_bytes(int fd, uint64_t size_bytes)
{
    uint64_t sum = 0;
    off_t at = 0, end;
    while ((at = lseek(fd, at, SEEK_DATA)) >= 0 && (uint64_t)at < size_bytes &&
           (end = lseek(fd, at, SEEK_HOLE)) > at) {
        uint64_t stop = (uint64_t)end < size_bytes ? (uint64_t)end : size_bytes;
        sum += stop - (uint64_t)at;
        at = end;
    }
    return at < 0 && errno != ENXIO ? size_bytes : sum;
}

static int write_failed(struct copy *copy, const char *what, struct vios_error *error)
{
    int number = errno;
    uint64_t data = data_bytes(copy->from, copy->size_bytes);
    struct stat status = {0};
    fstat(copy->to, &status);
    uint64_t have = (uint64_t)status.st_blocks * 512;
    errno = number;
    return copy_error(copy->to, what, data > have ? data - have : 0, error);
}

/* --- a chunk --- */

static int write_run(struct copy *copy, const uint8_t *data, size_t size, uint64_t offset,
                     struct vios_error *error)
{
    while (size) {
        ssize_t written = pwrite(copy->to, data, size, (off_t)offset);
        if (written < 0 && errno == EINTR) {
            continue;
        }
        if (written < 0) {
            return write_failed(copy, "cannot write", error);
        }
        data += written;
        offset += (uint64_t)written;
        size -= (size_t)written;
    }
    return VIOS_OK;
}

/* The end of the blocks from `at` on that are all zero, or all not. */
static size_t run_end(const uint8_t *data, size_t size, size_t at, bool zero)
{
    while (at < size) {
        size_t block = size - at < SPARSE_BLOCK_SIZE ? size - at : SPARSE_BLOCK_SIZE;
        if (chunk_is_zero(data + at, block) != zero) {
            break;
        }
        at += block;
    }
    return at;
}

static int write_chunk(struct copy *copy, const uint8_t *data, size_t size, uint64_t offset,
                       struct vios_error *error)
{
    int status = VIOS_OK;
    size_t at = 0;
    while (status == VIOS_OK && at < size) {
        at = run_end(data, size, at, true);
        size_t end = run_end(data, size, at, false);
        status = write_run(copy, data + at, end - at, offset + at, error);
        at = end;
    }
    if (status == VIOS_OK) { /* a hint: what fails here fails at the sync */
        sync_file_range(copy->to, (off_t)offset, (off_t)size, SYNC_FILE_RANGE_WRITE);
    }
    return status;
}

static int copy_chunk(void *context, size_t index, const uint8_t *data, size_t size,
                      struct vios_error *error)
{
    struct copy *copy = context;
    int status = VIOS_OK;
    if (copy->chunks) {
        uint8_t *digest = copy->chunks->digests + index * CHUNK_DIGEST_SIZE;
        status = chunk_digest(data, size, digest, error);
    }
    if (status == VIOS_OK) {
        status = write_chunk(copy, data, size, index * CHUNK_SIZE, error);
    }
    if (status == VIOS_OK && copy->durable) {
        pthread_mutex_lock(&copy->lock);
        copy->fresh[copy->fresh_count++] = index;
        pthread_mutex_unlock(&copy->lock);
    }
    return status;
}

/* --- the whole --- */

static int check_source(const struct copy *copy, struct vios_error *error)
{
    char path[COPY_PATH_SIZE];
    off_t size = lseek(copy->from, 0, SEEK_END);
    if (size < 0) {
        return copy_error(copy->from, "cannot tell its size", 0, error);
    }
    if ((uint64_t)size < copy->size_bytes) {
        copy_path(copy->from, path);
        return error_set(error, VIOS_E_INVALID, path, NULL, "has %lld bytes, %llu are wanted",
                         (long long)size, (unsigned long long)copy->size_bytes);
    }
    return VIOS_OK;
}

static int set_size(struct copy *copy, bool keep, struct vios_error *error)
{
    if ((!keep && ftruncate(copy->to, 0) != 0) ||
        ftruncate(copy->to, (off_t)copy->size_bytes) != 0) {
        return write_failed(copy, "cannot set its size", error);
    }
    return VIOS_OK;
}

static int sync_data(struct copy *copy, struct vios_error *error)
{
    return fsync(copy->to) == 0 ? VIOS_OK : write_failed(copy, "cannot sync", error);
}

int sparse_copy(int from, int to, uint64_t size_bytes, struct chunks *chunks,
                const struct copy_progress *progress, struct operation *operation)
{
    struct copy copy = {.from = from, .to = to, .size_bytes = size_bytes, .chunks = chunks};
    struct chunk_walk walk = {
        .fd = from, .size_bytes = size_bytes, .visit = copy_chunk, .context = &copy};
    int status = chunks ? chunks_make(chunks, size_bytes, &operation->error) : VIOS_OK;
    if (status == VIOS_OK) {
        status = check_source(&copy, &operation->error);
    }
    if (status == VIOS_OK) {
        status = set_size(&copy, false, &operation->error);
    }
    if (status == VIOS_OK) {
        status = chunk_walk(&walk, progress, operation);
    }
    if (status == VIOS_OK) {
        status = sync_data(&copy, &operation->error);
    }
    if (status < 0 && chunks) {
        chunks_clear(chunks);
    }
    return status;
}

/* --- with a journal --- */

/* The fresh chunks, taken; only what is taken before the sync is durable after it. */
static int journal_now(struct copy *copy, struct vios_error *error)
{
    int status = VIOS_OK;
    pthread_mutex_lock(&copy->lock);
    uint64_t *taken = copy->fresh;
    size_t count = copy->fresh_count;
    uint64_t *room = count ? malloc(copy->chunks->count * sizeof *room) : NULL;
    if (room) {
        copy->fresh = room;
        copy->fresh_count = 0;
    }
    pthread_mutex_unlock(&copy->lock);
    if (count && !room) {
        return error_set(error, VIOS_E_NO_SPACE, NULL, NULL, "no memory for the journal");
    }
    if (count) {
        status = sync_data(copy, error);
        for (size_t i = 0; status == VIOS_OK && i < count; i += COPY_JOURNAL_BATCH_MAX) {
            size_t some = count - i < COPY_JOURNAL_BATCH_MAX ? count - i : COPY_JOURNAL_BATCH_MAX;
            status = copy_journal_append(copy->journal_fd, copy->chunks, taken + i, some, error);
        }
        free(taken);
    }
    copy->synced_ms = clock_now_ms();
    return status;
}

static int journal_when_due(void *context, struct vios_error *error)
{
    struct copy *copy = context;
    pthread_mutex_lock(&copy->lock);
    size_t count = copy->fresh_count;
    pthread_mutex_unlock(&copy->lock);
    bool due = count * CHUNK_SIZE >= copy->every_bytes ||
               (count && clock_now_ms() - copy->synced_ms >= COPY_JOURNAL_EVERY_MS);
    return due ? journal_now(copy, error) : VIOS_OK;
}

/* Room for the list, the old journal read, and the file set up to fit it. */
static int journal_open(struct copy *copy, struct copy_journal *journal, struct vios_error *error)
{
    size_t count = copy->chunks->count ? copy->chunks->count : 1;
    struct stat status = {0};
    copy->durable = calloc(count, 1);
    copy->fresh = malloc(count * sizeof *copy->fresh);
    if (!copy->durable || !copy->fresh) {
        return error_set(error, VIOS_E_NO_SPACE, NULL, NULL, "no memory for the journal");
    }
    bool keep = fstat(copy->to, &status) == 0 && (uint64_t)status.st_size == copy->size_bytes;
    int opened = copy_journal_open(journal->folder_fd, journal->name, journal->source_tag, keep,
                                   copy->chunks, copy->durable, &copy->journal_fd, error);
    if (opened < 0) {
        return opened;
    }
    for (size_t i = 0; i < copy->chunks->count; i++) {
        journal->kept_bytes += copy->durable[i] ? CHUNK_SIZE : 0;
    }
    return set_size(copy, journal->kept_bytes > 0, error);
}

static void journal_close(struct copy *copy)
{
    if (copy->journal_fd >= 0) {
        close(copy->journal_fd);
    }
    free(copy->durable);
    free(copy->fresh);
    pthread_mutex_destroy(&copy->lock);
}

int sparse_copy_resume(int from, int to, uint64_t size_bytes, struct chunks *chunks,
                       struct copy_journal *journal, const struct copy_progress *progress,
                       struct operation *operation)
{
    struct copy copy = {.from = from,
                        .to = to,
                        .size_bytes = size_bytes,
                        .chunks = chunks,
                        .journal_fd = -1,
                        .every_bytes =
                            journal->every_bytes ? journal->every_bytes : COPY_JOURNAL_EVERY_BYTES,
                        .synced_ms = clock_now_ms()};
    pthread_mutex_init(&copy.lock, NULL);
    journal->kept_bytes = 0;
    int status = chunks_make(chunks, size_bytes, &operation->error);
    if (status == VIOS_OK) {
        status = check_source(&copy, &operation->error);
    }
    if (status == VIOS_OK) {
        status = journal_open(&copy, journal, &operation->error);
    }
    if (status == VIOS_OK) {
        struct chunk_walk walk = {.fd = from,
                                  .size_bytes = size_bytes,
                                  .skip = copy.durable,
                                  .visit = copy_chunk,
                                  .pause = journal_when_due,
                                  .context = &copy};
        status = chunk_walk(&walk, progress, operation);
    }
    if (status == VIOS_OK) {
        status = sync_data(&copy, &operation->error); /* its size too, when nothing is fresh */
    }
    if (status == VIOS_OK) {
        status = journal_now(&copy, &operation->error);
    }
    if (status < 0) {
        chunks_clear(chunks);
    }
    journal_close(&copy);
    return status;
}

static uint64_t mix(uint64_t tag, uint64_t value)
{
    tag = (tag ^ value) * UINT64_C(0x9e3779b97f4a7c15); /* odd: nothing is lost */
    return tag ^ tag >> 29;
}

int sparse_copy_tag(int fd, uint64_t *tag, struct vios_error *error)
{
    struct stat status;
    if (fstat(fd, &status) != 0) {
        return copy_error(fd, "cannot look at it", 0, error);
    }
    *tag = mix(mix(0, (uint64_t)status.st_size), status.st_ino);
    *tag = mix(mix(*tag, status.st_dev), (uint64_t)status.st_mtim.tv_sec);
    *tag = mix(*tag, (uint64_t)status.st_mtim.tv_nsec);
    return VIOS_OK;
}

int sparse_clone(int from, int to, struct vios_error *error)
{
    if (ioctl(to, FICLONE, from) == 0) {
        return fsync(to) == 0 ? VIOS_OK : copy_error(to, "cannot sync", 0, error);
    }
    if (errno == EOPNOTSUPP || errno == ENOTTY || errno == EINVAL || errno == EXDEV) {
        char path[COPY_PATH_SIZE];
        copy_path(from, path);
        return error_set(error, VIOS_E_INVALID, path, "copy it",
                         "its file system cannot clone it there");
    }
    return copy_error(to, "cannot clone into it", 0, error);
}
