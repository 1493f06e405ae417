/* file_pool.h - the threads that file_backend's requests run on. */
#ifndef STORAGE_FILE_POOL_H
#define STORAGE_FILE_POOL_H

struct file_pool;

struct pool_job {
    void (*run)(struct pool_job *job); /* on a thread of the pool; may block */
    struct pool_job *next;
};

/* Any thread; the job must stay until it ran. */
void file_pool_add(struct file_pool *pool, struct pool_job *job);

#endif
