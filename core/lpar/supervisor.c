/*
 * supervisor.c - the thread of one running guest: events, console, state, and its end.
 *
 * State is never derived from events: an event, a lost event and a new connection all only
 * cause query-status to be asked. So nothing that was missed can leave a wrong state behind.
 */
#include "lpar/guest_exports.h"
#include "lpar/guest_private.h"
#include "lpar/hold.h"
#include "lpar/incoming.h"

#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "base/thread.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>

#define CONTINUE_INTERVAL_MS 250 /* between two `cont` after an I/O error */
#define RETRY_INTERVAL_MS 1000   /* reconnecting, publishing */
#define CALL_TIMEOUT_MS 5000
#define LAST_READS 64

static const struct {
    const char *qemu, *ours;
} STATES[] = {{"prelaunch", "starting"},      {"inmigrate", "starting"},
              {"guest-panicked", "panicked"}, {"shutdown", "stopping"},
              {"finish-migrate", "paused"},   {"postmigrate", "paused"}};

static const char *our_state(const char *qemu)
{
    for (size_t i = 0; i < sizeof STATES / sizeof *STATES; i++) {
        if (strcmp(STATES[i].qemu, qemu) == 0) {
            return STATES[i].ours;
        }
    }
    return qemu;
}

static void note(struct guest *guest, const char *text)
{
    recorder_note(guest->lpars->node->recorder, "lpar", "%s: %s", guest->lpar.name, text);
    log_notice("lpar", "guest %s: %s", guest->lpar.name, text);
}

/* --- events --- */

static void note_reset(struct guest *guest, bool by_itself)
{
    pthread_mutex_lock(&guest->lock);
    guest->own_resets += by_itself;
    pthread_mutex_unlock(&guest->lock);
    note(guest, by_itself ? "reset itself" : "is reset");
}

static void note_event(struct guest *guest, const json_t *event)
{
    const char *name = json_get_text(event, "event");
    const json_t *data = json_object_get(event, "data");
    char text[160];
    if (strcmp(name, "SHUTDOWN") == 0) {
        const char *reason = json_get_text(data, "reason");
        pthread_mutex_lock(&guest->lock);
        guest->shut_down = true;
        pthread_mutex_unlock(&guest->lock);
        snprintf(text, sizeof text, "shuts down (%s)", reason ? reason : "no reason given");
        note(guest, text);
    } else if (strcmp(name, "GUEST_PANICKED") == 0) {
        note(guest, "panicked");
    } else if (strcmp(name, "BLOCK_IO_ERROR") == 0) {
        const char *device = json_get_text(data, "node-name");
        snprintf(text, sizeof text, "I/O error on %.40s", device ? device : "a disk");
        recorder_note(guest->lpars->node->recorder, "lpar", "%s: %s", guest->lpar.name, text);
    } else if (strcmp(name, "WATCHDOG") == 0) {
        note(guest, "its watchdog fired");
    } else if (strcmp(name, "RESET") == 0) {
        note_reset(guest, json_is_true(json_object_get(data, "guest")));
    }
}

/* Takes the queued events; the state is asked when there was any. Under qmp_lock. */
static bool take_events(struct guest *guest)
{
    bool any = qmp_events_lost(guest->qmp);
    json_t *event;
    while ((event = qmp_next_event(guest->qmp)) != NULL) {
        note_event(guest, event);
        json_decref(event);
        any = true;
    }
    return any;
}

static void set_state(struct guest *guest, const char *qemu)
{
    struct guest_status before;
    const char *state = our_state(qemu), *why = "";
    guest_status(guest, &before);
    if (strcmp(state, "io-error") == 0) {
        why = "a disk fails; it goes on when storage answers";
    } else if (strcmp(state, "panicked") == 0) {
        why = "the guest's kernel panicked";
    } else if (strcmp(state, "watchdog") == 0) {
        why = "the guest's watchdog fired";
    }
    guest_set_state(guest, state, why);
    if (strcmp(before.state, state) != 0) {
        note(guest, state);
    }
}

static void lose_qmp(struct guest *guest, const struct vios_error *error)
{
    log_warning("lpar", "guest %s: %s", guest->lpar.name, error->message);
    qmp_close(guest->qmp);
    guest->qmp = NULL;
}

/* Asks for the state, and goes on after an I/O error. Under qmp_lock. */
static void ask_state(struct guest *guest)
{
    struct operation operation;
    json_t *result = NULL;
    operation_start(&operation, CALL_TIMEOUT_MS, guest->lpars->cancel);
    if (qmp_call(guest->qmp, "query-status", NULL, -1, &result, &operation) == VIOS_OK) {
        const char *status = json_get_text(result, "status");
        set_state(guest, status ? status : "unknown");
        if (status && strcmp(status, "io-error") == 0) {
            (void)qmp_call(guest->qmp, "cont", NULL, -1, NULL, &operation);
        }
    }
    if (qmp_is_broken(guest->qmp)) {
        lose_qmp(guest, &operation.error);
    }
    json_decref(result);
}

