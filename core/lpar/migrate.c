/* migrate.c - see migrate.h. */
#include "lpar/migrate.h"

#include "base/json.h"
#include "base/log.h"
#include "lpar/ending.h"
#include "lpar/guest.h"
#include "lpar/hold.h"
#include "lpar/job_guest.h"
#include "lpar/lookup.h"
#include "lpar/outgoing.h"
#include "lpar/own.h"
#include "lpar/place.h"
#include "lpar/run_folder.h"
#include "lpar/validate.h"
#include "lpar/validations.h"
#include "lpar/view.h"
#include "node/node.h"
#include "node/others.h"
#include "paging/plan.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define ASK_MS 5000    /* QEMU, or the VIOS DB */
#define GO_ON_MS 10000 /* the other node, once */
#define AGAIN_MS 500   /* until it is asked again */

/* --- claim --- */

static int claim(struct job *job, struct lpar *lpar)
{
    struct validation validation = {.what = VALIDATE_MIGRATE};
    int status = validate(job_node(job), job->store, lpar, &validation, &job->operation);
    return status == VIOS_OK ? validations_require(job_node(job), job_text(job, "target"),
                                                   lpar->name, validation.qemu, &job->operation)
                             : status;
}

static int migrate_claim(struct job *job)
{
    struct lpar lpar;
    int status = lpar_job_claim(job, lpar_job_name(job), claim, &lpar);
    if (status == VIOS_OK && !json_object_get(job->data, "generation")) {
        json_object_set_new(job->data, "generation", json_integer(lpar.generation));
    }
    return status;
}

static int migrate_claim_undo(struct job *job)
{
    int status = paging_plan_settle(job, lpar_job_name(job));
    return status == VIOS_OK ? lpar_job_release(job, lpar_job_name(job), NULL) : status;
}

/* --- send --- */

/* Whether its pages go along or stay, they are there for whichever becomes the next generation. */
static int plan_pages(struct job *job, const struct lpar *lpar)
{
    return paging_plan_move(job, lpar->name, job_text(job, "target"), lpar->generation + 1);
}

/* It did when the job claimed it: one that stands still was being sent when its daemon ended. */
static int check_runs(struct job *job, struct guest *guest)
{
    json_t *answer = NULL;
    struct operation asking;
    job_limit(job, &asking, ASK_MS);
    int status = job_keep(job, &asking, guest_call(guest, "query-status", NULL, &answer, &asking));
    bool runs = json_is_true(json_object_get(answer, "running"));
    json_decref(answer);
    return status < 0 || runs ? status
                              : lpar_job_fail(job, VIOS_E_IO, "try it again",
                                              "its daemon ended while it was sent");
}

/* Whether the target's QEMU waits is known only to the daemon that was told so. */
static int migrate_send(struct job *job)
{
    struct lpar lpar;
    struct guest *guest;
    int64_t incarnation = 0;
    int status = job_guest_find(job, &lpar, &guest);
    if (status == VIOS_OK) {
        status = check_runs(job, guest);
    }
    if (status == VIOS_OK) {
        status = plan_pages(job, &lpar);
    }
    if (status == VIOS_OK) {
        status = outgoing_send(job, &lpar, guest, job_text(job, "target"), &incarnation);
        json_object_set_new(job->data, "incarnation", json_integer((json_int_t)incarnation));
        json_object_set_new(job->data, "sent_by",
                            json_integer((json_int_t)run_process_start_time(0)));
    }
    guest_release(guest);
    return status;
}

static int migrate_send_undo(struct job *job)
{
    struct operation ending;
    struct guest *guest = lpars_find(job_node(job)->lpars, lpar_job_name(job));
    if (guest && guest_is_connected(guest)) {
        const struct migration_port port = guest_port(guest);
        operation_start(&ending, ASK_MS, NULL);
        (void)migration_end(&port, &ending); /* of a daemon that was killed in this step */
    }
    guest_release(guest);
    return job_guest_go_on(job);
}

/* --- commit --- */

