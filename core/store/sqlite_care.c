/* sqlite_care.c - what an administrator does to the file: forget history, back up, check. */
#include "store/sqlite_connection.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define BACKUP_PAGES 256 /* copied between two looks at the deadline and cancel */

int sqlite_forget(struct sqlite_connection *connection, int64_t revision)
{
    bool row;
    sqlite3_stmt *statement = sqlite_statement(connection, SQL_LOG_FORGET);
    if (!statement) {
        return connection->operation->error.code;
    }
    sqlite3_bind_int64(statement, 1, revision);
    int status = sqlite_step(connection, statement, &row, "forgetting history");
    return status == VIOS_OK ? sqlite_set_meta(connection, "compacted", revision) : status;
}

int sqlite_compact(void *state, int64_t revision, struct operation *operation)
{
    struct sqlite_connection *connection = state;
    int64_t newest = 0;
    int64_t compacted = 0;
    sqlite_enter(connection, operation);
    int status = sqlite_run(connection, SQL_BEGIN_WRITE, "waiting for the store");
    if (status == VIOS_OK) {
        status = sqlite_meta(connection, "revision", &newest);
    }
    if (status == VIOS_OK) {
        status = sqlite_meta(connection, "compacted", &compacted);
    }
    if (status == VIOS_OK && revision > newest) {
        status = operation_fail(operation, VIOS_E_INVALID, connection->path, NULL,
                                "revision %lld is not there yet, the newest is %lld",
                                (long long)revision, (long long)newest);
    }
    if (status == VIOS_OK && revision > compacted) {
        status = sqlite_forget(connection, revision);
    }
    if (status == VIOS_OK) {
        status = sqlite_run(connection, SQL_COMMIT, "forgetting history");
    }
    return sqlite_leave(connection, status);
}

static int check_number(struct sqlite_connection *connection, const char *sql, const char *what)
{
    sqlite3_stmt *statement = NULL;
    bool row = false;
    int result = sqlite3_prepare_v2(connection->handle, sql, -1, &statement, NULL);
    if (result != SQLITE_OK) {
        return sqlite_fail(connection, result, "checking");
    }
    int status = sqlite_step(connection, statement, &row, "checking");
    if (status == VIOS_OK && row && sqlite3_column_type(statement, 0) != SQLITE_NULL) {
        status = operation_fail(connection->operation, VIOS_E_CORRUPT, connection->path,
                                STORE_RESTORE_HINT, "the store is damaged: %s: %.250s", what,
                                (const char *)sqlite3_column_text(statement, 0));
    }
    sqlite3_finalize(statement);
    return status;
}

/* Each query gives a row with what is wrong, or none. */
static const struct {
    const char *what;
    const char *sql;
} CHECKS[] = {
    {"structure", "SELECT integrity_check FROM pragma_integrity_check(1) "
                  "WHERE integrity_check <> 'ok'"},
    {"a value that is not JSON", "SELECT key FROM kv WHERE NOT json_valid(json) LIMIT 1"},
    {"a revision from the future", "SELECT key FROM kv WHERE revision > (SELECT value FROM meta "
                                   "WHERE name = 'revision') LIMIT 1"},
    {"created after it was changed", "SELECT key FROM kv WHERE created > revision LIMIT 1"},
    {"history from the future",
     "SELECT key FROM log WHERE revision > (SELECT value FROM meta WHERE name = 'revision') "
     "LIMIT 1"},
    {"numbers missing", "SELECT 'meta' WHERE (SELECT count(*) FROM meta) <> 2"},
};

int sqlite_check_all(struct sqlite_connection *connection)
{
    int status = VIOS_OK;
    for (size_t i = 0; i < sizeof CHECKS / sizeof CHECKS[0] && status == VIOS_OK; i++) {
        status = check_number(connection, CHECKS[i].sql, CHECKS[i].what);
    }
    return status;
}

int sqlite_check(void *state, struct operation *operation)
{
    struct sqlite_connection *connection = state;
    sqlite_enter(connection, operation);
    int status = sqlite_run(connection, SQL_BEGIN_READ, "checking");
    if (status == VIOS_OK) {
        status = sqlite_check_all(connection);
    }
    return sqlite_leave(connection, status);
}

/* Copies page by page out of one snapshot: the read transaction keeps it, so that commits by
 * others do not start the copy anew. */
static int copy_pages(struct sqlite_connection *connection, sqlite3 *target)
{
    int64_t revision = 0;
    int status = sqlite_run(connection, SQL_BEGIN_READ, "backing up");
    if (status == VIOS_OK) {
        status = sqlite_meta(connection, "revision", &revision);
    }
    if (status != VIOS_OK) {
        return status;
    }
    sqlite3_backup *backup = sqlite3_backup_init(target, "main", connection->handle, "main");
    if (!backup) {
        return operation_fail(connection->operation, VIOS_E_IO, connection->path, NULL,
                              "backing up: %s", sqlite3_errmsg(target));
    }
    int result = SQLITE_OK;
    while (status == VIOS_OK && result == SQLITE_OK) {
        result = sqlite3_backup_step(backup, BACKUP_PAGES);
        status = operation_check(connection->operation);
    }
    sqlite3_backup_finish(backup);
    if (status == VIOS_OK && result != SQLITE_DONE) {
        status = sqlite_fail(connection, result, "backing up");
    }
    return status;
}

