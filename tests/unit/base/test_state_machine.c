/* Proves: a machine moves as its table allows, notes each move, and aborts on any other. */
#include "base/file.h"
#include "base/state_machine.h"
#include "tests/tap.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

enum { IDLE, BUSY, DONE };

static const struct state_row ROWS[] = {
    {"idle", STATE_BIT(BUSY)},
    {"busy", STATE_BIT(IDLE) | STATE_BIT(DONE)},
    {"done", 0},
};

static bool never_from_busy_to_idle(const struct state_machine *machine, int previous)
{
    return !(previous == BUSY && machine->state == IDLE);
}

static void note_text(void *context, const struct recorder_entry *entry)
{
    snprintf(context, 200, "%s", entry->text);
}

static void moves_and_notes(void)
{
    char path[256], text[200] = "";
    struct recorder *recorder = NULL;
    struct state_machine machine;
    snprintf(path, sizeof path, "%s/ring", tap_folder());
    is_int(recorder_open(&recorder, path, 8, NULL), VIOS_OK);
    state_machine_start(&machine, "lpar web1", ROWS, 3, IDLE, recorder);
    is_text(state_machine_name(&machine), "idle");
    ok(state_machine_may(&machine, BUSY), "may become busy");
    ok(!state_machine_may(&machine, DONE), "may not be done at once");
    state_machine_move(&machine, BUSY, "asked to");
    is_text(state_machine_name(&machine), "busy");
    recorder_close(recorder);
    is_int(recorder_read(path, note_text, text, NULL), VIOS_OK);
    is_text(text, "lpar web1: idle -> busy: asked to");
}

/* Runs `move` in a child; true when it aborts. */
static bool aborts(void (*move)(struct state_machine *))
{
    int status = 0;
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        struct rlimit none = {0, 0};
        struct state_machine machine;
        setrlimit(RLIMIT_CORE, &none);
        if (!freopen("/dev/null", "w", stderr)) {
            _exit(1);
        }
        state_machine_start(&machine, "test", ROWS, 3, IDLE, NULL);
        machine.invariant = never_from_busy_to_idle;
        move(&machine);
        _exit(0);
    }
    waitpid(pid, &status, 0);
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
}

static void allowed(struct state_machine *machine)
{
    state_machine_move(machine, BUSY, "");
    state_machine_move(machine, DONE, "");
}

static void not_in_the_table(struct state_machine *machine)
{
    state_machine_move(machine, DONE, "");
}

static void against_the_invariant(struct state_machine *machine)
{
    state_machine_move(machine, BUSY, "");
    state_machine_move(machine, IDLE, "");
}

static void aborts_on_what_must_not_be(void)
{
    ok(!aborts(allowed), "an allowed path");
    ok(aborts(not_in_the_table), "a move that is not in the table");
    ok(aborts(against_the_invariant), "a broken invariant");
}

int main(void)
{
    RUN(moves_and_notes);
    RUN(aborts_on_what_must_not_be);
    file_remove_tree(tap_folder(), NULL);
    return tap_done();
}
