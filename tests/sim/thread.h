/* thread.h - simulated threads: code that may stop between any two of its steps, while the world
 * goes on. Each has a stack of its own; one runs at a time, and only when it is told to. */
#ifndef SIM_THREAD_H
#define SIM_THREAD_H

#include <stdbool.h>

struct thread;

/* Made, not yet running. */
struct thread *thread_new(void (*run)(void *context), void *context);

/* Runs until it yields or ends. True: it has ended, and is gone. */
bool thread_resume(struct thread *thread);

/* From inside: back to whoever resumed it. */
void thread_yield(void);

/* The process died: what it was doing never goes on. */
void thread_abandon(struct thread *thread);

#endif
