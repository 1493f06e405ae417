/* methods.c - the methods about the daemon itself: rpc.describe, daemon.stop, audit.list. */
#include "daemon/audit.h"
#include "daemon/dispatch.h"
#include "daemon/parameters.h"
#include "daemon/parts.h"
#include "node/node.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define AUDIT_LIST_DEFAULT 100
#define AUDIT_LIST_BYTES (512 * 1024) /* of records in one answer */

static json_t *method_to_json(const struct method *method)
{
    return json_pack("{s:s, s:o, s:s, s:b, s:b, s:b, s:b}", "name", method->name, "parameters",
                     parameters_describe(method->parameters, method->flags), "role",
                     role_name(method->role), "changes", (int)(method->flags & METHOD_CHANGES),
                     "job", (int)(method->flags & METHOD_JOB), "stream",
                     (int)(method->flags & METHOD_STREAM), "unconfigured",
                     (int)(method->flags & METHOD_UNCONFIGURED));
}

static int rpc_describe(struct call *call, const json_t *parameters, json_t **result,
                        struct operation *operation)
{
    (void)parameters;
    (void)operation;
    *result = json_array();
    for (size_t g = 0; call->node->method_groups[g]; g++) {
        const struct method_group *group = call->node->method_groups[g];
        for (size_t i = 0; i < group->count; i++) {
            json_array_append_new(*result, method_to_json(&group->methods[i]));
        }
    }
    return VIOS_OK;
}

static int daemon_stop(struct call *call, const json_t *parameters, json_t **result,
                       struct operation *operation)
{
    bool guests = json_is_true(json_object_get(parameters, "guests"));
    (void)operation;
    call->node->hooks->stop(call->node, guests);
    *result = json_pack("{s:s, s:b}", "node", call->node->name, "guests", (int)guests);
    return VIOS_OK;
}

/* The newest records, oldest of them first, within the count and the bytes. */
static json_t *newest_records(const struct store_list *list, size_t most)
{
    size_t first = list->count, bytes = 0;
    while (first > 0 && list->count - first < most && bytes < AUDIT_LIST_BYTES) {
        first--;
        bytes += strlen(list->values[first].json);
    }
    json_t *records = json_array();
    for (size_t i = first; i < list->count; i++) {
        json_t *record = json_loads(list->values[i].json, 0, NULL);
        json_object_del(record, "v");
        json_array_append_new(records, record ? record : json_object());
    }
    return records;
}

static int audit_list(struct call *call, const json_t *parameters, json_t **result,
                      struct operation *operation)
{
    const json_t *limit = json_object_get(parameters, "limit");
    json_int_t most = limit ? json_integer_value(limit) : AUDIT_LIST_DEFAULT;
    struct store *store;
    struct store_list list;
    if (most < 1 || most > AUDIT_KEPT) {
        return operation_fail(operation, VIOS_E_USAGE, "audit.list", NULL,
                              "limit is not between 1 and %d", AUDIT_KEPT);
    }
    int status = node_store(call->node, &store, operation);
    if (status != VIOS_OK) {
        return status;
    }
    status = store_list(store, "/audit/", &list, NULL, operation);
    if (status == VIOS_OK) {
        *result = newest_records(&list, (size_t)most);
        store_list_clear(&list);
    }
    node_store_return(call->node, store);
    return status;
}

static const struct method METHODS[] = {
    {"rpc.describe", "", ROLE_VIEWER, METHOD_UNCONFIGURED, rpc_describe},
    {"daemon.stop", "guests:boolean?", ROLE_ADMIN, METHOD_CHANGES | METHOD_UNCONFIGURED,
     daemon_stop},
    {"audit.list", "limit:integer?", ROLE_OPERATOR, 0, audit_list},
};

const struct method_group daemon_methods = {METHODS, sizeof METHODS / sizeof METHODS[0]};
