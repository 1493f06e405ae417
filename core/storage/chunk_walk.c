/* chunk_walk.c - see chunk_walk.h. */
#include "storage/chunk_walk.h"

#include "base/thread.h"
#include "storage/copy_error.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define PAGE_SIZE 4096
#define CHUNKS_A_WAKE 16 /* how many are visited before the caller is woken to tell of them */

struct walkers {
    const struct chunk_walk *walk;
    int wake; /* eventfd */

    pthread_mutex_t lock; /* of all below */
    uint64_t at;          /* the next chunk to visit, in bytes */
    uint64_t data_end;    /* the data that lies at `at` goes on to here at least */
    uint64_t done;        /* bytes visited, and known to be none */
    unsigned visited;
    unsigned running; /* threads */
    bool stopping;
    int status; /* the first failure */
    struct vios_error error;
};

static void wake_caller(struct walkers *walkers)
{
    eventfd_write(walkers->wake, 1); /* fails only when it is full: readable all the same */
}

static void fail(struct walkers *walkers, int status, const struct vios_error *error)
{
    pthread_mutex_lock(&walkers->lock);
    if (walkers->status == VIOS_OK) {
        walkers->status = status;
        walkers->error = *error;
    }
    walkers->stopping = true;
    pthread_mutex_unlock(&walkers->lock);
}

/* --- what to visit next; with the lock --- */

static void jump(struct walkers *walkers, uint64_t to)
{
    uint64_t size = walkers->walk->size_bytes;
    to = to < size ? to : size;
    if (to > walkers->at) {
        walkers->done += to - walkers->at;
        walkers->at = to;
    }
}

/* Goes on to the next data. Where a file system cannot tell, all is data. */
static void find_data(struct walkers *walkers)
{
    const struct chunk_walk *walk = walkers->walk;
    off_t start = lseek(walk->fd, (off_t)walkers->at, SEEK_DATA);
    if (start < 0 && errno == ENXIO) {
        jump(walkers, walk->size_bytes);
        return;
    }
    off_t end = start < 0 ? -1 : lseek(walk->fd, start, SEEK_HOLE);
    walkers->data_end = end < 0 ? walk->size_bytes : (uint64_t)end;
    if (start > 0) {
        jump(walkers, (uint64_t)start / CHUNK_SIZE * CHUNK_SIZE);
    }
}

static bool next_chunk(struct walkers *walkers, size_t *index)
{
    const struct chunk_walk *walk = walkers->walk;
    while (!walkers->stopping && walkers->at < walk->size_bytes) {
        *index = (size_t)(walkers->at / CHUNK_SIZE);
        if (walk->skip && walk->skip[*index]) {
            jump(walkers, walkers->at + CHUNK_SIZE);
        } else if (walkers->at >= walkers->data_end) {
            find_data(walkers);
        } else {
            walkers->at += CHUNK_SIZE;
            return true;
        }
    }
    return false;
}

/* --- a thread --- */

static int read_failed(int fd, unsigned long long at, ssize_t got, struct vios_error *error)
{
    char path[COPY_PATH_SIZE], what[64];
    if (got < 0) {
        snprintf(what, sizeof what, "cannot read at byte %llu", at);
        return copy_error(fd, what, 0, error);
    }
    copy_path(fd, path);
    return error_set(error, VIOS_E_IO, path, NULL, "it ended early, at byte %llu", at);
}

static int read_chunk(int fd, uint8_t *buffer, size_t size, uint64_t offset,
                      struct vios_error *error)
{
    size_t have = 0;
    while (have < size) {
        ssize_t got = pread(fd, buffer + have, size - have, (off_t)(offset + have));
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got <= 0) {
            return read_failed(fd, offset + have, got, error);
        }
        have += (size_t)got;
    }
    return VIOS_OK;
}

static int visit_chunk(const struct chunk_walk *walk, size_t index, uint8_t *buffer, size_t size,
                       struct vios_error *error)
{
    int status = read_chunk(walk->fd, buffer, size, index * CHUNK_SIZE, error);
    return status < 0 ? status : walk->visit(walk->context, index, buffer, size, error);
}

