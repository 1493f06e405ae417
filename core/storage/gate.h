/*
 * gate.h - until when this node may touch what others may take over (DESIGN "The gate").
 *
 * Starts closed. The daemon moves it by `serve`: open until `until_stop`, and writes still in
 * flight at `until_kill` cost the process its life, by a kernel timer that also ends a stopped
 * one. Who writes enters first and leaves after; who replies looks again. Times are
 * CLOCK_BOOTTIME in milliseconds.
 */
#ifndef STORAGE_GATE_H
#define STORAGE_GATE_H

#include "base/error.h"
#include "net/worker.h"

#include <stdbool.h>
#include <stdint.h>

struct gate;

/* The clock and the timer, so that a test can supply its own. */
struct gate_operations {
    int64_t (*now_ms)(void *context);
    void (*arm)(void *context, int64_t kill_ms); /* again: moved */
    void (*disarm)(void *context);
    void *context;
};

/* Called on the gate's own thread when it has opened or closed: must not block for long. */
struct gate_hooks {
    void (*changed)(void *context, bool open);
    void *context;
};

/* Somebody who waits for the gate to open. Embedded in its owner's; may wait again once run. */
struct gate_waiter {
    struct task task;      /* `run` is set by the owner */
    struct worker *worker; /* on which it runs */
    struct gate_waiter *next;
    bool waiting; /* listed, or its task is on its way */
};

/* `operations` NULL: the real ones. */
int gate_new(struct gate **gate, const struct gate_operations *operations,
             const struct gate_hooks *hooks, struct vios_error *error);
void gate_free(struct gate *gate);

/* Any thread. VIOS_E_INVALID when until_kill is before until_stop. */
int gate_serve(struct gate *gate, int64_t until_stop_ms, int64_t until_kill_ms,
               struct vios_error *error);

/* Looks at the clock. Any thread. */
bool gate_is_open(const struct gate *gate);

/* Before a write: counts it in, arms the timer, then checks. False: closed, nothing is counted. Any
 * thread. */
bool gate_enter(struct gate *gate);
/* After it; the timer is disarmed when none is left. */
void gate_leave(struct gate *gate);

/* Before an answer leaves: looks again. False: it waits until the gate opens. Any thread. */
bool gate_may_answer(const struct gate *gate);

/* Posts the waiter's task when the gate is open, perhaps at once. Any thread. */
void gate_wait(struct gate *gate, struct gate_waiter *waiter);

/* The first thing that its task does, before it looks at what waits. */
void gate_waiter_called(struct gate *gate, struct gate_waiter *waiter);

struct gate_state {
    bool open;
    int64_t until_stop_ms, until_kill_ms;
    unsigned in_flight;
};
void gate_state(struct gate *gate, struct gate_state *state);

#endif
