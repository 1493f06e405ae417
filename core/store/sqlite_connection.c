/*
 * sqlite_connection.c - opening and making the file, statements, waiting, result codes.
 *
 * The file: `kv` holds what is, `log` what was changed (for watches), `meta` the newest
 * revision and the one up to which the log was forgotten. application_id tells our files from
 * other databases, user_version is the schema number. WAL with synchronous=FULL: a commit that
 * returned is on disk, readers and the writer do not wait for each other.
 */
#include "store/sqlite_connection.h"

#include "base/clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define APPLICATION_ID 0x76696f73 /* "vios" */
#define SCHEMA_VERSION 1
#define QUICK_CHECK_MAX_BYTES (1024 * 1024) /* checked at each open, which takes about 1 ms */
#define BUSY_NAP_MS 2
#define PROGRESS_STEPS 10000 /* virtual machine steps between two looks at the cancel */

static const char *const SQL_TEXT[SQL_COUNT] = {
    [SQL_BEGIN_READ] = "BEGIN",
    [SQL_BEGIN_WRITE] = "BEGIN IMMEDIATE",
    [SQL_COMMIT] = "COMMIT",
    [SQL_ROLLBACK] = "ROLLBACK",
    [SQL_META] = "SELECT value FROM meta WHERE name = ?1",
    [SQL_SET_META] = "UPDATE meta SET value = ?2 WHERE name = ?1",
    [SQL_GET] = "SELECT key, json, revision, created FROM kv WHERE key = ?1",
    [SQL_LIST] = "SELECT key, json, revision, created FROM kv WHERE key >= ?1 AND key < ?2 "
                 "ORDER BY key",
    [SQL_PUT] = "INSERT INTO kv (key, json, revision, created) VALUES (?1, ?2, ?3, ?3) "
                "ON CONFLICT (key) DO UPDATE SET json = ?2, revision = ?3",
    [SQL_RESTORE] = "INSERT INTO kv (key, json, revision, created) VALUES (?1, ?2, ?3, ?4)",
    [SQL_DELETE] = "DELETE FROM kv WHERE key = ?1",
    [SQL_LOG] = "INSERT INTO log (revision, position, key, json, created) "
                "VALUES (?1, ?2, ?3, ?4, ?5)",
    [SQL_LOG_AFTER] = "SELECT key, json, revision, created FROM log WHERE revision > ?1 "
                      "AND key >= ?2 AND key < ?3 ORDER BY revision, position",
    [SQL_LOG_FORGET] = "DELETE FROM log WHERE revision <= ?1",
};

static const char SCHEMA[] =
    "CREATE TABLE meta (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE kv (key TEXT PRIMARY KEY, json TEXT NOT NULL, revision INTEGER NOT NULL,"
    " created INTEGER NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE log (revision INTEGER NOT NULL, position INTEGER NOT NULL, key TEXT NOT NULL,"
    " json TEXT, created INTEGER NOT NULL, PRIMARY KEY (revision, position)) WITHOUT ROWID;"
    "INSERT INTO meta VALUES ('revision', 0), ('compacted', 0);"
    "PRAGMA application_id = 1986621299;"
    "PRAGMA user_version = 1;";
_Static_assert(APPLICATION_ID == 1986621299 && SCHEMA_VERSION == 1, "as in SCHEMA");

static const char SETTINGS[] = "PRAGMA synchronous = FULL;"
                               "PRAGMA trusted_schema = OFF;"
                               "PRAGMA cell_size_check = ON;"
                               "PRAGMA journal_size_limit = 16777216;";

/* sqlite asks whether to wait for a lock once more. */
static int on_busy(void *context, int count)
{
    struct sqlite_connection *connection = context;
    int64_t now_ms = clock_now_ms();
    if (count == 0) {
        connection->busy_since_ms = now_ms;
    }
    if (!connection->operation || now_ms - connection->busy_since_ms > SQLITE_STORE_BUSY_MAX_MS) {
        return 0;
    }
    return operation_sleep(connection->operation, BUSY_NAP_MS) == VIOS_OK;
}

/* Ends a long statement. Not a COMMIT: its outcome would be in doubt for no need. */
static int on_progress(void *context)
{
    struct sqlite_connection *connection = context;
    return connection->operation && !connection->committing &&
           operation_check(connection->operation) != VIOS_OK;
}

static int code_of(int result)
{
    switch (result & 0xff) {
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return VIOS_E_CORRUPT;
    case SQLITE_FULL:
        return VIOS_E_NO_SPACE;
    case SQLITE_NOMEM:
        return VIOS_E_NO_SPACE;
    case SQLITE_IOERR:
        return VIOS_E_IO;
    case SQLITE_READONLY:
    case SQLITE_PERM:
    case SQLITE_AUTH:
        return VIOS_E_DENIED;
    default:
        return VIOS_E_SYSTEM;
    }
}

