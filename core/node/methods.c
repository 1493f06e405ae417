/* methods.c - the methods of the nouns cluster, node and config. */
#include "base/clock.h"
#include "base/parse.h"
#include "node/members.h"
#include "node/method.h"
#include "node/node.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NEAR_FROM_MAX 128

/* --- cluster, node: the records --- */

static char *text_of(json_t *record)
{
    char *text = record ? json_dumps(record, JSON_COMPACT) : NULL;
    json_decref(record);
    return text;
}

static char *cluster_text(const char *name, const char *created)
{
    char uuid[UUID_TEXT_SIZE];
    uuid_make(uuid);
    return text_of(
        json_pack("{s:i, s:s, s:s, s:s}", "v", 1, "name", name, "uuid", uuid, "created", created));
}

static char *node_text(const struct node *node, const char *since)
{
    char nbd[MEMBER_ADDRESS_SIZE];
    snprintf(nbd, sizeof nbd, "unix:%s", node->run_dir);
    return text_of(json_pack("{s:i, s:s, s:s, s:s, s:i, s:s, s:s, s:s}", "v", 1, "name", node->name,
                             "address", config_text(node->config, "address"), "role", "member",
                             "level", NODE_SOFTWARE_LEVEL, "nbd", nbd, "state", "up", "since",
                             since));
}

/* Writes /node/self, and /cluster too when `cluster` names a new one, in one commit. */
static int commit_membership(struct node *node, struct store *store, const char *cluster,
                             struct operation *operation)
{
    char key[STORE_KEY_MAX], time[CLOCK_TEXT_SIZE];
    clock_format(clock_wall_ms(), time);
    snprintf(key, sizeof key, "/node/%s", node->name);
    char *cluster_json = cluster ? cluster_text(cluster, time) : NULL;
    char *node_json = node_text(node, time);
    struct store_compare compares[] = {
        {.kind = cluster ? STORE_ABSENT : STORE_EXISTS, .key = "/cluster"},
        {.kind = STORE_ABSENT, .key = key}};
    struct store_change changes[] = {{.key = key, .json = node_json},
                                     {.key = "/cluster", .json = cluster_json}};
    int status = node_json && (cluster_json || !cluster)
                     ? store_commit(store, compares, 2, changes, cluster ? 2 : 1, NULL, operation)
                     : operation_fail(operation, VIOS_E_NO_SPACE, NULL, NULL, "out of memory");
    free(cluster_json);
    free(node_json);
    return status;
}

static int cluster_there(const json_t *record, struct operation *operation)
{
    const char *name = json_string_value(json_object_get(record, "name"));
    char object[96];
    snprintf(object, sizeof object, "cluster \"%.63s\"", name ? name : "");
    return operation_fail(operation, VIOS_E_EXISTS, object, "run \"vios node join\" to join it",
                          "the VIOS DB has a cluster already");
}

static int cluster_create(struct call *call, const json_t *parameters, json_t **result,
                          struct operation *operation)
{
    struct node *node = call->node;
    const char *name = json_string_value(json_object_get(parameters, "name"));
    struct store *store = NULL;
    json_t *there = NULL;
    int status = node_store_create(node, &store, operation);
    if (status != VIOS_OK) {
        return status;
    }
    status = commit_membership(node, store, name, operation);
    if (status == VIOS_E_CONFLICT || status == VIOS_E_UNKNOWN) {
        int read = node_record(store, "/cluster", &there, NULL, operation);
        status = read == VIOS_OK ? cluster_there(there, operation) : status;
    }
    json_decref(there);
    store_close(store);
    if (status == VIOS_OK) {
        status = node->hooks->activate(node, operation);
    }
    if (status == VIOS_OK) {
        *result = json_pack("{s:s, s:s}", "name", node->cluster, "node", node->name);
    }
    return status;
}

static int node_join(struct call *call, const json_t *parameters, json_t **result,
                     struct operation *operation)
{
    struct node *node = call->node;
    struct store *store = NULL;
    json_t *cluster = NULL;
    (void)parameters;
    int status = node_store(node, &store, operation);
    if (status == VIOS_OK) {
        status = node_record(store, "/cluster", &cluster, NULL, operation);
        if (status == VIOS_E_NOT_FOUND) {
            status = operation_fail(operation, VIOS_E_UNREACHABLE, "VIOS DB",
                                    "run \"vios cluster create NAME\"", "there is no cluster yet");
        }
    }
    if (status == VIOS_OK) {
        status = commit_membership(node, store, NULL, operation);
        if (status == VIOS_E_CONFLICT || status == VIOS_E_UNKNOWN) {
            status = VIOS_OK; /* a record of this name is there, or activate says it is not */
        }
    }
    json_decref(cluster);
    node_store_return(node, store);
    if (status == VIOS_OK) {
        status = node->hooks->activate(node, operation);
    }
    if (status == VIOS_OK) {
        *result = json_pack("{s:s, s:s}", "cluster", node->cluster, "node", node->name);
    }
    return status;
}

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
                                 size_t count)
{
    const char *state = "OK";
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
    return json_pack("{s:s, s:s, s:s, s:s, s:I, s:s}", "name", member->name, "state",
                     member_state_name(member->state), "address", member->address, "role",
                     member->role, "level", (json_int_t)member->level, "since", member->since);
}

static int take_members(struct node *node, struct member **members, size_t *count,
                        struct operation *operation)
{
    return node_members(node, members, count) == VIOS_OK
               ? VIOS_OK
               : operation_fail(operation, VIOS_E_NO_SPACE, NULL, NULL, "out of memory");
}

