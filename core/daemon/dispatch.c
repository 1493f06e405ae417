/* dispatch.c - see dispatch.h. */
#include "daemon/dispatch.h"

#include "base/log.h"
#include "base/parse.h"
#include "daemon/audit.h"
#include "daemon/change.h"
#include "daemon/parameters.h"
#include "node/node.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define METHODS_MAX 256

static const struct method *find_method(const struct node *node, const char *name)
{
    for (size_t g = 0; node->method_groups[g]; g++) {
        const struct method_group *group = node->method_groups[g];
        for (size_t i = 0; i < group->count; i++) {
            if (strcmp(group->methods[i].name, name) == 0) {
                return &group->methods[i];
            }
        }
    }
    return NULL;
}

static int unknown_method(const struct node *node, const char *name, struct vios_error *error)
{
    const char *names[METHODS_MAX];
    size_t count = 0;
    for (size_t g = 0; node->method_groups[g]; g++) {
        const struct method_group *group = node->method_groups[g];
        for (size_t i = 0; i < group->count && count < METHODS_MAX; i++) {
            names[count++] = group->methods[i].name;
        }
    }
    char hint[160];
    parse_hint(name, names, count, "rpc.describe lists them", hint, sizeof hint);
    return error_set(error, VIOS_E_USAGE, NULL, hint, "there is no method \"%.80s\"", name);
}

int dispatch_check(struct node *node, enum role role, const char *name, const json_t *given,
                   const struct method **method, json_t **parameters, struct vios_error *error)
{
    const struct method *row = find_method(node, name);
    *method = row;
    *parameters = NULL;
    if (!row) {
        return unknown_method(node, name, error);
    }
    if (role < row->role) {
        return error_set(error, VIOS_E_DENIED, row->name, NULL, "it needs the role %s; yours is %s",
                         role_name(row->role), role_name(role));
    }
    int status = parameters_check(row->parameters, row->flags, given, parameters, error);
    if (status != VIOS_OK) {
        if (!error->object[0]) {
            snprintf(error->object, sizeof error->object, "%s", row->name);
        }
        return status;
    }
    if (!(row->flags & METHOD_UNCONFIGURED) && !atomic_load(&node->active)) {
        json_decref(*parameters);
        *parameters = NULL;
        return error_set(error, VIOS_E_UNREACHABLE, "this node",
                         "run \"vios cluster create NAME\", or \"vios node join TOKEN\"",
                         "it belongs to no cluster yet");
    }
    return VIOS_OK;
}

void dispatch_run(struct running *running)
{
    struct call *call = &running->call;
    const struct method *method = running->method;
    struct operation operation;
    operation_start(&operation, OPERATION_NO_DEADLINE, running->cancel);
    operation.actor = call->actor;
    json_t *result = NULL, *before = NULL;
    int status = operation_check(&operation); /* it may have been cancelled in the queue */
    bool began = status == VIOS_OK;
    if (began) {
        before = change_look(call->node, method, running->parameters);
        recorder_note(call->node->recorder, "rpc", "%s begins, id %lld, %s", method->name,
                      (long long)call->id, call->actor);
        status = method->call(call, running->parameters, &result, &operation);
        assert(status <= VIOS_OK);
        recorder_note(call->node->recorder, "rpc", "%s ends, id %lld: %s", method->name,
                      (long long)call->id, status == VIOS_OK ? "ok" : operation.error.message);
    }
    if (began && method->role == ROLE_NOBODY && status != VIOS_OK) {
        call->node->hooks->refused(call->node, "RPC", call->actor, operation.error.message);
    } else if (began && (method->flags & METHOD_CHANGES)) {
        audit_write(call, method, running->parameters, status, before);
    }
    json_decref(before);
    running_answer(running, status, result, &operation.error);
}
