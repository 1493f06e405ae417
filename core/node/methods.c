/* methods.c - the methods of the nouns cluster and node; see membership.h for those that make and
 * end members. */
#include "base/parse.h"
#include "node/driver.h"
#include "node/members.h"
#include "node/membership.h"
#include "node/method.h"
#include "node/node.h"
#include "node/others.h"

#include "base/json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NEAR_FROM_MAX 128

/* --- looking --- */

static int read_record(struct node *node, const char *key, json_t **record,
                       struct operation *operation)
{
    struct store *store = NULL;
    int status = node_store(node, &store, operation);
    if (status == VIOS_OK) {
        status = node_record(store, key, record, NULL, operation);
        node_store_return(node, store);
    }
    return status;
}

static const char *cluster_state(const struct node *node, const struct member *members,
                                 size_t count, bool has_primary)
{
    const char *state = has_primary ? "OK" : "DEGRADED";
    for (size_t i = 0; i < count; i++) {
        bool down = members[i].state == MEMBER_DOWN;
        if (down && strcmp(members[i].name, node->name) == 0) {
            return "DOWN"; /* this node itself cannot renew */
        }
        if (down || members[i].state == MEMBER_SUSPECT) {
            state = "DEGRADED";
        }
    }
    return state;
}

static json_t *member_to_json(const struct member *member)
{
    return json_pack("{s:s, s:s, s:s, s:s, s:I, s:s, s:I, s:I}", "name", member->name, "state",
                     member_state_name(member->state), "address", member->address, "role",
                     member->role, "level", (json_int_t)member->level, "since", member->since,
                     "page_memory_bytes", (json_int_t)member->page_memory_bytes,
                     "page_memory_used_bytes", (json_int_t)member->page_memory_used_bytes);
}

static int take_members(struct node *node, struct member **members, size_t *count,
                        struct operation *operation)
{
    return node_members(node, members, count) == VIOS_OK ? VIOS_OK
                                                         : operation_no_memory(operation, NULL);
}

static int cluster_status(struct call *call, const json_t *parameters, json_t **result,
                          struct operation *operation)
{
    struct node *node = call->node;
    struct member *members = NULL;
    char primary[NAME_MAX_LENGTH + 1];
    size_t count;
    int64_t now_ms, epoch;
    (void)parameters;
    const struct agent *agent = driver_lock(node->driver, &now_ms);
    snprintf(primary, sizeof primary, "%s", agent_primary(agent, &epoch));
    bool has_placement = roster_cluster(agent_roster(agent))->has_placement;
    driver_unlock(node->driver);
    int status = take_members(node, &members, &count, operation);
    if (status == VIOS_OK) {
        json_t *nodes = json_array();
        for (size_t i = 0; i < count; i++) {
            json_array_append_new(nodes, json_pack("{s:s, s:s}", "name", members[i].name, "state",
                                                   member_state_name(members[i].state)));
        }
        *result = json_pack("{s:s, s:s, s:s, s:I, s:o, s:s}", "name", node->cluster, "state",
                            cluster_state(node, members, count, primary[0] != '\0'), "primary",
                            primary, "epoch", (json_int_t)epoch, "nodes", nodes, "placement",
                            has_placement ? "function" : "built-in");
    }
    free(members);
    return status;
}

static int cluster_list(struct call *call, const json_t *parameters, json_t **result,
                        struct operation *operation)
{
    json_t *record = NULL;
    (void)parameters;
    int status = read_record(call->node, "/cluster", &record, operation);
    if (status == VIOS_OK) {
        json_object_del(record, "v");
        json_object_del(record, "ca");
        *result = json_pack("[o]", record);
    }
    return status;
}

static int node_list(struct call *call, const json_t *parameters, json_t **result,
                     struct operation *operation)
{
    struct member *members = NULL;
    size_t count;
    (void)parameters;
    int status = take_members(call->node, &members, &count, operation);
    if (status == VIOS_OK) {
        *result = json_array();
        for (size_t i = 0; i < count; i++) {
            json_array_append_new(*result, member_to_json(&members[i]));
        }
    }
    free(members);
    return status;
}

static int unknown_node(const char *name, const struct member *members, size_t count,
                        struct operation *operation)
{
    const char *names[NEAR_FROM_MAX];
    size_t known = count < NEAR_FROM_MAX ? count : NEAR_FROM_MAX;
    for (size_t i = 0; i < known; i++) {
        names[i] = members[i].name;
    }
    char hint[140], object[96];
    parse_hint(name, names, known, "see \"vios node list\"", hint, sizeof hint);
    snprintf(object, sizeof object, "node \"%.63s\"", name);
    return operation_fail(operation, VIOS_E_NOT_FOUND, object, hint, "there is no such node");
}

