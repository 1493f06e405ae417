/* methods.c - the table of methods; lpar.list, show and console; and the part itself. */
#include "lpar/adapters.h"
#include "lpar/adopt.h"
#include "lpar/cleanup.h"
#include "lpar/control.h"
#include "lpar/create.h"
#include "lpar/describe.h"
#include "lpar/guest.h"
#include "lpar/hibernate.h"
#include "lpar/hibernations.h"
#include "lpar/incoming.h"
#include "lpar/jobs.h"
#include "lpar/lookup.h"
#include "lpar/lpar.h"
#include "lpar/migrate.h"
#include "lpar/paging_device.h"
#include "lpar/place.h"
#include "lpar/recover.h"
#include "lpar/remove.h"
#include "lpar/resize.h"
#include "lpar/restart.h"
#include "lpar/takeover.h"
#include "lpar/validations.h"
#include "lpar/view.h"
#include "node/others.h"
#include "paging/paging.h"

#include "base/json.h"
#include "base/log.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TYPED_MAX 4096 /* bytes taken from a viewer at once */
#define PART_STOP_MS 10000

static int call_list(struct call *call, const json_t *parameters, json_t **result,
                     struct operation *operation)
{
    struct store *store = NULL;
    (void)parameters;
    int status = node_store(call->node, &store, operation);
    if (status == VIOS_OK) {
        status = view_list(call->node, store, result, operation);
        node_store_return(call->node, store);
    }
    return status;
}

static int call_names(struct call *call, const json_t *parameters, json_t **result,
                      struct operation *operation)
{
    struct store *store = NULL;
    const char *prefix = json_get_text(parameters, "prefix");
    int status = node_store(call->node, &store, operation);
    if (status == VIOS_OK) {
        status = view_names(store, prefix ? prefix : "", result, operation);
        node_store_return(call->node, store);
    }
    return status;
}

static int call_show(struct call *call, const json_t *parameters, json_t **result,
                     struct operation *operation)
{
    struct store *store = NULL;
    int status = node_store(call->node, &store, operation);
    if (status == VIOS_OK) {
        status = view_show(call->node, store, json_get_text(parameters, "name"), result, operation);
        node_store_return(call->node, store);
    }
    if (status == VIOS_OK) {
        status = adapters_add(call->node, json_get_text(parameters, "name"), *result, operation);
    }
    return status;
}

/* --- console --- */

static int show_new(struct call *call, struct console *console, uint64_t *cursor, bool *end,
                    struct operation *operation)
{
    char data[16384];
    size_t count;
    int status = VIOS_OK;
    while (status == VIOS_OK &&
           (count = console_read(console, cursor, data, sizeof data, end)) > 0) {
        status = call->operations->bytes(call, data, count, false, operation);
    }
    return status;
}

/* What was typed; `*typing` is false after the viewer's end. */
static int take_typed(struct call *call, struct console *console, bool *typing,
                      struct operation *operation)
{
    char data[TYPED_MAX];
    ssize_t got = call->operations->receive(call, data, sizeof data, operation);
    if (got > 0) {
        return console_write(console, data, (size_t)got, operation);
    }
    *typing = false;
    return got < 0 ? (int)got : VIOS_OK;
}

static int stream_console(struct call *call, struct console *console, bool follow,
                          struct operation *operation)
{
    uint64_t cursor = 0;
    bool end = false, typing = true;
    int event = console_watch(console, &cursor, &operation->error);
    int status = event < 0 ? event : show_new(call, console, &cursor, &end, operation);
    while (status == VIOS_OK && follow && !end) {
        struct pollfd watched[] = {
            {.fd = event, .events = POLLIN},
            {.fd = typing ? call->operations->descriptor(call) : -1, .events = POLLIN},
            {.fd = cancel_descriptor(operation->cancel), .events = POLLIN}};
        (void)poll(watched, 3, operation_remaining_ms(operation));
        status = operation_check(operation);
        if (status == VIOS_OK && watched[1].revents) {
            status = take_typed(call, console, &typing, operation);
        }
        if (status == VIOS_OK && watched[0].revents) {
            uint64_t ignored;
            (void)!read(event, &ignored, sizeof ignored);
            status = show_new(call, console, &cursor, &end, operation);
        }
    }
    if (event >= 0) {
        console_unwatch(console, event);
    }
    return status == VIOS_OK ? call->operations->bytes(call, "", 0, true, operation) : status;
}

/* The guest is not here. A call that came from another node is not sent on: the guest may have
 * moved meanwhile, and the two would send it to and fro. */
