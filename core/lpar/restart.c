/*
 * restart.c - see restart.h. Until the commit the record has generation g; everything on this node
 * (exports, run folder, QEMU) is made for g + 1 already. What was made for a restart that failed is
 * made again by the next one, under the same number: nothing of it ever served the guest.
 */
#include "lpar/restart.h"

#include "base/json.h"
#include "lpar/adopt.h"
#include "lpar/disks.h"
#include "lpar/ending.h"
#include "lpar/guest.h"
#include "lpar/guest_exports.h"
#include "lpar/hold.h"
#include "lpar/launch.h"
#include "lpar/migration.h"
#include "lpar/own.h"
#include "lpar/saved.h"
#include "lpar/saved_pages.h"
#include "lpar/validate.h"
#include "lpar/view.h"
#include "node/node.h"
#include "paging/paging.h"
#include "paging/plan.h"

#include <stdio.h>
#include <string.h>

#define ASK_MS 5000
#define READY_MS 30000 /* io and QEMU, each */
#define STATE_MS 5000  /* until its state is seen */

/* --- claim --- */

static int open_file(struct job *job, const struct lpar *lpar, struct saved *saved,
                     struct hibernation_reader **reader)
{
    int status = saved_load(job->store, lpar->name, saved, &job->operation);
    return status == VIOS_OK
               ? saved_open(job_node(job), job->store, lpar, saved, reader, &job->operation)
               : status;
}

/* As it will be on this node. */
static struct lpar next_of(const struct lpar *lpar)
{
    struct lpar next = *lpar;
    lpar_raise(&next);
    return next;
}

static int claim(struct job *job, struct lpar *lpar)
{
    struct node *node = job_node(job);
    struct validation validation = {.what = VALIDATE_RESTART};
    int status = validate(node, job->store, lpar, &validation, &job->operation);
    if (status == VIOS_OK) {
        const struct lpar next = next_of(lpar);
        status = lpars_reserve(node->lpars, &next, true, &job->operation.error);
    }
    return status;
}

/* What it notes it notes again when it is run again: it may have been claimed by then. */
static int restart_claim(struct job *job)
{
    struct lpar lpar;
    struct saved saved;
    int status = lpar_job_claim(job, lpar_job_name(job), claim, &lpar);
    if (status == VIOS_OK) {
        status = saved_load(job->store, lpar.name, &saved, &job->operation);
    }
    if (status == VIOS_OK) {
        json_object_set_new(job->data, "generation", json_integer(lpar.generation));
        json_object_set_new(job->data, "saved", saved_to_json(&saved));
    }
    return status;
}

static int restart_claim_undo(struct job *job)
{
    int status = lpar_job_release(job, lpar_job_name(job), NULL);
    lpars_unreserve(job_node(job)->lpars, lpar_job_name(job), job->id);
    return status;
}

/* The record as it is, and as it will be; the guest is in the table, anew after a restart of the
 * daemon. */
static int load_next(struct job *job, struct lpar *lpar, struct lpar *next)
{
    int status = lpar_job_load(job, lpar_job_name(job), lpar);
    if (status == VIOS_OK &&
        (lpar->owner[0] || lpar->generation != json_get_integer(job->data, "generation"))) {
        status = lpar_job_fail(job, VIOS_E_STALE, "see lpar show",
                               "somebody else has changed it meanwhile");
    }
    if (status == VIOS_OK) {
        *next = next_of(lpar);
        status = lpars_reserve(job_node(job)->lpars, next, false, &job->operation.error);
    }
    return status;
}

/* --- prepare, launch --- */

/* An empty device, before anything here claims the next generation. */
static int host_paging(struct job *job, const struct lpar *next)
{
    struct operation waiting;
    int status = paging_plan_restart(job, next->name, next->generation);
    job_limit(job, &waiting, READY_MS);
    return status == VIOS_OK
               ? job_keep(job, &waiting,
                          paging_await(job_node(job), next->name, next->generation, &waiting))
               : status;
}

static int restart_prepare(struct job *job)
{
    struct lpar lpar, next;
    struct run_folder folder = {.fd = -1};
    struct operation waiting;
    struct node *node = job_node(job);
    int status = load_next(job, &lpar, &next);
    if (status == VIOS_OK) {
        status = disks_check_free(job->store, &next, &job->operation);
    }
    if (status == VIOS_OK) {
        status = host_paging(job, &next);
    }
    if (status == VIOS_OK) {
        status = launch_folder(node, &next, "", &folder, &job->operation.error);
    }
    if (status == VIOS_OK) {
        job_limit(job, &waiting, READY_MS);
        status = job_keep(job, &waiting,
                          guest_exports_make(node, &next, &folder, next.generation, &waiting));
    }
    run_folder_close(&folder);
    return status;
}