static bool is_done(const struct job *job, const struct lpar *lpar)
{
    return strcmp(lpar->owner, job_text(job, "target")) == 0 &&
           lpar->owner_incarnation == json_get_integer(job->data, "incarnation") &&
           lpar->generation == json_get_integer(job->data, "generation") + 1;
}

static int hand_over(struct job *job, const struct store_value *value, struct ownership **ownership)
{
    const struct node *node = job_node(job);
    const struct ownership_facts facts = {.node = node->name,
                                          .incarnation = node->incarnation,
                                          .lpar = value,
                                          .target = job_text(job, "target"),
                                          .target_incarnation =
                                              json_get_integer(job->data, "incarnation"),
                                          .recorder = node->recorder};
    int status = ownership_begin(ownership, OWNERSHIP_HAND_OVER, &facts, &job->operation.error);
    return status == VIOS_OK ? own_drive(job, lpar_job_name(job), *ownership, NULL) : status;
}

/* That it is the target's by now, or why not. */
static int check_done(struct job *job, const struct ownership *ownership)
{
    struct lpar lpar;
    char why[160];
    snprintf(why, sizeof why, "it is not migrated: %s", ownership_why(ownership));
    int status = lpar_load(job->store, lpar_job_name(job), &lpar, &job->operation);
    return status == VIOS_OK && !is_done(job, &lpar)
               ? lpar_job_fail(job, VIOS_E_CONFLICT, "try it again", why)
               : status;
}

static int migrate_commit(struct job *job)
{
    struct lpar lpar;
    struct store_value value;
    struct ownership *ownership = NULL;
    int status = own_read(job, lpar_job_name(job), &value, &lpar);
    if (status == VIOS_OK && !is_done(job, &lpar)) {
        status = json_get_integer(job->data, "sent_by") == (int64_t)run_process_start_time(0)
                     ? hand_over(job, &value, &ownership)
                     : lpar_job_fail(job, VIOS_E_IO, "try it again",
                                     "its daemon ended before it was the other node's");
        if (status == VIOS_OK) {
            status = check_done(job, ownership);
        }
    }
    ownership_free(ownership);
    store_value_clear(&value);
    return status;
}

/* --- run, end, finish --- */

static bool target_is_fenced(struct job *job, struct operation *asking)
{
    char key[STORE_KEY_MAX];
    struct store_value fence = {0};
    snprintf(key, sizeof key, "/fence/%s/%" PRId64, job_text(job, "target"),
             json_get_integer(job->data, "incarnation"));
    bool is = store_get(job->store, key, &fence, asking) == VIOS_OK;
    store_value_clear(&fence);
    return is;
}

/* Whether it may still go on there: the record says what this job made of it, and the node is not
 * fenced. One that is may never come back, and nobody moves the guest while this job holds it. */
static bool may_go_on(struct job *job)
{
    struct lpar lpar;
    struct operation asking;
    job_limit(job, &asking, ASK_MS);
    int status = lpar_load(job->store, lpar_job_name(job), &lpar, &asking);
    if (status < 0) {
        return status != VIOS_E_NOT_FOUND;
    }
    return is_done(job, &lpar) && !target_is_fenced(job, &asking);
}

static int ask_to_go_on(struct job *job, struct operation *asking)
{
    json_t *ignored = NULL;
    int64_t generation = json_get_integer(job->data, "generation") + 1;
    job_limit(job, asking, GO_ON_MS);
    int status = others_ask(
        job_node(job), job_text(job, "target"), "daemon.go_on",
        json_pack("{s:s, s:I}", "name", lpar_job_name(job), "generation", (json_int_t)generation),
        &ignored, asking);
    json_decref(ignored);
    return status;
}

/* It goes on there by itself, sooner or later; so this only waits for it: until it does, has ended,
 * or its node is fenced. */
static int migrate_run(struct job *job)
{
    struct operation asking;
    int status = ask_to_go_on(job, &asking);
    while (status < 0 && status != VIOS_E_CONFLICT && may_go_on(job)) {
        status = operation_sleep(&job->operation, AGAIN_MS);
        if (status < 0) {
            return status;
        }
        status = ask_to_go_on(job, &asking);
    }
    json_object_set_new(job->data, "runs", json_boolean(status == VIOS_OK));
    if (status < 0) {
        log_warning("lpar", "%s, which was migrated to %s: %s", lpar_job_name(job),
                    job_text(job, "target"), asking.error.message);
    }
    return VIOS_OK;
}

