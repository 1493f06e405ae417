/* limited.c - see limited.h. */
#include "ffdc/limited.h"

#include "base/clock.h"
#include "base/thread.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#define LOOK_MS 100 /* whether the caller was cancelled meanwhile */

struct limited {
    atomic_int holders;
    atomic_int hanging;
};

struct running {
    struct limited *limited;
    struct limited_work work;
    struct operation operation; /* the thread's */
    struct cancel *cancel;
    pthread_mutex_t lock;
    pthread_cond_t done;
    int status;
    bool ended;    /* the thread is done */
    bool given_up; /* the caller is gone: the thread frees this */
};

struct limited *limited_new(void)
{
    struct limited *limited = calloc(1, sizeof *limited);
    if (limited) {
        atomic_init(&limited->holders, 1);
    }
    return limited;
}

void limited_free(struct limited *limited)
{
    if (limited && atomic_fetch_sub(&limited->holders, 1) == 1) {
        free(limited);
    }
}

static void free_running(struct running *running)
{
    struct limited *limited = running->limited;
    cancel_free(running->cancel);
    pthread_cond_destroy(&running->done);
    pthread_mutex_destroy(&running->lock);
    free(running);
    limited_free(limited);
}

static void *run(void *argument)
{
    struct running *running = argument;
    int status = running->work.run(running->work.context, &running->operation);
    running->work.release(running->work.context);
    pthread_mutex_lock(&running->lock);
    running->status = status;
    running->ended = true;
    bool given_up = running->given_up;
    pthread_cond_signal(&running->done);
    pthread_mutex_unlock(&running->lock);
    if (given_up) {
        atomic_fetch_sub(&running->limited->hanging, 1);
        free_running(running);
    }
    return NULL;
}

static struct running *running_new(struct limited *limited, const struct limited_work *work)
{
    struct running *running = calloc(1, sizeof *running);
    struct cancel *cancel = cancel_new();
    if (!running || !cancel) {
        free(running);
        cancel_free(cancel);
        return NULL;
    }
    atomic_fetch_add(&limited->holders, 1);
    running->limited = limited;
    running->work = *work;
    running->cancel = cancel;
    pthread_mutex_init(&running->lock, NULL);
    condition_init(&running->done);
    operation_start(&running->operation, work->limit_ms, cancel);
    return running;
}

/* True: it ended, and nobody else holds it any more. */
static bool await(struct running *running, struct operation *operation)
{
    pthread_mutex_lock(&running->lock);
    while (!running->ended && clock_now_ms() < running->operation.deadline_ms &&
           operation_check(operation) == VIOS_OK) {
        condition_wait(&running->done, &running->lock, LOOK_MS);
    }
    bool ended = running->ended;
    running->given_up = !ended;
    if (!ended) {
        atomic_fetch_add(&running->limited->hanging, 1);
        cancel_trigger(running->cancel); /* before it may be freed */
    }
    pthread_mutex_unlock(&running->lock);
    return ended;
}

int limited_run(struct limited *limited, const struct limited_work *work,
                struct operation *operation)
{
    pthread_t thread;
    struct running *running = NULL;
    if (atomic_load(&limited->hanging) >= LIMITED_HANGING_MAX) {
        work->release(work->context);
        return operation_fail(operation, VIOS_E_TIMEOUT, work->name, "look at its mounts",
                              "%d of such work hang on this node", LIMITED_HANGING_MAX);
    }
    running = running_new(limited, work);
    if (!running || thread_start(&thread, work->name, run, running) != 0) {
        if (running) {
            free_running(running);
        }
        work->release(work->context);
        return operation_no_memory(operation, work->name);
    }
    pthread_detach(thread);
    if (!await(running, operation)) {
        return operation_fail(operation, VIOS_E_TIMEOUT, work->name, NULL,
                              "it was given up after %lld ms", (long long)work->limit_ms);
    }
    int status = running->status;
    if (status != VIOS_OK) {
        operation->error = running->operation.error;
    }
    free_running(running);
    return status;
}
