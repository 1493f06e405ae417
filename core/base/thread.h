/* thread.h - threads that signals do not reach: those are for the one that runs main's loop;
 * runners, which are threads that can be told to end; and conditions that are waited for with a
 * limit. */
#ifndef BASE_THREAD_H
#define BASE_THREAD_H

#include "base/operation.h"

#include <pthread.h>
#include <stdbool.h>

/* Starts one that blocks all signals but those of a crash (backtrace.h); `name` (15 bytes at most)
 * is what top shows. 0, or an errno when there can be no more threads. pthread_join() or
 * pthread_detach() it. */
int thread_start(pthread_t *thread, const char *name, void *(*run)(void *), void *argument);

/* A thread that ends soon after its cancel is triggered, which all its operations take. Zero it
 * first. */
struct runner {
    struct cancel *cancel;
    pthread_t thread;
    bool runs;
};

/* What fails is told as the failure of `object`; the runner is as before then. */
int runner_start(struct runner *runner, const char *name, void *(*run)(void *), void *argument,
                 const char *object, struct vios_error *error);

/* Waits for its end. One that does not run: nothing. */
void runner_stop(struct runner *runner);

/* A condition for condition_wait(). */
void condition_init(pthread_cond_t *condition);

/* pthread_cond_wait() for `limit_ms` at most, by a clock that nobody sets. */
void condition_wait(pthread_cond_t *condition, pthread_mutex_t *lock, int limit_ms);

#endif
