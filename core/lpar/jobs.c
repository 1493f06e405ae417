/*
 * jobs.c - starting and stopping, step by step. See the headers.
 *
 * start: claim (the record: generation + 1, owner this node, held by this job) -> prepare (run
 *        folder, io, paging) -> launch (the process, stopped) -> run (QMP, cont; the commit
 *        point) -> finish (the record is free).
 * stop:  claim -> powerdown (ask the guest) -> end (quit, then SIGKILL; the commit point)
 *        -> finish (no owner, free).
 * The record's `job` tells a repeated claim from somebody else's, so each step may run again.
 */
#include "lpar/jobs.h"

#include "base/json.h"
#include "lpar/adopt.h"
#include "lpar/disks.h"
#include "lpar/ending.h"
#include "lpar/guest.h"
#include "lpar/guest_exports.h"
#include "lpar/hold.h"
#include "lpar/launch.h"
#include "lpar/run_folder.h"
#include "lpar/saved.h"
#include "lpar/spec.h"
#include "lpar/view.h"
#include "node/node.h"
#include "paging/paging.h"
#include "paging/plan.h"

#include <stdio.h>
#include <string.h>

#define READY_TIMEOUT_MS 30000 /* io, paging and QEMU, each */
#define STATE_TIMEOUT_MS 5000  /* until its state is seen */
#define QUIT_TIMEOUT_MS 5000

/* --- start --- */

static int refuse_running(struct job *job, const struct lpar *lpar)
{
    char object[96], hint[128];
    bool here = strcmp(lpar->owner, job_node(job)->name) == 0;
    snprintf(hint, sizeof hint, here ? "see lpar show %s" : "stop it there: on %s lpar stop",
             here ? lpar->name : lpar->owner);
    return operation_fail(&job->operation, VIOS_E_CONFLICT, lpar_object(lpar->name, object), hint,
                          "it runs on node \"%s\" already", lpar->owner);
}

/* Its memory is kept, unless the caller gives it up: then the next generation makes it void. */
static int refuse_hibernated(struct job *job, const struct lpar *lpar)
{
    char object[96], hint[200];
    if (lpar->wanted != LPAR_HIBERNATED ||
        json_is_true(json_object_get(job->data, "from_storage"))) {
        return VIOS_OK;
    }
    snprintf(hint, sizeof hint, "lpar restart %s; or lpar start %s --from-storage, without it",
             lpar->name, lpar->name);
    return operation_fail(&job->operation, VIOS_E_CONFLICT, lpar_object(lpar->name, object), hint,
                          "it is hibernated: its memory is kept");
}

static int claim_start(struct job *job, struct lpar *lpar)
{
    struct node *node = job_node(job);
    int status = lpar->owner[0] ? refuse_running(job, lpar) : refuse_hibernated(job, lpar);
    if (status == VIOS_OK) {
        status = spec_check_files(lpar, &job->operation.error);
    }
    if (status == VIOS_OK) {
        status = disks_check(node, job->store, lpar, &job->operation);
    }
    if (status == VIOS_OK) {
        status = spec_check_accel(lpar, &job->operation.error);
    }
    if (status == VIOS_OK) {
        status = lpars_reserve(node->lpars, lpar, true, &job->operation.error);
    }
    if (status == VIOS_OK) { /* of a restart that came to nothing */
        status = paging_plan_drop(job, lpar->name);
    }
    if (status == VIOS_OK) {
        lpar_raise(lpar);
        lpar->wanted = LPAR_RUNNING;
        lpar->owner_incarnation = node->incarnation;
        snprintf(lpar->owner, sizeof lpar->owner, "%s", node->name);
    }
    return status;
}

static int start_claim(struct job *job)
{
    struct lpar lpar;
    int status = lpar_job_claim(job, lpar_job_name(job), claim_start, &lpar);
    if (status == VIOS_OK) {
        json_object_set_new(job->data, "generation", json_integer(lpar.generation));
    }
    return status;
}

