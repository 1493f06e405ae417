/* others.c - see others.h. A connection for each call: they are rare, and a handshake takes about a
 * millisecond. */
#include "node/others.h"

#include "base/clock.h"
#include "base/json.h"
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
        return operation_no_memory(operation, NULL);
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

/* --- what passes between our caller and the other daemon while the call runs --- */

struct passing {
    struct call *call;
    struct operation operation; /* of what goes to and comes from our caller */
    int status;                 /* the first failure of that */
};

static void pass_progress(void *context, const json_t *progress)
{
    struct passing *passing = context;
    const char *job = json_get_text(progress, "job");
    const char *unit = json_get_text(progress, "unit");
    passing->call->operations->progress(passing->call, job ? job : "",
                                        json_get_integer(progress, "done"),
                                        json_get_integer(progress, "total"), unit ? unit : "");
}

/* Blocks while our caller takes no more; until it returns the other daemon gets no credit. */
static bool pass_item(void *context, const json_t *value)
{
    struct passing *passing = context;
    passing->status = passing->call->operations->item(passing->call, json_incref((json_t *)value),
                                                      &passing->operation);
    return passing->status == VIOS_OK;
}

static bool pass_bytes(void *context, const void *data, size_t size, bool end)
{
    struct passing *passing = context;
    passing->status =
        passing->call->operations->bytes(passing->call, data, size, end, &passing->operation);
    return passing->status == VIOS_OK;
}

static ssize_t receive_typed(void *context, char *data, size_t size)
{
    struct passing *passing = context;
    ssize_t got =
        passing->call->operations->receive(passing->call, data, size, &passing->operation);
    passing->status = got < 0 ? (int)got : VIOS_OK;
    return got;
}

/* Runs a call with what it shows on the way. When the connection breaks the error names the node,
 * not its address. */
static int call_passing(struct call *call, const char *name, const char *method, json_t *parameters,
                        const struct rpc_handlers *handlers, json_t **result,
                        struct operation *operation)
{
    struct rpc_client *client;
    int status = connect_to(call->node, name, &client, operation);
    if (status != VIOS_OK) {
        json_decref(parameters);
        return status;
    }
    rpc_client_speak_for(client, call->actor, role_name(call->role));
    rpc_client_speak_of(client, call->user, call->from);
    status = rpc_client_call(client, method, parameters, handlers, result, operation);
    if (status == VIOS_E_UNREACHABLE && !rpc_client_alive(client)) {
        snprintf(operation->error.object, sizeof operation->error.object, "node \"%.63s\"", name);
    }
    rpc_client_close(client);
    return status;
}

int others_call(struct call *call, const char *name, const char *method, json_t *parameters,
                json_t **result, struct operation *operation)
{
    struct passing passing = {.call = call};
    struct rpc_handlers handlers = {.progress = pass_progress, .input_fd = -1, .context = &passing};
    return call_passing(call, name, method, parameters, &handlers, result, operation);
}

int others_ask(struct node *node, const char *name, const char *method, json_t *parameters,
               json_t **result, struct operation *operation)
{
    return others_exchange(node, name, method, parameters, NULL, result, operation);
}

int others_exchange(struct node *node, const char *name, const char *method, json_t *parameters,
                    const struct rpc_handlers *handlers, json_t **result,
                    struct operation *operation)
{
    struct rpc_client *client;
    int status = connect_to(node, name, &client, operation);
    if (status != VIOS_OK) {
        json_decref(parameters);
        return status;
    }
    status = rpc_client_call(client, method, parameters, handlers, result, operation);
    rpc_client_close(client);
    return status;
}

int others_pass(struct call *call, const char *name, const char *method, const json_t *parameters,
                json_t **result, struct operation *operation)
{
    json_t *given = json_deep_copy(parameters);
    json_object_del(given, "node");
    return others_call(call, name, method, given, result, operation);
}

int others_stream(struct call *call, const char *name, const char *method, json_t *parameters,
                  json_t **result, struct operation *operation)
{
    struct passing passing = {.call = call, .operation = *operation};
    struct rpc_handlers handlers = {.progress = pass_progress,
                                    .item = pass_item,
                                    .bytes = pass_bytes,
                                    .input_fd = call->operations->descriptor(call),
                                    .receive = receive_typed,
                                    .context = &passing};
    int status = call_passing(call, name, method, parameters, &handlers, result, operation);
    if (status == VIOS_OK && passing.status != VIOS_OK) { /* we ended it, for our caller's sake */
        json_decref(*result);
        *result = NULL;
        operation->error = passing.operation.error;
        status = passing.status;
    }
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

int node_call(struct call *call, const json_t *parameters, json_t **result,
              struct operation *operation)
{
    const char *name = json_get_text(parameters, "node");
    const char *method = json_get_text(parameters, "method");
    json_t *given = json_object_get(parameters, "parameters");
    if (strcmp(method, "node.call") == 0) {
        return operation_fail(operation, VIOS_E_USAGE, method, NULL, "a call is forwarded once");
    }
    return others_stream(call, name, method, given ? json_incref(given) : json_object(), result,
                         operation);
}
