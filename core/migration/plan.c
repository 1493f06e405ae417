/* plan.c - see plan.h. */
#include "migration/plan.h"

#include <string.h>

static bool is_with_old_owner(const struct plan_facts *facts)
{
    return strcmp(facts->lpar->owner, facts->move->from) == 0 &&
           facts->lpar->owner_incarnation == facts->move->incarnation;
}

static enum plan next_with_old_owner(const struct plan_facts *facts)
{
    if (facts->lpar->wanted != LPAR_RUNNING) {
        return PLAN_DROP;
    }
    return facts->owner_free ? PLAN_TAKE : facts->owner_leaves ? PLAN_WAIT : PLAN_DROP;
}

/* A takeover is over when it has made its owner's record say that the guest does not run. */
static enum plan next_with_new_owner(const struct plan_facts *facts)
{
    if (facts->owner_free) {
        return PLAN_TAKE; /* a second failure */
    }
    bool runs = facts->lpar->wanted == LPAR_RUNNING && !facts->lpar->taken;
    return runs && !facts->owner_leaves ? PLAN_MOVED : PLAN_WAIT;
}

static enum plan next_without_owner(const struct plan_facts *facts)
{
    if (facts->lpar->wanted == LPAR_HIBERNATED) {
        return facts->saved ? PLAN_RESTART : PLAN_START;
    }
    return facts->lpar->generation > facts->move->generation ? PLAN_START : PLAN_DROP;
}

enum plan plan_next(const struct plan_facts *facts)
{
    if (!facts->lpar) {
        return PLAN_DROP;
    }
    if (facts->at_work) {
        return PLAN_WAIT;
    }
    if (!facts->lpar->owner[0]) {
        return next_without_owner(facts);
    }
    return is_with_old_owner(facts) ? next_with_old_owner(facts) : next_with_new_owner(facts);
}

const char *plan_why_dropped(const struct plan_facts *facts)
{
    return !facts->lpar                                                   ? "it was removed"
           : facts->lpar->owner[0] && facts->lpar->wanted == LPAR_RUNNING ? "its node stays"
                                                                          : "it was stopped";
}