static void set_stopped(const struct job *job, struct lpar *lpar)
{
    (void)job;
    lpar->owner[0] = 0;
    lpar->wanted = LPAR_STOPPED;
}

static int start_claim_undo(struct job *job)
{
    int status = lpar_job_release(job, lpar_job_name(job), set_stopped);
    lpars_unreserve(job_node(job)->lpars, lpar_job_name(job), job->id);
    return status;
}

/* By this incarnation of this node: what one before was given is void, and anybody's. */
static bool is_own(const struct job *job, const struct lpar *lpar)
{
    const struct node *node = job_node(job);
    return strcmp(lpar->owner, node->name) == 0 && lpar->owner_incarnation == node->incarnation;
}

/* The record as claimed, and the guest in the table (anew after a restart of the daemon). */
static int load_claimed(struct job *job, struct lpar *lpar)
{
    char object[96];
    int status = lpar_job_load(job, lpar_job_name(job), lpar);
    if (status == VIOS_OK && !is_own(job, lpar)) {
        status = operation_fail(&job->operation, VIOS_E_STALE, lpar_object(lpar->name, object),
                                "start it again", "node \"%s\" began anew while it was started",
                                lpar->owner);
    }
    if (status == VIOS_OK) {
        status = lpars_reserve(job_node(job)->lpars, lpar, false, &job->operation.error);
    }
    return status;
}

static int start_prepare(struct job *job)
{
    struct lpar lpar;
    struct run_folder folder = {.fd = -1};
    struct operation waiting;
    int status = load_claimed(job, &lpar);
    if (status == VIOS_OK) {
        status = disks_check_free(job->store, &lpar, &job->operation);
    }
    if (status == VIOS_OK) {
        status = launch_folder(job_node(job), &lpar, "", &folder, &job->operation.error);
    }
    if (status == VIOS_OK) {
        job_limit(job, &waiting, READY_TIMEOUT_MS);
        status =
            job_keep(job, &waiting,
                     guest_exports_make(job_node(job), &lpar, &folder, lpar.generation, &waiting));
    }
    if (status == VIOS_OK) {
        job_limit(job, &waiting, READY_TIMEOUT_MS);
        status = job_keep(job, &waiting,
                          paging_await(job_node(job), lpar.name, lpar.generation, &waiting));
    }
    run_folder_close(&folder);
    return status;
}

/* To undo: the job does not hold the record, or there is none. */
static bool nothing_left(int status)
{
    return status == VIOS_E_NOT_FOUND || status == VIOS_E_STALE;
}

static int start_prepare_undo(struct job *job)
{
    struct lpar lpar;
    struct operation waiting;
    int status = lpar_job_load(job, lpar_job_name(job), &lpar);
    if (status < 0) {
        return nothing_left(status) ? VIOS_OK : status;
    }
    job_limit(job, &waiting, READY_TIMEOUT_MS);
    waiting.cancel = NULL; /* undoing is not cancelled */
    status = job_keep(job, &waiting, guest_exports_drop(job_node(job), lpar.uuid, &waiting));
    int removed = run_folder_remove(job_node(job)->run_dir, lpar.uuid, &job->operation.error);
    return status < 0 ? status : removed;
}

static int start_launch(struct job *job)
{
    struct lpar lpar;
    struct node *node = job_node(job);
    struct run_folder folder = {.fd = -1};
    char paging[160];
    uint64_t paging_bytes = 0;
    int status = load_claimed(job, &lpar);
    if (status == VIOS_OK) {
        status = paging_device_size(node, lpar.name, &paging_bytes, &job->operation);
    }
    if (status == VIOS_OK) {
        status = run_folder_open(&folder, node->run_dir, lpar.uuid, &job->operation.error);
    }
    if (status == VIOS_OK) {
        paging_export_name(lpar.uuid, lpar.generation, paging, sizeof paging);
        const struct qemu_start start = {.generation = lpar.generation,
                                         .paging_export = paging_bytes ? paging : NULL};
        status = launch_qemu(&lpar, &folder, &start, &job->operation);
        if (status == VIOS_E_LOCKED) {
            status = VIOS_OK; /* this step ran already */
        }
    }
    run_folder_close(&folder);
    return status;
}