int sqlite_fail(struct sqlite_connection *connection, int result, const char *doing)
{
    struct operation *operation = connection->operation;
    int primary = result & 0xff;
    if (primary == SQLITE_BUSY || primary == SQLITE_LOCKED || primary == SQLITE_INTERRUPT) {
        int status = operation_check(operation);
        if (status != VIOS_OK) {
            return status;
        }
        return operation_fail(operation, VIOS_E_TIMEOUT, connection->path,
                              "look for a stopped process that has the file open",
                              "%s: another process holds the store", doing);
    }
    int code = code_of(result);
    return operation_fail(
        operation, code, connection->path, code == VIOS_E_CORRUPT ? STORE_RESTORE_HINT : NULL,
        code == VIOS_E_CORRUPT ? "the store is damaged: %s: %s" : "%s: %s", doing,
        connection->handle ? sqlite3_errmsg(connection->handle) : sqlite3_errstr(result));
}

void sqlite_enter(struct sqlite_connection *connection, struct operation *operation)
{
    connection->operation = operation;
    connection->looked = false;
}

/* Once in each call: what is written to a file that lost its name is seen by nobody else. */
static int check_moved(struct sqlite_connection *connection)
{
    int moved = 0;
    if (connection->looked) {
        return VIOS_OK;
    }
    connection->looked = true;
    sqlite3_file_control(connection->handle, "main", SQLITE_FCNTL_HAS_MOVED, &moved);
    if (!moved) {
        return VIOS_OK;
    }
    return operation_fail(connection->operation, VIOS_E_CORRUPT, connection->path,
                          "restart the daemon when the VIOS DB was restored, else: vios db "
                          "restore FILE",
                          "the store's file was replaced or removed while it was in use");
}

int sqlite_leave(struct sqlite_connection *connection, int status)
{
    for (size_t i = 0; i < SQL_COUNT; i++) {
        if (connection->statements[i]) {
            sqlite3_reset(connection->statements[i]);
            sqlite3_clear_bindings(connection->statements[i]);
        }
    }
    connection->committing = true; /* a rollback is not to be interrupted either */
    if (!sqlite3_get_autocommit(connection->handle)) {
        sqlite3_exec(connection->handle, "ROLLBACK", NULL, NULL, NULL);
    }
    connection->committing = false;
    connection->operation = NULL;
    return status;
}

sqlite3_stmt *sqlite_statement(struct sqlite_connection *connection, enum sqlite_sql sql)
{
    sqlite3_stmt **statement = &connection->statements[sql];
    if (check_moved(connection) != VIOS_OK) {
        return NULL;
    }
    if (*statement) {
        sqlite3_reset(*statement);
        return *statement;
    }
    int result = sqlite3_prepare_v3(connection->handle, SQL_TEXT[sql], -1,
                                    SQLITE_PREPARE_PERSISTENT, statement, NULL);
    if (result != SQLITE_OK) {
        sqlite_fail(connection, result, "preparing a statement");
        return NULL;
    }
    return *statement;
}

int sqlite_step(struct sqlite_connection *connection, sqlite3_stmt *statement, bool *row,
                const char *doing)
{
    int result = sqlite3_step(statement);
    *row = result == SQLITE_ROW;
    if (result == SQLITE_ROW || result == SQLITE_DONE) {
        return VIOS_OK;
    }
    return sqlite_fail(connection, result, doing);
}

int sqlite_run(struct sqlite_connection *connection, enum sqlite_sql sql, const char *doing)
{
    bool row;
    sqlite3_stmt *statement = sqlite_statement(connection, sql);
    int status = statement ? sqlite_step(connection, statement, &row, doing)
                           : connection->operation->error.code;
    if (statement) {
        sqlite3_reset(statement);
    }
    return status;
}

int sqlite_meta(struct sqlite_connection *connection, const char *name, int64_t *value)
{
    bool row = false;
    sqlite3_stmt *statement = sqlite_statement(connection, SQL_META);
    if (!statement) {
        return connection->operation->error.code;
    }
    sqlite3_bind_text(statement, 1, name, -1, SQLITE_STATIC);
    int status = sqlite_step(connection, statement, &row, "reading the revision");
    if (status == VIOS_OK && !row) {
        return operation_fail(connection->operation, VIOS_E_CORRUPT, connection->path,
                              STORE_RESTORE_HINT, "the store is damaged: its %s is missing", name);
    }
    *value = row ? sqlite3_column_int64(statement, 0) : 0;
    sqlite3_reset(statement);
    return status;
}

