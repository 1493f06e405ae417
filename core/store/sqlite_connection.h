/*
 * sqlite_connection.h - one sqlite handle: its statements, its transactions, and how its
 * result codes become ours; internal to core/store. One thread at a time.
 *
 * Each call of the store is bracketed by sqlite_enter() and sqlite_leave(): waiting for a lock
 * and long statements end at that operation's deadline or cancel.
 */
#ifndef STORE_SQLITE_CONNECTION_H
#define STORE_SQLITE_CONNECTION_H

#include "store/backend.h"
#include "store/sqlite.h"

#include <sqlite3.h>

enum sqlite_sql {
    SQL_BEGIN_READ,
    SQL_BEGIN_WRITE,
    SQL_COMMIT,
    SQL_ROLLBACK,
    SQL_META,
    SQL_SET_META,
    SQL_GET,
    SQL_LIST,
    SQL_PUT,
    SQL_RESTORE, /* a row as it was elsewhere */
    SQL_DELETE,
    SQL_LOG,
    SQL_LOG_AFTER,
    SQL_LOG_FORGET,
    SQL_COUNT
};

struct sqlite_connection {
    sqlite3 *handle;
    char *path;
    sqlite3_stmt *statements[SQL_COUNT]; /* prepared when first used */
    struct sqlite_poke *poke;
    struct operation *operation; /* the call's, between enter and leave */
    int64_t busy_since_ms;       /* 0: not waiting */
    bool committing;             /* COMMIT must not be interrupted */
    bool looked;                 /* in this call: the file still has its name */
};

int sqlite_connection_open(struct sqlite_connection **connection, const char *path, bool create,
                           struct operation *operation);
void sqlite_connection_close(struct sqlite_connection *connection);

/* The caller's own connection to the empty file at its path, for nobody else: tables are made, one
 * file is all there is of it. sqlite_connection_end() also after a failure. */
int sqlite_connection_make(struct sqlite_connection *connection);
void sqlite_connection_end(struct sqlite_connection *connection);

/* The caller's own connection that reads and changes nothing, not even what a crash left. VIOS_OK
 * for a store, which may be damaged all the same. sqlite_connection_end() also after a failure. */
int sqlite_connection_look(struct sqlite_connection *connection);

void sqlite_enter(struct sqlite_connection *connection, struct operation *operation);

/* Resets all statements, ends a transaction that is still open, and gives `status` back. */
int sqlite_leave(struct sqlite_connection *connection, int status);

/* Fills the operation's error from sqlite's result; `doing` says what failed. */
int sqlite_fail(struct sqlite_connection *connection, int result, const char *doing);

/* A reset statement, or NULL with the error filled. */
sqlite3_stmt *sqlite_statement(struct sqlite_connection *connection, enum sqlite_sql sql);

/* Steps once: VIOS_OK with *row telling whether there is one. */
int sqlite_step(struct sqlite_connection *connection, sqlite3_stmt *statement, bool *row,
                const char *doing);

/* A statement without parameters and rows. */
int sqlite_run(struct sqlite_connection *connection, enum sqlite_sql sql, const char *doing);

/* The numbers of the table meta: "revision", "compacted". */
int sqlite_meta(struct sqlite_connection *connection, const char *name, int64_t *value);
int sqlite_set_meta(struct sqlite_connection *connection, const char *name, int64_t value);

/* All values with the prefix, in order; after a failure those before it. */
int sqlite_list_prefix(struct sqlite_connection *connection, const char *prefix,
                       struct store_list *list);

/* Adds the current row of SQL_GET, SQL_LIST or SQL_LOG_AFTER: key, json, revision, created. Only
 * what `may_be_deleted` is without JSON; else, in a damaged file, that is VIOS_E_CORRUPT. */
int sqlite_gather_row(struct sqlite_connection *connection, sqlite3_stmt *statement,
                      bool may_be_deleted, struct store_gather *gather);

/* The first text behind all keys with the prefix: keys have no byte above 0x7e. */
#define SQLITE_PREFIX_END_SIZE (STORE_KEY_MAX + 2)
void sqlite_prefix_end(const char *prefix, char end[SQLITE_PREFIX_END_SIZE]);

/* sqlite_watch.c and sqlite_care.c: members of the back end's table. */
int sqlite_watch_open(void *state, void **watch, const char *prefix, int64_t revision,
                      struct operation *operation);
int sqlite_watch_next(void *watch, struct store_change_list *changes, struct operation *operation);
void sqlite_watch_close(void *watch);
int sqlite_compact(void *state, int64_t revision, struct operation *operation);
int sqlite_backup(void *state, const char *path, struct operation *operation);
int sqlite_check(void *state, struct operation *operation);

/* Whether the file and what is in it are whole, as sqlite_check(). */
int sqlite_check_all(struct sqlite_connection *connection);

/* Forgets history at and before `revision`, within the transaction that is open. */
int sqlite_forget(struct sqlite_connection *connection, int64_t revision);

#endif
