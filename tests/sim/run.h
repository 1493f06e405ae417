/* run.h - one seed from its beginning to its end, and a failing one made smaller. */
#ifndef SIM_RUN_H
#define SIM_RUN_H

#include "tests/sim/oracle.h"
#include "tests/sim/swarm.h"

struct run_result {
    bool failed;
    char failure[400];
    int64_t lasted_us; /* simulated */
    struct oracle_counts counts;
};

/* `trace`: 0 nothing, 1 the last events when it fails, 2 all of them as they happen. */
void run_seed(uint64_t seed, const struct swarm_cut *cut, int trace, struct run_result *result);

/* Leaves out features and faults for as long as the run still fails. */
void run_shrink(uint64_t seed, struct swarm_cut *cut, const char *failure);

#endif
