/* config_methods.c - config.list, config.get and config.set: the node's configuration file. */
#include "base/config.h"
#include "base/json.h"
#include "base/parse.h"
#include "node/job_methods.h"
#include "node/method.h"
#include "node/node.h"

#include <string.h>

#define NEAR_FROM_MAX 128

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
    const char *key = json_get_text(parameters, "key");
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
    const char *key = json_get_text(parameters, "key");
    const char *value = json_get_text(parameters, "value");
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
                       : operation_no_memory(operation, NULL);
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
    {"config.list", "", ROLE_VIEWER, METHOD_UNCONFIGURED, config_list_method},
    {"config.get", "key:text", ROLE_VIEWER, METHOD_UNCONFIGURED, config_get_method},
    {"config.set", "key:text value:text", ROLE_ADMIN, METHOD_CHANGES | METHOD_UNCONFIGURED,
     config_set_method},
};

const struct method_group config_methods = {METHODS, sizeof METHODS / sizeof METHODS[0]};