/* Nothing is left of it on this node; whoever it belongs to by now. */
static int restart_prepare_undo(struct job *job)
{
    struct lpar lpar;
    int status = lpar_job_load(job, lpar_job_name(job), &lpar);
    if (status == VIOS_OK) {
        status = ending_end(job, &lpar, false);
    } else if (status == VIOS_E_NOT_FOUND || status == VIOS_E_STALE) {
        status = VIOS_OK;
    }
    return status == VIOS_OK ? paging_plan_settle(job, lpar_job_name(job)) : status;
}

static int restart_launch(struct job *job)
{
    struct lpar lpar, next;
    struct run_folder folder = {.fd = -1};
    char paging[160];
    uint64_t paging_bytes = 0;
    int status = load_next(job, &lpar, &next);
    if (status == VIOS_OK) {
        status = paging_device_size(job_node(job), next.name, &paging_bytes, &job->operation);
    }
    if (status == VIOS_OK) {
        status = run_folder_open(&folder, job_node(job)->run_dir, next.uuid, &job->operation.error);
    }
    if (status == VIOS_OK) {
        paging_export_name(next.uuid, next.generation, paging, sizeof paging);
        const struct qemu_start start = {.generation = next.generation,
                                         .paging_export = paging_bytes ? paging : NULL,
                                         .incoming = true};
        status = launch_qemu(&next, &folder, &start, &job->operation);
        if (status == VIOS_E_LOCKED) {
            status = VIOS_OK; /* this step ran already */
        }
    }
    run_folder_close(&folder);
    return status;
}

/* --- load --- */

struct loading {
    struct job *job;
    struct hibernation_reader *reader;
};

static int give_state(void *context, int descriptor, struct operation *operation)
{
    struct loading *loading = context;
    return hibernation_reader_stream_to(loading->reader, HIBERNATION_STREAM, descriptor, operation);
}

static int load_guest(struct job *job, const struct lpar *lpar, struct guest *guest)
{
    const struct migration_port port = guest_port(guest);
    struct loading loading = {.job = job};
    struct saved saved;
    struct operation asking;
    char state[MIGRATION_STATE_SIZE];
    job_limit(job, &asking, ASK_MS);
    int status = job_keep(job, &asking, migration_state(&port, state, &asking));
    if (status < 0 || strcmp(state, "completed") == 0) {
        return status; /* this step ran already */
    }
    if (state[0] && strcmp(state, "none") != 0) {
        return lpar_job_fail(job, VIOS_E_IO, "try it again",
                             "it was half loaded when its daemon ended");
    }
    status = open_file(job, lpar, &saved, &loading.reader);
    if (status == VIOS_OK) { /* before its state, whose end says that all is loaded */
        const struct lpar next = next_of(lpar);
        status = saved_pages_load(job, &next, loading.reader);
    }
    if (status == VIOS_OK) {
        status = migration_load(&port, give_state, &loading, &job->operation);
    }
    hibernation_reader_close(loading.reader);
    return status;
}

static int restart_load(struct job *job)
{
    struct lpar lpar, next;
    struct operation waiting;
    int status = load_next(job, &lpar, &next);
    if (status < 0) {
        return status;
    }
    struct guest *guest = lpars_find(job_node(job)->lpars, next.name);
    job_limit(job, &waiting, READY_MS);
    status = job_keep(job, &waiting,
                      guest ? guest_connect(guest, &waiting)
                            : operation_fail(&waiting, VIOS_E_IO, next.name, NULL, "it is gone"));
    if (status == VIOS_OK) { /* its devices have looked at their disks: no more of it until RUN */
        status = job_keep(
            job, &waiting,
            guest_exports_serve(job_node(job), &next, next.generation, "standby", &waiting));
    }
    if (status == VIOS_OK) {
        status = load_guest(job, &lpar, guest);
    }
    guest_release(guest);
    return status;
}

/* --- commit --- */

static bool is_done(const struct job *job, const struct lpar *lpar)
{
    const struct node *node = job_node(job);
    return strcmp(lpar->owner, node->name) == 0 && lpar->owner_incarnation == node->incarnation &&
           lpar->generation > json_get_integer(job->data, "generation");
}

/* A daemon that began anew has ended the QEMU that its predecessor loaded. */
static int check_loaded(struct job *job)
{
    struct guest *guest = lpars_find(job_node(job)->lpars, lpar_job_name(job));
    struct operation asking;
    job_limit(job, &asking, ASK_MS);
    bool loaded = guest_is_loaded(guest, &asking);
    guest_release(guest);
    return loaded
               ? VIOS_OK
               : lpar_job_fail(job, VIOS_E_IO, "try it again", "its QEMU ended before it went on");
}