static int cluster_status(struct call *call, const json_t *parameters, json_t **result,
                          struct operation *operation)
{
    struct node *node = call->node;
    struct member *members = NULL;
    json_t *primary = NULL;
    size_t count;
    (void)parameters;
    int status = read_record(node, "/primary", &primary, operation);
    if (status != VIOS_OK && status != VIOS_E_NOT_FOUND) {
        return status;
    }
    status = take_members(node, &members, &count, operation);
    if (status == VIOS_OK) {
        json_t *nodes = json_array();
        for (size_t i = 0; i < count; i++) {
            json_array_append_new(nodes, json_pack("{s:s, s:s}", "name", members[i].name, "state",
                                                   member_state_name(members[i].state)));
        }
        const char *holder = json_string_value(json_object_get(primary, "node"));
        *result =
            json_pack("{s:s, s:s, s:s, s:I, s:o}", "name", node->cluster, "state",
                      cluster_state(node, members, count), "primary", holder ? holder : "", "epoch",
                      json_integer_value(json_object_get(primary, "epoch")), "nodes", nodes);
    }
    json_decref(primary);
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
    const char *name = json_string_value(json_object_get(parameters, "node"));
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
        json_object_set_new(*result, "page_memory_bytes",
                            json_integer((json_int_t)member->page_memory_bytes));
        json_object_set_new(*result, "page_memory_used_bytes",
                            json_integer((json_int_t)member->page_memory_used_bytes));
    } else {
        status = unknown_node(name, members, count, operation);
    }
    free(members);
    return status;
}

/* --- config --- */

static json_t *config_row_to_json(const struct config *config, const struct config_row *row)
{
    const char *text = config_text(config, row->key);
    return json_pack("{s:s, s:s, s:s, s:s}", "key", row->key, "value", text ? text : "", "origin",
                     config_origin(config, row->key), "help", row->help);
}

static const struct config_row *find_key(const char *key, struct operation *operation)
{
    const char *names[NEAR_FROM_MAX];
    size_t count, near_count = 0;
    const struct config_row *rows = config_rows(&count);
    for (size_t i = 0; i < count; i++) {
        if (strcmp(rows[i].key, key) == 0) {
            return &rows[i];
        }
        if (near_count < NEAR_FROM_MAX) {
            names[near_count++] = rows[i].key;
        }
    }
    char hint[140];
    parse_hint(key, names, near_count, "see \"vios config list\"", hint, sizeof hint);
    operation_fail(operation, VIOS_E_NOT_FOUND, NULL, hint, "no key is named \"%.60s\"", key);
    return NULL;
}

static int config_list_method(struct call *call, const json_t *parameters, json_t **result,
                              struct operation *operation)
{
    size_t count;
    const struct config_row *rows = config_rows(&count);
    (void)parameters;
    (void)operation;
    *result = json_array();
    for (size_t i = 0; i < count; i++) {
        json_array_append_new(*result, config_row_to_json(call->node->config, &rows[i]));
    }
    return VIOS_OK;
}

static int config_get_method(struct call *call, const json_t *parameters, json_t **result,
                             struct operation *operation)
{
    const char *key = json_string_value(json_object_get(parameters, "key"));
    const struct config_row *row = find_key(key, operation);
    if (!row) {
        return operation->error.code;
    }
    *result = config_row_to_json(call->node->config, row);
    return VIOS_OK;
}

/* Only the file changes: a running daemon's configuration is constant. */
static int config_set_method(struct call *call, const json_t *parameters, json_t **result,
                             struct operation *operation)
{
    const char *key = json_string_value(json_object_get(parameters, "key"));
    const char *value = json_string_value(json_object_get(parameters, "value"));
    const char *path = call->node->config_path;
    if (!find_key(key, operation)) {
        return operation->error.code;
    }
    if (!path) {
        return operation_fail(operation, VIOS_E_INVALID, "config",
                              "start the daemon with --config FILE",
                              "this daemon has no configuration file");
    }
    if (strcmp(key, "node") == 0 && atomic_load(&call->node->active) &&
        strcmp(value, call->node->name) != 0) {
        return operation_fail(operation, VIOS_E_INVALID, "node", NULL,
                              "a member of a cluster keeps its name, \"%s\"", call->node->name);
    }
    struct config *trial = config_new();
    int status = trial ? config_set(trial, key, value, &operation->error)
                       : operation_fail(operation, VIOS_E_NO_SPACE, NULL, NULL, "out of memory");
    config_free(trial);
    if (status == VIOS_OK) {
        status = config_save(path, key, value, &operation->error);
    }
    if (status == VIOS_OK) {
        *result = json_pack("{s:s, s:s, s:s}", "key", key, "value", value, "note",
                            "in force when the daemon is started again");
    }
    return status;
}

static const struct method METHODS[] = {
    {"cluster.create", "name:name", ROLE_ADMIN, METHOD_CHANGES | METHOD_UNCONFIGURED,
     cluster_create},
    {"cluster.status", "", ROLE_VIEWER, 0, cluster_status},
    {"cluster.list", "", ROLE_VIEWER, 0, cluster_list},
    {"node.join", "", ROLE_ADMIN, METHOD_CHANGES | METHOD_UNCONFIGURED, node_join},
    {"node.list", "", ROLE_VIEWER, 0, node_list},
    {"node.show", "node:node", ROLE_VIEWER, 0, node_show},
    {"config.list", "", ROLE_VIEWER, METHOD_UNCONFIGURED, config_list_method},
    {"config.get", "key:text", ROLE_VIEWER, METHOD_UNCONFIGURED, config_get_method},
    {"config.set", "key:text value:text", ROLE_ADMIN, METHOD_CHANGES | METHOD_UNCONFIGURED,
     config_set_method},
};

const struct method_group node_methods = {METHODS, sizeof METHODS / sizeof METHODS[0]};
