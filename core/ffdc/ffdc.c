/* ffdc.c - see ffdc.h: the part itself, its signals and threads. */
#include "ffdc/ffdc_private.h"

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/thread.h"
#include "ffdc/collectors.h"
#include "ffdc/crash.h"
#include "ffdc/listener.h"
#include "node/others.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define WORKER_LOOK_MS 1000
#define VAULT_MS 2000
#define PRIORITY_OF_CRASH PRIORITY_HIGH

/* --- what others of this folder need --- */

int ffdc_vault(struct ffdc *ffdc, struct vault *vault, struct operation *operation)
{
    struct operation finding;
    operation_start(&finding, VAULT_MS, operation->cancel);
    int status = vault_find(ffdc->node, vault, &finding);
    pthread_mutex_lock(&ffdc->lock);
    if (status == VIOS_OK) {
        ffdc->vault = *vault;
        ffdc->vault_known = true;
    } else if (ffdc->vault_known && status != VIOS_E_INVALID) {
        *vault = ffdc->vault;
        vault->make = false;
        status = VIOS_OK;
    }
    pthread_mutex_unlock(&ffdc->lock);
    if (status != VIOS_OK) {
        operation->error = finding.error;
    }
    return status;
}

bool ffdc_is_running(struct ffdc *ffdc, const char *correlator)
{
    bool running = false;
    pthread_mutex_lock(&ffdc->lock);
    for (int i = 0; i < FFDC_RUNNING_MAX; i++) {
        running = running || strcmp(ffdc->running[i], correlator) == 0 ||
                  strcmp(ffdc->running[i], FFDC_UNNUMBERED) == 0;
    }
    pthread_mutex_unlock(&ffdc->lock);
    return running;
}

int ffdc_begin(struct ffdc *ffdc, struct vios_error *error)
{
    int place = FFDC_RUNNING_MAX;
    pthread_mutex_lock(&ffdc->lock);
    while (place > 0 && ffdc->running[place - 1][0]) {
        place--;
    }
    if (--place >= 0) {
        snprintf(ffdc->running[place], sizeof ffdc->running[place], FFDC_UNNUMBERED);
    }
    pthread_mutex_unlock(&ffdc->lock);
    return place >= 0 ? place
                      : error_set(error, VIOS_E_NO_SPACE, "ffdc", "try again a little later",
                                  "%d captures run on this node", FFDC_RUNNING_MAX);
}

void ffdc_number(struct ffdc *ffdc, int place, const char *correlator)
{
    pthread_mutex_lock(&ffdc->lock);
    snprintf(ffdc->running[place], sizeof ffdc->running[place], "%s", correlator);
    pthread_mutex_unlock(&ffdc->lock);
}

void ffdc_poke(struct ffdc *ffdc)
{
    eventfd_write(ffdc->poke, 1); /* fails only when it is full: readable all the same */
}

/* --- signals --- */

/* When this signature may be looked at again, if it is to wait so long. */
static int64_t due_ms(const struct ffdc *ffdc, const char *signature, int64_t delay_ms)
{
    int64_t due = clock_now_ms() + delay_ms;
    for (size_t i = 0; i < FFDC_QUEUE_MAX; i++) {
        int64_t again = ffdc->recent[i].handled_ms + FFDC_REPEAT_MS;
        if (ffdc->recent[i].handled_ms > 0 && again > due &&
            strcmp(ffdc->recent[i].signature, signature) == 0) {
            due = again;
        }
    }
    return due;
}

static struct ffdc_wanted *find_queued(struct ffdc *ffdc, const char *signature)
{
    for (size_t i = 0; i < ffdc->queued; i++) {
        if (strncmp(ffdc->queue[i].signature, signature, MANIFEST_SIGNATURE_SIZE - 1) == 0) {
            return &ffdc->queue[i];
        }
    }
    return NULL;
}

static bool enqueue(struct ffdc *ffdc, const struct ffdc_signal *signal)
{
    struct ffdc_wanted *wanted = find_queued(ffdc, signal->signature);
    if (wanted) {
        wanted->count++;
        return true;
    }
    if (ffdc->queued == FFDC_QUEUE_MAX) {
        return false;
    }
    wanted = &ffdc->queue[ffdc->queued++];
    *wanted = (struct ffdc_wanted){.priority = signal->priority, .count = 1};
    snprintf(wanted->trigger, sizeof wanted->trigger, "%s", signal->trigger);
    snprintf(wanted->component, sizeof wanted->component, "%s", signal->component);
    snprintf(wanted->signature, sizeof wanted->signature, "%s", signal->signature);
    wanted->due_ms = due_ms(ffdc, wanted->signature, signal->delay_ms);
    pthread_cond_signal(&ffdc->changed);
    return true;
}

