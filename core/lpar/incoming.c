/* incoming.c - see incoming.h. */
#include "lpar/incoming.h"

#include "base/crash.h"
#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "lpar/disks.h"
#include "lpar/ending.h"
#include "lpar/guest_exports.h"
#include "lpar/guest_private.h"
#include "lpar/handoff.h"
#include "lpar/hold.h"
#include "lpar/launch.h"
#include "lpar/lookup.h"
#include "lpar/migration.h"
#include "paging/hand_over.h"
#include "paging/paging.h"
#include "paging/state_file.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ASK_MS 5000
#define READY_MS 30000                  /* io and QEMU, each */
#define PAGES_MAX (UINT64_C(512) << 20) /* of the state of the largest pager */

enum incoming_next incoming_next(const struct lpar *lpar, const char *node, int64_t incarnation,
                                 int64_t generation, bool works)
{
    bool mine = strcmp(lpar->owner, node) == 0 && lpar->owner_incarnation == incarnation;
    if (mine && lpar->generation == generation) {
        return INCOMING_RUN;
    }
    return works && !mine && lpar->owner[0] && lpar->generation == generation - 1 ? INCOMING_WAIT
                                                                                  : INCOMING_END;
}

/* `job` is the one that holds it, and has not come to its end. */
static bool works(struct store *store, const struct lpar *lpar, const char *job,
                  struct operation *operation)
{
    return strcmp(lpar->job, job) == 0 && lpar_is_held(store, lpar, operation);
}

/* --- waiting for the record --- */

static int read_next(struct guest *guest, enum incoming_next *next)
{
    const struct node *node = guest->lpars->node;
    struct lpar lpar;
    struct store *store = NULL;
    struct operation operation;
    operation_start(&operation, ASK_MS, guest->lpars->cancel);
    int status = node_store(guest->lpars->node, &store, &operation);
    if (status < 0) {
        return status;
    }
    status = lpar_load(store, guest->lpar.name, &lpar, &operation);
    *next = status == VIOS_OK
                ? incoming_next(&lpar, node->name, node->incarnation, guest->lpar.generation,
                                works(store, &lpar, guest->incoming, &operation))
                : INCOMING_END;
    node_store_return(guest->lpars->node, store);
    return status == VIOS_E_NOT_FOUND ? VIOS_OK : status;
}

/* It is this node's. What fails is tried again with the next look. */
static void run(struct guest *guest)
{
    struct node *node = guest->lpars->node;
    struct run_folder folder = {.fd = -1};
    struct operation operation;
    operation_start(&operation, ASK_MS, guest->lpars->cancel);
    int status = run_folder_open(&folder, node->run_dir, guest->lpar.uuid, &operation.error);
    if (status == VIOS_OK) { /* which claims the generation, too */
        status =
            guest_exports_make(node, &guest->lpar, &folder, guest->lpar.generation, &operation);
    }
    run_folder_close(&folder);
    if (status == VIOS_OK) {
        status =
            guest_exports_serve(node, &guest->lpar, guest->lpar.generation, "open", &operation);
    }
    if (status == VIOS_OK) {
        status = guest_call(guest, "cont", NULL, NULL, &operation);
    }
    crash_at("incoming:run:after");
    if (status == VIOS_OK) { /* a daemon that finds it named again lets it go on again */
        status = launch_folder(node, &guest->lpar, "", &folder, &operation.error);
        run_folder_close(&folder);
    }
    if (status < 0) {
        log_warning("lpar", "guest %s, which came from another node, waits: %s", guest->lpar.name,
                    operation.error.message);
        return;
    }
    pthread_mutex_lock(&guest->lock);
    guest->incoming[0] = 0;
    guest->refresh = guest->unpublished = true;
    pthread_mutex_unlock(&guest->lock);
    guest_wake(guest);
    log_notice("lpar", "guest %s goes on here, generation %lld", guest->lpar.name,
               (long long)guest->lpar.generation);
}

void incoming_look(struct guest *guest)
{
    enum incoming_next next = INCOMING_WAIT;
    if (read_next(guest, &next) < 0 || next == INCOMING_WAIT) {
        return;
    }
    if (next == INCOMING_RUN) {
        crash_at("incoming:run:before");
        run(guest);
        return;
    }
    log_notice("lpar", "guest %s does not come from the other node", guest->lpar.name);
    guest_leave_record(guest);
    guest_kill(guest);
}

bool incoming_waits(struct store *store, const struct node *node, const struct run_guest *found,
                    const struct lpar *lpar, struct operation *operation)
{
    return found->job[0] && strcmp(lpar->uuid, found->uuid) == 0 &&
           incoming_next(lpar, node->name, node->incarnation, found->generation,
                         works(store, lpar, found->job, operation)) == INCOMING_WAIT;
}

/* --- what comes --- */

