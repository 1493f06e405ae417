/*
 * db_methods.c - db.status, db.check, db.backup, db.get: the VIOS DB through the daemon.
 *
 * db.get shows records as they are; what lies below /token and /secret is kept from
 * everybody.
 */
#include "node/job_methods.h"

#include "base/json.h"
#include "node/node.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define KINDS_MAX 64 /* of keys, in db.status */
#define GET_LIST_MAX 1000

/* Adds one to `counts` under the first word of the key: "/lpar/web1" counts as "lpar". */
static void count_key(json_t *counts, const char *key)
{
    char kind[64];
    snprintf(kind, sizeof kind, "%.*s", (int)strcspn(key + 1, "/"), key + 1);
    json_int_t before = json_get_integer(counts, kind);
    if (before > 0 || json_object_size(counts) < KINDS_MAX) {
        json_object_set_new(counts, kind, json_integer(before + 1));
    }
}

/* {address, state, revision, keys, size_bytes (null when not a file), kinds: {"lpar": 2, ...}} */
static int status_db(struct call *call, const json_t *parameters, json_t **result,
                     struct operation *operation)
{
    struct store *store;
    struct store_list list = {0};
    struct stat file;
    int64_t revision = 0;
    (void)parameters;
    int status = node_store(call->node, &store, operation);
    if (status == VIOS_OK) {
        status = store_list(store, "", &list, &revision, operation);
    }
    const char *address = store ? store_address(store) : "";
    json_t *counts = json_object();
    for (size_t i = 0; i < list.count; i++) {
        count_key(counts, list.values[i].key);
    }
    if (status == VIOS_OK) {
        bool sized = strncmp(address, "sqlite:", 7) == 0 && stat(address + 7, &file) == 0;
        *result = json_pack("{s:s, s:s, s:I, s:I, s:o, s:O}", "address", address, "state", "OK",
                            "revision", (json_int_t)revision, "keys", (json_int_t)list.count,
                            "size_bytes", sized ? json_integer(file.st_size) : json_null(), "kinds",
                            counts);
        status = *result ? VIOS_OK : operation_no_memory(operation, "VIOS DB");
    }
    json_decref(counts);
    store_list_clear(&list);
    node_store_return(call->node, store);
    return status;
}

static int check_db(struct call *call, const json_t *parameters, json_t **result,
                    struct operation *operation)
{
    struct store *store;
    (void)parameters;
    int status = node_store(call->node, &store, operation);
    if (status == VIOS_OK) {
        status = store_check(store, operation);
    }
    if (status == VIOS_OK) {
        *result = json_pack("{s:s, s:s}", "address", store_address(store), "state", "OK");
        status = *result ? VIOS_OK : operation_no_memory(operation, "VIOS DB");
    }
    node_store_return(call->node, store);
    return status;
}

static int backup_db(struct call *call, const json_t *parameters, json_t **result,
                     struct operation *operation)
{
    struct store *store;
    struct stat file;
    const char *path = json_get_text(parameters, "path");
    if (path[0] != '/') {
        return operation_fail(operation, VIOS_E_USAGE, path, "give the whole path on the node",
                              "the path of a backup begins with /");
    }
    int status = node_store(call->node, &store, operation);
    if (status == VIOS_OK) {
        status = store_backup(store, path, operation);
    }
    if (status == VIOS_OK && stat(path, &file) != 0) {
        status = error_set_errno(&operation->error, path, "backup");
    }
    if (status == VIOS_OK) {
        *result = json_pack("{s:s, s:I}", "path", path, "size_bytes", (json_int_t)file.st_size);
        status = *result ? VIOS_OK : operation_no_memory(operation, "VIOS DB");
    }
    node_store_return(call->node, store);
    return status;
}

static json_t *show_value(const struct store_value *value)
{
    json_t *record = json_loads(value->json, JSON_DECODE_ANY, NULL);
    return json_pack("{s:s, s:I, s:I, s:o}", "key", value->key, "revision",
                     (json_int_t)value->revision, "created", (json_int_t)value->created, "value",
                     record ? record : json_null());
}

static int get_prefix(struct store *store, const char *prefix, json_t **result,
                      struct operation *operation)
{
    struct store_list list = {0};
    json_t *array = json_array();
    int status = store_list(store, prefix, &list, NULL, operation);
    if (status == VIOS_OK && list.count > GET_LIST_MAX) {
        status = operation_fail(operation, VIOS_E_NO_SPACE, prefix, "give a longer prefix",
                                "%zu keys begin with it, at most %d are shown", list.count,
                                GET_LIST_MAX);
    }
    for (size_t i = 0; i < list.count && status == VIOS_OK; i++) {
        if (!node_key_is_secret(list.values[i].key) &&
            json_array_append_new(array, show_value(&list.values[i])) != 0) {
            status = operation_no_memory(operation, "VIOS DB");
        }
    }
    store_list_clear(&list);
    if (status != VIOS_OK) {
        json_decref(array);
        array = NULL;
    }
    *result = array;
    return status;
}

static int get_key(struct store *store, const char *key, json_t **result,
                   struct operation *operation)
{
    struct store_value value;
    int status = store_get(store, key, &value, operation);
    if (status == VIOS_E_NOT_FOUND) {
        operation_fail(operation, status, key, "see all of them with \"vios db get /\"",
                       "there is no such key in the VIOS DB");
    }
    if (status == VIOS_OK) {
        *result = json_pack("[o]", show_value(&value));
        status = *result ? VIOS_OK : operation_no_memory(operation, "VIOS DB");
    }
    store_value_clear(&value);
    return status;
}

/* Always an array: of one for a key, of what begins with it for a key that ends with "/". */
static int get_db(struct call *call, const json_t *parameters, json_t **result,
                  struct operation *operation)
{
    struct store *store;
    const char *key = json_get_text(parameters, "key");
    size_t length = strlen(key);
    if (node_key_is_secret(key)) {
        return operation_fail(operation, VIOS_E_DENIED, key, NULL, "tokens and keys are not shown");
    }
    int status = node_store(call->node, &store, operation);
    if (status == VIOS_OK) {
        bool prefix = length > 0 && key[length - 1] == '/';
        status = prefix ? get_prefix(store, key, result, operation)
                        : get_key(store, key, result, operation);
    }
    node_store_return(call->node, store);
    return status;
}

static const struct method METHODS[] = {
    {"db.status", "", ROLE_VIEWER, 0, status_db},
    {"db.check", "", ROLE_OPERATOR, METHOD_LASTS, check_db},
    {"db.backup", "path:text", ROLE_ADMIN, METHOD_CHANGES | METHOD_LASTS, backup_db},
    {"db.get", "key:text", ROLE_ADMIN, 0, get_db},
};

const struct method_group db_methods = {METHODS, sizeof METHODS / sizeof METHODS[0]};
