/* cancel.c - lpar.cancel, see recover.h. */
#include "lpar/hold.h"
#include "lpar/lookup.h"
#include "lpar/recover.h"
#include "lpar/view.h"

#include "base/json.h"
#include "node/members.h"
#include "node/others.h"

#include <stdio.h>
#include <string.h>

#define SLICE_MS 1000 /* of waiting for a job; then whether its node is still there */

static int find_work(struct node *node, const struct lpar *lpar, struct lpar_work *work,
                     struct operation *operation)
{
    struct store *store = NULL;
    char object[96], hint[JOB_ID_SIZE + 40];
    lpar_object(lpar->name, object);
    int status = node_store(node, &store, operation);
    if (status == VIOS_OK) {
        status = lpar_work(store, lpar, work, operation);
        node_store_return(node, store);
    }
    if (status == VIOS_OK && !work->job[0]) {
        return operation_fail(operation, VIOS_E_CONFLICT, object, "see lpar show",
                              "no hibernation, restart or migration is at work on it");
    }
    if (status == VIOS_OK && strcmp(work->kind, "lpar.hibernate") != 0 &&
        strcmp(work->kind, "lpar.restart") != 0 && strcmp(work->kind, "lpar.migrate") != 0) {
        snprintf(hint, sizeof hint, "cancel that: job cancel %s", work->job);
        return operation_fail(operation, VIOS_E_CONFLICT, object, hint,
                              "job %s, which is at work on it, is a %s", work->job, work->kind);
    }
    return status;
}

/* Asks where it runs, for there it ends what it waits for. `*away`: that node is not there, and
 * finds it in the record. */
static int ask(struct call *call, const struct lpar_work *work, bool *away,
               struct operation *operation)
{
    json_t *ignored = NULL;
    int status = VIOS_E_UNREACHABLE;
    *away = false;
    if (strcmp(work->node, call->node->name) != 0) {
        status = others_call(call, work->node, "job.cancel", json_pack("{s:s}", "job", work->job),
                             &ignored, operation);
        *away = status == VIOS_E_UNREACHABLE;
        json_decref(ignored);
    }
    if (status == VIOS_E_UNREACHABLE) {
        operation->error = (struct vios_error){0};
        status = job_cancel(call->node->jobs, work->job, operation);
    }
    return status;
}

/* For a while. What ends the waiting for a job may be its own error, or ours: its record says. */
static int await_slice(struct call *call, const char *id, struct vios_error *ended,
                       struct operation *operation)
{
    json_t *ignored = NULL, *job = NULL;
    struct operation slice;
    int left_ms = operation_remaining_ms(operation);
    operation_start(&slice, left_ms >= 0 && left_ms < SLICE_MS ? left_ms : SLICE_MS,
                    operation->cancel);
    snprintf(call->job, sizeof call->job, "%s", id);
    int status = call_wait(call, &ignored, &slice);
    json_decref(ignored);
    call->job[0] = 0;
    *ended = status < 0 ? slice.error : (struct vios_error){0};
    if (status < 0 && job_show(call->node->jobs, id, &job, operation) == VIOS_OK &&
        (strcmp(json_get_word(job, "state"), "cancelled") == 0 ||
         strcmp(json_get_word(job, "state"), "failed") == 0)) {
        status = VIOS_OK;
    }
    json_decref(job);
    return status;
}

int recover_await(struct call *call, const struct lpar_work *work, struct vios_error *ended,
                  struct operation *operation)
{
    char object[96];
    for (;;) {
        int status = await_slice(call, work->job, ended, operation);
        if (status != VIOS_E_TIMEOUT) {
            operation->error = status < 0 ? *ended : (struct vios_error){0};
            return status;
        }
        status = operation_check(operation);
        if (status < 0) {
            return status;
        }
        if (!recover_is_there(call->node, work->node)) {
            snprintf(object, sizeof object, "node \"%.63s\"", work->node);
            return operation_fail(operation, VIOS_E_UNREACHABLE, object,
                                  "once it is fenced, or back, try again",
                                  "it is down, and job %s is its own", work->job);
        }
    }
}

bool recover_is_there(struct node *node, const char *name)
{
    return strcmp(name, node->name) == 0 || node_member_state(node, name) != MEMBER_DOWN;
}

/* One that fails by itself meanwhile is undone, too. */
static int await_undone(struct call *call, const struct lpar_work *work,
                        struct operation *operation)
{
    char object[96];
    struct vios_error ended;
    int status = recover_await(call, work, &ended, operation);
    if (status == VIOS_OK && ended.code == VIOS_OK) {
        snprintf(object, sizeof object, "job \"%.40s\"", work->job);
        return operation_fail(operation, VIOS_E_CONFLICT, object, "see lpar show",
                              "it was done before it could be cancelled");
    }
    return status;
}

int lpar_call_cancel(struct call *call, const json_t *parameters, json_t **result,
                     struct operation *operation)
{
    struct lpar lpar;
    struct lpar_work work;
    struct store *store = NULL;
    bool away = false;
    int status = lpar_of_call(call, parameters, &lpar, operation);
    if (status == VIOS_OK) {
        status = find_work(call->node, &lpar, &work, operation);
    }
    if (status == VIOS_OK) {
        status = ask(call, &work, &away, operation);
    }
    if (status == VIOS_OK && !away) {
        status = await_undone(call, &work, operation);
    }
    if (status == VIOS_OK) {
        status = node_store(call->node, &store, operation);
    }
    if (status < 0) {
        return status;
    }
    status = view_show(call->node, store, lpar.name, result, operation);
    node_store_return(call->node, store);
    if (status == VIOS_OK) {
        json_object_set_new(*result, "cancelled", json_string(work.job));
        json_object_set_new(*result, "waits_for", json_string(away ? work.node : ""));
    }
    return status;
}