static int write_copy(struct sqlite_connection *connection, const char *path)
{
    struct sqlite_connection copy = {.path = (char *)path, .operation = connection->operation};
    int result =
        sqlite3_open_v2(path, &copy.handle,
                        SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, NULL);
    int status = result == SQLITE_OK ? copy_pages(connection, copy.handle)
                                     : sqlite_fail(&copy, result, "backing up");
    if (status == VIOS_OK) {
        /* So that the copy is one file, which can be read where nothing may be written. */
        result = sqlite3_exec(copy.handle, "PRAGMA journal_mode = DELETE", NULL, NULL, NULL);
        status = result == SQLITE_OK ? sqlite_check_all(&copy)
                                     : sqlite_fail(&copy, result, "backing up");
    }
    sqlite3_close(copy.handle);
    return status;
}

static int sync_path(const char *path, int flags, struct operation *operation)
{
    int fd = open(path, flags | O_CLOEXEC);
    if (fd < 0 || fsync(fd) != 0) {
        int status = error_set_errno(&operation->error, path, "sync");
        if (fd >= 0) {
            close(fd);
        }
        return status;
    }
    close(fd);
    return VIOS_OK;
}

static int publish(const char *partial, const char *path, struct operation *operation)
{
    char folder[PATH_MAX];
    int status = sync_path(partial, O_RDONLY, operation);
    if (status != VIOS_OK) {
        return status;
    }
    if (renameat2(AT_FDCWD, partial, AT_FDCWD, path, RENAME_NOREPLACE) != 0) {
        if (errno == EEXIST) {
            return operation_fail(operation, VIOS_E_EXISTS, path, "give another name",
                                  "the file exists");
        }
        return error_set_errno(&operation->error, path, "rename");
    }
    snprintf(folder, sizeof folder, "%s", path);
    return sync_path(dirname(folder), O_RDONLY | O_DIRECTORY, operation);
}

/* Makes the file that is written first. */
static int make_partial(const char *path, char partial[PATH_MAX], struct operation *operation)
{
    if (snprintf(partial, PATH_MAX, "%s.partial", path) >= PATH_MAX) {
        return operation_fail(operation, VIOS_E_USAGE, path, NULL, "the path is too long");
    }
    if (access(path, F_OK) == 0) {
        return operation_fail(operation, VIOS_E_EXISTS, path, "give another name",
                              "the file exists");
    }
    int fd = open(partial, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0 && errno == EEXIST) {
        return operation_fail(operation, VIOS_E_EXISTS, partial,
                              "remove it, if no backup is being made",
                              "another backup is being made, or did not end");
    }
    if (fd < 0) {
        return error_set_errno(&operation->error, path, "make the file");
    }
    close(fd);
    return VIOS_OK;
}

/* Gives the finished copy its name, or removes what there is of it. */
static int finish_partial(const char *partial, const char *path, int status,
                          struct operation *operation)
{
    if (status == VIOS_OK) {
        status = publish(partial, path, operation);
    }
    if (status != VIOS_OK) {
        unlink(partial);
    }
    return status;
}

int sqlite_backup(void *state, const char *path, struct operation *operation)
{
    struct sqlite_connection *connection = state;
    char partial[PATH_MAX];
    int status = make_partial(path, partial, operation);
    if (status != VIOS_OK) {
        return status;
    }
    sqlite_enter(connection, operation);
    status = sqlite_leave(connection, write_copy(connection, partial));
    return finish_partial(partial, path, status, operation);
}

static int put_row(struct sqlite_connection *connection, const struct store_value *value)
{
    bool row;
    sqlite3_stmt *statement = sqlite_statement(connection, SQL_RESTORE);
    if (!statement) {
        return connection->operation->error.code;
    }
    sqlite3_bind_text(statement, 1, value->key, -1, SQLITE_STATIC);
    sqlite3_bind_text(statement, 2, value->json, -1, SQLITE_STATIC);
    sqlite3_bind_int64(statement, 3, value->revision);
    sqlite3_bind_int64(statement, 4, value->created);
    return sqlite_step(connection, statement, &row, "backing up");
}

static int write_rows(struct sqlite_connection *connection, const struct store_list *list,
                      int64_t revision)
{
    int status = sqlite_run(connection, SQL_BEGIN_WRITE, "backing up");
    for (size_t i = 0; i < list->count && status == VIOS_OK; i++) {
        status = operation_check(connection->operation);
        if (status == VIOS_OK) {
            status = put_row(connection, &list->values[i]);
        }
    }
    if (status == VIOS_OK) {
        status = sqlite_set_meta(connection, "revision", revision);
    }
    if (status == VIOS_OK) { /* there is no history in it */
        status = sqlite_set_meta(connection, "compacted", revision);
    }
    if (status == VIOS_OK) {
        status = sqlite_check_all(connection);
    }
    return status == VIOS_OK ? sqlite_run(connection, SQL_COMMIT, "backing up") : status;
}

int sqlite_store_write(const char *path, const struct store_list *list, int64_t revision,
                       struct operation *operation)
{
    char partial[PATH_MAX];
    int status = make_partial(path, partial, operation);
    if (status != VIOS_OK) {
        return status;
    }
    struct sqlite_connection copy = {.path = partial, .operation = operation};
    status = sqlite_connection_make(&copy);
    if (status == VIOS_OK) {
        status = sqlite_leave(&copy, write_rows(&copy, list, revision));
    }
    sqlite_connection_end(&copy);
    return finish_partial(partial, path, status, operation);
}
