/* job_methods.c - job.list, job.show, job.wait, job.cancel: core/job through the daemon. */
#include "node/job_methods.h"

#include "base/json.h"
#include "job/job.h"
#include "node/node.h"

#include <stdio.h>

static const char *job_of(const json_t *parameters)
{
    return json_get_text(parameters, "job");
}

static int list_jobs(struct call *call, const json_t *parameters, json_t **result,
                     struct operation *operation)
{
    (void)parameters;
    return job_list(call->node->jobs, result, operation);
}

static int show_job(struct call *call, const json_t *parameters, json_t **result,
                    struct operation *operation)
{
    return job_show(call->node->jobs, job_of(parameters), result, operation);
}

/* Gives the job as `job show` does, with its result; a failed job is an error. */
static int wait_job(struct call *call, const json_t *parameters, json_t **result,
                    struct operation *operation)
{
    json_t *before = NULL, *outcome = NULL;
    snprintf(call->job, sizeof call->job, "%s", job_of(parameters));
    int status = job_show(call->node->jobs, call->job, &before, operation);
    json_decref(before);
    if (status == VIOS_OK) { /* there is such a job */
        call_tell_job(call);
        status = call_wait(call, &outcome, operation);
        json_decref(outcome);
    }
    return status == VIOS_OK ? job_show(call->node->jobs, call->job, result, operation) : status;
}

static int cancel_job(struct call *call, const json_t *parameters, json_t **result,
                      struct operation *operation)
{
    const char *id = job_of(parameters);
    int status = job_cancel(call->node->jobs, id, operation);
    return status == VIOS_OK ? job_show(call->node->jobs, id, result, operation) : status;
}

static const struct method METHODS[] = {
    {"job.list", "", ROLE_VIEWER, 0, list_jobs},
    {"job.show", "job:job", ROLE_VIEWER, 0, show_job},
    {"job.wait", "job:job", ROLE_VIEWER, METHOD_STREAM, wait_job},
    {"job.cancel", "job:job", ROLE_OPERATOR, METHOD_CHANGES, cancel_job},
};

const struct method_group job_methods = {METHODS, sizeof METHODS / sizeof METHODS[0]};
