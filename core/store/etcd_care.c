/*
 * etcd_care.c - what keeps an etcd in order: history forgotten, marks of the dead removed, a
 * backup, a check.
 *
 * Whoever commits the first revision ETCD_COMPACT_EVERY after this process's last compaction
 * compacts, and so do the other nodes: etcd takes the second of two such requests for done. What
 * it forgets is the whole etcd's history, other users' too: give vios an etcd of its own. The space
 * of what was deleted is used again; only etcdctl defrag gives it back to the file system.
 */
#include "store/etcd_connection.h"
#include "store/sqlite.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COMPACTION_PATH "/v3/kv/compaction"
#define STATUS_PATH "/v3/maintenance/status"
#define MARKS_AT_ONCE 64 /* removed after one compaction */

static const char *const ALL[] = {""}; /* the prefix of all keys */

static int compact_to(struct etcd_connection *connection, int64_t revision,
                      struct operation *operation)
{
    struct etcd_refusal refusal;
    json_t *answer;
    int status = etcd_call(connection, COMPACTION_PATH, etcd_json_compaction(revision), &answer,
                           NULL, &refusal, operation);
    json_decref(answer);
    if (status != VIOS_E_COMPACTED) {
        return status;
    }
    if (!strstr(refusal.message, "future")) {
        return VIOS_OK; /* it has gone as far already */
    }
    return operation_fail(operation, VIOS_E_INVALID, "VIOS DB", NULL,
                          "revision %lld is not there yet, the newest is %lld", (long long)revision,
                          (long long)atomic_load(&connection->known->revision));
}

int etcd_compact(void *state, int64_t revision, struct operation *operation)
{
    return revision < 1 ? VIOS_OK : compact_to(state, revision, operation);
}

static void remove_mark(struct etcd_connection *connection, const struct store_value *mark,
                        struct operation *operation)
{
    char key[ETCD_KEY_SIZE];
    json_t *answer;
    if (snprintf(key, sizeof key, "%s%s", connection->mark_space, mark->key) < (int)sizeof key) {
        etcd_call(connection, ETCD_TXN_PATH, etcd_json_remove(key, mark->revision), &answer, NULL,
                  NULL, operation);
        json_decref(answer);
    }
}

/* A mark that nobody moved in all the history that is kept: its connection is gone, or will find
 * that out at its next commit and make it anew. */
static void remove_old_marks(struct etcd_connection *connection, int64_t revision,
                             struct operation *operation)
{
    struct etcd_range range = {.space = connection->mark_space,
                               .key = "",
                               .prefix = true,
                               .max_mod_revision = revision,
                               .limit = MARKS_AT_ONCE,
                               .keys_only = true};
    struct store_gather gather = {0};
    int status = etcd_call_range(connection, &range, &gather, NULL, operation);
    for (size_t i = 0; i < gather.count && status == VIOS_OK; i++) {
        remove_mark(connection, &gather.values[i], operation);
        status = operation_check(operation);
    }
    store_gather_clear(&gather);
}

void etcd_compact_sometimes(struct etcd_connection *connection, int64_t revision,
                            const struct operation *operation)
{
    int64_t before = atomic_load(&connection->known->compacted);
    int64_t wanted = revision - ETCD_LOG_REVISIONS;
    struct operation compaction;
    if (wanted < before + ETCD_COMPACT_EVERY ||
        !atomic_compare_exchange_strong(&connection->known->compacted, &before, wanted)) {
        return;
    }
    operation_start(&compaction, ETCD_COMPACT_LIMIT_MS, operation->cancel);
    if (compaction.deadline_ms > operation->deadline_ms) {
        compaction.deadline_ms = operation->deadline_ms;
    }
    if (compact_to(connection, wanted, &compaction) == VIOS_OK) {
        remove_old_marks(connection, wanted, &compaction);
    }
}

int etcd_backup(void *state, const char *path, struct operation *operation)
{
    struct store_list list = {0};
    int64_t revision = 0;
    int status = etcd_list(state, ALL, 1, &list, &revision, operation);
    if (status == VIOS_OK) {
        status = sqlite_store_write(path, &list, revision, operation);
    }
    store_list_clear(&list);
    return status;
}

static int judge_member(const char *endpoint, const json_t *answer, struct operation *operation)
{
    struct etcd_status member;
    int status = etcd_json_status(answer, &member, &operation->error);
    if (status != VIOS_OK) {
        return status;
    }
    if (member.corrupt) {
        return operation_fail(operation, VIOS_E_CORRUPT, endpoint,
                              "replace this member of etcd by a new one",
                              "its data differ from the other members': %s", member.trouble);
    }
    if (strstr(member.trouble, "NOSPACE")) {
        return operation_fail(operation, VIOS_E_NO_SPACE, endpoint,
                              "raise etcd's quota or defragment it, then \"etcdctl alarm disarm\"",
                              "etcd's quota is used up: %s", member.trouble);
    }
    if (!member.has_leader || member.trouble[0]) {
        return operation_fail(operation, VIOS_E_UNREACHABLE, endpoint, "see the log of etcd",
                              "this member of etcd is not well: %s",
                              member.trouble[0] ? member.trouble : "it knows no leader");
    }
    return VIOS_OK;
}

/* Each endpoint by itself, once. */
static int check_endpoint(struct etcd_connection *connection, unsigned index,
                          struct operation *operation)
{
    const char *endpoint = connection->address.endpoints[index];
    struct etcd_attempt attempt;
    struct etcd_turn turn;
    int status = etcd_authenticate(connection, operation);
    if (status != VIOS_OK) {
        return status;
    }
    etcd_turn_start(&turn);
    connection->endpoint = index;
    enum etcd_outcome outcome =
        etcd_attempt(connection, &turn, STATUS_PATH, "{}", &attempt, operation);
    if (outcome == ETCD_ANSWERED) {
        status = judge_member(endpoint, attempt.answer, operation);
    } else if (outcome == ETCD_OPEN || outcome == ETCD_NOT_SENT) {
        status =
            operation_fail(operation, VIOS_E_UNREACHABLE, endpoint, "see whether etcd runs there",
                           "this member of etcd does not answer: %s", connection->why);
    } else {
        status = outcome == ETCD_ENDED ? operation_check(operation) : operation->error.code;
    }
    json_decref(attempt.answer);
    return status;
}

/* What only a look at each value shows. */
static int check_values(struct etcd_connection *connection, struct operation *operation)
{
    struct store_list list = {0};
    int64_t revision = 0;
    int status = etcd_list(connection, ALL, 1, &list, &revision, operation);
    for (size_t i = 0; i < list.count && status == VIOS_OK; i++) {
        json_t *json = json_loads(list.values[i].json, JSON_REJECT_DUPLICATES, NULL);
        if (!json_is_object(json) || list.values[i].revision > revision) {
            status =
                operation_fail(operation, VIOS_E_CORRUPT, list.values[i].key, STORE_RESTORE_HINT,
                               "the store is damaged: a value that is not JSON, or from the "
                               "future");
        }
        json_decref(json);
    }
    store_list_clear(&list);
    return status;
}

int etcd_check(void *state, struct operation *operation)
{
    struct etcd_connection *connection = state;
    unsigned endpoint = connection->endpoint;
    int status = check_values(connection, operation);
    for (unsigned i = 0; i < connection->address.endpoint_count && status == VIOS_OK; i++) {
        status = check_endpoint(connection, i, operation);
    }
    connection->endpoint = endpoint;
    return status;
}
