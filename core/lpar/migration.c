/*
 * migration.c - see migration.h. The stream goes through a pipe whose other end QEMU is given; that
 * it closes its end is how the end of the stream is seen.
 */
#include "lpar/migration.h"

#include "base/json.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PIPE_SIZE (1024 * 1024)
#define NAME "state"          /* of the descriptor, in QEMU */
#define BANDWIDTH (1LL << 40) /* bytes a second: QEMU's own limit is made for networks */
#define SETTLE_MS 10000       /* until QEMU says what came of it */
#define SETTLE_LOOK_MS 5      /* it has no event that a command could wait for */

static int call(const struct migration_port *port, const char *command, json_t *arguments,
                struct operation *operation)
{
    return port->call(port->context, command, arguments, -1, NULL, operation);
}

/* Gives it one end of a new pipe, [1] when it is to write; the other one is ours. */
static int hand_over(const struct migration_port *port, int theirs, int *ours,
                     struct operation *operation)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) {
        return error_set_errno(&operation->error, "guest", "no pipe for its state");
    }
    (void)fcntl(ends[0], F_SETPIPE_SZ, PIPE_SIZE); /* a smaller one does, more slowly */
    int status = port->call(port->context, "getfd", json_pack("{s:s}", "fdname", NAME),
                            ends[theirs], NULL, operation);
    close(ends[theirs]);
    if (status != VIOS_OK) {
        close(ends[1 - theirs]);
        return status;
    }
    *ours = ends[1 - theirs];
    return VIOS_OK;
}

int migration_state(const struct migration_port *port, char state[MIGRATION_STATE_SIZE],
                    struct operation *operation)
{
    json_t *answer = NULL;
    int status = port->call(port->context, "query-migrate", NULL, -1, &answer, operation);
    snprintf(state, MIGRATION_STATE_SIZE, "%s", json_get_word(answer, "status"));
    json_decref(answer);
    return status;
}

/* Whether it waits before the end, and how fast it may be. */
static int set_up(const struct migration_port *port, bool live, struct operation *operation)
{
    int status = call(port, "migrate-set-capabilities",
                      json_pack("{s:[{s:s, s:b}, {s:s, s:b}]}", "capabilities", "capability",
                                "pause-before-switchover", "state", live, "capability",
                                "auto-converge", "state", live),
                      operation);
    return status == VIOS_OK
               ? call(port, "migrate-set-parameters",
                      json_pack("{s:I}", "max-bandwidth", (json_int_t)BANDWIDTH), operation)
               : status;
}

/* What QEMU says of it, once it is over: VIOS_OK, or VIOS_E_IO with its reason. */
static int outcome(const struct migration_port *port, const char *what, struct operation *operation)
{
    struct operation settling;
    int status = VIOS_OK;
    operation_start(&settling, SETTLE_MS, operation->cancel);
    while (status == VIOS_OK) {
        json_t *answer = NULL;
        status = port->call(port->context, "query-migrate", NULL, -1, &answer, &settling);
        const char *state = json_get_word(answer, "status");
        bool done = strcmp(state, "completed") == 0;
        if (strcmp(state, "failed") == 0 || strcmp(state, "cancelled") == 0) {
            const char *why = json_get_text(answer, "error-desc");
            status = operation_fail(&settling, VIOS_E_IO, "guest", NULL, "QEMU did not %s: %s",
                                    what, why ? why : state);
        }
        json_decref(answer);
        if (status == VIOS_OK && done) {
            return VIOS_OK;
        }
        if (status == VIOS_OK) {
            status = operation_sleep(&settling, SETTLE_LOOK_MS);
        }
    }
    operation->error = settling.error;
    return status;
}

/* --- out --- */

