/*
 * pool.h - /pool/P: a storage pool (MISSION "Words"), a folder of the repository that every node
 * mounts: <repository>/pools/P, a folder of that file system, or a mount point of its own.
 *
 *   pool.json   {"v":1,"cluster","pool","uuid"}: the marker; without it, or with another one, the
 *               pool is not mounted here
 *   lu/         the files of LUs
 *   image/      a folder for each image
 *
 * LUs are thin: what they may grow to can be more than there is. `overcommit` limits that, in
 * percent of the pool's size; 0: no limit.
 */
#ifndef STORAGE_POOL_H
#define STORAGE_POOL_H

#include "base/operation.h"
#include "base/parse.h"
#include "node/node.h"
#include "store/store.h"

#include <limits.h>

#define POOL_MARKER "pool.json"
#define POOL_OVERCOMMIT_MAX 100000 /* percent */

enum pool_state { POOL_READY, POOL_MAKING, POOL_DELETING };

struct pool {
    char name[NAME_MAX_LENGTH + 1];
    char uuid[UUID_TEXT_SIZE];
    int overcommit; /* percent; 0: no limit */
    enum pool_state state;
    char job[JOB_ID_SIZE]; /* the one that makes or removes it; "" */
    int64_t revision;      /* of the store's value it was read from */
};

struct pool_space {
    uint64_t size_bytes, free_bytes; /* of its file system, for who writes here */
};

/* An error's object: `pool "p1"`. Returns `text`. */
char *pool_object(const char *name, char text[96]);

int pool_parse(const char *name, const char *json, struct pool *pool, struct vios_error *error);
/* free() it; NULL without memory. */
char *pool_format(const struct pool *pool);
char *pool_key(const char *name, char key[STORE_KEY_MAX]);

/* VIOS_E_NOT_FOUND with near names; a pool that is not ready is not there. */
int pool_load(struct store *store, const char *name, struct pool *pool,
              struct operation *operation);

/* The record, whatever its state; VIOS_E_NOT_FOUND. */
int pool_load_any(struct store *store, const char *name, struct pool *pool,
                  struct operation *operation);

/* The pool that is meant: `name`, or with NULL the only one there is. VIOS_E_USAGE when there are
 * several, VIOS_E_NOT_FOUND when there is none. */
int pool_choose(struct store *store, const char *name, struct pool *pool,
                struct operation *operation);

/* <repository>/pools/POOL and, unless `below` is NULL, /`below`. VIOS_E_INVALID without a
 * repository. */
int pool_path(const struct node *node, const char *pool, const char *below, char path[PATH_MAX],
              struct vios_error *error);

/* That it is mounted here and is this cluster's: VIOS_E_INVALID says what is there instead. */
int pool_check(const struct node *node, const struct pool *pool, struct vios_error *error);

int pool_space(const struct node *node, const char *pool, struct pool_space *space,
               struct vios_error *error);

/* That `bytes` may be written now: VIOS_E_NO_SPACE names `object`, the pool and both numbers. */
int pool_check_space(const struct node *node, const char *pool, uint64_t bytes, const char *object,
                     struct vios_error *error);

/* That LUs of `bytes` more may be promised: within `overcommit`. Reads all LUs of the pool. */
int pool_check_promise(const struct node *node, struct store *store, const struct pool *pool,
                       uint64_t bytes, const char *object, struct operation *operation);

#endif
