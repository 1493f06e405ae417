/*
 * sqlite.c - the store's calls on a sqlite file shared by the daemons of one machine.
 *
 * A commit takes the write lock first (BEGIN IMMEDIATE), so what it compares cannot change
 * until it is done; whatever fails before COMMIT was never sent. A COMMIT that fails for any
 * reason but a lock is UNKNOWN: the frames may lie in the WAL, whole, though the sync failed,
 * and a later recovery would find them. A write that follows lays its frames over them, so
 * to write again under a compare is the way to be sure.
 */
#include "store/sqlite.h"

#include "store/sqlite_connection.h"

static void sqlite_close(void *state)
{
    sqlite_connection_close(state);
}

static int find(struct sqlite_connection *connection, const char *key, sqlite3_stmt **statement,
                bool *there)
{
    *statement = sqlite_statement(connection, SQL_GET);
    if (!*statement) {
        return connection->operation->error.code;
    }
    sqlite3_bind_text(*statement, 1, key, -1, SQLITE_STATIC);
    return sqlite_step(connection, *statement, there, "reading");
}

static int sqlite_get(void *state, const char *key, struct store_value *value,
                      struct operation *operation)
{
    struct sqlite_connection *connection = state;
    struct store_gather gather = {0};
    sqlite3_stmt *statement;
    bool there = false;
    sqlite_enter(connection, operation);
    int status = find(connection, key, &statement, &there);
    if (status == VIOS_OK && !there) {
        status = operation_fail(operation, VIOS_E_NOT_FOUND, key, NULL, "no such key in the store");
    }
    if (status == VIOS_OK) {
        status = sqlite_gather_row(connection, statement, false, &gather);
    }
    if (status == VIOS_OK) {
        *value = gather.values[0];
        gather.count = 0;
    }
    store_gather_clear(&gather);
    return sqlite_leave(connection, status);
}

int sqlite_list_prefix(struct sqlite_connection *connection, const char *prefix,
                       struct store_list *list)
{
    char end[SQLITE_PREFIX_END_SIZE];
    bool row = false;
    struct store_gather gather = {0};
    sqlite3_stmt *statement = sqlite_statement(connection, SQL_LIST);
    if (!statement) {
        return connection->operation->error.code;
    }
    sqlite_prefix_end(prefix, end);
    sqlite3_bind_text(statement, 1, prefix, -1, SQLITE_STATIC);
    sqlite3_bind_text(statement, 2, end, -1, SQLITE_TRANSIENT);
    int status = sqlite_step(connection, statement, &row, "listing");
    while (status == VIOS_OK && row) {
        status = sqlite_gather_row(connection, statement, false, &gather);
        if (status == VIOS_OK) {
            status = sqlite_step(connection, statement, &row, "listing");
        }
    }
    *list = (struct store_list){gather.values, gather.count};
    return status;
}

static int sqlite_list(void *state, const char *const *prefixes, size_t count,
                       struct store_list *lists, int64_t *revision, struct operation *operation)
{
    struct sqlite_connection *connection = state;
    sqlite_enter(connection, operation);
    int status = sqlite_run(connection, SQL_BEGIN_READ, "listing");
    if (status == VIOS_OK) {
        status = sqlite_meta(connection, "revision", revision);
    }
    for (size_t i = 0; i < count && status == VIOS_OK; i++) {
        status = sqlite_list_prefix(connection, prefixes[i], &lists[i]);
    }
    return sqlite_leave(connection, status);
}

static int compare_one(struct sqlite_connection *connection, const struct store_compare *compare)
{
    sqlite3_stmt *statement;
    bool there = false;
    int status = find(connection, compare->key, &statement, &there);
    if (status != VIOS_OK) {
        return status;
    }
    int64_t revision = there ? sqlite3_column_int64(statement, 2) : 0;
    bool holds = compare->kind == STORE_ABSENT   ? !there
                 : compare->kind == STORE_EXISTS ? there
                                                 : there && revision == compare->revision;
    if (holds) {
        return VIOS_OK;
    }
    return operation_fail(connection->operation, VIOS_E_CONFLICT, compare->key, NULL,
                          compare->kind == STORE_ABSENT ? "it exists already"
                          : there                       ? "somebody else changed it"
                                                        : "it is gone");
}

static int write_log(struct sqlite_connection *connection, const struct store_change *change,
                     int64_t revision, size_t position, int64_t created)
{
    bool row;
    sqlite3_stmt *statement = sqlite_statement(connection, SQL_LOG);
    if (!statement) {
        return connection->operation->error.code;
    }
    sqlite3_bind_int64(statement, 1, revision);
    sqlite3_bind_int64(statement, 2, (sqlite3_int64)position);
    sqlite3_bind_text(statement, 3, change->key, -1, SQLITE_STATIC);
    if (change->json) {
        sqlite3_bind_text(statement, 4, change->json, -1, SQLITE_STATIC);
    } else {
        sqlite3_bind_null(statement, 4);
    }
    sqlite3_bind_int64(statement, 5, created);
    return sqlite_step(connection, statement, &row, "writing the log");
}

