/*
 * worker.h - a thread of the data plane: one epoll set, timers, and an inbox.
 *
 * Everything that belongs to a worker (its connections, and the exports whose home it is) is
 * touched by its thread only, so nothing there needs a lock. Other threads hand it tasks.
 * All structs are embedded in their owner's and never allocated here.
 */
#ifndef NET_WORKER_H
#define NET_WORKER_H

#include "base/error.h"

#include <stdbool.h>
#include <stdint.h>

struct worker;

struct watch {                                           /* a descriptor of interest */
    void (*ready)(struct watch *watch, uint32_t events); /* EPOLLIN, EPOLLOUT, ... */
    int fd;
    uint32_t events; /* as told to epoll last */
};

struct task { /* work handed over; may be posted again once it runs */
    void (*run)(struct task *task);
    struct task *next;
};

struct timer {
    void (*expired)(struct timer *timer);
    int64_t due_ms; /* clock_now_ms() */
    bool armed;
    struct timer *next, *previous;
};

/* Starts the thread. `name` (15 bytes at most) is what top shows. */
int worker_start(struct worker **worker, const char *name, struct vios_error *error);

/* Runs what is in the inbox, then ends the thread and frees the worker. */
void worker_stop(struct worker *worker);

/* From any thread; tasks of one poster run in order. Never blocks, never fails. */
void worker_post(struct worker *worker, struct task *task);

/* True on the worker's own thread. */
bool worker_is_current(const struct worker *worker);

/* The rest only on the worker's own thread. */
int worker_watch(struct worker *worker, struct watch *watch, uint32_t events,
                 struct vios_error *error);
void worker_rewatch(struct worker *worker, struct watch *watch, uint32_t events);
/* After this `ready` is not called again, not even for events already fetched. */
void worker_unwatch(struct worker *worker, struct watch *watch);
void worker_arm(struct worker *worker, struct timer *timer, int64_t due_ms);
void worker_disarm(struct worker *worker, struct timer *timer);

/* Runs `task` once before the worker next sleeps: for flushing what a batch gathered. */
void worker_defer(struct worker *worker, struct task *task);

/* For tests and fuzz targets: the calling thread is the worker, which runs only in worker_turn:
 * one turn of the loop, waiting at most `timeout_ms` (-1: for ever) for something to do. */
int worker_adopt(struct worker **worker, struct vios_error *error);
void worker_turn(struct worker *worker, int timeout_ms);
void worker_abandon(struct worker *worker);

#endif
