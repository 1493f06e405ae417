/* spool.c - see spool.h. The list of what is there is kept in memory, in order. */
#include "event/spool.h"

#include "base/file.h"
#include "base/log.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FOLDER "events"
#define FILE_NAME_SIZE 96
#define LOOK_MAX (4 * SPOOL_FILES_MAX) /* files that are looked at when it is opened */

struct spooled {
    uint64_t number; /* grows; first in the file's name */
    char name[PAYLOAD_NAME_SIZE];
    size_t size;
};

struct event_spool {
    pthread_mutex_t lock; /* of all below */
    int folder;
    struct spooled files[SPOOL_FILES_MAX]; /* a ring */
    size_t first, count;
    uint64_t next; /* number */
    int64_t bytes;
    uint64_t lost;
};

static struct spooled *at(struct event_spool *spool, size_t index)
{
    return &spool->files[(spool->first + index) % SPOOL_FILES_MAX];
}

static void file_name(const struct spooled *spooled, char name[FILE_NAME_SIZE])
{
    snprintf(name, FILE_NAME_SIZE, "%012" PRIu64 "-%s", spooled->number, spooled->name);
}

/* --- what an earlier daemon left --- */

static bool read_name(const char *text, struct spooled *spooled)
{
    char *end;
    errno = 0;
    spooled->number = strtoull(text, &end, 10);
    if (errno || end == text || *end != '-' || strlen(end + 1) >= sizeof spooled->name ||
        !payload_name_is_valid(end + 1, NULL)) {
        return false;
    }
    snprintf(spooled->name, sizeof spooled->name, "%s", end + 1);
    return true;
}

static int by_number(const void *one, const void *other)
{
    const struct spooled *a = one, *b = other;
    return a->number < b->number ? -1 : a->number > b->number;
}

static size_t list_files(int folder, struct spooled *found)
{
    size_t count = 0;
    struct stat status;
    const struct dirent *entry;
    int copy = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *listing = copy >= 0 ? fdopendir(copy) : NULL;
    while (listing && count < LOOK_MAX && (entry = readdir(listing)) != NULL) {
        if (read_name(entry->d_name, &found[count]) &&
            fstatat(folder, entry->d_name, &status, AT_SYMLINK_NOFOLLOW) == 0) {
            found[count++].size = (size_t)status.st_size;
        }
    }
    if (listing) {
        closedir(listing);
    } else if (copy >= 0) {
        close(copy);
    }
    return count;
}

static int take_up(struct event_spool *spool, struct vios_error *error)
{
    struct spooled *found = calloc(LOOK_MAX, sizeof *found);
    if (!found) {
        return error_no_memory(error, "events");
    }
    size_t count = list_files(spool->folder, found);
    qsort(found, count, sizeof *found, by_number);
    for (size_t i = 0; i < count && spool->count < SPOOL_FILES_MAX; i++) {
        *at(spool, spool->count++) = found[i];
        spool->bytes += (int64_t)found[i].size;
        spool->next = found[i].number + 1;
    }
    free(found);
    return VIOS_OK;
}

int event_spool_open(struct event_spool **spool, int state_dir_fd, struct vios_error *error)
{
    struct event_spool *made = calloc(1, sizeof *made);
    *spool = NULL;
    if (!made) {
        return error_no_memory(error, "events");
    }
    pthread_mutex_init(&made->lock, NULL);
    made->folder = -1;
    if (mkdirat(state_dir_fd, FOLDER, 0700) == 0 || errno == EEXIST) {
        made->folder = openat(state_dir_fd, FOLDER, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    }
    int status = made->folder >= 0 ? take_up(made, error)
                                   : error_set_errno(error, FOLDER, "cannot use this folder");
    if (status != VIOS_OK) {
        event_spool_close(made);
        return status;
    }
    *spool = made;
    return VIOS_OK;
}

void event_spool_close(struct event_spool *spool)
{
    if (spool) {
        if (spool->folder >= 0) {
            close(spool->folder);
        }
        pthread_mutex_destroy(&spool->lock);
        free(spool);
    }
}

size_t event_spool_count(struct event_spool *spool, uint64_t *lost)
{
    pthread_mutex_lock(&spool->lock);
    size_t count = spool->count;
    if (lost) {
        *lost = spool->lost;
        spool->lost = 0;
    }
    pthread_mutex_unlock(&spool->lock);
    return count;
}

/* Under the lock. */
static int add(struct event_spool *spool, const struct payload *payload, const char *text,
               size_t size, struct vios_error *error)
{
    char name[FILE_NAME_SIZE];
    struct spooled spooled = {.number = spool->next, .size = size};
    if (spool->count == SPOOL_FILES_MAX || spool->bytes + (int64_t)size > SPOOL_BYTES_MAX) {
        return error_set(error, VIOS_E_NO_SPACE, "events", "bring the repository back",
                         "%zu files of them wait for the repository on this node already",
                         spool->count);
    }
    snprintf(spooled.name, sizeof spooled.name, "%s", payload->name);
    file_name(&spooled, name);
    int status = file_replace(spool->folder, name, text, size, 0600, error);
    if (status == VIOS_OK) {
        *at(spool, spool->count++) = spooled;
        spool->bytes += (int64_t)size;
        spool->next++;
    }
    return status;
}

int event_spool_add(struct event_spool *spool, const struct payload *payload,
                    struct vios_error *error)
{
    char *text = NULL;
    size_t size = 0;
    int status = payload_format(payload, &text, &size, error);
    pthread_mutex_lock(&spool->lock);
    if (status == VIOS_OK) {
        status = add(spool, payload, text, size, error);
    }
    if (status != VIOS_OK) {
        spool->lost += payload->count;
    }
    pthread_mutex_unlock(&spool->lock);
    free(text);
    return status;
}

/* Under the lock. */
static void remove_first(struct event_spool *spool)
{
    char name[FILE_NAME_SIZE];
    file_name(at(spool, 0), name);
    unlinkat(spool->folder, name, 0);
    spool->bytes -= (int64_t)at(spool, 0)->size;
    spool->first = (spool->first + 1) % SPOOL_FILES_MAX;
    spool->count--;
}

int event_spool_first(struct event_spool *spool, struct payload *payload, struct vios_error *error)
{
    int status = VIOS_E_CORRUPT;
    struct vios_error ignored;
    error = error ? error : &ignored;
    *payload = (struct payload){0};
    pthread_mutex_lock(&spool->lock);
    while (status == VIOS_E_CORRUPT && spool->count > 0) {
        char name[FILE_NAME_SIZE], *text = NULL;
        size_t size = 0;
        file_name(at(spool, 0), name);
        status = file_read(spool->folder, name, PAYLOAD_SIZE_MAX, &text, &size, error);
        if (status == VIOS_OK) {
            status = payload_parse(text, size, payload, error);
        } else if (status == VIOS_E_NOT_FOUND || status == VIOS_E_INVALID) {
            status = VIOS_E_CORRUPT; /* it is gone, or too large */
        }
        if (status == VIOS_E_CORRUPT) {
            log_error("event", "%s/%s is damaged and is removed: %s", FOLDER, name, error->message);
            remove_first(spool);
        }
        free(text);
    }
    pthread_mutex_unlock(&spool->lock);
    return status == VIOS_E_CORRUPT
               ? error_set(error, VIOS_E_NOT_FOUND, "events", NULL, "none waits")
               : status;
}

void event_spool_remove_first(struct event_spool *spool)
{
    pthread_mutex_lock(&spool->lock);
    if (spool->count > 0) {
        remove_first(spool);
    }
    pthread_mutex_unlock(&spool->lock);
}