static int write_one(struct sqlite_connection *connection, const struct store_change *change,
                     int64_t revision, size_t position)
{
    sqlite3_stmt *statement;
    bool there = false;
    bool row;
    int status = find(connection, change->key, &statement, &there);
    int64_t created = there && status == VIOS_OK ? sqlite3_column_int64(statement, 3) : revision;
    if (status != VIOS_OK || (!change->json && !there)) {
        return status; /* to delete what is not there changes nothing */
    }
    sqlite3_reset(statement);
    statement = sqlite_statement(connection, change->json ? SQL_PUT : SQL_DELETE);
    if (!statement) {
        return connection->operation->error.code;
    }
    sqlite3_bind_text(statement, 1, change->key, -1, SQLITE_STATIC);
    if (change->json) {
        sqlite3_bind_text(statement, 2, change->json, -1, SQLITE_STATIC);
        sqlite3_bind_int64(statement, 3, revision);
    }
    status = sqlite_step(connection, statement, &row, "writing");
    return status == VIOS_OK ? write_log(connection, change, revision, position, created) : status;
}

static int write_changes(struct sqlite_connection *connection, const struct store_change *changes,
                         size_t count, int64_t revision)
{
    int status = VIOS_OK;
    for (size_t i = 0; i < count && status == VIOS_OK; i++) {
        status = write_one(connection, &changes[i], revision, i);
    }
    if (status == VIOS_OK) {
        status = sqlite_set_meta(connection, "revision", revision);
    }
    if (status == VIOS_OK && revision % SQLITE_STORE_COMPACT_EVERY == 0 &&
        revision > SQLITE_STORE_LOG_REVISIONS) {
        status = sqlite_forget(connection, revision - SQLITE_STORE_LOG_REVISIONS);
    }
    return status;
}

static int finish_commit(struct sqlite_connection *connection)
{
    sqlite3_stmt *statement = sqlite_statement(connection, SQL_COMMIT);
    if (!statement) {
        return connection->operation->error.code;
    }
    connection->committing = true;
    int result = sqlite3_step(statement);
    connection->committing = false;
    if (result == SQLITE_DONE) {
        return VIOS_OK;
    }
    if ((result & 0xff) == SQLITE_BUSY) {
        return sqlite_fail(connection, result, "committing");
    }
    return operation_fail(connection->operation, VIOS_E_UNKNOWN, connection->path,
                          "read again before you decide", "committing: %s",
                          sqlite3_errmsg(connection->handle));
}

static int sqlite_commit(void *state, const struct store_compare *compares, size_t compare_count,
                         const struct store_change *changes, size_t change_count, int64_t *revision,
                         struct operation *operation)
{
    struct sqlite_connection *connection = state;
    int64_t newest = 0;
    sqlite_enter(connection, operation);
    int status = sqlite_run(connection, SQL_BEGIN_WRITE, "waiting for the store");
    if (status == VIOS_OK) {
        status = sqlite_meta(connection, "revision", &newest);
    }
    for (size_t i = 0; i < compare_count && status == VIOS_OK; i++) {
        status = compare_one(connection, &compares[i]);
    }
    if (status == VIOS_OK && change_count > 0) {
        status = write_changes(connection, changes, change_count, ++newest);
    }
    if (status == VIOS_OK) {
        status = finish_commit(connection);
    }
    if (status == VIOS_OK) {
        *revision = newest;
    }
    sqlite_leave(connection, status);
    if (status == VIOS_OK && change_count > 0) {
        sqlite_poke_send(connection->poke);
    }
    return status;
}

static const struct store_backend SQLITE_BACKEND = {
    .name = "sqlite",
    .close = sqlite_close,
    .get = sqlite_get,
    .list = sqlite_list,
    .commit = sqlite_commit,
    .watch_open = sqlite_watch_open,
    .watch_next = sqlite_watch_next,
    .watch_close = sqlite_watch_close,
    .compact = sqlite_compact,
    .backup = sqlite_backup,
    .check = sqlite_check,
};

int sqlite_store_open(struct store **store, const char *path, bool create,
                      struct operation *operation)
{
    struct sqlite_connection *connection;
    int status = sqlite_connection_open(&connection, path, create, operation);
    if (status == VIOS_OK) {
        *store = store_wrap(&SQLITE_BACKEND, connection);
        if (!*store) {
            status = operation_no_memory(operation, path);
        }
    }
    return status;
}
