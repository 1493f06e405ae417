/* thread.c - see thread.h. A thread inherits the mask of its maker. */
#include "base/thread.h"

#include "base/backtrace.h"

#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

struct beginning {
    void *(*run)(void *);
    void *argument;
    char name[16];
};

/* The stack for a crash lies at the far end of the thread's own, which may be what overflows. */
static void *begin(void *context)
{
    char stack[BACKTRACE_STACK_SIZE];
    struct beginning beginning = *(struct beginning *)context;
    free(context);
    pthread_setname_np(pthread_self(), beginning.name);
    backtrace_use_stack(stack);
    void *result = beginning.run(beginning.argument);
    backtrace_use_stack(NULL);
    return result;
}

int thread_start(pthread_t *thread, const char *name, void *(*run)(void *), void *argument)
{
    sigset_t all, before;
    struct beginning *beginning = malloc(sizeof *beginning);
    if (!beginning) {
        return ENOMEM;
    }
    *beginning = (struct beginning){run, argument, ""};
    snprintf(beginning->name, sizeof beginning->name, "%s", name);
    sigfillset(&all);
    backtrace_let_through(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int failed = pthread_create(thread, NULL, begin, beginning);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (failed) {
        free(beginning);
    } else {
        pthread_setname_np(*thread, name); /* for who looks at once; it does so itself too */
    }
    return failed;
}

int runner_start(struct runner *runner, const char *name, void *(*run)(void *), void *argument,
                 const char *object, struct vios_error *error)
{
    runner->cancel = cancel_new();
    if (!runner->cancel) {
        return error_set(error, VIOS_E_NO_SPACE, object, NULL, "no descriptor for its thread");
    }
    if (thread_start(&runner->thread, name, run, argument) != 0) {
        cancel_free(runner->cancel);
        *runner = (struct runner){0};
        return error_set(error, VIOS_E_NO_SPACE, object, NULL, "no thread for it");
    }
    runner->runs = true;
    return VIOS_OK;
}

void runner_stop(struct runner *runner)
{
    if (runner->runs) {
        cancel_trigger(runner->cancel);
        pthread_join(runner->thread, NULL);
        cancel_free(runner->cancel);
        *runner = (struct runner){0};
    }
}

void condition_init(pthread_cond_t *condition)
{
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(condition, &monotonic);
    pthread_condattr_destroy(&monotonic);
}

void condition_wait(pthread_cond_t *condition, pthread_mutex_t *lock, int limit_ms)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += limit_ms % 1000 * 1000000L;
    until.tv_sec += limit_ms / 1000 + until.tv_nsec / 1000000000L;
    until.tv_nsec %= 1000000000L;
    pthread_cond_timedwait(condition, lock, &until);
}
