/*
 * etcd_replace.c - the content of a store in an etcd, read and replaced: see replace.h.
 *
 * One commit puts the key `:restoring` and deletes `:store`, without which nobody opens the store.
 * Then the new values are put over the old ones, and what is not among them is deleted, as many in
 * a commit as etcd takes; each commit compares that `:restoring` is still ours, so two restores at
 * once do not mix. The last one deletes `:restoring` and puts `:store`: made anew, so that a
 * process that knew the store before does not take it for the same one. Until then daemons refuse
 * it, and to restore again begins anew. The old values go last, so that they can be read until all
 * new numbers, which are higher, are there.
 */
#include "base/crash.h"
#include "base/parse.h"
#include "store/etcd_connection.h"
#include "store/replace.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BATCH_CHANGES 100                  /* of one commit; etcd's own default is 128 */
#define BATCH_BYTES (ETCD_REQUEST_MAX / 2) /* of keys and values, which grow by a third */
#define KEY_SIZE (STORE_KEY_MAX + 8)

static const char RESTORING[] = "restoring";
static const char STORE[] = "store";

struct replacing {
    struct etcd_connection *connection;
    char space[ETCD_SPACE_MAX]; /* with all of the store's keys */
    char token[UUID_TEXT_SIZE + 32];
    int64_t restoring; /* the revision of `:restoring`; 0: absent */
    int64_t store;     /* of `:store` */
    bool ours;         /* `:restoring` carries the token */
};

/* The value at a key of the space: its revision, 0 when absent; `ours` may be NULL. */
static int look(struct replacing *replacing, const char *key, int64_t *revision, bool *ours,
                struct operation *operation)
{
    struct store_gather gather = {0};
    struct etcd_range range = {.space = replacing->space, .key = key};
    int status = etcd_call_range(replacing->connection, &range, &gather, NULL, operation);
    *revision = gather.count == 1 ? gather.values[0].revision : 0;
    if (ours) {
        *ours = gather.count == 1 && strcmp(gather.values[0].json, replacing->token) == 0;
    }
    store_gather_clear(&gather);
    return status;
}

static int look_at_keys(struct replacing *replacing, struct operation *operation)
{
    int status = look(replacing, STORE, &replacing->store, NULL, operation);
    return status == VIOS_OK
               ? look(replacing, RESTORING, &replacing->restoring, &replacing->ours, operation)
               : status;
}

static int open_replacing(struct replacing *replacing, const char *text,
                          struct operation *operation)
{
    memset(replacing, 0, sizeof *replacing);
    int status = etcd_connection_open(&replacing->connection, text, operation);
    if (status != VIOS_OK) {
        return status;
    }
    char uuid[UUID_TEXT_SIZE];
    uuid_make(uuid);
    snprintf(replacing->token, sizeof replacing->token, "{\"v\":1,\"by\":\"%s\"}", uuid);
    snprintf(replacing->space, sizeof replacing->space,
             "%.128s/:", replacing->connection->address.prefix);
    status = look_at_keys(replacing, operation);
    if (status != VIOS_OK) {
        etcd_connection_close(replacing->connection);
        replacing->connection = NULL;
    }
    return status;
}

int etcd_store_read(const char *text, const char *prefix, struct store_reading *reading,
                    struct operation *operation)
{
    struct replacing replacing;
    int status = open_replacing(&replacing, text, operation);
    if (status != VIOS_OK) {
        return status;
    }
    status =
        etcd_list(replacing.connection, &prefix, 1, &reading->list, &reading->revision, operation);
    reading->begun = replacing.restoring != 0;
    if (status == VIOS_OK && reading->begun) {
        status = operation_fail(operation, VIOS_E_CORRUPT, "VIOS DB", STORE_RESTORE_HINT,
                                "it was being restored, and that did not end");
    } else if (status == VIOS_OK && replacing.store == 0) {
        status = operation_fail(operation, VIOS_E_NOT_FOUND, "VIOS DB", NULL,
                                "there is no store in this etcd");
    }
    etcd_connection_close(replacing.connection);
    return status;
}

/* --- replacing --- */

/* `*succeeded`: the compares held, this time. */
static int commit(struct replacing *replacing, const struct etcd_txn *txn, bool *succeeded,
                  struct operation *operation)
{
    json_t *answer;
    *succeeded = false;
    int status = etcd_call(replacing->connection, ETCD_TXN_PATH, etcd_json_txn(txn), &answer, NULL,
                           NULL, operation);
    if (status == VIOS_OK) {
        status = etcd_json_succeeded(answer, succeeded, &operation->error);
    }
    json_decref(answer);
    return status;
}

static int lost(struct operation *operation)
{
    return operation_fail(operation, VIOS_E_CONFLICT, "VIOS DB",
                          "look who does, then: vios db "
                          "restore FILE",
                          "another one restores into this etcd at the same time");
}

static struct store_compare is_at(const char *key, int64_t revision)
{
    return (struct store_compare){revision > 0 ? STORE_REVISION_IS : STORE_ABSENT, key, revision};
}

