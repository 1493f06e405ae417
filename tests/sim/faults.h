/* faults.h - makes the swarm's list of faults happen, and their end. */
#ifndef SIM_FAULTS_H
#define SIM_FAULTS_H

#include "tests/sim/world.h"

void faults_arrange(struct world *world);

/* All that was broken is repaired: from here on the world is calm. */
void faults_end(struct world *world);

#endif
