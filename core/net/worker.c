/*
 * worker.c - the thread of a worker: epoll, an inbox, timers, and deferred tasks.
 *
 * One turn of the loop: the events epoll has, the timers that are due, the inbox, and last what
 * these deferred. The inbox is a stack that posters push with compare-and-swap and the worker
 * takes whole, so posting never blocks; only the poster that finds it empty wakes the thread.
 * Timers stand in a list by due time: most are armed with the same delay, so a new one finds
 * its place at the end at once.
 */
#include "net/worker.h"

#include "base/clock.h"
#include "base/thread.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define EVENTS_MAX 64 /* fetched in one turn */

struct worker {
    pthread_t thread;
    int epoll;
    struct watch wake; /* an eventfd: the inbox is not empty */
    _Atomic(struct task *) inbox;
    struct task *deferred, **deferred_end;
    struct timer *first, *last; /* by due_ms */
    struct epoll_event events[EVENTS_MAX];
    int event_count, event_index; /* of those fetched last */
    struct task stop;
    bool stopping;
};

static _Thread_local struct worker *current;

bool worker_is_current(const struct worker *worker)
{
    return worker == current;
}

/* --- descriptors --- */

static int control(struct worker *worker, int what, struct watch *watch, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = watch};
    return epoll_ctl(worker->epoll, what, watch->fd, &event);
}

int worker_watch(struct worker *worker, struct watch *watch, uint32_t events,
                 struct vios_error *error)
{
    assert(worker_is_current(worker) && watch->ready);
    watch->events = events;
    if (control(worker, EPOLL_CTL_ADD, watch, events) != 0) {
        return error_set_errno(error, NULL, "epoll_ctl");
    }
    return VIOS_OK;
}

void worker_rewatch(struct worker *worker, struct watch *watch, uint32_t events)
{
    assert(worker_is_current(worker));
    if (watch->events != events) {
        watch->events = events;
        int status = control(worker, EPOLL_CTL_MOD, watch, events);
        assert(status == 0); /* only a watch that is not there fails */
        (void)status;
    }
}

void worker_unwatch(struct worker *worker, struct watch *watch)
{
    assert(worker_is_current(worker));
    control(worker, EPOLL_CTL_DEL, watch, 0);
    for (int i = worker->event_index; i < worker->event_count; i++) {
        if (worker->events[i].data.ptr == watch) {
            worker->events[i].data.ptr = NULL;
        }
    }
}

static void run_events(struct worker *worker, int timeout_ms)
{
    int count = epoll_wait(worker->epoll, worker->events, EVENTS_MAX, timeout_ms);
    assert(count >= 0 || errno == EINTR);
    worker->event_count = count;
    for (worker->event_index = 0; worker->event_index < count;) {
        struct epoll_event *event = &worker->events[worker->event_index++];
        struct watch *watch = event->data.ptr;
        if (watch) {
            watch->ready(watch, event->events);
        }
    }
    worker->event_count = worker->event_index = 0;
}

/* --- timers --- */

void worker_disarm(struct worker *worker, struct timer *timer)
{
    assert(worker_is_current(worker));
    if (!timer->armed) {
        return;
    }
    *(timer->previous ? &timer->previous->next : &worker->first) = timer->next;
    *(timer->next ? &timer->next->previous : &worker->last) = timer->previous;
    timer->next = timer->previous = NULL;
    timer->armed = false;
}

void worker_arm(struct worker *worker, struct timer *timer, int64_t due_ms)
{
    worker_disarm(worker, timer);
    struct timer *before = worker->last;
    while (before && before->due_ms > due_ms) {
        before = before->previous;
    }
    timer->due_ms = due_ms;
    timer->previous = before;
    timer->next = before ? before->next : worker->first;
    *(before ? &before->next : &worker->first) = timer;
    *(timer->next ? &timer->next->previous : &worker->last) = timer;
    timer->armed = true;
}

/* A timer that arms itself anew for a time already past waits for the next turn, so that the
 * others are not starved. */
static void run_timers(struct worker *worker)
{
    if (!worker->first) {
        return;
    }
    int64_t now_ms = clock_now_ms();
    struct timer *last_due = NULL;
    for (struct timer *timer = worker->first; timer && timer->due_ms <= now_ms;
         timer = timer->next) {
        last_due = timer;
    }
    for (bool more = last_due != NULL; more && worker->first && worker->first->due_ms <= now_ms;) {
        struct timer *timer = worker->first;
        more = timer != last_due;
        worker_disarm(worker, timer);
        timer->expired(timer);
    }
}

