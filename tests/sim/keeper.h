/* stub */
#ifndef SIM_KEEPER_H
#define SIM_KEEPER_H
#include "tests/sim/world.h"
void keeper_start(struct node *node);
void keeper_stop(struct node *node);
void keeper_serves(struct node *node);
bool keeper_drain(struct node *node);
void keeper_crash(struct node *node);
void keeper_resumed(struct node *node);
void keeper_look_at_time(struct node *node);
void keeper_administer(struct world *world, const struct fault *fault);
void keeper_want_all(struct world *world);
#endif
