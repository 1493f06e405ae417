/*
 * keeper.h - the part of a node's daemon that keeps its guests: it looks at the records, and
 * starts, takes over, hibernates, restores and gives up guests by the real ownership machine
 * (core/cluster/ownership.h). On the primary it also says who shall take what others left.
 */
#ifndef SIM_KEEPER_H
#define SIM_KEEPER_H

#include "tests/sim/world.h"

void keepers_new(struct world *world);
void keepers_free(struct world *world);

void keeper_begin(struct node *node);  /* the daemon begins */
void keeper_start(struct node *node);  /* it has an agent */
void keeper_stop(struct node *node);   /* it died */
void keeper_crash(struct node *node);  /* with its machine */
void keeper_serves(struct node *node); /* its time grew */

/* Whoever runs of daemon and io stops the guests when the time is over: after each thaw first. */
void keeper_look_at_time(struct node *node);
void keeper_resumed(struct node *node); /* the machine */

/* The node is fenced: its guests are killed, what was going on is given up. True: io has drained.
 */
bool keeper_drain(struct node *node);

/* What an administrator asks for. */
void keeper_administer(struct world *world, const struct fault *fault);

#endif
