/* state_machine.c - moves that the table allows, each with its reason. */
#include "base/state_machine.h"

#include <assert.h>

#define STATES_MAX 64

void state_machine_start(struct state_machine *machine, const char *name,
                         const struct state_row *rows, size_t count, int state,
                         struct recorder *recorder)
{
    assert(count >= 1 && count <= STATES_MAX && state >= 0 && (size_t)state < count);
    *machine = (struct state_machine){
        .name = name, .rows = rows, .count = count, .state = state, .recorder = recorder};
}

bool state_machine_may(const struct state_machine *machine, int state)
{
    assert(state >= 0 && (size_t)state < machine->count);
    return machine->rows[machine->state].allowed & STATE_BIT(state);
}

void state_machine_move(struct state_machine *machine, int state, const char *reason)
{
    assert(state_machine_may(machine, state));
    int previous = machine->state;
    recorder_note(machine->recorder, "state", "%s: %s -> %s: %s", machine->name,
                  machine->rows[previous].name, machine->rows[state].name, reason);
    machine->state = state;
    assert(!machine->invariant || machine->invariant(machine, previous));
}

const char *state_machine_name(const struct state_machine *machine)
{
    return machine->rows[machine->state].name;
}
