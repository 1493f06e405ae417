/* methods.c - pool.create, list, show, remove; lu.create, list, show, resize, clone, remove; and
 * the part itself. Whoever looks at a file runs on a thread of its own: a mount that is dead hangs.
 */
#include "node/others.h"
#include "storage/jobs.h"
#include "storage/lu_view.h"
#include "storage/pool_view.h"
#include "storage/storage.h"

#include "base/json.h"

#include <stdio.h>
#include <string.h>

#define LU_SIZE_MIN ((uint64_t)1 << 20)
#define SECTOR 512

/* --- pools --- */

static int call_pool_create(struct call *call, const json_t *parameters, json_t **result,
                            struct operation *operation)
{
    char object[96], uuid[UUID_TEXT_SIZE];
    const char *name = json_get_text(parameters, "name");
    json_int_t overcommit = json_get_integer(parameters, "overcommit");
    pool_object(name, object);
    if (overcommit < 0 || overcommit > POOL_OVERCOMMIT_MAX) {
        return operation_fail(operation, VIOS_E_USAGE, object,
                              "give percent of its size, such as 200, or 0 for no limit",
                              "an overcommit is 0 to %d", POOL_OVERCOMMIT_MAX);
    }
    uuid_make(uuid);
    return call_job(
        call, &pool_create_job, object,
        json_pack("{s:s, s:s, s:I}", "name", name, "uuid", uuid, "overcommit", overcommit),
        parameters, result, operation);
}

static int call_pool_list(struct call *call, const json_t *parameters, json_t **result,
                          struct operation *operation)
{
    struct store *store = NULL;
    (void)parameters;
    int status = node_store(call->node, &store, operation);
    if (status == VIOS_OK) {
        status = pool_view_list(call->node, store, result, operation);
        node_store_return(call->node, store);
    }
    return status;
}

static int call_pool_show(struct call *call, const json_t *parameters, json_t **result,
                          struct operation *operation)
{
    struct store *store = NULL;
    int status = node_store(call->node, &store, operation);
    if (status == VIOS_OK) {
        status = pool_view_show(call, store, json_get_text(parameters, "name"), result, operation);
        node_store_return(call->node, store);
    }
    return status;
}

static int call_pool_probe(struct call *call, const json_t *parameters, json_t **result,
                           struct operation *operation)
{
    struct store *store = NULL;
    struct pool pool;
    struct pool_probe probe;
    int status = node_store(call->node, &store, operation);
    if (status == VIOS_OK) {
        status = pool_load(store, json_get_text(parameters, "name"), &pool, operation);
        node_store_return(call->node, store);
    }
    if (status == VIOS_OK) {
        pool_folder_probe(call->node, &pool, &probe);
        *result = pool_view_probe(&probe);
    }
    return status;
}

/* An unknown name fails here, with near ones, and not as a job; NULL: the only pool. */
static int choose_pool(struct node *node, const char *name, struct pool *pool,
                       struct operation *operation)
{
    struct store *store = NULL;
    int status = node_store(node, &store, operation);
    if (status == VIOS_OK) {
        status = pool_choose(store, name, pool, operation);
        node_store_return(node, store);
    }
    return status;
}

static int call_pool_remove(struct call *call, const json_t *parameters, json_t **result,
                            struct operation *operation)
{
    struct pool pool;
    char object[96];
    int status = choose_pool(call->node, json_get_text(parameters, "name"), &pool, operation);
    return status == VIOS_OK
               ? call_job(call, &pool_remove_job, pool_object(pool.name, object),
                          json_pack("{s:s}", "name", pool.name), parameters, result, operation)
               : status;
}

/* --- LUs --- */

static int check_size(uint64_t size_bytes, const char *object, struct operation *operation)
{
    if (size_bytes < LU_SIZE_MIN || size_bytes > LU_SIZE_MAX) {
        return operation_fail(operation, VIOS_E_USAGE, object, "give --size 10G for example",
                              "an LU has 1 MiB to 64 TiB");
    }
    return size_bytes % SECTOR == 0
               ? VIOS_OK
               : operation_fail(operation, VIOS_E_USAGE, object, "give --size 10G for example",
                                "its size is no multiple of %d bytes", SECTOR);
}

