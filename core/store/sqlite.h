/*
 * sqlite.h - the store in one local file, for one node or several daemons on one machine;
 * internal to core/store. sqlite.c tells the design, sqlite_file.c what files it accepts.
 */
#ifndef STORE_SQLITE_H
#define STORE_SQLITE_H

#include "store/store.h"

#include <limits.h>
#include <sys/vfs.h>

#define SQLITE_STORE_BUSY_MAX_MS 30000   /* another process holds the file: then it is a time-out */
#define SQLITE_STORE_LOG_REVISIONS 10000 /* history kept for watches */
#define SQLITE_STORE_COMPACT_EVERY 256   /* commits between two compactions */
#define SQLITE_STORE_POLL_MS 200         /* a watch looks this often when no poke arrives */
#define SQLITE_STORE_BATCH_MAX 1024      /* changes of one watch_next; a commit is never split */

/* See store_open(). */
int sqlite_store_open(struct store **store, const char *path, bool create,
                      struct operation *operation);

/* A new store file at `path`, which must not exist, with the values of `list` under their own
 * revisions, at `revision`, without history: a backup of another back end. Whole or absent. */
int sqlite_store_write(const char *path, const struct store_list *list, int64_t revision,
                       struct operation *operation);

/* The parts of replace.h for a file. */
struct store_reading;
int sqlite_store_read(const char *path, const char *prefix, struct store_reading *reading,
                      struct operation *operation);
void sqlite_store_left(const char *path, char left[PATH_MAX + 16]);
int sqlite_store_check_unused(const char *path, struct operation *operation);
int sqlite_store_replace(const char *path, const struct store_list *list, int64_t revision,
                         char aside[PATH_MAX + 64], struct operation *operation);
int sqlite_store_retire(const char *path, char aside[PATH_MAX + 64], struct operation *operation);

/* What is found at `path`, without opening it: an open and close by anything but sqlite would
 * drop this process's locks. */
enum sqlite_file { SQLITE_FILE_ABSENT, SQLITE_FILE_EMPTY, SQLITE_FILE_THERE };

/* Refuses a network file system, a path that is no plain file, and a file that is empty or
 * gone although a store was in use there. */
int sqlite_file_inspect(const char *path, enum sqlite_file *found, struct operation *operation);

/* The name of a file system on which sqlite's locks cannot be trusted, by statfs f_type; NULL:
 * a local one. */
const char *sqlite_file_network_name(long type);

/* statfs(2); a test puts its own here. */
extern int (*sqlite_file_statfs)(const char *path, struct statfs *result);

/* Pokes: a folder `<file>.watch` with a datagram socket for each watch. */
struct sqlite_poke;
int sqlite_poke_open(struct sqlite_poke **poke, const char *path, struct operation *operation);
/* Wakes all watches of the file; never blocks, never fails (a watch looks by itself too). */
void sqlite_poke_send(struct sqlite_poke *poke);
/* Makes this one's own socket. */
int sqlite_poke_listen(struct sqlite_poke *poke, struct operation *operation);
/* Waits for a poke or SQLITE_STORE_POLL_MS; VIOS_OK for both. */
int sqlite_poke_wait(struct sqlite_poke *poke, struct operation *operation);
void sqlite_poke_close(struct sqlite_poke *poke);

#endif
