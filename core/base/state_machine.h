/*
 * state_machine.h - a lifecycle as a table: named states, the moves allowed, an invariant.
 * Every move is written to the flight recorder with its reason. A move that the table does
 * not allow is a defect of ours and aborts. After dqlite's src/lib/sm.h.
 */
#ifndef BASE_STATE_MACHINE_H
#define BASE_STATE_MACHINE_H

#include "base/recorder.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct state_row {
    const char *name;
    uint64_t allowed; /* bit i set: may move to state i */
};

#define STATE_BIT(state) (UINT64_C(1) << (state))

struct state_machine {
    const char *name;             /* "lpar web1", for the recorder; not owned */
    const struct state_row *rows; /* at most 64 */
    size_t count;
    int state;
    bool (*invariant)(const struct state_machine *, int previous); /* may be NULL */
    struct recorder *recorder;                                     /* may be NULL */
};

void state_machine_start(struct state_machine *machine, const char *name,
                         const struct state_row *rows, size_t count, int state,
                         struct recorder *recorder);
void state_machine_move(struct state_machine *machine, int state, const char *reason);
bool state_machine_may(const struct state_machine *machine, int state);
const char *state_machine_name(const struct state_machine *machine);

#endif