int sqlite_set_meta(struct sqlite_connection *connection, const char *name, int64_t value)
{
    bool row;
    sqlite3_stmt *statement = sqlite_statement(connection, SQL_SET_META);
    if (!statement) {
        return connection->operation->error.code;
    }
    sqlite3_bind_text(statement, 1, name, -1, SQLITE_STATIC);
    sqlite3_bind_int64(statement, 2, value);
    return sqlite_step(connection, statement, &row, "writing the revision");
}

int sqlite_gather_row(struct sqlite_connection *connection, sqlite3_stmt *statement,
                      bool may_be_deleted, struct store_gather *gather)
{
    const struct store_value value = {
        .key = (char *)sqlite3_column_text(statement, 0),
        .json = (char *)sqlite3_column_text(statement, 1),
        .revision = sqlite3_column_int64(statement, 2),
        .created = sqlite3_column_int64(statement, 3),
    };
    if (!value.key || (!value.json && !may_be_deleted)) {
        return operation_fail(connection->operation, VIOS_E_CORRUPT, connection->path, NULL,
                              "the store is damaged: a row is empty");
    }
    return store_gather_add(gather, &value, connection->operation);
}

void sqlite_prefix_end(const char *prefix, char end[SQLITE_PREFIX_END_SIZE])
{
    snprintf(end, SQLITE_PREFIX_END_SIZE, "%s\x7f", prefix);
}

/* One number from one statement. */
static int query_number(struct sqlite_connection *connection, const char *sql, int64_t *number)
{
    sqlite3_stmt *statement = NULL;
    bool row = false;
    int result = sqlite3_prepare_v2(connection->handle, sql, -1, &statement, NULL);
    if (result != SQLITE_OK) {
        return sqlite_fail(connection, result, "opening");
    }
    int status = sqlite_step(connection, statement, &row, "opening");
    *number = row ? sqlite3_column_int64(statement, 0) : 0;
    sqlite3_finalize(statement);
    return status;
}

static int execute(struct sqlite_connection *connection, const char *sql)
{
    int result = sqlite3_exec(connection->handle, sql, NULL, NULL, NULL);
    return result == SQLITE_OK ? VIOS_OK : sqlite_fail(connection, result, "opening");
}

/* Changing the journal mode gives up at once when somebody else is doing the same. */
static int use_wal(struct sqlite_connection *connection)
{
    for (;;) {
        int result =
            sqlite3_exec(connection->handle, "PRAGMA journal_mode = WAL", NULL, NULL, NULL);
        if (result == SQLITE_OK) {
            return VIOS_OK;
        }
        if ((result & 0xff) != SQLITE_BUSY && (result & 0xff) != SQLITE_LOCKED) {
            return sqlite_fail(connection, result, "opening");
        }
        int status = operation_sleep(connection->operation, BUSY_NAP_MS);
        if (status != VIOS_OK) {
            return status;
        }
    }
}

/* VIOS_OK for a store, or with *blank for a database in which nothing was made yet. */
static int identify(struct sqlite_connection *connection, bool *blank)
{
    int64_t application = 0;
    int64_t schema = 0;
    int64_t tables = 0;
    int status = query_number(connection, "PRAGMA application_id", &application);
    if (status == VIOS_OK) {
        status = query_number(connection, "PRAGMA user_version", &schema);
    }
    if (status == VIOS_OK) {
        status = query_number(connection, "SELECT count(*) FROM sqlite_master", &tables);
    }
    *blank = application == 0 && schema == 0 && tables == 0;
    if (status != VIOS_OK || *blank ||
        (application == APPLICATION_ID && schema == SCHEMA_VERSION)) {
        return status;
    }
    if (application != APPLICATION_ID) {
        return operation_fail(connection->operation, VIOS_E_CORRUPT, connection->path,
                              STORE_RESTORE_HINT,
                              "the store is damaged: a database, but not one of vios");
    }
    return operation_fail(connection->operation, VIOS_E_INVALID, connection->path,
                          "use a newer vios", "the store has schema %lld, this vios knows %d",
                          (long long)schema, SCHEMA_VERSION);
}

/* Several daemons may start at once: whoever gets the write lock makes the tables. */
static int make_schema(struct sqlite_connection *connection)
{
    bool blank = false;
    int status = execute(connection, "BEGIN IMMEDIATE");
    if (status == VIOS_OK) {
        status = identify(connection, &blank);
    }
    if (status == VIOS_OK && blank) {
        status = execute(connection, SCHEMA);
    }
    return status == VIOS_OK ? execute(connection, "COMMIT") : status;
}

/* In one read transaction: another process may be making the tables just now. */
static int identify_at_once(struct sqlite_connection *connection, bool *blank)
{
    int status = execute(connection, "BEGIN");
    if (status == VIOS_OK) {
        status = identify(connection, blank);
    }
    return status == VIOS_OK ? execute(connection, "COMMIT") : status;
}