static bool take_refresh(struct guest *guest)
{
    pthread_mutex_lock(&guest->lock);
    bool refresh = guest->refresh || strcmp(guest->status.state, "io-error") == 0;
    guest->refresh = false;
    pthread_mutex_unlock(&guest->lock);
    return refresh;
}

/* False: another thread is in the middle of a call and will wake us. */
static bool serve_qmp(struct guest *guest, bool readable)
{
    if (pthread_mutex_trylock(&guest->qmp_lock) != 0) {
        return false;
    }
    struct vios_error error;
    bool ask = take_refresh(guest);
    if (guest->qmp && readable && qmp_receive(guest->qmp, &error) < 0) {
        (void)take_events(guest);
        lose_qmp(guest, &error);
    }
    if (guest->qmp && (take_events(guest) || ask)) {
        ask_state(guest);
    }
    if (guest->qmp && take_events(guest)) { /* that came with the answer */
        pthread_mutex_lock(&guest->lock);
        guest->refresh = true;
        pthread_mutex_unlock(&guest->lock);
    }
    pthread_mutex_unlock(&guest->qmp_lock);
    return true;
}

static bool is_lost(const struct guest *guest)
{
    return !guest->qmp || (guest->lpar.serial_console && console_descriptor(guest->console) < 0);
}

/* When somebody asks for it, or the time has come. Not when nothing else is to be done: a guest
 * that talks on its console leaves no such moment. */
static void reconnect(struct guest *guest, bool asked, int64_t *next_ms)
{
    struct operation operation;
    if (!is_lost(guest) || (!asked && clock_now_ms() < *next_ms)) {
        return;
    }
    operation_start(&operation, CALL_TIMEOUT_MS, guest->lpars->cancel);
    if (!guest->qmp && guest_open_qmp(guest, &operation) == VIOS_OK) {
        pthread_mutex_lock(&guest->lock);
        guest->refresh = true;
        pthread_mutex_unlock(&guest->lock);
    }
    if (console_descriptor(guest->console) < 0) {
        guest_open_console(guest);
    }
    *next_ms = clock_now_ms() + RETRY_INTERVAL_MS;
}

static void publish(struct guest *guest)
{
    struct node *node = guest->lpars->node;
    struct guest_status status;
    struct operation operation;
    struct store *store = NULL;
    pthread_mutex_lock(&guest->lock);
    bool needed = guest->unpublished && !guest->incoming[0], done = false;
    int64_t generation = guest->lpar.generation;
    status = guest->status;
    pthread_mutex_unlock(&guest->lock);
    operation_start(&operation, CALL_TIMEOUT_MS, guest->lpars->cancel);
    if (needed && node_store(node, &store, &operation) == VIOS_OK) {
        done = lpar_publish(store, guest->lpar.name,
                            &(struct lpar_run){.node = node->name,
                                               .incarnation = node->incarnation,
                                               .generation = generation,
                                               .state = status.state,
                                               .why = status.why,
                                               .qemu_pid = status.qemu_pid},
                            &operation) == VIOS_OK;
        node_store_return(node, store);
    }
    if (done) { /* this thread alone changes the state: it is still the one written */
        pthread_mutex_lock(&guest->lock);
        guest->unpublished = false;
        pthread_mutex_unlock(&guest->lock);
    }
}

/* --- the end --- */

/* The record says "not running" once no job holds it. True: nothing is left to do. */
static bool record_end(struct guest *guest, struct store *store, const char *why,
                       struct operation *operation)
{
    struct node *node = guest->lpars->node;
    struct lpar lpar;
    pthread_mutex_lock(&guest->lock);
    bool leave = guest->leave_record;
    pthread_mutex_unlock(&guest->lock);
    if (leave) {
        return true;
    }
    int status = lpar_load(store, guest->lpar.name, &lpar, operation);
    if (status == VIOS_E_NOT_FOUND || (status == VIOS_OK && strcmp(lpar.owner, node->name) != 0)) {
        return true;
    }
    if (status < 0 || lpar_check_lock(store, &lpar, NULL, operation) < 0) {
        return false;
    }
    lpar.owner[0] = lpar.job[0] = 0;
    lpar.wanted = LPAR_STOPPED;
    return lpar_save(store, &lpar, operation) == VIOS_OK &&
           lpar_publish(store, lpar.name,
                        &(struct lpar_run){.node = node->name,
                                           .incarnation = node->incarnation,
                                           .generation = lpar.generation,
                                           .state = "stopped",
                                           .why = why},
                        operation) == VIOS_OK;
}

static int drop_exports(struct guest *guest, struct operation *operation)
{
    pthread_mutex_lock(&guest->exports_lock);
    guest->exports_ended = true;
    operation_start(operation, CALL_TIMEOUT_MS, guest->lpars->cancel);
    int status = guest_exports_drop(guest->lpars->node, guest->lpar.uuid, operation);
    pthread_mutex_unlock(&guest->exports_lock);
    return status;
}

