/* thread.h - threads that signals do not reach: those are for the one that runs main's loop; and
 * conditions that are waited for with a limit. */
#ifndef BASE_THREAD_H
#define BASE_THREAD_H

#include <pthread.h>

/* Starts one that blocks all signals; `name` (15 bytes at most) is what top shows. 0, or an errno
 * when there can be no more threads. pthread_join() or pthread_detach() it. */
int thread_start(pthread_t *thread, const char *name, void *(*run)(void *), void *argument);

/* A condition for condition_wait(). */
void condition_init(pthread_cond_t *condition);

/* pthread_cond_wait() for `limit_ms` at most, by a clock that nobody sets. */
void condition_wait(pthread_cond_t *condition, pthread_mutex_t *lock, int limit_ms);

#endif
