/* thread.c - see thread.h: ucontext, with stacks that are used again. */
#include "tests/sim/thread.h"

#include "tests/sim/world.h"

#include <assert.h>
#include <stdlib.h>
#include <ucontext.h>

#define STACK_SIZE (64 * 1024)

struct thread {
    ucontext_t inside, outside;
    void (*run)(void *context);
    void *context;
    bool ended;
    struct thread *next; /* unused ones */
    char *stack;
};

static struct thread *unused, *current;

static void begin(void)
{
    struct thread *thread = current;
    thread->run(thread->context);
    thread->ended = true;
}

/* Not inlined: what it changes would be live across getcontext, which returns twice. */
__attribute__((noinline)) static struct thread *take(void)
{
    struct thread *thread = unused;
    if (thread) {
        unused = thread->next;
        return thread;
    }
    thread = sim_alloc(sizeof *thread);
    thread->stack = malloc(STACK_SIZE);
    assert(thread->stack);
    return thread;
}

struct thread *thread_new(void (*run)(void *context), void *context)
{
    struct thread *const thread = take();
    thread->run = run;
    thread->context = context;
    thread->ended = false;
    getcontext(&thread->inside);
    thread->inside.uc_stack.ss_sp = thread->stack;
    thread->inside.uc_stack.ss_size = STACK_SIZE;
    thread->inside.uc_link = &thread->outside;
    makecontext(&thread->inside, begin, 0);
    return thread;
}

void thread_abandon(struct thread *thread)
{
    thread->next = unused;
    unused = thread;
}

bool thread_resume(struct thread *thread)
{
    assert(!current);
    current = thread;
    swapcontext(&thread->outside, &thread->inside);
    current = NULL;
    if (thread->ended) {
        thread_abandon(thread);
        return true;
    }
    return false;
}

void thread_yield(void)
{
    assert(current);
    swapcontext(&current->inside, &current->outside);
}