static void visit_chunks(struct walkers *walkers, uint8_t *buffer)
{
    const struct chunk_walk *walk = walkers->walk;
    size_t index, size = 0;
    for (;;) {
        pthread_mutex_lock(&walkers->lock);
        walkers->done += size;
        walkers->visited += size > 0;
        bool wake = size && walkers->visited % CHUNKS_A_WAKE == 0;
        bool more = next_chunk(walkers, &index);
        pthread_mutex_unlock(&walkers->lock);
        if (wake) {
            wake_caller(walkers);
        }
        if (!more) {
            return;
        }
        uint64_t left = walk->size_bytes - index * CHUNK_SIZE;
        size = (size_t)(left < CHUNK_SIZE ? left : CHUNK_SIZE);
        struct vios_error error = {0};
        int status = visit_chunk(walk, index, buffer, size, &error);
        if (status < 0) {
            fail(walkers, status, &error);
            return;
        }
    }
}

static void *walker(void *argument)
{
    struct walkers *walkers = argument;
    struct vios_error error;
    uint8_t *buffer = aligned_alloc(PAGE_SIZE, CHUNK_SIZE);
    if (buffer) {
        visit_chunks(walkers, buffer);
    } else {
        fail(walkers, error_set(&error, VIOS_E_NO_SPACE, NULL, NULL, "no memory for a buffer"),
             &error);
    }
    free(buffer);
    pthread_mutex_lock(&walkers->lock);
    walkers->running--;
    pthread_mutex_unlock(&walkers->lock);
    wake_caller(walkers);
    return NULL;
}

/* --- the caller --- */

static unsigned start_threads(struct walkers *walkers, pthread_t threads[CHUNK_WALK_THREADS])
{
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    uint64_t chunks = (walkers->walk->size_bytes + CHUNK_SIZE - 1) / CHUNK_SIZE;
    unsigned wanted = CHUNK_WALK_THREADS, count = 0;
    wanted = processors > 0 && processors < wanted ? (unsigned)processors : wanted;
    wanted = chunks < wanted ? (unsigned)chunks : wanted;
    walkers->running = wanted;
    while (count < wanted && thread_start(&threads[count], "chunks", walker, walkers) == 0) {
        count++;
    }
    pthread_mutex_lock(&walkers->lock);
    walkers->running -= wanted - count;
    if (wanted && !count) {
        walkers->status =
            error_set(&walkers->error, VIOS_E_SYSTEM, NULL, NULL, "cannot start a thread");
    }
    pthread_mutex_unlock(&walkers->lock);
    return count;
}

/* Until all threads are through with it. */
static int attend(struct walkers *walkers, const struct copy_progress *progress,
                  struct operation *operation)
{
    const struct chunk_walk *walk = walkers->walk;
    for (;;) {
        pthread_mutex_lock(&walkers->lock);
        uint64_t done = walkers->done;
        bool running = walkers->running > 0, good = walkers->status == VIOS_OK;
        pthread_mutex_unlock(&walkers->lock);
        if (good && progress && progress->told) {
            progress->told(progress->context, done, walk->size_bytes);
        }
        int status = good && walk->pause ? walk->pause(walk->context, &operation->error) : VIOS_OK;
        if (status < 0 || !running) {
            return status;
        }
        status = operation_wait(operation, walkers->wake, POLLIN);
        if (status < 0) {
            return status;
        }
        eventfd_t ignored;
        eventfd_read(walkers->wake, &ignored);
    }
}

int chunk_walk(const struct chunk_walk *walk, const struct copy_progress *progress,
               struct operation *operation)
{
    pthread_t threads[CHUNK_WALK_THREADS];
    struct walkers walkers = {.walk = walk};
    int status = operation_check(operation);
    if (status < 0) {
        return status;
    }
    walkers.wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (walkers.wake < 0) {
        return error_set_errno(&operation->error, NULL, "eventfd");
    }
    pthread_mutex_init(&walkers.lock, NULL);
    unsigned count = start_threads(&walkers, threads);
    status = attend(&walkers, progress, operation);
    pthread_mutex_lock(&walkers.lock);
    walkers.stopping = true;
    pthread_mutex_unlock(&walkers.lock);
    for (unsigned i = 0; i < count; i++) {
        pthread_join(threads[i], NULL);
    }
    pthread_mutex_destroy(&walkers.lock);
    close(walkers.wake);
    if (status == VIOS_OK && walkers.status < 0) {
        operation->error = walkers.error;
        status = walkers.status;
    }
    return status;
}