struct receiving {
    struct call *call;
    int pages; /* what the pager is to know; -1: nothing */
    uint64_t pages_bytes;
    struct handoff handoff;
    uint8_t *buffer;
    size_t size; /* of the buffer; */
    const uint8_t *at;
    size_t left; /* what is left in it */
};

/* The next piece; HANDOFF_END at the end, and never HANDOFF_NONE. */
static int next_piece(struct receiving *receiving, const uint8_t **piece, size_t *size,
                      struct operation *operation)
{
    for (;;) {
        int kind = handoff_take(&receiving->handoff, &receiving->at, &receiving->left, piece, size,
                                &operation->error);
        if (kind != HANDOFF_NONE) {
            return kind;
        }
        ssize_t got = receiving->call->operations->receive(receiving->call, receiving->buffer,
                                                           receiving->size, operation);
        if (got <= 0) {
            return got < 0 ? (int)got
                           : operation_fail(operation, VIOS_E_INVALID, "migration", "try it again",
                                            "the source ended in the middle");
        }
        receiving->at = receiving->buffer;
        receiving->left = (size_t)got;
    }
}

/* To QEMU, which may hang. */
static int write_out(int descriptor, const uint8_t *data, size_t size, struct operation *operation)
{
    while (size > 0) {
        ssize_t count = write(descriptor, data, size);
        if (count < 0 && errno != EAGAIN && errno != EINTR) {
            return error_set_errno(&operation->error, "guest", "QEMU takes no more of its state");
        }
        data += count > 0 ? count : 0;
        size -= count > 0 ? (size_t)count : 0;
        if (count < 0) {
            int status = operation_wait(operation, descriptor, POLLOUT);
            if (status < 0) {
                return status;
            }
        }
    }
    return VIOS_OK;
}

/* What follows the state, to the end. A pager checks what it is. */
static int receive_pages(struct receiving *receiving, int kind, const uint8_t *piece, size_t size,
                         struct operation *operation)
{
    while (kind == HANDOFF_PAGES) {
        receiving->pages_bytes += size;
        if (receiving->pages < 0 || receiving->pages_bytes > PAGES_MAX) {
            return operation_fail(operation, VIOS_E_INVALID, "migration", "try it again",
                                  "there is no such paging device here");
        }
        int status = file_write_all(receiving->pages, piece, size, &operation->error);
        kind = status < 0 ? status : next_piece(receiving, &piece, &size, operation);
    }
    return kind < 0 ? kind : VIOS_OK;
}

/* A migration_source: QEMU has all when something else follows. */
static int give_state(void *context, int descriptor, struct operation *operation)
{
    struct receiving *receiving = context;
    const uint8_t *piece;
    size_t size;
    int flags = fcntl(descriptor, F_GETFL);
    if (flags < 0 || fcntl(descriptor, F_SETFL, flags | O_NONBLOCK) != 0) {
        return error_set_errno(&operation->error, "guest", "its state cannot be delivered");
    }
    int kind = next_piece(receiving, &piece, &size, operation);
    while (kind == HANDOFF_STATE) {
        int status = write_out(descriptor, piece, size, operation);
        kind = status < 0 ? status : next_piece(receiving, &piece, &size, operation);
    }
    return kind < 0 ? kind : receive_pages(receiving, kind, piece, size, operation);
}

/* --- the QEMU --- */

/* As it will be here. */
static int find_next(struct call *call, struct store *store, const json_t *parameters,
                     struct lpar *next, struct operation *operation)
{
    char object[96];
    const struct node *node = call->node;
    int64_t generation = json_get_integer(parameters, "generation");
    int status = lpar_load(store, json_get_word(parameters, "name"), next, operation);
    if (status < 0) {
        return status;
    }
    bool waits = incoming_next(next, node->name, node->incarnation, generation,
                               works(store, next, json_get_word(parameters, "job"), operation)) ==
                 INCOMING_WAIT;
    if (!waits) {
        return operation_fail(operation, VIOS_E_CONFLICT, lpar_object(next->name, object),
                              "see lpar show", "no such migration of it is at work");
    }
    lpar_raise(next);
    return VIOS_OK;
}

/* Nothing of an earlier one is here any more. */
static int clear(struct node *node, const struct lpar *lpar, struct operation *operation)
{
    struct operation ending;
    operation_start(&ending, ENDING_TIMEOUT_MS, NULL);
    int status = ending_clear(node, lpar, &ending);
    if (status < 0) {
        operation->error = ending.error;
    }
    return status;
}

static int launch(struct node *node, const struct lpar *next, const char *job, bool pages,
                  struct operation *operation)
{
    struct run_folder folder = {.fd = -1};
    char paging[160];
    paging_export_name(next->uuid, next->generation, paging, sizeof paging);
    const struct qemu_start start = {
        .generation = next->generation, .paging_export = pages ? paging : NULL, .incoming = true};
    int status = launch_folder(node, next, job, &folder, &operation->error);
    if (status == VIOS_OK && pages) {
        status = paging_expect(node, next->name, next->generation, operation);
    }
    if (status == VIOS_OK) {
        status = guest_exports_join(node, next, &folder, next->generation, operation);
    }
    if (status == VIOS_OK) {
        status = launch_qemu(next, &folder, &start, operation);
    }
    run_folder_close(&folder);
    return status;
}