static int start_launch_undo(struct job *job)
{
    struct lpar lpar;
    struct node *node = job_node(job);
    struct operation waiting;
    int status = lpar_job_load(job, lpar_job_name(job), &lpar);
    if (status < 0) {
        return nothing_left(status) ? VIOS_OK : status;
    }
    operation_start(&waiting, ENDING_TIMEOUT_MS, NULL);
    return job_keep(job, &waiting, ending_kill(node, &lpar, &waiting));
}

static int start_run(struct job *job)
{
    struct lpar lpar;
    struct operation waiting;
    int status = load_claimed(job, &lpar);
    if (status < 0) {
        return status;
    }
    struct guest *guest = lpars_find(job_node(job)->lpars, lpar.name);
    job_limit(job, &waiting, READY_TIMEOUT_MS);
    status = guest ? guest_connect(guest, &waiting)
                   : operation_fail(&waiting, VIOS_E_IO, lpar.name, NULL, "QEMU ended at once");
    if (status == VIOS_OK) {
        status = guest_call(guest, "cont", NULL, NULL, &waiting);
    }
    guest_release(guest);
    return job_keep(job, &waiting, status);
}

/* The guest ended with the incarnation that started it. */
static void set_stopped_unless_own(const struct job *job, struct lpar *lpar)
{
    if (!is_own(job, lpar)) {
        set_stopped(job, lpar);
    }
}

/* The guest may have ended while no daemon was there to see, or may just not be in the table of a
 * daemon that started anew. */
static int guest_is_here(struct job *job, const struct lpar *lpar, bool *here)
{
    struct node *node = job_node(job);
    struct operation waiting;
    json_int_t started = json_get_integer(job->data, "generation");
    *here = false;
    if (lpar->generation != started || !is_own(job, lpar)) {
        return VIOS_OK;
    }
    job_limit(job, &waiting, READY_TIMEOUT_MS);
    int status = lpars_reserve(node->lpars, lpar, false, &waiting.error);
    struct guest *guest = lpars_find(node->lpars, lpar->name);
    if (status == VIOS_OK && guest) {
        status = guest_connect(guest, &waiting);
    }
    *here = guest && status == VIOS_OK;
    if (*here) {
        /* So that who sees the job done sees the guest run; its own trouble is no failed start. */
        job_limit(job, &waiting, STATE_TIMEOUT_MS);
        (void)guest_await_state(guest, &waiting);
    }
    guest_release(guest);
    if (status < 0 && run_folder_lives(node->run_dir, lpar->uuid)) {
        return job_keep(job, &waiting, status); /* it lives: only its end may be recorded as one */
    }
    if (!*here) {
        lpars_unreserve(node->lpars, lpar->name, job->id);
    }
    return VIOS_OK;
}

static int start_finish(struct job *job)
{
    struct lpar lpar;
    struct node *node = job_node(job);
    int status = lpar_load(job->store, lpar_job_name(job), &lpar, &job->operation);
    bool here = false;
    if (status == VIOS_OK) {
        status = guest_is_here(job, &lpar, &here);
    }
    if (status == VIOS_OK && json_is_true(json_object_get(job->data, "from_storage"))) {
        status = saved_discard(node, job->store, lpar_job_name(job), &job->operation);
    }
    if (status == VIOS_OK) {
        status = lpar_job_release(job, lpar_job_name(job), set_stopped_unless_own);
    }
    if (status == VIOS_OK && !here) {
        status = lpar_settle(node, job->store, lpar.name, &job->operation);
    }
    return status < 0 ? status
                      : view_show(node, job->store, lpar.name, &job->result, &job->operation);
}

static const struct job_step START_STEPS[] = {
    {"claim", start_claim, start_claim_undo},
    {"prepare", start_prepare, start_prepare_undo},
    {"launch", start_launch, start_launch_undo},
    {"run", start_run, NULL},
    {"finish", start_finish, NULL},
};

