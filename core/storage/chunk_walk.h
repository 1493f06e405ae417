/*
 * chunk_walk.h - visits the chunks of a file that hold data, with several threads.
 *
 * Threads take one chunk after the other, in order; a chunk without data is visited by none. The
 * thread that called waits meanwhile: it tells the progress, looks after the cancel, and runs
 * `pause`, so that what is slow there holds nobody up.
 */
#ifndef STORAGE_CHUNK_WALK_H
#define STORAGE_CHUNK_WALK_H

#include "storage/chunks.h"

#define CHUNK_WALK_THREADS 4 /* at most; as many as there are processors */

struct chunk_walk {
    int fd;              /* its offset is moved */
    uint64_t size_bytes; /* what lies behind is not visited */
    const uint8_t *skip; /* a byte for each chunk: 1 is not visited; NULL: none is skipped */

    /* On any of the threads; `data` is the caller's for the call, aligned to pages. */
    int (*visit)(void *context, size_t index, const uint8_t *data, size_t size,
                 struct vios_error *error);

    /* On the thread that called, each 16 MiB or so; may be NULL. */
    int (*pause)(void *context, struct vios_error *error);
    void *context;
};

/* The first failure of any ends it. VIOS_E_IO when the file has fewer bytes. */
int chunk_walk(const struct chunk_walk *walk, const struct copy_progress *progress,
               struct operation *operation);

#endif
