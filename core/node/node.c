/*
 * node.c - the pool of store connections, and reading records.
 *
 * A `struct store` serves one call at a time, so each caller borrows one. At most
 * STORES_IDLE_MAX stay open when nobody needs them.
 */
#include "node/node.h"

#include "net/rpc.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define STORES_IDLE_MAX 8

struct store_pool {
    pthread_mutex_t lock;
    char *address;
    struct store_guard guard;
    struct store *idle[STORES_IDLE_MAX];
    size_t idle_count;
};

int64_t node_level(void)
{
    return NODE_SOFTWARE_LEVEL - RPC_LEVEL + rpc_level();
}

struct store_pool *store_pool_new(const char *address)
{
    struct store_pool *pool = calloc(1, sizeof *pool);
    if (pool) {
        pthread_mutex_init(&pool->lock, NULL);
        pool->address = strdup(address);
    }
    if (pool && !pool->address) {
        free(pool);
        return NULL;
    }
    return pool;
}

void store_pool_free(struct store_pool *pool)
{
    if (!pool) {
        return;
    }
    for (size_t i = 0; i < pool->idle_count; i++) {
        store_close(pool->idle[i]);
    }
    pthread_mutex_destroy(&pool->lock);
    free(pool->address);
    free(pool);
}

bool store_pool_move(struct store_pool *pool, const char *address)
{
    char *copy = strdup(address);
    if (!copy) {
        return false;
    }
    pthread_mutex_lock(&pool->lock);
    while (pool->idle_count > 0) {
        store_close(pool->idle[--pool->idle_count]);
    }
    free(pool->address);
    pool->address = copy;
    pthread_mutex_unlock(&pool->lock);
    return true;
}

void store_pool_guard(struct store_pool *pool, const struct store_guard *guard)
{
    pthread_mutex_lock(&pool->lock);
    pool->guard = guard ? *guard : (struct store_guard){0};
    for (size_t i = 0; i < pool->idle_count; i++) {
        store_set_guard(pool->idle[i], guard);
    }
    pthread_mutex_unlock(&pool->lock);
}

int node_store(struct node *node, struct store **store, struct operation *operation)
{
    struct store_pool *pool = node->stores;
    *store = NULL;
    pthread_mutex_lock(&pool->lock);
    if (pool->idle_count > 0) {
        *store = pool->idle[--pool->idle_count];
    }
    pthread_mutex_unlock(&pool->lock);
    if (*store) {
        return VIOS_OK;
    }
    int status = store_open(store, pool->address, false, operation);
    if (status == VIOS_OK && pool->guard.check) {
        store_set_guard(*store, &pool->guard);
    }
    if (status == VIOS_E_NOT_FOUND) {
        return operation_fail(operation, VIOS_E_UNREACHABLE, "VIOS DB",
                              "run \"vios cluster create NAME\"", "there is no cluster yet");
    }
    return status;
}

int node_store_create(struct node *node, struct store **store, struct operation *operation)
{
    return store_open(store, node->stores->address, true, operation);
}

void node_store_return(struct node *node, struct store *store)
{
    struct store_pool *pool = node->stores;
    if (!store) {
        return;
    }
    pthread_mutex_lock(&pool->lock);
    if (pool->idle_count < STORES_IDLE_MAX) {
        pool->idle[pool->idle_count++] = store;
        store = NULL;
    }
    pthread_mutex_unlock(&pool->lock);
    store_close(store);
}

int node_record(struct store *store, const char *key, json_t **record, int64_t *revision,
                struct operation *operation)
{
    struct store_value value;
    *record = NULL;
    int status = store_get(store, key, &value, operation);
    if (status != VIOS_OK) {
        return status;
    }
    *record = json_loads(value.json, JSON_REJECT_DUPLICATES, NULL);
    if (revision) {
        *revision = value.revision;
    }
    store_value_clear(&value);
    if (!json_is_object(*record)) {
        json_decref(*record);
        *record = NULL;
        return operation_fail(operation, VIOS_E_CORRUPT, key, "run \"vios db check\"",
                              "the record is not a JSON object");
    }
    return VIOS_OK;
}

int node_has_record(struct store *store, const char *key, bool *has, struct operation *operation)
{
    struct store_value value;
    int status = store_get(store, key, &value, operation);
    *has = status == VIOS_OK;
    if (*has) {
        store_value_clear(&value);
    } else if (status == VIOS_E_NOT_FOUND) {
        memset(&operation->error, 0, sizeof operation->error);
        status = VIOS_OK;
    }
    return status;
}

bool node_key_is_secret(const char *key)
{
    static const char *const SECRETS[] = {"/token", "/secret"};
    for (size_t i = 0; i < sizeof SECRETS / sizeof SECRETS[0]; i++) {
        if (strncmp(key, SECRETS[i], strlen(SECRETS[i])) == 0) {
            return true;
        }
    }
    return false;
}
