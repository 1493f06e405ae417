/* others.c - see others.h. A connection for each call: they are rare, and a handshake takes about a
 * millisecond. */
#include "node/others.h"

#include "base/clock.h"
#include "net/rpc.h"
#include "net/tls.h"
#include "node/driver.h"
#include "node/identity.h"
#include "node/members.h"
#include "node/ports.h"
#include "store/missing.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int unknown_node(struct node *node, const char *name, struct operation *operation)
{
    struct store *store = NULL;
    int status = node_store(node, &store, operation);
    if (status == VIOS_OK) {
        status = store_missing(store, "/node/", "node", name, "there is no such node", operation);
    }
    node_store_return(node, store);
    return status;
}

/* Where it was last. */
static int find(struct node *node, const char *name, char *address, size_t size,
                struct operation *operation)
{
    struct member *members = NULL;
    size_t count = 0;
    char object[96];
    bool found = false;
    if (node_members(node, &members, &count) != VIOS_OK) {
        return operation_fail(operation, VIOS_E_NO_SPACE, NULL, NULL, "out of memory");
    }
    int port = 0;
    for (size_t i = 0; i < count; i++) {
        if (strcmp(members[i].name, name) == 0) {
            found = true;
            port = members[i].port;
            ports_address(members[i].address, port, address, size);
        }
    }
    free(members);
    snprintf(object, sizeof object, "node \"%.63s\"", name);
    if (!found) {
        return unknown_node(node, name, operation);
    }
    return port > 0 ? VIOS_OK
                    : operation_fail(operation, VIOS_E_UNREACHABLE, object,
                                     "start the daemon on it", "it has not been there yet");
}

static int connect_to(struct node *node, const char *name, struct rpc_client **client,
                      struct operation *operation)
{
    char address[MEMBER_PORT_SIZE], object[96];
    struct operation connecting;
    int status = find(node, name, address, sizeof address, operation);
    if (status != VIOS_OK) {
        return status;
    }
    operation_start(&connecting, OTHERS_CONNECT_MS, operation->cancel);
    if (connecting.deadline_ms > operation->deadline_ms) {
        connecting.deadline_ms = operation->deadline_ms;
    }
    status = rpc_client_open_tls(client, address, identity_tls(node->identity), name, &connecting);
    snprintf(object, sizeof object, "node \"%.63s\"", name);
    if (status == VIOS_E_UNREACHABLE || status == VIOS_E_TIMEOUT) {
        return operation_fail(
            operation, VIOS_E_UNREACHABLE, object, "see \"vios node list\", and the log there",
            "its daemon does not answer at %s: %.200s", address, connecting.error.message);
    }
    operation->error = connecting.error;
    return status;
}

int others_call(struct call *call, const char *name, const char *method, json_t *parameters,
                json_t **result, struct operation *operation)
{
    static const char *const roles[] = {"viewer", "operator", "admin"};
    struct rpc_client *client;
    int status = connect_to(call->node, name, &client, operation);
    if (status != VIOS_OK) {
        json_decref(parameters);
        return status;
    }
    rpc_client_speak_for(client, call->actor, call->role >= 0 ? roles[call->role] : "nobody");
    status = rpc_client_call(client, method, parameters, NULL, result, operation);
    rpc_client_close(client);
    return status;
}

void others_primary(struct node *node, char name[NAME_MAX_LENGTH + 1])
{
    int64_t now_ms, epoch;
    const struct agent *agent = driver_lock(node->driver, &now_ms);
    const char *primary = agent_primary(agent, &epoch);
    bool other = strcmp(primary, node->name) != 0;
    snprintf(name, NAME_MAX_LENGTH + 1, "%s", other ? primary : "");
    driver_unlock(node->driver);
}

static const struct method *find_method(const struct node *node, const char *name)
{
    for (size_t g = 0; node->method_groups[g]; g++) {
        for (size_t i = 0; i < node->method_groups[g]->count; i++) {
            if (strcmp(node->method_groups[g]->methods[i].name, name) == 0) {
                return &node->method_groups[g]->methods[i];
            }
        }
    }
    return NULL;
}

int node_call(struct call *call, const json_t *parameters, json_t **result,
              struct operation *operation)
{
    const char *name = json_string_value(json_object_get(parameters, "node"));
    const char *method = json_string_value(json_object_get(parameters, "method"));
    json_t *given = json_object_get(parameters, "parameters");
    const struct method *row = find_method(call->node, method);
    if (row && (row->flags & METHOD_STREAM)) {
        return operation_fail(operation, VIOS_E_INVALID, method, "run it on that node itself",
                              "what streams is not forwarded to other nodes");
    }
    if (strcmp(method, "node.call") == 0) {
        return operation_fail(operation, VIOS_E_USAGE, method, NULL, "a call is forwarded once");
    }
    return others_call(call, name, method, given ? json_incref(given) : json_object(), result,
                       operation);
}
