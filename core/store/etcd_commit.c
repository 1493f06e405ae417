/*
 * etcd_commit.c - commits whose outcome is known in the end.
 *
 * A request may be lost, or its answer, and a lost request may still land later. So each commit
 * carries a *mark*: a key of this connection alone, `<prefix>/:mark/<random>`, whose revision the
 * commit compares and which it writes, with its own number: "17 done". When no answer comes the
 * same commit is sent again, to the next endpoint. The copies exclude each other, since the first
 * one that lands moves the mark; a copy that finds the mark at "17 done" says that an earlier one
 * has landed, and at which revision. A copy sent again that fails for the caller's compares writes
 * "17 void" first, so that none of the others can land after the conflict was reported.
 *
 * The mark must exist before the first commit that compares it: were "absent" compared, then a
 * copy could land, its mark be cleaned away, and a second copy land too. A mark that is gone or
 * foreign says nothing, and the commit stays unknown. The marks of connections that were not
 * closed are removed by those that compact the history (etcd_care.c).
 *
 * The first copy does not say why it failed, which would be the larger part of the request; it is
 * sent again with looks at what it compares only when it did. A conflict so costs two requests.
 *
 * The price is one small put in each commit and one more commit for each connection that writes.
 * Without the mark every caller would have to read again after each leader change, and could
 * never tell a request that is late from one that is lost.
 *
 * etcd allows 128 operations in a commit. One of more than ETCD_MARKED_MAX compares or changes
 * goes without the mark; it is sent once, and its unknown is left to the caller.
 */
#include "store/etcd_connection.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define OPERATION_BYTES 64 /* at most, of etcd's own beside keys and values */
#define FIRST_MARK "0 new"
#define ATTEMPTS_MAX 64 /* of one commit: something else must be wrong then */

/* One call of etcd_commit(). */
struct commit {
    struct etcd_connection *connection;
    struct etcd_txn txn;
    struct etcd_turn turn;
    char done[ETCD_MARK_MAX + 1]; /* the mark's value when this commit is made */
    char never[ETCD_MARK_MAX + 1];
    unsigned sent; /* copies that were, or may have been, sent with the mark's revision as it is */
    bool over;     /* the outcome is known, or will not be */
    int64_t revision;
};

static int check_size(const struct etcd_connection *connection, const struct etcd_txn *txn,
                      struct operation *operation)
{
    size_t overhead = strlen(connection->data_space) + OPERATION_BYTES;
    size_t size = 2 * (sizeof connection->mark_key + OPERATION_BYTES);
    for (size_t i = 0; i < txn->compare_count; i++) {
        size += 2 * (strlen(txn->compares[i].key) + overhead); /* and the look at it */
    }
    for (size_t i = 0; i < txn->change_count; i++) {
        const char *json = txn->changes[i].json;
        size += strlen(txn->changes[i].key) + (json ? strlen(json) : 0) + overhead;
    }
    if (size <= ETCD_REQUEST_MAX) {
        return VIOS_OK;
    }
    return operation_fail(operation, VIOS_E_INVALID, "store", "change less in one commit",
                          "a commit to an etcd has at most %d bytes, this one %zu",
                          ETCD_REQUEST_MAX, size);
}

/* Reads the mark's revision, making it when there is none. */
static int find_mark(struct etcd_connection *connection, struct operation *operation)
{
    json_t *answer;
    struct etcd_header header;
    bool made = false;
    int status =
        etcd_call(connection, ETCD_TXN_PATH, etcd_json_make(connection->mark_key, FIRST_MARK),
                  &answer, &header, NULL, operation);
    if (status == VIOS_OK) {
        status = etcd_json_succeeded(answer, &made, &operation->error);
    }
    json_decref(answer);
    if (status != VIOS_OK || made) {
        connection->mark_revision = status == VIOS_OK ? header.revision : 0;
        return status;
    }
    /* An earlier copy of this request has made it. */
    struct store_gather gather = {0};
    struct etcd_range range = {.space = connection->mark_space,
                               .key = connection->mark_key + strlen(connection->mark_space),
                               .keys_only = true};
    status = etcd_call_range(connection, &range, &gather, NULL, operation);
    connection->mark_revision =
        status == VIOS_OK && gather.count == 1 ? gather.values[0].revision : 0;
    store_gather_clear(&gather);
    return status;
}

