/* stub */
#ifndef SIM_GUEST_H
#define SIM_GUEST_H
#include "store/store.h"
#include "tests/sim/oracle.h"
#include "tests/sim/world.h"
void guest_judge_stopped(struct node *node, int64_t incarnation);
void guest_judge_commit(struct world *world, const struct store_change *changes, size_t count,
                        struct oracle_counts *counts);
void guests_new(struct world *world);
void guests_free(struct world *world);
bool guest_all_well(struct world *world, char why[200]);
#endif
