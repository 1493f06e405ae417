/* collectors.c - see collectors.h: how they are run. The table is in collector_table.c. */
#include "ffdc/collectors.h"

#include "base/clock.h"
#include "base/file.h"
#include "ffdc/plain.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Shared by the thread and the one that waits for it. */
struct run {
    atomic_int holders;
    const struct collector *collector;
    struct collector_source *source;
    struct collection collection;
};

bool collection_write(struct collection *collection, const void *data, size_t size)
{
    uint64_t room = collection->cap_bytes - collection->size_bytes;
    if (size > room) {
        collection->cut = true;
        size = (size_t)room;
    }
    if (size > 0 && file_write_all(collection->fd, data, size, NULL) != VIOS_OK) {
        collection->cut = true;
        return false;
    }
    collection->size_bytes += size;
    return !collection->cut;
}

static int run_collector(void *context, struct operation *operation)
{
    struct run *run = context;
    return run->collector->collect(run->collector, run->source, &run->collection, operation);
}

static void release_run(void *context)
{
    struct run *run = context;
    if (atomic_fetch_sub(&run->holders, 1) == 1) {
        if (run->collection.fd >= 0) {
            close(run->collection.fd);
        }
        collector_source_release(run->source);
        free(run);
    }
}

/* A file without a name. */
static int open_file(int folder_fd)
{
    static atomic_uint counter; /* several may collect at once */
    char name[64];
    snprintf(name, sizeof name, ".collect-%ld-%u", (long)getpid(), atomic_fetch_add(&counter, 1));
    unlinkat(folder_fd, name, 0); /* of a process that died with our id */
    int fd = openat(folder_fd, name, O_RDWR | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC, 0600);
    if (fd >= 0) {
        unlinkat(folder_fd, name, 0);
    }
    return fd;
}

static struct run *run_new(const struct collector *collector, struct collector_source *source,
                           int folder_fd)
{
    struct run *run = calloc(1, sizeof *run);
    if (run) {
        atomic_init(&run->holders, 2);
        run->collector = collector;
        run->source = collector_source_hold(source);
        run->collection.cap_bytes = collector->cap_bytes;
        run->collection.fd = open_file(folder_fd);
    }
    return run;
}

/* What a collector that was given up writes from now on is not looked at. */
static void take_file(struct run *run, struct collected *result)
{
    off_t size = lseek(run->collection.fd, 0, SEEK_END);
    result->fd = fcntl(run->collection.fd, F_DUPFD_CLOEXEC, 3);
    result->size_bytes = size > 0 ? (uint64_t)size : 0;
    result->cut = result->status == VIOS_E_TIMEOUT || run->collection.cut;
}

static void run_one(struct run *run, struct limited *limited, struct collected *result,
                    struct operation *operation)
{
    const struct collector *collector = run->collector;
    struct operation running;
    struct limited_work work = {.name = "ffdc-collect",
                                .limit_ms = collector->limit_ms,
                                .run = run_collector,
                                .release = release_run,
                                .context = run};
    operation_start(&running, OPERATION_NO_DEADLINE, operation->cancel);
    int64_t begin_ms = clock_now_ms();
    result->status = limited_run(limited, &work, &running);
    result->took_ms = clock_now_ms() - begin_ms;
    snprintf(result->why, sizeof result->why, "%.150s", running.error.message);
    plain_text(result->why);
    take_file(run, result);
    release_run(run);
}

static void release_unused(struct run *run)
{
    if (run) {
        release_run(run);
        release_run(run); /* for the thread that is not there */
    }
}

void collectors_run(const struct collector *table, size_t count, struct collector_source *source,
                    struct limited *limited, int folder_fd, struct collected *results,
                    struct operation *operation)
{
    for (size_t i = 0; i < count; i++) {
        results[i] = (struct collected){.collector = &table[i], .fd = -1, .status = VIOS_E_SYSTEM};
        struct run *run = run_new(&table[i], source, folder_fd);
        if (run && run->collection.fd >= 0) {
            run_one(run, limited, &results[i], operation);
        } else {
            snprintf(results[i].why, sizeof results[i].why, "no file for it: %.100s",
                     strerror(errno));
            release_unused(run);
        }
    }
}

void collected_close(struct collected *results, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (results[i].fd >= 0) {
            close(results[i].fd);
            results[i].fd = -1;
        }
    }
}