static int node_show(struct call *call, const json_t *parameters, json_t **result,
                     struct operation *operation)
{
    const char *name = json_get_text(parameters, "node");
    struct member *members = NULL;
    size_t count, i = 0;
    int status = take_members(call->node, &members, &count, operation);
    if (status != VIOS_OK) {
        return status;
    }
    while (i < count && strcmp(members[i].name, name) != 0) {
        i++;
    }
    if (i < count) {
        const struct member *member = &members[i];
        *result = member_to_json(member);
        json_object_set_new(*result, "incarnation", json_integer(member->incarnation));
        json_object_set_new(*result, "port", json_integer(member->port));
        json_object_set_new(*result, "serial", json_string(member->serial));
        if (strcmp(name, call->node->name) == 0) {
            json_object_set_new(*result, "keepalives", driver_keepalives(call->node->driver));
        }
    } else {
        status = unknown_node(name, members, count, operation);
    }
    free(members);
    return status;
}

/* --- drain, restore --- */

/* The record of the node that `parameters` name; VIOS_E_NOT_FOUND with those that are near. */
static int load_node(struct call *call, struct store *store, const char *name, json_t **record,
                     int64_t *revision, struct operation *operation)
{
    char key[STORE_KEY_MAX];
    struct member *members = NULL;
    size_t count = 0;
    snprintf(key, sizeof key, "/node/%s", name);
    int status = node_record(store, key, record, revision, operation);
    if (status == VIOS_E_NOT_FOUND && node_members(call->node, &members, &count) == VIOS_OK) {
        status = unknown_node(name, members, count, operation);
        free(members);
    }
    return status;
}

static int write_node_state(struct store *store, const char *name, json_t *record, int64_t revision,
                            const char *state, struct operation *operation)
{
    char key[STORE_KEY_MAX];
    snprintf(key, sizeof key, "/node/%s", name);
    json_object_set_new(record, "state", json_string(state));
    char *text = json_into_text(json_incref(record));
    struct store_compare compare = {.kind = STORE_REVISION_IS, .key = key, .revision = revision};
    struct store_change change = {.key = key, .json = text};
    int status = text ? store_commit(store, &compare, 1, &change, 1, NULL, operation)
                      : operation_no_memory(operation, NULL);
    free(text);
    return status;
}

static int set_node_state(struct call *call, const json_t *parameters, const char *state,
                          json_t **result, struct operation *operation)
{
    const char *name = json_get_text(parameters, "node");
    struct store *store = NULL;
    json_t *record = NULL;
    int64_t revision;
    int status = node_store(call->node, &store, operation);
    if (status == VIOS_OK) {
        status = load_node(call, store, name, &record, &revision, operation);
    }
    if (status == VIOS_OK) {
        status = write_node_state(store, name, record, revision, state, operation);
    }
    json_decref(record);
    node_store_return(call->node, store);
    if (status == VIOS_OK) {
        *result = json_pack("{s:s, s:s}", "name", name, "state", state);
    }
    return status;
}

static int node_drain(struct call *call, const json_t *parameters, json_t **result,
                      struct operation *operation)
{
    return set_node_state(call, parameters, "drained", result, operation);
}

static int node_restore(struct call *call, const json_t *parameters, json_t **result,
                        struct operation *operation)
{
    return set_node_state(call, parameters, "up", result, operation);
}

static const struct method METHODS[] = {
    {"cluster.create", "name:name passphrase:secret?", ROLE_ADMIN,
     METHOD_CHANGES | METHOD_UNCONFIGURED | METHOD_LASTS, cluster_create},
    {"cluster.status", "", ROLE_VIEWER, 0, cluster_status},
    {"cluster.list", "", ROLE_VIEWER, 0, cluster_list},
    {"node.token", "valid:duration? revoke:text?", ROLE_ADMIN, METHOD_CHANGES, node_token},
    {"node.join", "token:secret witness:boolean?", ROLE_ADMIN,
     METHOD_CHANGES | METHOD_UNCONFIGURED | METHOD_LASTS, node_join},
    {"node.admit",
     "id:text secret:secret request:text node:node address:text run_dir:text level:integer "
     "witness:boolean?",
     ROLE_NOBODY, METHOD_CHANGES, node_admit},
    {"node.call", "node:node method:text parameters:object?", ROLE_VIEWER, METHOD_STREAM,
     node_call},
    {"node.list", "", ROLE_VIEWER, 0, node_list},
    {"node.show", "node:node", ROLE_VIEWER, 0, node_show},
    {"node.drain", "node:node", ROLE_ADMIN, METHOD_CHANGES, node_drain},
    {"node.restore", "node:node", ROLE_ADMIN, METHOD_CHANGES, node_restore},
    {"node.remove", "node:node", ROLE_ADMIN, METHOD_CHANGES | METHOD_JOB, node_remove},
};

const struct method_group node_methods = {METHODS, sizeof METHODS / sizeof METHODS[0]};