static int prepare_file(struct sqlite_connection *connection, bool create)
{
    bool blank = false;
    int status = execute(connection, SETTINGS);
    if (status == VIOS_OK) {
        status = identify_at_once(connection, &blank);
    }
    if (status == VIOS_OK && blank && !create) {
        return operation_fail(connection->operation, VIOS_E_NOT_FOUND, connection->path,
                              STORE_CREATE_HINT, "the store is not made yet");
    }
    if (status == VIOS_OK && blank) {
        chmod(connection->path, 0600); /* else it keeps what the umask gave it */
    }
    if (status == VIOS_OK) {
        status = use_wal(connection);
    }
    return status == VIOS_OK && blank ? make_schema(connection) : status;
}

/* What a look at the whole of a small file shows; a large one is left to store_check(). */
static int quick_check(struct sqlite_connection *connection)
{
    struct stat status;
    int64_t damaged = 0;
    if (stat(connection->path, &status) != 0 || status.st_size > QUICK_CHECK_MAX_BYTES) {
        return VIOS_OK;
    }
    int result = query_number(connection,
                              "SELECT count(*) FROM pragma_quick_check(1) "
                              "WHERE quick_check <> 'ok'",
                              &damaged);
    if (result == VIOS_OK && damaged) {
        result = operation_fail(connection->operation, VIOS_E_CORRUPT, connection->path,
                                STORE_RESTORE_HINT, "the store is damaged");
    }
    return result;
}

/* `access` is SQLITE_OPEN_READONLY, or _READWRITE with or without _CREATE. */
static int open_handle(struct sqlite_connection *connection, int access)
{
    int flags = access | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
    int result = sqlite3_open_v2(connection->path, &connection->handle, flags, NULL);
    if (result != SQLITE_OK) {
        return sqlite_fail(connection, result, "opening");
    }
    sqlite3_busy_handler(connection->handle, on_busy, connection);
    sqlite3_progress_handler(connection->handle, PROGRESS_STEPS, on_progress, connection);
    return VIOS_OK;
}

int sqlite_connection_open(struct sqlite_connection **connection, const char *path, bool create,
                           struct operation *operation)
{
    enum sqlite_file found = SQLITE_FILE_ABSENT;
    *connection = NULL;
    int status = sqlite_file_inspect(path, &found, operation);
    if (status != VIOS_OK) {
        return status;
    }
    if (found != SQLITE_FILE_THERE && !create) {
        return operation_fail(operation, VIOS_E_NOT_FOUND, path, STORE_CREATE_HINT,
                              found == SQLITE_FILE_EMPTY ? "the store's file is empty"
                                                         : "there is no store");
    }
    struct sqlite_connection *made = calloc(1, sizeof *made);
    if (made) {
        made->path = strdup(path);
    }
    if (!made || !made->path) {
        free(made);
        return operation_no_memory(operation, path);
    }
    sqlite_enter(made, operation);
    status = open_handle(made, SQLITE_OPEN_READWRITE | (create ? SQLITE_OPEN_CREATE : 0));
    if (status == VIOS_OK) {
        status = prepare_file(made, create);
    }
    if (status == VIOS_OK) {
        status = quick_check(made);
    }
    if (status == VIOS_OK) {
        status = sqlite_poke_open(&made->poke, path, operation);
    }
    if (made->handle) {
        sqlite_leave(made, status);
    }
    if (status != VIOS_OK) {
        sqlite_connection_close(made);
        return status;
    }
    *connection = made;
    return VIOS_OK;
}

int sqlite_connection_make(struct sqlite_connection *connection)
{
    int status = open_handle(connection, SQLITE_OPEN_READWRITE);
    if (status == VIOS_OK) {
        status = execute(connection, SETTINGS);
    }
    return status == VIOS_OK ? make_schema(connection) : status;
}

int sqlite_connection_look(struct sqlite_connection *connection)
{
    bool blank = false;
    int status = open_handle(connection, SQLITE_OPEN_READONLY);
    if (status == VIOS_OK) {
        status = execute(connection, "PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON;");
    }
    if (status == VIOS_OK) {
        status = identify_at_once(connection, &blank);
    }
    if (status == VIOS_OK && blank) {
        status = operation_fail(connection->operation, VIOS_E_NOT_FOUND, connection->path, NULL,
                                "an empty database");
    }
    return status;
}

void sqlite_connection_end(struct sqlite_connection *connection)
{
    for (size_t i = 0; i < SQL_COUNT; i++) {
        sqlite3_finalize(connection->statements[i]);
    }
    sqlite3_close(connection->handle);
}

void sqlite_connection_close(struct sqlite_connection *connection)
{
    if (!connection) {
        return;
    }
    sqlite_connection_end(connection);
    sqlite_poke_close(connection->poke);
    free(connection->path);
    free(connection);
}