const struct job_kind lpar_start_job = {
    "lpar.start", START_STEPS, sizeof START_STEPS / sizeof *START_STEPS, 3, .is_local = true};

/* --- stop --- */

static int claim_stop(struct job *job, struct lpar *lpar)
{
    char object[96], hint[200];
    const struct node *node = job_node(job);
    if (!lpar->owner[0]) {
        return operation_fail(&job->operation, VIOS_E_CONFLICT, lpar_object(lpar->name, object),
                              NULL, "it does not run");
    }
    if (strcmp(lpar->owner, node->name) != 0) {
        snprintf(hint, sizeof hint, "say: on %s lpar stop %s", lpar->owner, lpar->name);
        return operation_fail(&job->operation, VIOS_E_CONFLICT, lpar_object(lpar->name, object),
                              hint, "it runs on node \"%s\"", lpar->owner);
    }
    lpar->wanted = LPAR_STOPPED;
    return VIOS_OK;
}

static int stop_claim(struct job *job)
{
    struct lpar lpar;
    return lpar_job_claim(job, lpar_job_name(job), claim_stop, &lpar);
}

static void set_running(const struct job *job, struct lpar *lpar)
{
    (void)job;
    lpar->wanted = LPAR_RUNNING;
}

static int stop_claim_undo(struct job *job)
{
    return lpar_job_release(job, lpar_job_name(job), set_running);
}

static int stop_powerdown(struct job *job)
{
    struct lpar lpar;
    struct guest_status now = {.state = ""};
    struct operation asking, waiting;
    int status = lpar_job_load(job, lpar_job_name(job), &lpar);
    if (status < 0) {
        return status;
    }
    struct guest *guest = lpars_find(job_node(job)->lpars, lpar.name);
    if (guest) {
        guest_status(guest, &now);
    }
    if (guest && !json_is_true(json_object_get(job->data, "force")) &&
        strcmp(now.state, "running") == 0) {
        job_limit(job, &asking, QUIT_TIMEOUT_MS);
        status = guest_call(guest, "system_powerdown", NULL, NULL, &asking);
        job_limit(job, &waiting, json_get_integer(job->data, "timeout_ms"));
        if (status == VIOS_OK) {
            status = guest_await_end(guest, &waiting);
        }
        /* A guest that does not listen is ended by the next step; a caller who cancels is heard. */
        status = status == VIOS_E_CANCELLED ? job_keep(job, &waiting, status) : VIOS_OK;
    }
    guest_release(guest);
    return status;
}

static int stop_end(struct job *job)
{
    struct lpar lpar;
    int status = lpar_job_load(job, lpar_job_name(job), &lpar);
    return status < 0 ? status : ending_end(job, &lpar, true);
}

static int stop_finish(struct job *job)
{
    struct lpar lpar;
    struct node *node = job_node(job);
    int status = lpar_job_load(job, lpar_job_name(job), &lpar);
    if (status == VIOS_OK) {
        status = lpar_publish(job->store, lpar.name,
                              &(struct lpar_run){.node = node->name,
                                                 .incarnation = node->incarnation,
                                                 .generation = lpar.generation,
                                                 .state = "stopped",
                                                 .why = "stopped by the administrator"},
                              &job->operation);
    }
    if (status == VIOS_OK) {
        status = lpar_job_release(job, lpar.name, set_stopped);
    }
    return status < 0 && status != VIOS_E_STALE
               ? status
               : view_show(node, job->store, lpar.name, &job->result, &job->operation);
}

static const struct job_step STOP_STEPS[] = {
    {"claim", stop_claim, stop_claim_undo},
    {"powerdown", stop_powerdown, NULL},
    {"end", stop_end, NULL},
    {"finish", stop_finish, NULL},
};

const struct job_kind lpar_stop_job = {"lpar.stop", STOP_STEPS,
                                       sizeof STOP_STEPS / sizeof *STOP_STEPS, 2, .is_local = true};
