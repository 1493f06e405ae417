/*
 * mover.h - the primary's part in moving guests: it writes down which of them have to leave their
 * node, and then has a target do what is next for each, until it runs there or need not any more.
 *
 * Which: those that should run and could elsewhere (lpar_moves()), whose owner's incarnation is
 * fenced or on the losing side of a split, or whose owner is drained. Where: places_pick() of the
 * nodes that are up now. What fails is tried again after MOVER_PAUSE_MS, doubled each time up to
 * MOVER_PAUSE_MAX_MS, elsewhere if there is another place. At most MOVER_AT_ONCE are on their way.
 * In maintenance (`cluster set maintenance on`) nothing is moved.
 *
 * Every node has one; it does nothing while its node is not the primary.
 */
#ifndef MIGRATION_MOVER_H
#define MIGRATION_MOVER_H

#include "node/node.h"

#define MOVER_AT_ONCE 32
#define MOVER_PAUSE_MS 1000
#define MOVER_PAUSE_MAX_MS 30000

struct mover;

int mover_start(struct mover **mover, struct node *node, struct vios_error *error);
/* NULL does nothing. */
void mover_stop(struct mover *mover);

#endif