static int call_lu_create(struct call *call, const json_t *parameters, json_t **result,
                          struct operation *operation)
{
    struct pool pool;
    char object[96], udid[UUID_TEXT_SIZE];
    const char *name = json_get_text(parameters, "name");
    uint64_t size_bytes = (uint64_t)json_get_integer(parameters, "size");
    int status = check_size(size_bytes, lu_object(name, object), operation);
    if (status == VIOS_OK) {
        status = choose_pool(call->node, json_get_text(parameters, "pool"), &pool, operation);
    }
    if (status < 0) {
        return status;
    }
    uuid_make(udid);
    return call_job(call, &lu_create_job, object,
                    json_pack("{s:s, s:s, s:s, s:I, s:b}", "udid", udid, "name", name, "pool",
                              pool.name, "size_bytes", (json_int_t)size_bytes, "thick",
                              json_is_true(json_object_get(parameters, "thick"))),
                    parameters, result, operation);
}

static int call_lu_list(struct call *call, const json_t *parameters, json_t **result,
                        struct operation *operation)
{
    struct store *store = NULL;
    struct pool pool;
    const char *name = json_get_text(parameters, "pool");
    int status = node_store(call->node, &store, operation);
    if (status < 0) {
        return status;
    }
    if (name) {
        status = pool_load(store, name, &pool, operation);
    }
    if (status == VIOS_OK) {
        status = lu_view_list(call->node, store, name, result, operation);
    }
    node_store_return(call->node, store);
    return status;
}

static int call_lu_show(struct call *call, const json_t *parameters, json_t **result,
                        struct operation *operation)
{
    struct store *store = NULL;
    int status = node_store(call->node, &store, operation);
    if (status == VIOS_OK) {
        status =
            lu_view_show(call->node, store, json_get_text(parameters, "lu"), result, operation);
        node_store_return(call->node, store);
    }
    return status;
}

static int find_lu(struct node *node, const char *word, struct lu *lu, struct operation *operation)
{
    struct store *store = NULL;
    int status = node_store(node, &store, operation);
    if (status == VIOS_OK) {
        status = lu_find(store, word, lu, NULL, operation);
        node_store_return(node, store);
    }
    return status;
}

static int call_lu_clone(struct call *call, const json_t *parameters, json_t **result,
                         struct operation *operation)
{
    struct pool pool;
    struct lu source;
    char object[96], udid[UUID_TEXT_SIZE];
    const char *name = json_get_text(parameters, "name"),
               *wanted = json_get_text(parameters, "pool");
    int status = find_lu(call->node, json_get_text(parameters, "lu"), &source, operation);
    if (status == VIOS_OK) {
        status = choose_pool(call->node, wanted ? wanted : source.pool, &pool, operation);
    }
    if (status < 0) {
        return status;
    }
    uuid_make(udid);
    return call_job(call, &lu_clone_job, lu_object(name, object),
                    json_pack("{s:s, s:s, s:s, s:s, s:I}", "source", source.udid, "udid", udid,
                              "name", name, "pool", pool.name, "size_bytes",
                              (json_int_t)source.size_bytes),
                    parameters, result, operation);
}

/* The node that runs the guest whose disk it is; "" when none does. */
static int find_host(struct node *node, const struct lu *lu, char host[NAME_MAX_LENGTH + 1],
                     struct operation *operation)
{
    char key[STORE_KEY_MAX];
    struct store *store = NULL;
    json_t *lpar = NULL;
    const char *owner = NULL;
    host[0] = '\0';
    if (!lu->lpar[0]) {
        return VIOS_OK;
    }
    int status = node_store(node, &store, operation);
    if (status == VIOS_OK) {
        snprintf(key, sizeof key, "/lpar/%s", lu->lpar);
        status = node_record(store, key, &lpar, NULL, operation);
        node_store_return(node, store);
    }
    if (status == VIOS_OK && json_unpack(lpar, "{s:{s:s}}", "owner", "node", &owner) == 0) {
        snprintf(host, NAME_MAX_LENGTH + 1, "%s", owner);
    }
    json_decref(lpar);
    return status == VIOS_E_NOT_FOUND ? VIOS_OK : status;
}

