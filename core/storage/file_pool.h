/* file_pool.h - the threads that file_backend's requests run on. */
#ifndef STORAGE_FILE_POOL_H
#define STORAGE_FILE_POOL_H

#include "base/error.h"

#define FILE_POOL_THREADS 4

struct file_pool;

int file_pool_new(struct file_pool **pool, unsigned threads, struct vios_error *error);
/* When nothing is queued any more. NULL does nothing. */
void file_pool_free(struct file_pool *pool);

struct pool_job {
    void (*run)(struct pool_job *job); /* on a thread of the pool; may block */
    struct pool_job *next;
};

/* Any thread; the job must stay until it ran. */
void file_pool_add(struct file_pool *pool, struct pool_job *job);

#endif
