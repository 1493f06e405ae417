/* attempt.c - see attempt.h. */
#include "migration/attempt.h"

#include "base/json.h"
#include "base/log.h"
#include "lpar/jobs.h"
#include "lpar/restart.h"
#include "lpar/takeover.h"
#include "migration/mover.h"
#include "node/others.h"

#include <stdio.h>
#include <string.h>

#define ASK_MS 5000

/* How each plan is carried out: by a job here, or by the method that submits it elsewhere. */
static const struct way {
    const struct job_kind *kind;
    const char *method;
} WAYS[] = {
    [PLAN_TAKE] = {&lpar_takeover_job, "daemon.takeover"},
    [PLAN_RESTART] = {&lpar_restart_job, "lpar.restart"},
    [PLAN_START] = {&lpar_start_job, "lpar.start"},
    [PLAN_DROP] = {NULL, NULL},
};

static void note_failure(struct attempt *attempt, const char *message)
{
    int64_t pause_ms = MOVER_PAUSE_MS;
    for (int i = 0; i < attempt->failures && pause_ms < MOVER_PAUSE_MAX_MS; i++) {
        pause_ms *= 2;
    }
    attempt->failures++;
    attempt->job[0] = 0;
    attempt->not_before_ms =
        clock_now_ms() + (pause_ms < MOVER_PAUSE_MAX_MS ? pause_ms : MOVER_PAUSE_MAX_MS);
    snprintf(attempt->error, sizeof attempt->error, "%s%s%.*s", attempt->target,
             attempt->target[0] ? ": " : "", MOVE_ERROR_SIZE - NAME_MAX_LENGTH - 3, message);
    log_warning("migration", "%s is not moved yet: %s", attempt->name, attempt->error);
}

static int submit_here(struct node *node, const struct way *way, const struct lpar *lpar,
                       json_t *parameters, char job[JOB_ID_SIZE], struct operation *operation)
{
    char object[96];
    json_object_set_new(parameters, "generation",
                        json_integer((json_int_t)(lpar->generation - lpar->taken)));
    return job_submit(node->jobs, way->kind, lpar_object(lpar->name, object), parameters, NULL, job,
                      operation);
}

static int submit_there(struct node *node, const struct way *way, const char *target,
                        json_t *parameters, char job[JOB_ID_SIZE], struct operation *operation)
{
    json_t *result = NULL;
    json_object_set_new(parameters, "wait", json_false());
    int status = others_ask(node, target, way->method, parameters, &result, operation);
    snprintf(job, JOB_ID_SIZE, "%s", json_get_word(result, "job"));
    json_decref(result);
    return status;
}

int attempt_ask(struct node *node, struct attempt *attempt, enum plan plan, const struct lpar *lpar,
                const char *target, struct operation *operation)
{
    const struct way *way = &WAYS[plan];
    struct operation asking;
    if (plan > PLAN_DROP || !way->kind) {
        return operation_fail(operation, VIOS_E_INVALID, lpar->name, NULL, "nothing is to be done");
    }
    json_t *parameters = json_pack("{s:s}", "name", lpar->name);
    if (plan == PLAN_START) {
        json_object_set_new(parameters, "from_storage",
                            json_boolean(lpar->wanted == LPAR_HIBERNATED));
    }
    snprintf(attempt->target, sizeof attempt->target, "%s", target);
    attempt->incarnation = 0;
    operation_start(&asking, ASK_MS, operation->cancel);
    int status = strcmp(target, node->name) == 0
                     ? submit_here(node, way, lpar, parameters, attempt->job, &asking)
                     : submit_there(node, way, target, parameters, attempt->job, &asking);
    if (status != VIOS_OK) {
        note_failure(attempt, asking.error.message);
        operation->error = asking.error;
    }
    return status;
}

static void note_end(struct attempt *attempt, const json_t *job)
{
    const json_t *error = json_object_get(job, "error");
    if (strcmp(json_get_word(job, "state"), "done") == 0) {
        attempt->job[0] = 0;
        attempt->failures = 0;
        return;
    }
    const char *code = json_get_word(error, "code"), *message = json_get_word(error, "message");
    attempt->unreadable = attempt->unreadable || strcmp(code, error_name(VIOS_E_CORRUPT)) == 0;
    note_failure(attempt, message[0] ? message : "its job was cancelled");
}

void attempt_look(struct node *node, struct attempt *attempt, struct operation *operation)
{
    json_t *job = NULL;
    struct operation asking;
    if (!attempt->job[0]) {
        return;
    }
    operation_start(&asking, ASK_MS, operation->cancel);
    int status = job_show(node->jobs, attempt->job, &job, &asking);
    const char *state = json_get_word(job, "state");
    attempt->incarnation = json_get_integer(job, "incarnation");
    if (status == VIOS_E_NOT_FOUND) {
        attempt->job[0] = 0; /* long over */
    } else if (status == VIOS_OK && strcmp(state, "running") != 0 &&
               strcmp(state, "undoing") != 0) {
        note_end(attempt, job);
    }
    json_decref(job);
}

void attempt_void(struct attempt *attempt)
{
    note_failure(attempt, "it was fenced");
}

void attempt_refused(struct attempt *attempt, const char *why)
{
    attempt->target[0] = 0;
    note_failure(attempt, why);
}