static int next_timeout_ms(const struct worker *worker)
{
    if (!worker->first) {
        return -1;
    }
    int64_t left = worker->first->due_ms - clock_now_ms();
    if (left <= 0) {
        return 0;
    }
    return left > INT_MAX ? INT_MAX : (int)left;
}

/* --- tasks --- */

void worker_post(struct worker *worker, struct task *task)
{
    struct task *head = atomic_load_explicit(&worker->inbox, memory_order_relaxed);
    do {
        task->next = head;
    } while (!atomic_compare_exchange_weak_explicit(&worker->inbox, &head, task,
                                                    memory_order_release, memory_order_relaxed));
    if (!head) {
        eventfd_write(worker->wake.fd, 1); /* fails only when it is full: awake all the same */
    }
}

void worker_defer(struct worker *worker, struct task *task)
{
    assert(worker_is_current(worker));
    task->next = NULL;
    *worker->deferred_end = task;
    worker->deferred_end = &task->next;
}

static void woken(struct watch *watch, uint32_t events)
{
    eventfd_t ignored;
    eventfd_read(watch->fd, &ignored);
    (void)events;
}

static void run_list(struct task *task)
{
    while (task) {
        struct task *next = task->next; /* the task may be posted again, or freed, as it runs */
        task->run(task);
        task = next;
    }
}

static void run_inbox(struct worker *worker)
{
    struct task *stack = atomic_exchange_explicit(&worker->inbox, NULL, memory_order_acquire);
    struct task *list = NULL;
    while (stack) {
        struct task *next = stack->next;
        stack->next = list;
        list = stack;
        stack = next;
    }
    run_list(list);
}

static void run_deferred(struct worker *worker)
{
    while (worker->deferred) {
        struct task *list = worker->deferred;
        worker->deferred = NULL;
        worker->deferred_end = &worker->deferred;
        run_list(list);
    }
}

/* --- the thread --- */

static void stop_now(struct task *task)
{
    (void)task;
    current->stopping = true;
}

void worker_turn(struct worker *worker, int timeout_ms)
{
    int due_ms = next_timeout_ms(worker);
    bool sooner = due_ms >= 0 && (timeout_ms < 0 || due_ms < timeout_ms);
    run_events(worker, sooner ? due_ms : timeout_ms);
    run_timers(worker);
    run_inbox(worker);
    run_deferred(worker);
}

static void *loop(void *argument)
{
    struct worker *worker = argument;
    current = worker;
    while (!worker->stopping) {
        worker_turn(worker, -1);
    }
    run_inbox(worker);
    run_deferred(worker);
    return NULL;
}

static void release(struct worker *worker)
{
    if (worker->wake.fd >= 0) {
        close(worker->wake.fd);
    }
    if (worker->epoll >= 0) {
        close(worker->epoll);
    }
    free(worker);
}

static struct worker *new_worker(struct vios_error *error)
{
    struct worker *worker = calloc(1, sizeof *worker);
    if (!worker) {
        error_set(error, VIOS_E_NO_SPACE, NULL, NULL, "no memory for a worker");
        return NULL;
    }
    worker->deferred_end = &worker->deferred;
    worker->stop.run = stop_now;
    worker->wake.ready = woken;
    worker->wake.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    worker->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (worker->wake.fd < 0 || worker->epoll < 0 ||
        control(worker, EPOLL_CTL_ADD, &worker->wake, EPOLLIN) != 0) {
        error_set_errno(error, NULL, "cannot start a worker");
        release(worker);
        return NULL;
    }
    return worker;
}

int worker_adopt(struct worker **out, struct vios_error *error)
{
    struct worker *worker = new_worker(error);
    if (!worker) {
        return error ? error->code : VIOS_E_SYSTEM;
    }
    current = worker;
    *out = worker;
    return VIOS_OK;
}

void worker_abandon(struct worker *worker)
{
    if (worker) {
        assert(worker_is_current(worker));
        current = NULL;
        release(worker);
    }
}

int worker_start(struct worker **out, const char *name, struct vios_error *error)
{
    struct worker *worker = new_worker(error);
    if (!worker) {
        return error ? error->code : VIOS_E_SYSTEM;
    }
    errno = thread_start(&worker->thread, name, loop, worker);
    if (errno != 0) {
        int status = error_set_errno(error, NULL, "cannot start worker \"%s\"", name);
        release(worker);
        return status;
    }
    *out = worker;
    return VIOS_OK;
}

void worker_stop(struct worker *worker)
{
    if (!worker) {
        return;
    }
    assert(!worker_is_current(worker));
    worker_post(worker, &worker->stop);
    pthread_join(worker->thread, NULL);
    release(worker);
}