/* What is left of it here. */
static void clean_up(struct guest *guest)
{
    struct node *node = guest->lpars->node;
    struct operation operation;
    for (int i = 0; i < LAST_READS && console_descriptor(guest->console) >= 0; i++) {
        (void)console_receive(guest->console); /* its last words, until the connection ends */
    }
    console_end(guest->console);
    if (drop_exports(guest, &operation) < 0) {
        log_warning("lpar", "guest %s: %s", guest->lpar.name, operation.error.message);
    }
    if (run_folder_remove(node->run_dir, guest->lpar.uuid, &operation.error) < 0) {
        log_warning("lpar", "guest %s: %s", guest->lpar.name, operation.error.message);
    }
}

static void finish(struct guest *guest)
{
    struct lpars *lpars = guest->lpars;
    pthread_mutex_lock(&guest->lock);
    bool willing = guest->shut_down, done = false;
    pthread_mutex_unlock(&guest->lock);
    const char *why = willing ? "the guest shut down" : "QEMU ended unexpectedly";
    note(guest, why);
    guest_set_state(guest, "stopping", why);
    clean_up(guest);
    while (!done && !cancel_triggered(lpars->cancel)) {
        struct store *store = NULL;
        struct operation operation;
        operation_start(&operation, CALL_TIMEOUT_MS, lpars->cancel);
        if (node_store(lpars->node, &store, &operation) == VIOS_OK) {
            done = record_end(guest, store, why, &operation);
            node_store_return(lpars->node, store);
        }
        if (!done) {
            operation_start(&operation, OPERATION_NO_DEADLINE, lpars->cancel);
            (void)operation_sleep(&operation, 100);
        }
    }
    if (done) {
        lpars_unlist(guest);
    }
}

/* --- the loop --- */

enum { WAKE, PROCESS, QMP, CONSOLE, WATCHED };

static int wait_time(struct guest *guest)
{
    pthread_mutex_lock(&guest->lock);
    bool failing = strcmp(guest->status.state, "io-error") == 0;
    bool incoming = guest->incoming[0] != 0, owing = guest->unpublished;
    pthread_mutex_unlock(&guest->lock);
    return failing                   ? CONTINUE_INTERVAL_MS
           : incoming                ? INCOMING_LOOK_MS
           : owing || is_lost(guest) ? RETRY_INTERVAL_MS
                                     : -1;
}

/* A guest that comes from another node waits until the record says that it is here. */
static void look_for_owner(struct guest *guest, int64_t *looked_ms)
{
    int64_t now_ms = clock_now_ms();
    pthread_mutex_lock(&guest->lock);
    bool due = guest->incoming[0] && (guest->look || now_ms - *looked_ms >= INCOMING_LOOK_MS);
    guest->look = false;
    pthread_mutex_unlock(&guest->lock);
    if (due) {
        *looked_ms = now_ms;
        incoming_look(guest);
    }
}

static void *supervise(void *context)
{
    struct guest *guest = context;
    struct lpars *lpars = guest->lpars;
    bool busy = false, ended = false;
    int64_t looked_ms = clock_now_ms(), reconnect_ms = 0;
    while (!cancel_triggered(lpars->cancel) && !ended) {
        struct pollfd watched[WATCHED] = {
            [WAKE] = {.fd = guest->wake, .events = POLLIN},
            [PROCESS] = {.fd = guest->process_fd, .events = POLLIN},
            [QMP] = {.fd = guest->qmp && !busy ? qmp_descriptor(guest->qmp) : -1, .events = POLLIN},
            [CONSOLE] = {.fd = console_descriptor(guest->console), .events = POLLIN}};
        (void)poll(watched, WATCHED, wait_time(guest));
        eventfd_t ignored;
        bool asked = eventfd_read(guest->wake, &ignored) == 0;
        if (watched[CONSOLE].revents) {
            (void)console_receive(guest->console);
        }
        busy = !serve_qmp(guest, watched[QMP].revents != 0);
        ended = watched[PROCESS].revents != 0;
        if (!ended) {
            reconnect(guest, asked, &reconnect_ms);
            look_for_owner(guest, &looked_ms);
            publish(guest);
        }
    }
    if (ended) {
        finish(guest);
    }
    guest_release(guest);
    pthread_mutex_lock(&lpars->lock);
    lpars->threads--;
    pthread_cond_broadcast(&lpars->changed);
    pthread_mutex_unlock(&lpars->lock);
    return NULL;
}

int supervisor_start(struct guest *guest, struct vios_error *error)
{
    pthread_t thread;
    struct lpars *lpars = guest->lpars;
    pthread_mutex_lock(&lpars->lock);
    int status = thread_start(&thread, "guest", supervise, guest);
    if (status == 0) {
        pthread_detach(thread);
        lpars->threads++;
        guest->references++;
    }
    pthread_mutex_unlock(&lpars->lock);
    return status == 0 ? VIOS_OK
                       : error_set(error, VIOS_E_SYSTEM, "lpar", NULL, "cannot start a thread: %s",
                                   strerror(status));
}
