/*
 * lanes.h - where blocking work runs: a lane is a few named threads and a bounded queue. What
 * lasts (streams, and calls that wait for their job) gets a thread of its own, so that it cannot
 * fill a lane.
 */
#ifndef DAEMON_LANES_H
#define DAEMON_LANES_H

#include "base/error.h"

#include <stddef.h>

#define LANE_QUEUE_MAX 512
#define LANE_OWN_THREADS_MAX 128

struct lane;

struct lane_work {
    void (*run)(struct lane_work *work);
    struct lane_work *next;
};

/* `name` is at most 11 bytes; top shows it with the thread's number. */
int lane_start(struct lane **lane, const char *name, size_t threads, struct vios_error *error);

/* Runs `work` on one of the lane's threads. VIOS_E_NO_SPACE: the queue is full; nothing runs. */
int lane_submit(struct lane *lane, struct lane_work *work, struct vios_error *error);

/* Runs `work` on a thread of its own, which the lane counts. VIOS_E_NO_SPACE likewise. */
int lane_submit_own(struct lane *lane, struct lane_work *work, struct vios_error *error);

/* Runs what is queued, waits for all threads, frees the lane. */
void lane_stop(struct lane *lane);

#endif
