/* method.c - see method.h: the names of roles, and the calls whose work is a job. */
#include "node/method.h"

#include "base/json.h"
#include "node/node.h"

#include <assert.h>
#include <string.h>

const char *role_name(enum role role)
{
    static const char *const names[] = {"nobody", "viewer", "operator", "admin"};
    assert(role >= ROLE_NOBODY && role <= ROLE_ADMIN);
    return names[role - ROLE_NOBODY];
}

enum role role_parse(const char *name)
{
    enum role role = ROLE_ADMIN;
    while (role > ROLE_NOBODY && strcmp(role_name(role), name) != 0) {
        role--;
    }
    return role;
}

static void show_progress(void *context, const json_t *progress)
{
    struct call *call = context;
    const char *unit = json_get_text(progress, "unit");
    call->operations->progress(call, call->job, json_get_integer(progress, "done"),
                               json_get_integer(progress, "total"), unit ? unit : "");
}

void call_tell_job(struct call *call)
{
    call->operations->progress(call, call->job, 0, 0, "");
}

int call_wait(struct call *call, json_t **result, struct operation *operation)
{
    return job_wait(call->node->jobs, call->job, show_progress, call, result, operation);
}

int call_job(struct call *call, const struct job_kind *kind, const char *object, json_t *data,
             const json_t *parameters, json_t **result, struct operation *operation)
{
    const char *retry = json_get_text(parameters, "operation");
    const json_t *wait = json_object_get(parameters, "wait");
    int status = job_submit(call->node->jobs, kind, object, data, retry, call->job, operation);
    if (status != VIOS_OK) {
        return status;
    }
    if (json_is_false(wait)) {
        *result = json_pack("{s:s}", "job", call->job);
        return VIOS_OK;
    }
    call_tell_job(call);
    return call_wait(call, result, operation);
}
