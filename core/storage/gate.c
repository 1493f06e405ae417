/*
 * gate.c - a mutex over the counts and the timer, and a worker of its own that notices T.
 *
 * The order in gate_enter matters: count, arm, and only then check. A process frozen anywhere
 * behind the arming is killed in time; one frozen before it finds the gate closed.
 */
#include "storage/gate.h"

#include "base/clock.h"

#include <assert.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <time.h>

struct gate {
    struct gate_operations operations;
    struct gate_hooks hooks;
    timer_t kill_timer; /* when the operations are the real ones */
    bool has_timer;

    pthread_mutex_t lock; /* of all below */
    _Atomic int64_t until_stop_ms;
    int64_t until_kill_ms;
    unsigned in_flight;
    bool posted; /* `look` is in the inbox */
    struct gate_waiter *waiters;

    struct worker *worker;
    struct task look;
    struct timer close_timer;
    bool told_open; /* what the hook said last; the worker's own */
};

#define gate_of(pointer, member) ((struct gate *)((char *)(pointer)-offsetof(struct gate, member)))

/* --- the real clock and timer --- */

static int64_t real_now_ms(void *context)
{
    (void)context;
    return clock_now_ms();
}

static void set_timer(struct gate *gate, int64_t at_ms)
{
    struct itimerspec at = {
        .it_value = {.tv_sec = at_ms / 1000, .tv_nsec = at_ms % 1000 * 1000000},
    };
    int status = timer_settime(gate->kill_timer, TIMER_ABSTIME, &at, NULL);
    assert(status == 0);
    (void)status;
}

static void real_arm(void *context, int64_t kill_ms)
{
    set_timer(context, kill_ms > 0 ? kill_ms : 1); /* 0 would disarm */
}

static void real_disarm(void *context)
{
    set_timer(context, 0);
}

static int use_real_operations(struct gate *gate, struct vios_error *error)
{
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGKILL};
    gate->operations =
        (struct gate_operations){real_now_ms, real_arm, real_disarm, .context = gate};
    if (timer_create(CLOCK_BOOTTIME, &event, &gate->kill_timer) != 0) {
        return error_set_errno(error, "gate", "timer_create");
    }
    gate->has_timer = true;
    return VIOS_OK;
}

static int64_t now_ms(const struct gate *gate)
{
    return gate->operations.now_ms(gate->operations.context);
}

/* --- noticing --- */

bool gate_is_open(const struct gate *gate)
{
    return now_ms(gate) < atomic_load(&gate->until_stop_ms);
}

static struct gate_waiter *take_waiters(struct gate *gate)
{
    pthread_mutex_lock(&gate->lock);
    gate->posted = false;
    struct gate_waiter *waiters = gate_is_open(gate) ? gate->waiters : NULL;
    if (waiters) {
        gate->waiters = NULL;
    }
    pthread_mutex_unlock(&gate->lock);
    return waiters;
}

static void look(struct gate *gate)
{
    struct gate_waiter *waiters = take_waiters(gate);
    while (waiters) {
        struct gate_waiter *next = waiters->next;
        worker_post(waiters->worker, &waiters->task);
        waiters = next;
    }
    bool open = gate_is_open(gate);
    if (open) {
        worker_arm(gate->worker, &gate->close_timer, atomic_load(&gate->until_stop_ms));
    }
    if (open != gate->told_open) {
        gate->told_open = open;
        if (gate->hooks.changed) {
            gate->hooks.changed(gate->hooks.context, open);
        }
    }
}

static void look_task(struct task *task)
{
    look(gate_of(task, look));
}

static void close_time(struct timer *timer)
{
    look(gate_of(timer, close_timer));
}

/* With the lock held. */
static void post_look(struct gate *gate)
{
    if (!gate->posted) {
        gate->posted = true;
        worker_post(gate->worker, &gate->look);
    }
}

/* --- the interface --- */

int gate_new(struct gate **out, const struct gate_operations *operations,
             const struct gate_hooks *hooks, struct vios_error *error)
{
    struct gate *gate = calloc(1, sizeof *gate);
    if (!gate) {
        return error_set(error, VIOS_E_NO_SPACE, NULL, NULL, "no memory for the gate");
    }
    pthread_mutex_init(&gate->lock, NULL);
    gate->look.run = look_task;
    gate->close_timer.expired = close_time;
    if (hooks) {
        gate->hooks = *hooks;
    }
    int status = VIOS_OK;
    if (operations) {
        gate->operations = *operations;
    } else {
        status = use_real_operations(gate, error);
    }
    if (status == VIOS_OK) {
        status = worker_start(&gate->worker, "gate", error);
    }
    if (status != VIOS_OK) {
        gate_free(gate);
        return status;
    }
    *out = gate;
    return VIOS_OK;
}

void gate_free(struct gate *gate)
{
    if (!gate) {
        return;
    }
    worker_stop(gate->worker);
    if (gate->has_timer) {
        timer_delete(gate->kill_timer);
    }
    pthread_mutex_destroy(&gate->lock);
    free(gate);
}

int gate_serve(struct gate *gate, int64_t until_stop_ms, int64_t until_kill_ms,
               struct vios_error *error)
{
    if (until_stop_ms < 0 || until_kill_ms < until_stop_ms) {
        return error_set(error, VIOS_E_INVALID, "gate", "give 0 <= until_stop <= until_kill",
                         "the times are out of order");
    }
    pthread_mutex_lock(&gate->lock);
    atomic_store(&gate->until_stop_ms, until_stop_ms);
    gate->until_kill_ms = until_kill_ms;
    if (gate->in_flight > 0) {
        gate->operations.arm(gate->operations.context, until_kill_ms);
    }
    post_look(gate);
    pthread_mutex_unlock(&gate->lock);
    return VIOS_OK;
}

bool gate_enter(struct gate *gate)
{
    if (!gate_is_open(gate)) {
        return false; /* so that a lapsed time to kill is not armed for nothing */
    }
    pthread_mutex_lock(&gate->lock);
    if (gate->in_flight++ == 0) {
        gate->operations.arm(gate->operations.context, gate->until_kill_ms);
    }
    pthread_mutex_unlock(&gate->lock);
    if (gate_is_open(gate)) {
        return true;
    }
    gate_leave(gate);
    return false;
}

void gate_leave(struct gate *gate)
{
    pthread_mutex_lock(&gate->lock);
    assert(gate->in_flight > 0);
    if (--gate->in_flight == 0) {
        gate->operations.disarm(gate->operations.context);
    }
    pthread_mutex_unlock(&gate->lock);
}

bool gate_may_answer(const struct gate *gate)
{
    return gate_is_open(gate);
}

void gate_wait(struct gate *gate, struct gate_waiter *waiter)
{
    pthread_mutex_lock(&gate->lock);
    if (!waiter->waiting) {
        waiter->waiting = true;
        waiter->next = gate->waiters;
        gate->waiters = waiter;
    }
    if (gate_is_open(gate)) {
        post_look(gate);
    }
    pthread_mutex_unlock(&gate->lock);
}

void gate_waiter_called(struct gate *gate, struct gate_waiter *waiter)
{
    pthread_mutex_lock(&gate->lock);
    waiter->waiting = false;
    pthread_mutex_unlock(&gate->lock);
}

void gate_state(struct gate *gate, struct gate_state *state)
{
    pthread_mutex_lock(&gate->lock);
    state->open = gate_is_open(gate);
    state->until_stop_ms = atomic_load(&gate->until_stop_ms);
    state->until_kill_ms = gate->until_kill_ms;
    state->in_flight = gate->in_flight;
    pthread_mutex_unlock(&gate->lock);
}
