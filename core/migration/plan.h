/*
 * plan.h - what is next for a guest that is to move, by the records alone: its own, its
 * hibernation's, and whether its owner is still one (DESIGN "Fencing"). Pure.
 *
 * It is asked again after each change. So it does not matter who did what came last, nor whether
 * who did it still lives: only what is in the VIOS DB counts.
 */
#ifndef MIGRATION_PLAN_H
#define MIGRATION_PLAN_H

#include "lpar/record.h"
#include "migration/move.h"

enum plan {
    PLAN_WAIT,    /* a job is at work on it, or its owner's time is not over */
    PLAN_TAKE,    /* its owner's fence is free: a target takes it over */
    PLAN_RESTART, /* nobody's, with its memory in a file: a target restarts it */
    PLAN_START,   /* nobody's: a target starts it from its disks */
    PLAN_MOVED,   /* it runs elsewhere */
    PLAN_DROP     /* nothing is left to do, see plan_why_dropped() */
};

struct plan_facts {
    const struct move *move;
    const struct lpar *lpar; /* NULL: it was removed */
    bool at_work;            /* a job that is not void holds it */
    bool owner_free;         /* the fence of the incarnation that owns it is free */
    bool owner_leaves;       /* that fence is closing, its split is lost, or it is drained */
    bool saved;              /* there is a hibernation of its generation that can be read */
};

enum plan plan_next(const struct plan_facts *facts);

/* For people. */
const char *plan_why_dropped(const struct plan_facts *facts);

#endif
