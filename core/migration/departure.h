/*
 * departure.h - the part of the node that guests are to leave (move.h): while it still may, it
 * hibernates them, so that they go on elsewhere with their memory (MISSION §4.7).
 *
 * The smallest first, DEPARTURE_AT_ONCE at a time: of what there is too little time for, the most
 * guests are saved. Whoever is not saved in time runs on until the node's own time is over, as a
 * guest does on a node that is lost at once, and goes on from its disks. What fails is tried again
 * after DEPARTURE_PAUSE_MS.
 */
#ifndef MIGRATION_DEPARTURE_H
#define MIGRATION_DEPARTURE_H

#include "node/node.h"

#define DEPARTURE_AT_ONCE 4
#define DEPARTURE_PAUSE_MS 5000

struct departure;

int departure_start(struct departure **departure, struct node *node, struct vios_error *error);
/* NULL does nothing. */
void departure_stop(struct departure *departure);

#endif
