/*
 * store.h - the VIOS DB: a small revisioned key-value store (DESIGN "The VIOS DB").
 *
 * Keys are text of [A-Za-z0-9._:/-], values are JSON objects with a schema number "v". Each
 * commit is all or nothing and makes one new revision. Compares are on revisions, never on
 * contents. All calls block, take a `struct operation`, and may be made from any thread; a
 * `struct store` serves one call at a time, so give each lane its own.
 *
 * A commit has four outcomes: VIOS_OK (done), VIOS_E_CONFLICT (a compare failed; nothing was
 * changed), VIOS_E_UNKNOWN (it may or may not be done: read again before you decide), and
 * VIOS_E_TIMEOUT, _CANCELLED, _UNREACHABLE or any other code (never sent; nothing was changed).
 */
#ifndef STORE_STORE_H
#define STORE_STORE_H

#include "base/operation.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define STORE_KEY_MAX 512
#define STORE_VALUE_MAX (64 * 1024)
#define STORE_CHANGES_MAX 128
#define STORE_PREFIXES_MAX 16
#define STORE_TRIES 20

struct store;
struct store_watch;

/* 1 to STORE_KEY_MAX of [A-Za-z0-9._:/-]. */
bool store_key_is_valid(const char *key);

struct store_value {
    char *key;
    char *json;       /* compact JSON text, NUL-terminated; NULL in a watch: deleted */
    int64_t revision; /* of the commit that wrote it last */
    int64_t created;  /* of the commit that made it */
};

struct store_list {
    struct store_value *values; /* sorted by key */
    size_t count;
};

struct store_change_list {
    struct store_value *values; /* in commit order, then in the order within the commit */
    size_t count;
    int64_t revision; /* of the newest one */
};

enum store_compare_kind { STORE_ABSENT, STORE_EXISTS, STORE_REVISION_IS };

struct store_compare {
    enum store_compare_kind kind;
    const char *key;
    int64_t revision; /* for STORE_REVISION_IS */
};

struct store_change {
    const char *key;
    const char *json; /* NULL: delete */
};

/*
 * Opens by address; what is absent is made, but only with `create`:
 *
 *     sqlite:/path/to/file
 *     etcd:URL[,URL...][?prefix=/vios/NAME&user=U&password_file=/path&ca=/path&cert=...&key=...]
 *
 * A file on a network file system is refused; a damaged one is an error that names it and `db
 * restore`, never replaced by a new one. An etcd that is another one than this process found at
 * that address before is VIOS_E_CORRUPT, in each call: its revisions mean nothing. What the
 * parameters of an etcd mean is told in vios.1; a store lies below its prefix (/vios).
 */
int store_open(struct store **store, const char *address, bool create, struct operation *operation);
void store_close(struct store *store);

/* Asked before each commit: not VIOS_OK, and the commit is not sent but fails so. */
struct store_guard {
    int (*check)(void *context, struct operation *operation);
    void *context;
};
/* Copied; NULL: none. */
void store_set_guard(struct store *store, const struct store_guard *guard);

/* As given to store_open(); the store's. */
const char *store_address(const struct store *store);

/* VIOS_E_NOT_FOUND when absent. Free with store_value_clear(). */
int store_get(struct store *store, const char *key, struct store_value *value,
              struct operation *operation);
void store_value_clear(struct store_value *value);

/* All keys that begin with `prefix`, from one snapshot; `*revision` (may be NULL) is its
 * revision, from which a watch goes on without a gap. Free with store_list_clear(). */
int store_list(struct store *store, const char *prefix, struct store_list *list, int64_t *revision,
               struct operation *operation);
void store_list_clear(struct store_list *list);

/* The same of 1 to STORE_PREFIXES_MAX prefixes, all from one snapshot: `lists[i]` is that of
 * `prefixes[i]`. Costs as much as one list does. After a failure all are empty. */
int store_list_many(struct store *store, const char *const *prefixes, size_t count,
                    struct store_list *lists, int64_t *revision, struct operation *operation);

/* See the four outcomes above. `*revision` (may be NULL) is the new revision. A broken limit or
 * key, or JSON that is not an object with "v", is VIOS_E_INVALID and never sent. */
int store_commit(struct store *store, const struct store_compare *compares, size_t compare_count,
                 const struct store_change *changes, size_t change_count, int64_t *revision,
                 struct operation *operation);

/* The tries of a commit that is made from what was read just before. Zeroed before the first. */
struct store_tries {
    int count;
    bool doubt; /* one had an unknown outcome */
};

/*
 * After a try has ended with `*status`: whether to read again and try again, which is so after
 * VIOS_E_CONFLICT and VIOS_E_UNKNOWN, for STORE_TRIES tries in all. When not, a failure behind a
 * try of unknown outcome has become VIOS_E_UNKNOWN; a status above 0 is the caller's, and stays.
 */
bool store_try_again(struct store_tries *tries, int *status);

/* Changes below `prefix` after `revision`. The watch has its own connection. */
int store_watch_open(struct store_watch **watch, struct store *store, const char *prefix,
                     int64_t revision, struct operation *operation);

/* Blocks for at least one change. VIOS_E_COMPACTED: list again and open a new watch from that
 * list's revision. After any other failure it may be called again, and misses nothing;
 * VIOS_E_UNREACHABLE says that the store has been away for long. `created` of a deleted value may
 * be 0. Free with store_change_list_clear(). */
int store_watch_next(struct store_watch *watch, struct store_change_list *changes,
                     struct operation *operation);
void store_change_list_clear(struct store_change_list *changes);
void store_watch_close(struct store_watch *watch);

/* Forgets the history at and before `revision`; values stay. */
int store_compact(struct store *store, int64_t revision, struct operation *operation);

/* A consistent copy in a new file at `path`, which must not exist. */
int store_backup(struct store *store, const char *path, struct operation *operation);

/* Looks for damage: VIOS_OK or VIOS_E_CORRUPT with what was found. */
int store_check(struct store *store, struct operation *operation);

#endif