static int report_conflict(const struct etcd_txn *txn, const struct etcd_seen *seen,
                           struct operation *operation)
{
    const char *key = txn->compare_count ? txn->compares[0].key : "store";
    const char *why = "somebody else changed it";
    for (size_t i = 0; i < txn->compare_count; i++) {
        const struct store_compare *compare = &txn->compares[i];
        bool there = seen[i].mod_revision != 0;
        bool holds = compare->kind == STORE_ABSENT ? !there
                     : compare->kind == STORE_EXISTS
                         ? there
                         : there && seen[i].mod_revision == compare->revision;
        if (!holds) {
            key = compare->key;
            why = compare->kind == STORE_ABSENT ? "it exists already"
                  : there                       ? "somebody else changed it"
                                                : "it is gone";
            break;
        }
    }
    return operation_fail(operation, VIOS_E_CONFLICT, key, NULL, "%s", why);
}

static int leave_unknown(struct commit *commit, const char *why, struct operation *operation)
{
    commit->over = true;
    return operation_fail(operation, VIOS_E_UNKNOWN, "VIOS DB", "read again before you decide",
                          "the commit may or may not be done: %s", why);
}

/* Whether the mark's value is of an earlier commit of this connection: then it moved before any
 * copy of this one could land, and none will. */
static bool is_earlier(const struct commit *commit, const char *value)
{
    unsigned long long number = 0;
    char word[8] = "";
    return sscanf(value, "%19llu %7s", &number, word) == 2 && number >= 1 &&
           number < commit->connection->sequence &&
           (strcmp(word, "done") == 0 || strcmp(word, "void") == 0);
}

/* The mark is not where the commit expected it. */
static int judge_moved_mark(struct commit *commit, const struct etcd_seen *seen,
                            struct operation *operation)
{
    bool ours_done = strcmp(seen[0].value, commit->done) == 0;
    bool ours_void = strcmp(seen[0].value, commit->never) == 0;
    unsigned copies = commit->sent;
    commit->connection->mark_revision = seen[0].mod_revision;
    commit->sent = 0;
    if (ours_done || ours_void) {
        commit->over = true;
        commit->revision = seen[0].mod_revision;
        return ours_done ? VIOS_OK : report_conflict(&commit->txn, seen + 1, operation);
    }
    if (copies > 1 && !is_earlier(commit, seen[0].value)) {
        return leave_unknown(commit, "its mark is gone", operation);
    }
    /* The only copy was answered and not made, or no copy can be: begin anew. */
    if (commit->turn.attempts > ATTEMPTS_MAX) {
        return operation_fail(operation, VIOS_E_UNREACHABLE, "VIOS DB",
                              "see who else writes below the prefix of the store",
                              "somebody keeps removing the mark of this connection");
    }
    return seen[0].mod_revision ? VIOS_OK : find_mark(commit->connection, operation);
}

static int judge_failed(struct commit *commit, const struct etcd_header *header,
                        const struct etcd_seen *seen, struct operation *operation)
{
    struct etcd_txn *txn = &commit->txn;
    if (!txn->mark_key) {
        commit->over = true;
        return commit->sent == 1 || txn->change_count == 0
                   ? report_conflict(txn, seen, operation)
                   : leave_unknown(commit, "it was sent twice", operation);
    }
    if (seen[0].mod_revision != txn->mark_revision) {
        return judge_moved_mark(commit, seen, operation);
    }
    if (txn->mark_void) { /* this copy has moved it */
        commit->connection->mark_revision = header->revision;
    } else if (commit->sent > 1) {
        return VIOS_OK; /* libcurl repeated it: once more, so that the first cannot land later */
    }
    commit->over = true;
    return report_conflict(txn, seen + 1, operation);
}

static int judge(struct commit *commit, const struct etcd_attempt *attempt,
                 struct operation *operation)
{
    struct etcd_seen seen[STORE_CHANGES_MAX + 1];
    bool succeeded = false;
    struct etcd_txn *txn = &commit->txn;
    if (etcd_json_txn_answer(attempt->answer, txn, &succeeded, seen, &operation->error) !=
            VIOS_OK ||
        attempt->header.revision < 1) {
        return leave_unknown(commit, "its answer is not valid", operation);
    }
    if (!succeeded && !txn->look && !txn->mark_key && txn->change_count && commit->sent > 1) {
        return leave_unknown(commit, "it was sent twice", operation);
    }
    if (!succeeded && !txn->look) {
        txn->look = true;
        commit->sent = commit->sent == 1 ? 0 : commit->sent; /* the only copy was not made */
        return VIOS_OK;
    }
    if (!succeeded) {
        return judge_failed(commit, &attempt->header, seen, operation);
    }
    commit->over = true;
    commit->revision = attempt->header.revision;
    if (txn->mark_key) {
        commit->connection->mark_revision = attempt->header.revision;
    }
    return VIOS_OK;
}