static int console_elsewhere(struct call *call, const struct lpar *lpar, const json_t *parameters,
                             json_t **result, struct operation *operation)
{
    char object[96], hint[160];
    bool elsewhere = lpar_is_elsewhere(call->node, lpar);
    if (elsewhere && !strchr(call->actor, '@')) {
        return others_stream(call, lpar->owner, "lpar.console", json_deep_copy(parameters), result,
                             operation);
    }
    snprintf(hint, sizeof hint, elsewhere ? "say: on %s lpar console" : "lpar start %s",
             elsewhere ? lpar->owner : lpar->name);
    return operation_fail(operation, VIOS_E_CONFLICT, lpar_object(lpar->name, object), hint,
                          elsewhere ? "it runs on another node" : "it does not run");
}

static int call_console(struct call *call, const json_t *parameters, json_t **result,
                        struct operation *operation)
{
    struct lpar lpar;
    int status = lpar_of_call(call, parameters, &lpar, operation);
    if (status < 0) {
        return status;
    }
    struct guest *guest = lpars_find(call->node->lpars, json_get_text(parameters, "name"));
    if (!guest) {
        return console_elsewhere(call, &lpar, parameters, result, operation);
    }
    status = stream_console(call, guest_console(guest),
                            !json_is_true(json_object_get(parameters, "dump")), operation);
    guest_release(guest);
    *result = status == VIOS_OK ? json_object() : NULL;
    return status;
}

static const struct method METHODS[] = {
    {"lpar.create",
     "name:text memory:size cpus:integer? kernel:text? initrd:text? append:text? disk:list? "
     "nic:list? accel:text? cpu:text? autostart:boolean?",
     ROLE_ADMIN, METHOD_CHANGES, lpar_call_create},
    {"lpar.start", "name:lpar node:node? from_storage:boolean?", ROLE_OPERATOR,
     METHOD_CHANGES | METHOD_JOB, lpar_call_start},
    {"lpar.stop", "name:lpar timeout:duration? force:boolean?", ROLE_OPERATOR,
     METHOD_CHANGES | METHOD_JOB, lpar_call_stop},
    {"lpar.hibernate", "name:lpar encrypt:boolean?", ROLE_OPERATOR, METHOD_CHANGES | METHOD_JOB,
     lpar_call_hibernate},
    {"lpar.restart", "name:lpar node:node?", ROLE_OPERATOR, METHOD_CHANGES | METHOD_JOB,
     lpar_call_restart},
    {"lpar.migrate", "name:lpar node:node", ROLE_OPERATOR, METHOD_CHANGES | METHOD_JOB,
     lpar_call_migrate},
    {"lpar.validate", "name:lpar node:node? only:text?", ROLE_VIEWER, METHOD_LASTS,
     lpar_call_validate},
    {"lpar.cancel", "name:lpar", ROLE_OPERATOR, METHOD_CHANGES | METHOD_LASTS, lpar_call_cancel},
    {"lpar.cleanup", "name:lpar", ROLE_OPERATOR, METHOD_CHANGES | METHOD_JOB, lpar_call_cleanup},
    {"lpar.recover", "name:lpar", ROLE_OPERATOR, METHOD_CHANGES | METHOD_LASTS, lpar_call_recover},
    {"hibernation.list", "", ROLE_VIEWER, METHOD_STREAM, hibernation_call_list},
    {"hibernation.show", "lpar:lpar", ROLE_VIEWER, 0, hibernation_call_show},
    {"hibernation.verify", "lpar:lpar", ROLE_OPERATOR, METHOD_LASTS, hibernation_call_verify},
    {"hibernation.remove", "lpar:lpar", ROLE_ADMIN, METHOD_CHANGES, hibernation_call_remove},
    {"lpar.reset", "name:lpar", ROLE_OPERATOR, METHOD_CHANGES | METHOD_LASTS, lpar_call_reset},
    {"lpar.list", "", ROLE_VIEWER, 0, call_list},
    {"lpar.show", "name:lpar", ROLE_VIEWER, 0, call_show},
    {"lpar.console", "name:lpar dump:boolean?", ROLE_OPERATOR, METHOD_STREAM, call_console},
    {"lpar.remove", "name:lpar disks:boolean?", ROLE_ADMIN, METHOD_CHANGES | METHOD_JOB,
     lpar_call_remove},
    {"adapter.list", "lpar:lpar?", ROLE_VIEWER, 0, adapters_call_list},
    {"adapter.show", "lpar:lpar", ROLE_VIEWER, 0, adapters_call_show},
    /* Under this name because they have no command: for programs, like all of the daemon's own. */
    {"daemon.capacity", "", ROLE_VIEWER, 0, place_call_capacity},
    {"daemon.lpar_names", "prefix:text?", ROLE_VIEWER, 0, call_names},
    {"daemon.validate", "name:lpar what:text qemu:text?", ROLE_VIEWER, METHOD_LASTS,
     lpar_call_validate_here},
    {"daemon.incoming", "name:lpar job:job generation:integer", ROLE_ADMIN,
     METHOD_CHANGES | METHOD_STREAM, incoming_call},
    {"daemon.go_on", "name:lpar generation:integer", ROLE_ADMIN, METHOD_LASTS, incoming_call_go_on},
    {"daemon.settle", "name:lpar", ROLE_OPERATOR, METHOD_CHANGES, lpar_call_settle},
    {"daemon.takeover", "name:lpar", ROLE_ADMIN, METHOD_CHANGES | METHOD_JOB, lpar_call_takeover},
};

