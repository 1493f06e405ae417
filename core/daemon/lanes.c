/* lanes.c - see lanes.h. */
#include "daemon/lanes.h"

#include "base/thread.h"

#include <assert.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LANE_THREADS_MAX 16

struct lane {
    char name[12];
    pthread_mutex_t lock;
    pthread_cond_t changed;
    pthread_t threads[LANE_THREADS_MAX];
    size_t thread_count;
    struct lane_work *first, **last;
    size_t queued;
    size_t own; /* threads of lane_submit_own that still run */
    bool stopping;
};

struct own_thread {
    struct lane *lane;
    struct lane_work *work;
};

static struct lane_work *lane_next(struct lane *lane)
{
    pthread_mutex_lock(&lane->lock);
    while (!lane->first && !lane->stopping) {
        pthread_cond_wait(&lane->changed, &lane->lock);
    }
    struct lane_work *work = lane->first;
    if (work) {
        lane->first = work->next;
        lane->last = lane->first ? lane->last : &lane->first;
        lane->queued--;
    }
    pthread_mutex_unlock(&lane->lock);
    return work;
}

static void *lane_run(void *argument)
{
    struct lane *lane = argument;
    struct lane_work *work;
    while ((work = lane_next(lane)) != NULL) {
        work->run(work);
    }
    return NULL;
}

int lane_start(struct lane **lane, const char *name, size_t threads, struct vios_error *error)
{
    assert(threads > 0 && threads <= LANE_THREADS_MAX);
    struct lane *made = calloc(1, sizeof *made);
    *lane = made;
    if (!made) {
        return error_no_memory(error, NULL);
    }
    snprintf(made->name, sizeof made->name, "%s", name);
    pthread_mutex_init(&made->lock, NULL);
    pthread_cond_init(&made->changed, NULL);
    made->last = &made->first;
    for (size_t i = 0; i < threads; i++) {
        char thread_name[16];
        snprintf(thread_name, sizeof thread_name, "%s%zu", made->name, i % 100);
        if (thread_start(&made->threads[i], thread_name, lane_run, made) != 0) {
            lane_stop(made);
            *lane = NULL;
            return error_set(error, VIOS_E_NO_SPACE, NULL, NULL, "no thread for lane %s", name);
        }
        made->thread_count++;
    }
    return VIOS_OK;
}

int lane_submit(struct lane *lane, struct lane_work *work, struct vios_error *error)
{
    pthread_mutex_lock(&lane->lock);
    bool taken = lane->queued < LANE_QUEUE_MAX && !lane->stopping;
    if (taken) {
        work->next = NULL;
        *lane->last = work;
        lane->last = &work->next;
        lane->queued++;
        pthread_cond_signal(&lane->changed);
    }
    pthread_mutex_unlock(&lane->lock);
    return taken ? VIOS_OK
                 : error_set(error, VIOS_E_NO_SPACE, NULL, "try again later",
                             "%d calls wait already", LANE_QUEUE_MAX);
}

static void own_ended(struct lane *lane)
{
    pthread_mutex_lock(&lane->lock);
    lane->own--;
    pthread_cond_broadcast(&lane->changed);
    pthread_mutex_unlock(&lane->lock);
}

static void *own_run(void *argument)
{
    struct own_thread own = *(struct own_thread *)argument;
    free(argument);
    own.work->run(own.work);
    own_ended(own.lane);
    return NULL;
}

int lane_submit_own(struct lane *lane, struct lane_work *work, struct vios_error *error)
{
    pthread_mutex_lock(&lane->lock);
    bool taken = lane->own < LANE_OWN_THREADS_MAX && !lane->stopping;
    lane->own += taken;
    pthread_mutex_unlock(&lane->lock);
    struct own_thread *own = taken ? malloc(sizeof *own) : NULL;
    pthread_t thread;
    if (own) {
        *own = (struct own_thread){.lane = lane, .work = work};
        if (thread_start(&thread, "call", own_run, own) == 0) {
            pthread_detach(thread);
            return VIOS_OK;
        }
        free(own);
    }
    if (taken) {
        own_ended(lane);
    }
    return error_set(error, VIOS_E_NO_SPACE, NULL, "end some of them",
                     "%d streams and waiting calls run already", LANE_OWN_THREADS_MAX);
}

void lane_stop(struct lane *lane)
{
    if (!lane) {
        return;
    }
    pthread_mutex_lock(&lane->lock);
    lane->stopping = true;
    pthread_cond_broadcast(&lane->changed);
    while (lane->own > 0) {
        pthread_cond_wait(&lane->changed, &lane->lock);
    }
    pthread_mutex_unlock(&lane->lock);
    for (size_t i = 0; i < lane->thread_count; i++) {
        pthread_join(lane->threads[i], NULL);
    }
    pthread_mutex_destroy(&lane->lock);
    pthread_cond_destroy(&lane->changed);
    free(lane);
}
