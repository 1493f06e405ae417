/*
 * sqlite_watch.c - changes as they come, from the log. A watch has a handle of its own; it
 * reads the log when it is poked or every SQLITE_STORE_POLL_MS, and then only if sqlite's
 * data_version says that another connection has committed.
 */
#include "store/sqlite_connection.h"

#include <stdio.h>
#include <stdlib.h>

struct sqlite_watch {
    struct sqlite_connection *connection;
    sqlite3_stmt *data_version;
    int64_t seen_version; /* of data_version, before the last look at the log; -1: look */
    int64_t revision;     /* all changes up to here were handed out */
    char prefix[STORE_KEY_MAX + 1];
    char end[SQLITE_PREFIX_END_SIZE];
};

int sqlite_watch_open(void *state, void **watch, const char *prefix, int64_t revision,
                      struct operation *operation)
{
    struct sqlite_connection *from = state;
    struct sqlite_watch *made = calloc(1, sizeof *made);
    if (!made) {
        return operation_no_memory(operation, "store");
    }
    snprintf(made->prefix, sizeof made->prefix, "%s", prefix);
    sqlite_prefix_end(prefix, made->end);
    made->revision = revision;
    made->seen_version = -1;
    int status = sqlite_connection_open(&made->connection, from->path, false, operation);
    if (status == VIOS_OK) {
        status = sqlite_poke_listen(made->connection->poke, operation);
    }
    if (status == VIOS_OK) {
        sqlite_enter(made->connection, operation);
        int result = sqlite3_prepare_v2(made->connection->handle, "PRAGMA data_version", -1,
                                        &made->data_version, NULL);
        status = result == SQLITE_OK ? VIOS_OK
                                     : sqlite_fail(made->connection, result, "opening a watch");
        sqlite_leave(made->connection, status);
    }
    if (status != VIOS_OK) {
        sqlite_watch_close(made);
        return status;
    }
    *watch = made;
    return VIOS_OK;
}

static int read_version(struct sqlite_watch *watch, int64_t *version)
{
    bool row = false;
    int status = sqlite_step(watch->connection, watch->data_version, &row, "watching");
    *version = row ? sqlite3_column_int64(watch->data_version, 0) : 0;
    sqlite3_reset(watch->data_version);
    return status;
}

/* Whole commits, until there are SQLITE_STORE_BATCH_MAX changes or no more. */
static int gather_log(struct sqlite_watch *watch, struct store_gather *gather, bool *all)
{
    bool row = false;
    sqlite3_stmt *statement = sqlite_statement(watch->connection, SQL_LOG_AFTER);
    if (!statement) {
        return watch->connection->operation->error.code;
    }
    sqlite3_bind_int64(statement, 1, watch->revision);
    sqlite3_bind_text(statement, 2, watch->prefix, -1, SQLITE_STATIC);
    sqlite3_bind_text(statement, 3, watch->end, -1, SQLITE_STATIC);
    for (;;) {
        int status = sqlite_step(watch->connection, statement, &row, "reading the log");
        if (status != VIOS_OK || !row) {
            *all = true;
            return status;
        }
        if (gather->count >= SQLITE_STORE_BATCH_MAX &&
            sqlite3_column_int64(statement, 2) != gather->values[gather->count - 1].revision) {
            *all = false;
            return VIOS_OK;
        }
        status = sqlite_gather_row(watch->connection, statement, true, gather);
        if (status != VIOS_OK) {
            return status;
        }
    }
}

static int check_history(struct sqlite_watch *watch, int64_t *newest)
{
    int64_t compacted = 0;
    int status = sqlite_meta(watch->connection, "revision", newest);
    if (status == VIOS_OK) {
        status = sqlite_meta(watch->connection, "compacted", &compacted);
    }
    if (status == VIOS_OK && (watch->revision < compacted || watch->revision > *newest)) {
        status =
            operation_fail(watch->connection->operation, VIOS_E_COMPACTED, watch->connection->path,
                           "list again, and watch from there",
                           "the history after revision %lld is not kept (it has %lld to %lld)",
                           (long long)watch->revision, (long long)compacted, (long long)*newest);
    }
    return status;
}

/* One look at the log, in one snapshot. */
static int look(struct sqlite_watch *watch, struct store_change_list *changes,
                struct operation *operation)
{
    struct store_gather gather = {0};
    int64_t version = 0;
    int64_t newest = 0;
    bool all = true;
    sqlite_enter(watch->connection, operation);
    int status = read_version(watch, &version);
    if (status != VIOS_OK || version == watch->seen_version) {
        return sqlite_leave(watch->connection, status);
    }
    status = sqlite_run(watch->connection, SQL_BEGIN_READ, "watching");
    if (status == VIOS_OK) {
        status = check_history(watch, &newest);
    }
    if (status == VIOS_OK) {
        status = gather_log(watch, &gather, &all);
    }
    if (status == VIOS_OK) {
        watch->seen_version = all ? version : -1;
        watch->revision = all ? newest : gather.values[gather.count - 1].revision;
        changes->values = gather.values;
        changes->count = gather.count;
        changes->revision = gather.count ? gather.values[gather.count - 1].revision : newest;
    } else {
        store_gather_clear(&gather);
    }
    return sqlite_leave(watch->connection, status);
}

int sqlite_watch_next(void *state, struct store_change_list *changes, struct operation *operation)
{
    struct sqlite_watch *watch = state;
    int status = operation_check(operation);
    while (status == VIOS_OK) {
        status = look(watch, changes, operation);
        if (status != VIOS_OK || changes->count > 0) {
            return status;
        }
        status = sqlite_poke_wait(watch->connection->poke, operation);
    }
    return status;
}

void sqlite_watch_close(void *state)
{
    struct sqlite_watch *watch = state;
    if (watch) {
        sqlite3_finalize(watch->data_version);
        sqlite_connection_close(watch->connection);
        free(watch);
    }
}