/* To the end of the stream; a NULL `sink` throws it away. */
static int drain(int descriptor, migration_sink *sink, void *context, struct operation *operation)
{
    char *data = malloc(PIPE_SIZE);
    int status = data ? VIOS_OK : operation_no_memory(operation, "guest");
    ssize_t got = 1;
    while (status == VIOS_OK && got > 0) {
        status = operation_wait(operation, descriptor, POLLIN);
        got = status == VIOS_OK ? read(descriptor, data, PIPE_SIZE) : 0;
        if (got < 0 && errno != EINTR) {
            status = error_set_errno(&operation->error, "guest", "its state cannot be read");
        } else if (got > 0 && sink) {
            status = sink(context, data, (size_t)got, operation);
        }
        got = got < 0 ? 1 : got;
    }
    free(data);
    return status;
}

/* So that nothing of it goes on when the guest does. */
static void give_up(const struct migration_port *port, int descriptor)
{
    struct operation ending;
    operation_start(&ending, SETTLE_MS, NULL);
    (void)call(port, "migrate_cancel", NULL, &ending);
    (void)drain(descriptor, NULL, NULL, &ending);
    (void)outcome(port, "save it", &ending);
}

/* QEMU writes to the descriptor from now on. */
static int begin(const struct migration_port *port, bool live, int *descriptor,
                 struct operation *operation)
{
    int status = set_up(port, live, operation);
    if (status == VIOS_OK) {
        status = hand_over(port, 1, descriptor, operation);
    }
    if (status == VIOS_OK) {
        status = call(port, "migrate", json_pack("{s:s}", "uri", "fd:" NAME), operation);
        if (status != VIOS_OK) {
            close(*descriptor);
            *descriptor = -1;
        }
    }
    return status;
}

int migration_save(const struct migration_port *port, migration_sink *sink, void *context,
                   struct operation *operation)
{
    int descriptor = -1;
    int status = begin(port, false, &descriptor, operation);
    if (status == VIOS_OK) {
        status = drain(descriptor, sink, context, operation);
        if (status == VIOS_OK) {
            status = outcome(port, "save it", operation);
        } else {
            give_up(port, descriptor);
        }
        close(descriptor);
    }
    return status;
}

/* --- out, while it runs --- */

int migration_begin(const struct migration_port *port, int *descriptor, struct operation *operation)
{
    return begin(port, true, descriptor, operation);
}

int migration_switch_over(const struct migration_port *port, struct operation *operation)
{
    return call(port, "migrate-continue", json_pack("{s:s}", "state", "pre-switchover"), operation);
}

int migration_sent(const struct migration_port *port, struct operation *operation)
{
    return outcome(port, "send it", operation);
}

static bool is_over(const char *state)
{
    static const char *const OVER[] = {"", "none", "completed", "failed", "cancelled"};
    size_t i = 0;
    while (i < sizeof OVER / sizeof *OVER && strcmp(state, OVER[i]) != 0) {
        i++;
    }
    return i < sizeof OVER / sizeof *OVER;
}

int migration_end(const struct migration_port *port, struct operation *operation)
{
    char state[MIGRATION_STATE_SIZE];
    int status = call(port, "migrate_cancel", NULL, operation);
    while (status == VIOS_OK) {
        status = migration_state(port, state, operation);
        if (status == VIOS_OK && is_over(state)) {
            return VIOS_OK;
        }
        if (status == VIOS_OK) {
            status = operation_sleep(operation, SETTLE_LOOK_MS);
        }
    }
    return status;
}

/* --- in --- */

int migration_load(const struct migration_port *port, migration_source *source, void *context,
                   struct operation *operation)
{
    int descriptor = -1;
    int status = hand_over(port, 0, &descriptor, operation);
    if (status != VIOS_OK) {
        return status;
    }
    status = call(port, "migrate-incoming", json_pack("{s:s}", "uri", "fd:" NAME), operation);
    if (status == VIOS_OK) {
        status = source(context, descriptor, operation);
    }
    close(descriptor);
    return status == VIOS_OK ? outcome(port, "load it", operation) : status;
}
