/* Proves: each state of a remote restart follows from its facts, and all facts have one. */
#include "lpar/restart_state.h"
#include "tests/tap.h"

#define NONE RESTART_SAVED_NONE
#define CURRENT RESTART_SAVED_CURRENT
#define OTHER RESTART_SAVED_OTHER
#define IDLE RESTART_WORK_NONE
#define RESTART RESTART_WORK_RESTART
#define BUSY RESTART_WORK_OTHER

static const struct {
    const char *what;
    struct restart_facts facts; /* own_disk, owned, hibernated, saved, work, works_here */
    const char *state;
} ROWS[] = {
    {"it is stopped", {false, false, false, NONE, IDLE, false}, "Remote Restartable"},
    {"it runs", {false, true, false, NONE, IDLE, false}, "Remote Restartable"},
    {"it runs, on a file", {true, true, false, NONE, IDLE, false}, "Invalid"},
    {"it is being hibernated", {false, true, false, NONE, BUSY, true}, "Remote Restartable"},
    {"it is hibernated", {false, false, true, CURRENT, IDLE, false}, "Remote Restartable"},
    {"it is hibernated, on a file", {true, false, true, CURRENT, IDLE, false}, "Invalid"},
    {"its memory is void", {false, false, true, OTHER, IDLE, false}, "Invalid"},
    {"its memory is gone", {false, false, true, NONE, IDLE, false}, "Invalid"},
    {"void, and something goes on", {false, false, true, OTHER, BUSY, false}, "Invalid"},
    {"restarted elsewhere",
     {false, false, true, CURRENT, RESTART, false},
     "Source Remote Restarting"},
    {"restarted here",
     {false, false, true, CURRENT, RESTART, true},
     "Destination Remote Restarting"},
    {"restarted here, on a file",
     {true, false, true, CURRENT, RESTART, true},
     "Destination Remote Restarting"},
    {"committed here", {false, true, false, NONE, RESTART, true}, "Destination Remote Restarted"},
    {"committed elsewhere", {false, true, false, NONE, RESTART, false}, "Remote Restarted"},
    {"committed, and a file stayed",
     {false, true, false, OTHER, RESTART, false},
     "Remote Restarted"},
    {"a file stayed", {false, true, false, OTHER, IDLE, false}, "Local Storage Update Failed"},
    {"a file stayed, it is stopped",
     {false, false, false, OTHER, IDLE, false},
     "Local Storage Update Failed"},
    {"a file stayed, of one on a file",
     {true, true, false, OTHER, IDLE, false},
     "Local Storage Update Failed"},
    {"a start gives it up", {false, true, false, OTHER, BUSY, false}, "Remote Restartable"},
};

static void each_follows_from_its_facts(void)
{
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        const char *state = restart_state_name(restart_state(&ROWS[i].facts));
        ok(strcmp(state, ROWS[i].state) == 0, "%s: it is %s", ROWS[i].what, state);
    }
}

static void all_facts_have_one(void)
{
    for (unsigned bits = 0; bits < 16 * 9; bits++) {
        const struct restart_facts facts = {.own_disk = bits & 1,
                                            .owned = bits & 2,
                                            .hibernated = bits & 4,
                                            .works_here = bits & 8,
                                            .saved = (enum restart_saved)(bits / 16 % 3),
                                            .work = (enum restart_work)(bits / 48)};
        enum restart_state state = restart_state(&facts);
        ok(state < RESTART_STATES && restart_state_name(state)[0], "%u: there is none", bits);
    }
}

int main(void)
{
    RUN(each_follows_from_its_facts);
    RUN(all_facts_have_one);
    return tap_done();
}