static int migrate_end(struct job *job)
{
    struct lpar lpar;
    int status = lpar_load(job->store, lpar_job_name(job), &lpar, &job->operation);
    if (status == VIOS_OK && !lpar_is_elsewhere(job_node(job), &lpar)) {
        return VIOS_OK; /* it came back meanwhile, and what was here is gone */
    }
    return status < 0 ? status : ending_end(job, &lpar, false);
}

/* Its QEMU is gone there, and while this job held the LPAR nobody could write that down. */
static void settle(struct job *job)
{
    json_t *ignored = NULL;
    struct operation asking;
    job_limit(job, &asking, ASK_MS);
    (void)others_ask(job_node(job), job_text(job, "target"), "daemon.settle",
                     json_pack("{s:s}", "name", lpar_job_name(job)), &ignored, &asking);
    json_decref(ignored);
}

/* Nothing is written for an owner that is fenced, and a job that is done holds nothing. */
static int migrate_finish(struct job *job)
{
    int status = paging_plan_settle(job, lpar_job_name(job));
    if (status == VIOS_OK) {
        status = lpar_job_release(job, lpar_job_name(job), NULL);
    }
    status = status == VIOS_E_STALE ? VIOS_OK : status;
    if (status == VIOS_OK && !json_is_true(json_object_get(job->data, "runs"))) {
        settle(job);
    }
    return status < 0 ? status
                      : view_show(job_node(job), job->store, lpar_job_name(job), &job->result,
                                  &job->operation);
}

static const struct job_step STEPS[] = {
    {"claim", migrate_claim, migrate_claim_undo},
    {"send", migrate_send, migrate_send_undo},
    {"commit", migrate_commit, NULL},
    {"run", migrate_run, NULL},
    {"end", migrate_end, NULL},
    {"finish", migrate_finish, NULL},
};

const struct job_kind lpar_migrate_job = {"lpar.migrate", STEPS, sizeof STEPS / sizeof *STEPS, 2,
                                          .is_local = true};

/* --- the method --- */

/* Where to: the node that was given, or another than its own. */
static int find_target(struct call *call, const struct lpar *lpar, const json_t *parameters,
                       char target[NAME_MAX_LENGTH + 1], struct operation *operation)
{
    char object[96];
    struct places places;
    const char *node = json_get_word(parameters, "node");
    if (strcmp(node, PLACE_ANY) == 0) {
        int status = places_survey(call->node, &places, operation);
        if (status == VIOS_OK) {
            status =
                places_pick(call->node, &places, lpar, lpar->owner, lpar->owner, target, operation);
            places_clear(&places);
        }
        if (status < 0) {
            return status;
        }
    } else {
        snprintf(target, NAME_MAX_LENGTH + 1, "%s", node);
    }
    return strcmp(target, lpar->owner) != 0
               ? VIOS_OK
               : operation_fail(operation, VIOS_E_CONFLICT, lpar_object(lpar->name, object),
                                "give another node: --node", "it runs on node \"%s\" already",
                                target);
}

int lpar_call_migrate(struct call *call, const json_t *parameters, json_t **result,
                      struct operation *operation)
{
    struct lpar lpar;
    char object[96], target[NAME_MAX_LENGTH + 1];
    int status = lpar_of_call(call, parameters, &lpar, operation);
    if (status < 0) {
        return status;
    }
    if (lpar_is_elsewhere(call->node, &lpar)) {
        return others_call(call, lpar.owner, "lpar.migrate", json_deep_copy(parameters), result,
                           operation);
    }
    status = find_target(call, &lpar, parameters, target, operation);
    return status < 0 ? status
                      : call_job(call, &lpar_migrate_job, lpar_object(lpar.name, object),
                                 json_pack("{s:s, s:s}", "name", lpar.name, "target", target),
                                 parameters, result, operation);
}