/* One copy, and what it tells. */
static int send_copy(struct commit *commit, struct operation *operation)
{
    struct etcd_connection *connection = commit->connection;
    struct etcd_txn *txn = &commit->txn;
    struct etcd_attempt attempt;
    txn->mark_revision = connection->mark_revision;
    txn->mark_void = txn->mark_key && commit->sent > 0 ? commit->never : NULL;
    txn->look = txn->look || commit->sent > 0;
    char *body = etcd_json_txn(txn);
    if (!body) {
        return operation_no_memory(operation, "store");
    }
    enum etcd_outcome outcome =
        etcd_attempt(connection, &commit->turn, ETCD_TXN_PATH, body, &attempt, operation);
    int status = VIOS_OK;
    free(body);
    if (outcome == ETCD_REFUSED) {
        status = operation->error.code; /* this copy was not made; earlier ones may be */
        commit->over = commit->sent == 0;
    } else {
        commit->sent += attempt.sent;
        commit->turn.persist = commit->sent > 0;
    }
    if (outcome == ETCD_ANSWERED) {
        status = judge(commit, &attempt, operation);
    } else if (outcome == ETCD_UNUSABLE) {
        status = operation->error.code;
    } else if (outcome != ETCD_REFUSED) {
        status = !txn->mark_key && txn->change_count > 0 && commit->sent > 0
                     ? leave_unknown(commit, connection->why, operation)
                     : etcd_turn_next(connection, &commit->turn, operation);
    }
    json_decref(attempt.answer);
    return status;
}

static void number_commit(struct commit *commit)
{
    struct etcd_connection *connection = commit->connection;
    unsigned long long number = ++connection->sequence;
    snprintf(commit->done, sizeof commit->done, "%llu done", number);
    snprintf(commit->never, sizeof commit->never, "%llu void", number);
    commit->txn.mark_key = connection->mark_key;
    commit->txn.mark_done = commit->done;
}

int etcd_commit(void *state, const struct store_compare *compares, size_t compare_count,
                const struct store_change *changes, size_t change_count, int64_t *revision,
                struct operation *operation)
{
    struct etcd_connection *connection = state;
    struct commit commit = {.connection = connection,
                            .txn = {.space = connection->data_space,
                                    .compares = compares,
                                    .compare_count = compare_count,
                                    .changes = changes,
                                    .change_count = change_count}};
    char why[sizeof operation->error.message];
    int status = check_size(connection, &commit.txn, operation);
    if (change_count > 0 && change_count <= ETCD_MARKED_MAX && compare_count <= ETCD_MARKED_MAX) {
        number_commit(&commit);
        if (status == VIOS_OK && connection->mark_revision == 0) {
            status = find_mark(connection, operation);
        }
    }
    etcd_turn_start(&commit.turn);
    while (status == VIOS_OK && !commit.over) {
        status = send_copy(&commit, operation);
    }
    if (status != VIOS_OK && !commit.over && commit.sent > 0 && change_count > 0) {
        snprintf(why, sizeof why, "%s", operation->error.message);
        status = leave_unknown(&commit, why, operation);
    }
    if (status == VIOS_OK) {
        *revision = commit.revision;
        etcd_compact_sometimes(connection, commit.revision, operation);
    }
    return status;
}

void etcd_commit_end(struct etcd_connection *connection)
{
    struct operation operation;
    struct etcd_turn turn;
    struct etcd_attempt attempt;
    char *body = connection->mark_revision
                     ? etcd_json_remove(connection->mark_key, connection->mark_revision)
                     : NULL;
    if (!body) {
        return;
    }
    operation_start(&operation, ETCD_CLOSE_LIMIT_MS, NULL);
    etcd_turn_start(&turn);
    etcd_attempt(connection, &turn, ETCD_TXN_PATH, body, &attempt, &operation);
    json_decref(attempt.answer);
    free(body);
}
