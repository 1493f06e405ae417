/* worker.h - the workers of core/net/worker.h as events of a simulated process: the gate has one
 * thread of its own, and wakes others. */
#ifndef SIM_WORKER_H
#define SIM_WORKER_H

#include "net/worker.h"
#include "tests/sim/world.h"

/* The next worker_start() is called by that process. */
void sim_worker_for(struct process *process);

/* A worker of the process, to post to; it is not stopped. */
struct worker *sim_worker(struct process *process);

#endif