/* Where the guest runs, so that it can be told; a node that does not answer is no reason to do it
 * here, where its guest would not hear of it. */
static int call_lu_resize(struct call *call, const json_t *parameters, json_t **result,
                          struct operation *operation)
{
    struct lu lu;
    char object[96], host[NAME_MAX_LENGTH + 1];
    json_t *size = json_object_get(parameters, "size");
    int status = find_lu(call->node, json_get_text(parameters, "lu"), &lu, operation);
    if (status == VIOS_OK) {
        status =
            check_size((uint64_t)json_integer_value(size), lu_object(lu.name, object), operation);
    }
    if (status == VIOS_OK) {
        status = find_host(call->node, &lu, host, operation);
    }
    if (status < 0) {
        return status;
    }
    if (host[0] && strcmp(host, call->node->name) != 0) {
        return others_pass(call, host, "lu.resize", parameters, result, operation);
    }
    return call_job(call, &lu_resize_job, object,
                    json_pack("{s:s, s:O}", "udid", lu.udid, "size_bytes", size), parameters,
                    result, operation);
}

static int call_lu_remove(struct call *call, const json_t *parameters, json_t **result,
                          struct operation *operation)
{
    struct lu lu;
    char object[96];
    int status = find_lu(call->node, json_get_text(parameters, "lu"), &lu, operation);
    return status == VIOS_OK ? call_job(call, &lu_remove_job, lu_object(lu.name, object),
                                        json_pack("{s:s, s:s}", "udid", lu.udid, "name", lu.name),
                                        parameters, result, operation)
                             : status;
}

static const struct method METHODS[] = {
    {"pool.create", "name:name overcommit:integer?", ROLE_ADMIN, METHOD_CHANGES | METHOD_JOB,
     call_pool_create},
    {"pool.list", "", ROLE_VIEWER, METHOD_LASTS, call_pool_list},
    {"pool.show", "name:pool", ROLE_VIEWER, METHOD_LASTS, call_pool_show},
    {"pool.remove", "name:pool", ROLE_ADMIN, METHOD_CHANGES | METHOD_JOB, call_pool_remove},
    {"lu.create", "name:name size:size pool:pool? thick:boolean?", ROLE_ADMIN,
     METHOD_CHANGES | METHOD_JOB, call_lu_create},
    {"lu.list", "pool:pool?", ROLE_VIEWER, METHOD_LASTS, call_lu_list},
    {"lu.show", "lu:text", ROLE_VIEWER, METHOD_LASTS, call_lu_show},
    {"lu.resize", "lu:text size:size", ROLE_ADMIN, METHOD_CHANGES | METHOD_JOB, call_lu_resize},
    {"lu.clone", "lu:text name:name pool:pool?", ROLE_ADMIN, METHOD_CHANGES | METHOD_JOB,
     call_lu_clone},
    {"lu.remove", "lu:text", ROLE_ADMIN, METHOD_CHANGES | METHOD_JOB, call_lu_remove},
    /* Under this name because it has no command: pool.show asks the other nodes. */
    {"daemon.pool_probe", "name:pool", ROLE_VIEWER, METHOD_LASTS, call_pool_probe},
};

static const struct method_group STORAGE_METHODS = {METHODS, sizeof METHODS / sizeof *METHODS};
static const struct job_kind *const JOB_KINDS[] = {&pool_create_job,
                                                   &pool_remove_job,
                                                   &lu_create_job,
                                                   &lu_clone_job,
                                                   &lu_remove_job,
                                                   &lu_resize_job,
                                                   NULL};

const struct part storage_part = {
    .name = "storage",
    .methods = &STORAGE_METHODS,
    .job_kinds = JOB_KINDS,
};
