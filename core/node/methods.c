/* methods.c - the methods of the nouns cluster and node. */
#include "base/clock.h"
#include "base/parse.h"
#include "node/driver.h"
#include "node/members.h"
#include "node/method.h"
#include "node/node.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NEAR_FROM_MAX 128
#define FIRST_PRIMARY_MS 5000

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

/* So that what is done next finds one; a cluster without is no failure of its making. */
static void await_first_primary(struct node *node, struct operation *operation)
{
    struct operation wait;
    operation_start(&wait, FIRST_PRIMARY_MS, operation->cancel);
    (void)driver_await_primary(node->driver, NULL, &wait);
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
        await_first_primary(node, operation);
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
    char primary[NAME_MAX_LENGTH + 1];
    size_t count;
    int64_t now_ms, epoch;
    (void)parameters;
    const struct agent *agent = driver_lock(node->driver, &now_ms);
    snprintf(primary, sizeof primary, "%s", agent_primary(agent, &epoch));
    driver_unlock(node->driver);
    int status = take_members(node, &members, &count, operation);
    if (status == VIOS_OK) {
        json_t *nodes = json_array();
        for (size_t i = 0; i < count; i++) {
            json_array_append_new(nodes, json_pack("{s:s, s:s}", "name", members[i].name, "state",
                                                   member_state_name(members[i].state)));
        }
        *result = json_pack("{s:s, s:s, s:s, s:I, s:o}", "name", node->cluster, "state",
                            cluster_state(node, members, count, primary[0] != '\0'), "primary",
                            primary, "epoch", (json_int_t)epoch, "nodes", nodes);
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

/* --- drain, restore, remove --- */

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
    char *text = text_of(json_incref(record));
    struct store_compare compare = {.kind = STORE_REVISION_IS, .key = key, .revision = revision};
    struct store_change change = {.key = key, .json = text};
    int status = text ? store_commit(store, &compare, 1, &change, 1, NULL, operation)
                      : operation_fail(operation, VIOS_E_NO_SPACE, NULL, NULL, "out of memory");
    free(text);
    return status;
}

static int set_node_state(struct call *call, const json_t *parameters, const char *state,
                          json_t **result, struct operation *operation)
{
    const char *name = json_string_value(json_object_get(parameters, "node"));
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

static bool names_node(const json_t *value, const char *name)
{
    size_t index;
    const char *key;
    json_t *item;
    if (json_is_object(value)) {
        json_object_foreach((json_t *)value, key, item)
        {
            const char *text = json_string_value(item);
            if ((text && strcmp(text, name) == 0 &&
                 (strcmp(key, "node") == 0 || strcmp(key, "host") == 0)) ||
                (!text && names_node(item, name))) {
                return true;
            }
        }
    }
    json_array_foreach(value, index, item)
    {
        if (names_node(item, name)) {
            return true;
        }
    }
    return false;
}

/* Refused while a record below `prefix` says that the node runs or holds something. */
static int check_unused(struct store *store, const char *prefix, const char *noun, const char *name,
                        const char *hint, struct operation *operation)
{
    struct store_list list = {0};
    char object[96];
    int status = store_list(store, prefix, &list, NULL, operation);
    snprintf(object, sizeof object, "node \"%.63s\"", name);
    for (size_t i = 0; i < list.count && status == VIOS_OK; i++) {
        json_t *record = json_loads(list.values[i].json, 0, NULL);
        if (names_node(record, name)) {
            status = operation_fail(operation, VIOS_E_LOCKED, object, hint, "%s \"%.80s\" is on it",
                                    noun, list.values[i].key + strlen(prefix));
        }
        json_decref(record);
    }
    store_list_clear(&list);
    return status;
}

/* One commit ends the membership; the node's next renewal finds no /node and serves no more. */
static int commit_removal(struct store *store, const char *name, int64_t node_revision,
                          struct operation *operation)
{
    char node_key[STORE_KEY_MAX], alive_key[STORE_KEY_MAX];
    snprintf(node_key, sizeof node_key, "/node/%s", name);
    snprintf(alive_key, sizeof alive_key, "/alive/%s", name);
    struct store_compare compare = {
        .kind = STORE_REVISION_IS, .key = node_key, .revision = node_revision};
    struct store_change changes[] = {{.key = node_key}, {.key = alive_key}};
    return store_commit(store, &compare, 1, changes, 2, NULL, operation);
}

static int check_removable(struct call *call, struct store *store, const char *name,
                           struct operation *operation)
{
    char object[96];
    int64_t now_ms, epoch;
    snprintf(object, sizeof object, "node \"%.63s\"", name);
    const struct agent *agent = driver_lock(call->node->driver, &now_ms);
    bool is_primary = strcmp(agent_primary(agent, &epoch), name) == 0;
    driver_unlock(call->node->driver);
    if (is_primary) {
        return operation_fail(operation, VIOS_E_LOCKED, object,
                              "run \"vios primary resign\" on it first", "it is the primary");
    }
    if (strcmp(name, call->node->name) == 0) {
        return operation_fail(operation, VIOS_E_INVALID, object, "run it on another node",
                              "a node does not remove itself");
    }
    int status = check_unused(store, "/lpar/", "lpar", name, "stop or move it first", operation);
    return status == VIOS_OK ? check_unused(store, "/paging/", "paging device of lpar", name,
                                            "remove it first, or stop the node until its pages "
                                            "are on another one",
                                            operation)
                             : status;
}

static int node_remove(struct call *call, const json_t *parameters, json_t **result,
                       struct operation *operation)
{
    const char *name = json_string_value(json_object_get(parameters, "node"));
    struct store *store = NULL;
    json_t *record = NULL;
    int64_t revision;
    int status = node_store(call->node, &store, operation);
    if (status == VIOS_OK) {
        status = load_node(call, store, name, &record, &revision, operation);
    }
    if (status == VIOS_OK) {
        status = check_removable(call, store, name, operation);
    }
    if (status == VIOS_OK) {
        status = commit_removal(store, name, revision, operation);
    }
    json_decref(record);
    node_store_return(call->node, store);
    if (status == VIOS_OK) {
        *result = json_pack("{s:s}", "name", name);
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
    {"node.drain", "node:node", ROLE_ADMIN, METHOD_CHANGES, node_drain},
    {"node.restore", "node:node", ROLE_ADMIN, METHOD_CHANGES, node_restore},
    {"node.remove", "node:node", ROLE_ADMIN, METHOD_CHANGES, node_remove},
};

const struct method_group node_methods = {METHODS, sizeof METHODS / sizeof METHODS[0]};
