/*
 * etcd.c - the store's calls on an etcd of one or more members, over its JSON gateway.
 *
 * Below the address's prefix lie three spaces: `:data` with our keys behind it, `:mark/` with a
 * key for each connection that commits (etcd_commit.c), and `:store`, which says that a store was
 * made here, or `:restoring` in its place (etcd_replace.c). A prefix has no ':', so that one
 * cluster's keys are never within another's spaces, also when one prefix begins like the other.
 *
 * Revisions are etcd's own and count for the whole etcd. Reads are linearizable: etcd asks its
 * majority first. A list of several pages is read at the revision of its first page. No lease is
 * used: a stuck leader of etcd 3.4 can revoke leases that were renewed at the next one.
 *
 *     etcd_address.c     the text of an address       etcd_request.c  bodies of requests
 *     etcd_http.c        one request, one stream      etcd_json.c     answers, validated
 *     etcd_connection.c  endpoints, tokens, whether it is still the same etcd
 *     etcd_list.c        lists                        etcd_commit.c   commits
 *     etcd_watch.c       watches                      etcd_care.c     compaction, backup, check
 *     etcd_replace.c     another content in the place of all that is there
 */
#include "store/etcd.h"

#include "store/etcd_connection.h"

#include <stdio.h>
#include <string.h>

static void etcd_close(void *state)
{
    struct etcd_connection *connection = state;
    etcd_commit_end(connection);
    etcd_connection_close(connection);
}

static int etcd_get(void *state, const char *key, struct store_value *value,
                    struct operation *operation)
{
    struct etcd_connection *connection = state;
    struct store_gather gather = {0};
    struct etcd_range range = {.space = connection->data_space, .key = key};
    int status = etcd_call_range(connection, &range, &gather, NULL, operation);
    if (status == VIOS_OK && gather.count == 0) {
        status = operation_fail(operation, VIOS_E_NOT_FOUND, key, NULL, "no such key in the store");
    } else if (status == VIOS_OK && (gather.count > 1 || strcmp(gather.values[0].key, key) != 0)) {
        status =
            operation_fail(operation, VIOS_E_CORRUPT, key, NULL, "etcd answered with another key");
    }
    if (status == VIOS_OK) {
        *value = gather.values[0];
        gather.count = 0;
    }
    store_gather_clear(&gather);
    return status;
}

/* A key of the store's own, `name` behind ':'; gather.count is 0 when it is absent. */
static int get_own(struct etcd_connection *connection, const char *name,
                   struct store_gather *gather, struct operation *operation)
{
    char space[ETCD_SPACE_MAX];
    struct etcd_range range = {.space = space, .key = name};
    snprintf(space, sizeof space, "%.128s/:", connection->address.prefix);
    return etcd_call_range(connection, &range, gather, NULL, operation);
}

/* A restore takes `:store` away first: who sees it there, and then no `:restoring`, opened it
 * before that. */
static int check_restoring(struct etcd_connection *connection, struct operation *operation)
{
    struct store_gather gather = {0};
    int status = get_own(connection, "restoring", &gather, operation);
    if (status == VIOS_OK && gather.count > 0) {
        status =
            operation_fail(operation, VIOS_E_CORRUPT, connection->store_key, STORE_RESTORE_HINT,
                           "the VIOS DB is being restored, or a restore of it did not end");
    }
    store_gather_clear(&gather);
    return status;
}

/* The key `:store`: `*made` is the revision that made it, 0: it is not there. */
static int find_store(struct etcd_connection *connection, int64_t *made,
                      struct operation *operation)
{
    struct store_gather gather = {0};
    int status = get_own(connection, "store", &gather, operation);
    if (status == VIOS_OK && gather.count == 1 &&
        strcmp(gather.values[0].json, ETCD_STORE_VALUE) != 0) {
        status =
            operation_fail(operation, VIOS_E_INVALID, connection->store_key, "use a newer vios",
                           "the store is of a kind that this vios does "
                           "not know");
    }
    *made = status == VIOS_OK && gather.count == 1 ? gather.values[0].created : 0;
    store_gather_clear(&gather);
    return status == VIOS_OK ? check_restoring(connection, operation) : status;
}

static int make_store(struct etcd_connection *connection, struct operation *operation)
{
    json_t *answer;
    int status = etcd_call(connection, ETCD_TXN_PATH,
                           etcd_json_make(connection->store_key, ETCD_STORE_VALUE), &answer, NULL,
                           NULL, operation);
    json_decref(answer); /* whoever made it */
    return status;
}

/* A store that this process has seen must still be there, and be the same one. */
static int check_made(struct etcd_connection *connection, int64_t made, struct operation *operation)
{
    int64_t before = 0;
    if (made == 0) {
        before = atomic_load(&connection->known->made);
    } else {
        atomic_compare_exchange_strong(&connection->known->made, &before, made);
    }
    if (before != 0 && before != made) {
        return operation_fail(operation, VIOS_E_CORRUPT, connection->store_key,
                              "vios db restore FILE, or restart the daemon if that was meant",
                              "the store is %s although it was in use",
                              made ? "another one than before" : "gone");
    }
    return VIOS_OK;
}

static int prepare_store(struct etcd_connection *connection, bool create,
                         struct operation *operation)
{
    int64_t made = 0;
    int status = find_store(connection, &made, operation);
    if (status == VIOS_OK) {
        status = check_made(connection, made, operation);
    }
    if (status != VIOS_OK || made != 0) {
        return status;
    }
    if (!create) {
        return operation_fail(operation, VIOS_E_NOT_FOUND, connection->store_key, STORE_CREATE_HINT,
                              "the store is not made yet");
    }
    status = make_store(connection, operation);
    if (status == VIOS_OK) {
        status = find_store(connection, &made, operation);
    }
    return status == VIOS_OK ? check_made(connection, made, operation) : status;
}

static const struct store_backend ETCD_BACKEND = {
    .name = "etcd",
    .close = etcd_close,
    .get = etcd_get,
    .list = etcd_list,
    .commit = etcd_commit,
    .watch_open = etcd_watch_open,
    .watch_next = etcd_watch_next,
    .watch_close = etcd_watch_close,
    .compact = etcd_compact,
    .backup = etcd_backup,
    .check = etcd_check,
};

int etcd_store_open(struct store **store, const char *text, bool create,
                    struct operation *operation)
{
    struct etcd_connection *connection;
    int status = etcd_connection_open(&connection, text, operation);
    if (status != VIOS_OK) {
        return status;
    }
    status = prepare_store(connection, create, operation);
    if (status != VIOS_OK) {
        etcd_connection_close(connection);
        return status;
    }
    *store = store_wrap(&ETCD_BACKEND, connection);
    return *store ? VIOS_OK : operation_no_memory(operation, "store");
}