static const struct method_group LPAR_METHODS = {METHODS, sizeof METHODS / sizeof *METHODS};
static const struct job_kind *const JOB_KINDS[] = {
    &lpar_start_job,    &lpar_stop_job,      &lpar_remove_job,
    &lpar_takeover_job, &lpar_hibernate_job, &lpar_restart_job,
    &lpar_migrate_job,  &lpar_cleanup_job,   NULL};

/* --- the part --- */

static void start_again(struct node *node, json_t *names, struct operation *operation)
{
    size_t i;
    json_t *name;
    json_array_foreach(names, i, name)
    {
        char id[JOB_ID_SIZE], object[96];
        const char *text = json_string_value(name);
        if (!node->jobs || job_submit(node->jobs, &lpar_start_job, lpar_object(text, object),
                                      json_pack("{s:s}", "name", text), NULL, id, operation) < 0) {
            log_warning("lpar", "guest %s is not started again: %s", text,
                        operation->error.message);
        }
    }
}

static const struct paging_guest_operations GUEST_OPERATIONS = {
    lpar_attach_paging, lpar_detach_paging, lpar_uses_paging};

static int part_start(struct node *node, struct vios_error *error)
{
    struct operation operation;
    struct store *store = NULL;
    json_t *names = NULL;
    int status = lpars_open(&node->lpars, node, error);
    if (status < 0) {
        return status;
    }
    paging_set_guest_operations(node, &GUEST_OPERATIONS);
    node->lu_guests = &lpar_lu_operations;
    operation_start(&operation, 60000, NULL);
    if (lpar_adopt_guests(node, &operation) < 0) {
        log_error("lpar", "%s: %s", operation.error.object, operation.error.message);
    }
    if (node_store(node, &store, &operation) == VIOS_OK) {
        if (lpar_settle_all(node, store, &names, &operation) < 0) {
            log_error("lpar", "the records could not be settled: %s", operation.error.message);
        }
        node_store_return(node, store);
    }
    start_again(node, names, &operation);
    json_decref(names);
    return VIOS_OK;
}

static void part_restored(struct node *node)
{
    if (node->lpars) {
        lpars_restore_exports(node->lpars);
    }
}

static void stop_all(struct lpars *lpars)
{
    size_t count = 0;
    struct guest **list = lpars_list(lpars, &count);
    struct operation operation;
    operation_start(&operation, PART_STOP_MS, NULL);
    for (size_t i = 0; i < count; i++) {
        struct operation calling;
        operation_start(&calling, 1000, NULL);
        if (guest_call(list[i], "quit", NULL, NULL, &calling) < 0) {
            guest_kill(list[i]);
        }
    }
    for (size_t i = 0; i < count; i++) {
        if (lpars_await_gone(lpars, guest_lpar(list[i])->name, &operation) < 0) {
            guest_kill(list[i]);
        }
        guest_release(list[i]);
    }
    free(list);
}

static void part_stop(struct node *node, bool stop_guests)
{
    if (node->lpars && stop_guests) {
        stop_all(node->lpars);
    }
    lpars_close(node->lpars);
    node->lpars = NULL;
}

const struct part lpar_part = {
    .name = "lpar",
    .fenced = lpar_end_guests,
    .start = part_start,
    .restored = part_restored,
    .stop = part_stop,
    .describe = lpar_describe,
    .methods = &LPAR_METHODS,
    .job_kinds = JOB_KINDS,
};
