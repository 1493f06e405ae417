/* file_pool.c - a queue, and threads that take from it in order. */
#include "storage/file_pool.h"

#include "base/thread.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>

#define POOL_THREADS_MAX 64

struct file_pool {
    pthread_mutex_t lock;
    pthread_cond_t work;
    struct pool_job *first, *last;
    bool stopping;
    unsigned count;
    pthread_t threads[POOL_THREADS_MAX];
};

static struct pool_job *next_job(struct file_pool *pool)
{
    pthread_mutex_lock(&pool->lock);
    while (!pool->first && !pool->stopping) {
        pthread_cond_wait(&pool->work, &pool->lock);
    }
    struct pool_job *job = pool->first;
    if (job) {
        pool->first = job->next;
        if (!pool->first) {
            pool->last = NULL;
        }
    }
    pthread_mutex_unlock(&pool->lock);
    return job;
}

static void *serve(void *argument)
{
    struct pool_job *job;
    while ((job = next_job(argument))) {
        job->run(job);
    }
    return NULL;
}

void file_pool_add(struct file_pool *pool, struct pool_job *job)
{
    job->next = NULL;
    pthread_mutex_lock(&pool->lock);
    if (pool->last) {
        pool->last->next = job;
    } else {
        pool->first = job;
    }
    pool->last = job;
    pthread_cond_signal(&pool->work);
    pthread_mutex_unlock(&pool->lock);
}

int file_pool_new(struct file_pool **out, unsigned threads, struct vios_error *error)
{
    struct file_pool *pool = calloc(1, sizeof *pool);
    if (!pool) {
        return error_set(error, VIOS_E_NO_SPACE, NULL, NULL, "no memory for the pool");
    }
    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->work, NULL);
    int failed = 0;
    while (!failed && pool->count < threads && pool->count < POOL_THREADS_MAX) {
        failed = thread_start(&pool->threads[pool->count], "files", serve, pool);
        pool->count += !failed;
    }
    if (failed) {
        file_pool_free(pool);
        errno = failed;
        return error_set_errno(error, NULL, "cannot start the pool's threads");
    }
    *out = pool;
    return VIOS_OK;
}

void file_pool_free(struct file_pool *pool)
{
    if (!pool) {
        return;
    }
    pthread_mutex_lock(&pool->lock);
    pool->stopping = true;
    pthread_cond_broadcast(&pool->work);
    pthread_mutex_unlock(&pool->lock);
    for (unsigned i = 0; i < pool->count; i++) {
        pthread_join(pool->threads[i], NULL);
    }
    pthread_cond_destroy(&pool->work);
    pthread_mutex_destroy(&pool->lock);
    free(pool);
}