/* A commit that was sent twice fails the second time: what is there tells. */
static int begin(struct replacing *replacing, struct operation *operation)
{
    bool succeeded;
    const struct store_compare compares[] = {is_at(RESTORING, replacing->restoring),
                                             is_at(STORE, replacing->store)};
    const struct store_change changes[] = {{RESTORING, replacing->token}, {STORE, NULL}};
    struct etcd_txn txn = {.space = replacing->space,
                           .compares = compares,
                           .compare_count = 2,
                           .changes = changes,
                           .change_count = 2};
    int status = commit(replacing, &txn, &succeeded, operation);
    if (status == VIOS_OK) {
        status = look_at_keys(replacing, operation);
    }
    return status == VIOS_OK && !replacing->ours ? lost(operation) : status;
}

struct batch {
    char keys[BATCH_CHANGES][KEY_SIZE];
    struct store_change changes[BATCH_CHANGES];
    size_t count, bytes;
};

static int flush(struct replacing *replacing, struct batch *batch, struct operation *operation)
{
    bool succeeded = true;
    const struct store_compare compare = is_at(RESTORING, replacing->restoring);
    struct etcd_txn txn = {.space = replacing->space,
                           .compares = &compare,
                           .compare_count = 1,
                           .changes = batch->changes,
                           .change_count = batch->count};
    int status = operation_check(operation);
    if (status == VIOS_OK && batch->count > 0) {
        status = commit(replacing, &txn, &succeeded, operation);
        crash_at("db.restore:batch");
    }
    batch->count = batch->bytes = 0;
    return status == VIOS_OK && !succeeded ? lost(operation) : status;
}

/* `json` NULL: deletes it. */
static int add(struct replacing *replacing, struct batch *batch, const char *key, const char *json,
               struct operation *operation)
{
    size_t bytes = strlen(key) + (json ? strlen(json) : 0);
    int status = VIOS_OK;
    if (batch->count == BATCH_CHANGES || batch->bytes + bytes > BATCH_BYTES) {
        status = flush(replacing, batch, operation);
    }
    snprintf(batch->keys[batch->count], KEY_SIZE, "data%s", key);
    batch->changes[batch->count] = (struct store_change){batch->keys[batch->count], json};
    batch->count++;
    batch->bytes += bytes;
    return status;
}

static int put_all(struct replacing *replacing, struct batch *batch, const struct store_list *list,
                   struct operation *operation)
{
    int status = VIOS_OK;
    for (size_t i = 0; i < list->count && status == VIOS_OK; i++) {
        status = add(replacing, batch, list->values[i].key, list->values[i].json, operation);
    }
    return status == VIOS_OK ? flush(replacing, batch, operation) : status;
}

static bool is_in(const struct store_list *list, size_t *at, const char *key)
{
    while (*at < list->count && strcmp(list->values[*at].key, key) < 0) {
        ++*at;
    }
    return *at < list->count && strcmp(list->values[*at].key, key) == 0;
}

static int delete_others(struct replacing *replacing, struct batch *batch,
                         const struct store_list *list, struct operation *operation)
{
    static const char *const all[] = {""};
    struct store_list there = {0};
    int64_t revision;
    size_t at = 0;
    int status = etcd_list(replacing->connection, all, 1, &there, &revision, operation);
    for (size_t i = 0; i < there.count && status == VIOS_OK; i++) {
        if (!is_in(list, &at, there.values[i].key)) {
            status = add(replacing, batch, there.values[i].key, NULL, operation);
        }
    }
    if (status == VIOS_OK) {
        status = flush(replacing, batch, operation);
    }
    store_list_clear(&there);
    return status;
}

static int end(struct replacing *replacing, struct operation *operation)
{
    bool succeeded;
    const struct store_compare compare = is_at(RESTORING, replacing->restoring);
    const struct store_change changes[] = {{RESTORING, NULL}, {STORE, ETCD_STORE_VALUE}};
    struct etcd_txn txn = {.space = replacing->space,
                           .compares = &compare,
                           .compare_count = 1,
                           .changes = changes,
                           .change_count = 2};
    int status = commit(replacing, &txn, &succeeded, operation);
    if (status == VIOS_OK && !succeeded) { /* sent twice, or another's */
        status = look_at_keys(replacing, operation);
        status = status == VIOS_OK && (replacing->restoring != 0 || replacing->store == 0)
                     ? lost(operation)
                     : status;
    }
    return status;
}

int etcd_store_replace(const char *text, const struct store_list *list, struct operation *operation)
{
    struct replacing replacing;
    struct batch *batch = calloc(1, sizeof *batch);
    int status = batch ? open_replacing(&replacing, text, operation)
                       : operation_no_memory(operation, "store");
    if (status != VIOS_OK) {
        free(batch);
        return status;
    }
    status = begin(&replacing, operation);
    crash_at("db.restore:begun");
    if (status == VIOS_OK) {
        status = put_all(&replacing, batch, list, operation);
    }
    crash_at("db.restore:put");
    if (status == VIOS_OK) {
        status = delete_others(&replacing, batch, list, operation);
    }
    crash_at("db.restore:deleted");
    if (status == VIOS_OK) {
        status = end(&replacing, operation);
    }
    crash_at("db.restore:placed");
    etcd_connection_close(replacing.connection);
    free(batch);
    return status;
}