static int take(struct job *job, const struct store_value *value, struct ownership **ownership)
{
    char key[STORE_KEY_MAX];
    struct store_value hibernation = {0};
    struct operation asking;
    const struct node *node = job_node(job);
    snprintf(key, sizeof key, SAVED_PREFIX "%s", lpar_job_name(job));
    job_limit(job, &asking, ASK_MS);
    int status = store_get(job->store, key, &hibernation, &asking);
    const struct ownership_facts facts = {.node = node->name,
                                          .incarnation = node->incarnation,
                                          .lpar = value,
                                          .hibernation = status == VIOS_OK ? &hibernation : NULL,
                                          .wanted = "running",
                                          .recorder = node->recorder};
    if (status == VIOS_E_NOT_FOUND) {
        status = VIOS_OK; /* it is refused with the reason */
    }
    status = job_keep(job, &asking, status);
    if (status == VIOS_OK) {
        status = ownership_begin(ownership, OWNERSHIP_RESTORE, &facts, &job->operation.error);
    }
    if (status == VIOS_OK) {
        status = own_drive(job, lpar_job_name(job), *ownership, NULL);
    }
    store_value_clear(&hibernation);
    return status;
}

static int restart_commit(struct job *job)
{
    char why[160];
    struct lpar lpar;
    struct store_value value;
    struct ownership *ownership = NULL;
    int status = own_read(job, lpar_job_name(job), &value, &lpar);
    if (status == VIOS_OK && !is_done(job, &lpar)) {
        status = check_loaded(job);
        if (status == VIOS_OK) {
            status = take(job, &value, &ownership);
        }
        if (status == VIOS_OK && ownership_next(ownership) != OWNERSHIP_RUN) {
            snprintf(why, sizeof why, "it is not restarted: %s", ownership_why(ownership));
            status = lpar_job_fail(job, VIOS_E_CONFLICT, "see lpar show", why);
        }
    }
    ownership_free(ownership);
    store_value_clear(&value);
    return status;
}

/* --- run, finish --- */

static int run_guest(struct job *job, struct guest *guest, const struct lpar *lpar)
{
    struct operation waiting;
    job_limit(job, &waiting, READY_MS);
    int status = guest_exports_serve(job_node(job), lpar, lpar->generation, "open", &waiting);
    if (status == VIOS_OK) {
        status = guest_call(guest, "cont", NULL, NULL, &waiting);
    }
    if (status == VIOS_OK) { /* so that who sees the job done sees the guest run */
        job_limit(job, &waiting, STATE_MS);
        (void)guest_await_running(guest, &waiting);
    }
    return job_keep(job, &waiting, status);
}

/* When the QEMU is gone by now, its memory is, too. */
static int restart_run(struct job *job)
{
    struct lpar lpar;
    struct node *node = job_node(job);
    struct operation waiting;
    int status = lpar_job_load(job, lpar_job_name(job), &lpar);
    if (status < 0 || !run_folder_lives(node->run_dir, lpar.uuid)) {
        return status == VIOS_E_STALE ? VIOS_OK : status;
    }
    status = lpars_reserve(node->lpars, &lpar, false, &job->operation.error);
    struct guest *guest = lpars_find(node->lpars, lpar.name);
    job_limit(job, &waiting, READY_MS);
    if (status == VIOS_OK && guest) {
        status = job_keep(job, &waiting, guest_connect(guest, &waiting));
    }
    if (status == VIOS_OK && guest) {
        status = run_guest(job, guest, &lpar);
    }
    guest_release(guest);
    return status < 0 && !run_folder_lives(node->run_dir, lpar.uuid) ? VIOS_OK : status;
}

static int restart_finish(struct job *job)
{
    struct node *node = job_node(job);
    int status = paging_plan_settle(job, lpar_job_name(job));
    if (status == VIOS_OK) {
        status = lpar_job_release(job, lpar_job_name(job), NULL);
    }
    if (status == VIOS_OK) {
        status =
            saved_used_up(node, job->store, lpar_job_name(job), json_object_get(job->data, "saved"),
                          json_get_integer(job->data, "generation"), &job->operation);
    }
    struct guest *guest = lpars_find(node->lpars, lpar_job_name(job));
    if (status == VIOS_OK && !guest) {
        status = lpar_settle(node, job->store, lpar_job_name(job), &job->operation);
    }
    guest_release(guest);
    return status < 0
               ? status
               : view_show(node, job->store, lpar_job_name(job), &job->result, &job->operation);
}

static const struct job_step STEPS[] = {
    {"claim", restart_claim, restart_claim_undo},
    {"prepare", restart_prepare, restart_prepare_undo},
    {"launch", restart_launch, NULL}, /* what it made is undone by prepare */
    {"load", restart_load, NULL},
    {"commit", restart_commit, NULL},
    {"run", restart_run, NULL},
    {"finish", restart_finish, NULL},
};

const struct job_kind lpar_restart_job = {"lpar.restart", STEPS, sizeof STEPS / sizeof *STEPS, 4,
                                          .is_local = true};