void ffdc_signal(struct node *node, const struct ffdc_signal *signal)
{
    struct ffdc *ffdc = node->ffdc;
    if (!ffdc || manifest_check_component(signal->component, NULL) != VIOS_OK) {
        return;
    }
    recorder_note(node->recorder, "ffdc", "signalled: %s (%s)", signal->trigger, signal->signature);
    pthread_mutex_lock(&ffdc->lock);
    bool queued = enqueue(ffdc, signal);
    pthread_mutex_unlock(&ffdc->lock);
    if (!queued) {
        log_warning("ffdc", "%s is not captured: %d signals wait already", signal->trigger,
                    FFDC_QUEUE_MAX);
    }
}

/* Waits for one that is due. False: it is to end. */
static bool next_wanted(struct ffdc *ffdc, struct ffdc_wanted *wanted)
{
    bool found = false;
    pthread_mutex_lock(&ffdc->lock);
    while (!found && !cancel_triggered(ffdc->cancel)) {
        int64_t now_ms = clock_now_ms(), wait_ms = WORKER_LOOK_MS;
        for (size_t i = 0; i < ffdc->queued && !found; i++) {
            int64_t left_ms = ffdc->queue[i].due_ms - now_ms;
            found = left_ms <= 0;
            wait_ms = left_ms < wait_ms ? left_ms : wait_ms;
            if (found) {
                *wanted = ffdc->queue[i];
                ffdc->queue[i] = ffdc->queue[--ffdc->queued];
            }
        }
        if (!found) {
            condition_wait(&ffdc->changed, &ffdc->lock, (int)wait_ms);
        }
    }
    pthread_mutex_unlock(&ffdc->lock);
    return found;
}

static void note_handled(struct ffdc *ffdc, const char *signature)
{
    pthread_mutex_lock(&ffdc->lock);
    size_t at = ffdc->recent_next++ % FFDC_QUEUE_MAX;
    snprintf(ffdc->recent[at].signature, sizeof ffdc->recent[at].signature, "%s", signature);
    ffdc->recent[at].handled_ms = clock_now_ms();
    for (size_t i = 0; i < ffdc->queued; i++) { /* signalled again while it was captured */
        struct ffdc_wanted *wanted = &ffdc->queue[i];
        int64_t due = due_ms(ffdc, wanted->signature, 0);
        wanted->due_ms = due > wanted->due_ms ? due : wanted->due_ms;
    }
    pthread_mutex_unlock(&ffdc->lock);
}

static void no_progress(struct call *call, const char *job, int64_t done, int64_t total,
                        const char *unit)
{
    (void)call, (void)job, (void)done, (void)total, (void)unit;
}

static const struct call_operations NOBODY = {.progress = no_progress};

static bool is_missing(struct ffdc *ffdc, struct manifest *manifest)
{
    const struct manifest_node *entry = manifest_find(manifest, ffdc->node->name);
    return entry && entry->state == PART_MISSING;
}

static void handle(struct ffdc *ffdc, const struct ffdc_wanted *wanted)
{
    struct operation operation;
    struct call call = {
        .node = ffdc->node, .actor = "ffdc", .role = ROLE_ADMIN, .operations = &NOBODY};
    struct manifest *manifest = calloc(1, sizeof *manifest);
    bool repeated = false;
    operation_start(&operation, OPERATION_NO_DEADLINE, ffdc->cancel);
    int status = manifest ? capture_run(ffdc, wanted, &call, manifest, &repeated, &operation)
                          : operation_no_memory(&operation, NULL);
    if (status != VIOS_OK) {
        log_warning("ffdc", "%s is not captured: %s", wanted->trigger, operation.error.message);
    } else {
        log_notice("ffdc", "%s is incident %s%s", wanted->trigger, manifest->correlator,
                   repeated ? ", which is known" : "");
        if (repeated && !is_missing(ffdc, manifest)) { /* what the first one left is kept */
            crash_forget(ffdc->node, wanted->component);
        }
    }
    free(manifest);
    note_handled(ffdc, wanted->signature);
}

static void *work(void *argument)
{
    struct ffdc *ffdc = argument;
    struct ffdc_wanted wanted;
    while (next_wanted(ffdc, &wanted)) {
        handle(ffdc, &wanted);
    }
    return NULL;
}

static void *add_late(void *argument)
{
    late_run(argument);
    return NULL;
}