/* Its QEMU is there, has looked at its disks, and gets nothing of them until it runs. */
static int prepare(struct node *node, const struct lpar *next, const char *job, bool pages,
                   struct guest **guest, struct operation *operation)
{
    struct operation waiting;
    operation_start(&waiting, READY_MS, operation->cancel);
    int status = lpars_reserve(node->lpars, next, true, &waiting.error);
    *guest = status == VIOS_OK ? lpars_find(node->lpars, next->name) : NULL;
    if (status == VIOS_OK) {
        guest_expect(*guest, job);
        status = launch(node, next, job, pages, &waiting);
    }
    if (status == VIOS_OK) {
        status = guest_connect(*guest, &waiting);
    }
    if (status == VIOS_OK) {
        status = guest_exports_serve(node, next, next->generation, "standby", &waiting);
    }
    operation->error = waiting.error;
    return status;
}

/* Its state to QEMU, what is known of its pages to io. */
static int take(struct call *call, const struct lpar *next, struct guest *guest, bool pages,
                struct operation *operation)
{
    const struct migration_port port = guest_port(guest);
    struct receiving receiving = {.call = call, .size = HANDOFF_PIECE_MAX, .pages = -1};
    receiving.buffer = malloc(receiving.size);
    int status = receiving.buffer ? VIOS_OK : operation_no_memory(operation, "guest");
    if (status == VIOS_OK && pages) {
        receiving.pages = state_file_begin("pager state", &operation->error);
        status = receiving.pages < 0 ? receiving.pages : VIOS_OK;
    }
    if (status == VIOS_OK) {
        status = migration_load(&port, give_state, &receiving, operation);
    }
    if (status == VIOS_OK && pages) {
        status = state_file_seal(receiving.pages, "pager state", &operation->error);
    }
    if (status == VIOS_OK && pages) {
        status =
            paging_take_over(call->node, next->name, next->generation, receiving.pages, operation);
    }
    if (receiving.pages >= 0) {
        close(receiving.pages);
    }
    free(receiving.buffer);
    return status;
}

static int receive(struct call *call, const struct lpar *next, const char *job,
                   struct operation *operation)
{
    struct guest *guest = NULL;
    uint64_t paging_bytes = 0;
    int status = clear(call->node, next, operation);
    if (status == VIOS_OK) {
        status = paging_device_size(call->node, next->name, &paging_bytes, operation);
    }
    if (status < 0) {
        return status;
    }
    bool pages = paging_bytes > 0;
    status = prepare(call->node, next, job, pages, &guest, operation);
    if (status == VIOS_OK) {
        crash_at("incoming:prepare:after");
        status = call->operations->item(call, json_pack("{s:b}", "ready", 1), operation);
    }
    if (status == VIOS_OK) {
        status = take(call, next, guest, pages, operation);
    }
    guest_release(guest);
    if (status < 0) {
        struct operation ignored;
        (void)clear(call->node, next, &ignored);
    }
    return status;
}

int incoming_call(struct call *call, const json_t *parameters, json_t **result,
                  struct operation *operation)
{
    struct lpar next;
    struct store *store = NULL;
    int status = node_store(call->node, &store, operation);
    if (status == VIOS_OK) {
        status = find_next(call, store, parameters, &next, operation);
        if (status == VIOS_OK) {
            status = disks_check(call->node, store, &next, operation);
        }
        node_store_return(call->node, store);
    }
    if (status == VIOS_OK) {
        status = receive(call, &next, json_get_word(parameters, "job"), operation);
    }
    if (status == VIOS_OK) {
        crash_at("incoming:load:after");
        *result = json_pack("{s:I}", "incarnation", (json_int_t)call->node->incarnation);
    }
    return status;
}

int incoming_call_go_on(struct call *call, const json_t *parameters, json_t **result,
                        struct operation *operation)
{
    const char *name = json_get_word(parameters, "name");
    char object[96];
    struct operation waiting;
    struct guest *guest = lpars_find(call->node->lpars, name);
    if (!guest || guest_lpar(guest)->generation != json_get_integer(parameters, "generation")) {
        guest_release(guest);
        return operation_fail(operation, VIOS_E_CONFLICT, lpar_object(name, object),
                              "see lpar show", "it does not wait here");
    }
    operation_start(&waiting, READY_MS, operation->cancel);
    pthread_mutex_lock(&guest->lock);
    guest->look = true;
    pthread_mutex_unlock(&guest->lock);
    guest_wake(guest);
    int status = guest_await_running(guest, &waiting);
    guest_release(guest);
    operation->error = waiting.error;
    *result = status == VIOS_OK ? json_object() : NULL;
    return status;
}
