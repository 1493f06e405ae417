/* test_plan.c - what is next for a guest that is to move, for each state that its records can be
 * in.
 */
#include "migration/plan.h"
#include "tests/tap.h"

static const struct move MOVE = {.name = "web1", .from = "n4", .incarnation = 1, .generation = 3};

static const struct row {
    const char *what;
    const char *owner; /* "n4": the one that it leaves, "N4": its next incarnation, "": nobody */
    enum lpar_wanted wanted;
    int generation;
    bool taken, at_work, free, leaves, saved;
    enum plan plan;
} ROWS[] = {
    {"its owner's time is not over", "n4", LPAR_RUNNING, 3, 0, 0, 0, 1, 0, PLAN_WAIT},
    {"it is being hibernated", "n4", LPAR_RUNNING, 3, 0, 1, 0, 1, 0, PLAN_WAIT},
    {"its owner's fence is free", "n4", LPAR_RUNNING, 3, 0, 0, 1, 1, 0, PLAN_TAKE},
    {"also when its save was unknown", "n4", LPAR_RUNNING, 4, 0, 0, 1, 1, 0, PLAN_TAKE},
    {"its owner stays after all", "n4", LPAR_RUNNING, 3, 0, 0, 0, 0, 0, PLAN_DROP},
    {"it is stopped there", "n4", LPAR_STOPPED, 3, 0, 0, 0, 1, 0, PLAN_DROP},
    {"a job of somebody who lives", "n4", LPAR_RUNNING, 3, 0, 1, 1, 1, 0, PLAN_WAIT},
    {"it is saved", "", LPAR_HIBERNATED, 3, 0, 0, 0, 0, 1, PLAN_RESTART},
    {"it is being restarted", "", LPAR_HIBERNATED, 3, 0, 1, 0, 0, 1, PLAN_WAIT},
    {"its file is no good", "", LPAR_HIBERNATED, 3, 0, 0, 0, 0, 0, PLAN_START},
    {"it was stopped before it could move", "", LPAR_STOPPED, 3, 0, 0, 0, 0, 0, PLAN_DROP},
    {"it is being taken over", "n1", LPAR_STOPPED, 4, 1, 0, 0, 0, 0, PLAN_WAIT},
    {"its disks are fenced", "n1", LPAR_STOPPED, 4, 0, 0, 0, 0, 0, PLAN_WAIT},
    {"it is taken over", "", LPAR_STOPPED, 4, 0, 0, 0, 0, 0, PLAN_START},
    {"it is being started", "n1", LPAR_RUNNING, 5, 0, 1, 0, 0, 0, PLAN_WAIT},
    {"it runs", "n1", LPAR_RUNNING, 5, 0, 0, 0, 0, 0, PLAN_MOVED},
    {"in the next incarnation of its node", "N4", LPAR_RUNNING, 5, 0, 0, 0, 0, 0, PLAN_MOVED},
    {"its new node is losing, too", "n1", LPAR_RUNNING, 5, 0, 0, 0, 1, 0, PLAN_WAIT},
    {"its new node is lost", "n1", LPAR_RUNNING, 5, 0, 0, 1, 1, 0, PLAN_TAKE},
    {"while it took it over", "n1", LPAR_STOPPED, 4, 1, 0, 1, 1, 0, PLAN_TAKE},
    {"while it started it", "n1", LPAR_STOPPED, 5, 0, 0, 1, 1, 0, PLAN_TAKE},
};

static void every_state_has_its_plan(void)
{
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        const struct row *row = &ROWS[i];
        bool again = row->owner[0] == 'N';
        struct lpar lpar = {.generation = row->generation,
                            .owner_incarnation = again ? 2 : 1,
                            .wanted = row->wanted,
                            .taken = row->taken};
        snprintf(lpar.owner, sizeof lpar.owner, "%s", again ? "n4" : row->owner);
        const struct plan_facts facts = {.move = &MOVE,
                                         .lpar = &lpar,
                                         .at_work = row->at_work,
                                         .owner_free = row->free,
                                         .owner_leaves = row->leaves,
                                         .saved = row->saved};
        ok(plan_next(&facts) == row->plan, "%s: plan %d", row->what, plan_next(&facts));
    }
}

static void what_is_dropped_is_explained(void)
{
    struct lpar lpar = {.owner = "n4", .owner_incarnation = 1, .wanted = LPAR_RUNNING};
    struct plan_facts facts = {.move = &MOVE};
    is_int(plan_next(&facts), PLAN_DROP);
    is_text(plan_why_dropped(&facts), "it was removed");
    facts.lpar = &lpar;
    is_int(plan_next(&facts), PLAN_DROP);
    is_text(plan_why_dropped(&facts), "its node stays");
    lpar.owner[0] = 0;
    lpar.wanted = LPAR_STOPPED;
    is_int(plan_next(&facts), PLAN_DROP);
    is_text(plan_why_dropped(&facts), "it was stopped");
}

int main(void)
{
    RUN(every_state_has_its_plan);
    RUN(what_is_dropped_is_explained);
    return tap_done();
}
