/* io.h - the parts of the data plane's process, as its request handlers see them. */
#ifndef IO_IO_H
#define IO_IO_H

#include "base/guests.h"
#include "io/events.h"
#include "io/exports.h"
#include "io/listeners.h"
#include "io/peers.h"
#include "paging/page_memory.h"
#include "storage/file_backend.h"
#include "storage/gate.h"

#include <pthread.h>

#define IO_LEVEL 1
#define IO_WORKERS_MAX 64
#define IO_DRAIN_MS 5000 /* drop, and the end */

struct io {
    char *run_dir; /* absolute */
    uint64_t page_memory_bytes;
    struct worker *workers[IO_WORKERS_MAX];
    size_t worker_count;
    struct nbd_server *server;
    struct exports *exports;
    struct listeners *listeners;
    struct peers *peers;
    struct guests *guests;
    struct events *events;
    struct gate *gate;
    struct file_pool *pool;
    int stop_event; /* eventfd: main ends the process */

    pthread_mutex_t lock; /* one configuring request at a time; and of what follows */
    size_t next_home;
    struct page_memory *memory; /* made when first needed, so that `take arena` can come before */
};

/* The page memory, made if need be (`fd` -1), with the lock held. NULL: the error. */
struct page_memory *io_page_memory(struct io *io, int fd, struct vios_error *error);

/* Accepts nobody, and waits (IO_DRAIN_MS) until no request is in flight. */
void io_drain(struct io *io);

#endif