static void *watch(void *argument)
{
    late_watch(argument);
    return NULL;
}

/* --- the part --- */

/* It is told of a successor of io only: the one before died. */
static void part_restored(struct node *node)
{
    char signature[MANIFEST_SIGNATURE_SIZE];
    snprintf(signature, sizeof signature, "io crash on %s", node->name);
    ffdc_signal(node, &(struct ffdc_signal){.trigger = "io crash",
                                            .component = CRASH_COMPONENT_IO,
                                            .signature = signature,
                                            .priority = PRIORITY_OF_CRASH});
}

static void part_stop(struct node *node, bool stop_guests)
{
    struct ffdc *ffdc = node->ffdc;
    (void)stop_guests;
    if (!ffdc) {
        return;
    }
    listener_stop(ffdc->listener); /* first: it signals */
    cancel_trigger(ffdc->cancel);
    pthread_mutex_lock(&ffdc->lock);
    pthread_cond_signal(&ffdc->changed);
    pthread_mutex_unlock(&ffdc->lock);
    const pthread_t threads[] = {ffdc->worker, ffdc->late, ffdc->watcher};
    for (int i = 0; i < ffdc->threads; i++) {
        pthread_join(threads[i], NULL);
    }
    node->ffdc = NULL;
    if (ffdc->spool_fd >= 0) {
        close(ffdc->spool_fd);
    }
    if (ffdc->poke >= 0) {
        close(ffdc->poke);
    }
    limited_free(ffdc->limited);
    cancel_free(ffdc->cancel);
    pthread_cond_destroy(&ffdc->changed);
    pthread_mutex_destroy(&ffdc->lock);
    pthread_mutex_destroy(&ffdc->part_lock);
    free(ffdc);
}

static int start_threads(struct ffdc *ffdc, struct vios_error *error)
{
    struct {
        pthread_t *thread;
        const char *name;
        void *(*run)(void *);
    } const rows[] = {{&ffdc->worker, "ffdc", work},
                      {&ffdc->late, "ffdc-late", add_late},
                      {&ffdc->watcher, "ffdc-watch", watch}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (thread_start(rows[i].thread, rows[i].name, rows[i].run, ffdc) != 0) {
            return error_set(error, VIOS_E_NO_SPACE, "ffdc", NULL, "cannot start its threads");
        }
        ffdc->threads++;
    }
    return VIOS_OK;
}

static int open_spool(struct ffdc *ffdc, struct vios_error *error)
{
    snprintf(ffdc->spool, sizeof ffdc->spool, "%s/" VAULT_FOLDER, ffdc->node->state_dir);
    int status = file_make_folders(ffdc->spool, 0700, error);
    if (status == VIOS_OK) {
        ffdc->spool_fd = open(ffdc->spool, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        status =
            ffdc->spool_fd < 0 ? error_set_errno(error, ffdc->spool, "cannot be opened") : VIOS_OK;
    }
    return status;
}

static void signal_crash(struct node *node)
{
    char signature[MANIFEST_SIGNATURE_SIZE];
    const char *trigger;
    if (crash_signal(node, signature, &trigger)) {
        ffdc_signal(node, &(struct ffdc_signal){.trigger = trigger,
                                                .component = CRASH_COMPONENT,
                                                .signature = signature,
                                                .priority = PRIORITY_OF_CRASH});
    }
}

static int part_start(struct node *node, struct vios_error *error)
{
    struct ffdc *ffdc = calloc(1, sizeof *ffdc);
    if (!ffdc) {
        return error_no_memory(error, "ffdc");
    }
    ffdc->node = node;
    ffdc->spool_fd = -1;
    condition_init(&ffdc->changed);
    pthread_mutex_init(&ffdc->lock, NULL);
    pthread_mutex_init(&ffdc->part_lock, NULL);
    ffdc->poke = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    ffdc->cancel = cancel_new();
    ffdc->limited = limited_new();
    node->ffdc = ffdc;
    int status = ffdc->poke >= 0 && ffdc->cancel && ffdc->limited ? open_spool(ffdc, error)
                                                                  : error_no_memory(error, "ffdc");
    if (status == VIOS_OK) {
        status = start_threads(ffdc, error);
    }
    if (status == VIOS_OK) {
        status = listener_start(&ffdc->listener, node, error);
    }
    if (status != VIOS_OK) {
        part_stop(node, false);
        return status;
    }
    signal_crash(node);
    return VIOS_OK;
}

const struct part ffdc_part = {
    .name = "ffdc",
    .start = part_start,
    .restored = part_restored,
    .stop = part_stop,
    .methods = &ffdc_methods,
};
