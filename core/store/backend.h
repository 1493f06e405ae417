/*
 * backend.h - what a back end of the VIOS DB provides; internal to core/store.
 *
 * store.c validates keys, values and limits before any of these is called, so a back end sees
 * only what store.h allows, and changes whose JSON is compact. Statuses are those of store.h.
 */
#ifndef STORE_BACKEND_H
#define STORE_BACKEND_H

#include "store/store.h"

/* Hints that both kinds of store give. */
#define STORE_CREATE_HINT "make one: vios cluster create NAME"
#define STORE_RESTORE_HINT "restore a backup: vios db restore FILE"

struct store_backend {
    const char *name; /* "sqlite" */
    void (*close)(void *state);
    int (*get)(void *state, const char *key, struct store_value *value,
               struct operation *operation);
    /* `lists` are empty; what is in them after a failure is cleared by the caller. */
    int (*list)(void *state, const char *const *prefixes, size_t count, struct store_list *lists,
                int64_t *revision, struct operation *operation);
    int (*commit)(void *state, const struct store_compare *compares, size_t compare_count,
                  const struct store_change *changes, size_t change_count, int64_t *revision,
                  struct operation *operation);
    int (*watch_open)(void *state, void **watch, const char *prefix, int64_t revision,
                      struct operation *operation);
    int (*watch_next)(void *watch, struct store_change_list *changes, struct operation *operation);
    void (*watch_close)(void *watch);
    int (*compact)(void *state, int64_t revision, struct operation *operation);
    int (*backup)(void *state, const char *path, struct operation *operation);
    int (*check)(void *state, struct operation *operation);
};

/* A store over `state`, which it takes over, also when there is no memory (NULL). */
struct store *store_wrap(const struct store_backend *backend, void *state);

/* VIOS_E_USAGE: the address of no store. */
int store_refuse_address(const char *address, struct operation *operation);

/* Values gathered one by one; grows as needed. Takes copies. VIOS_E_NO_SPACE without memory. */
struct store_gather {
    struct store_value *values;
    size_t count;
    size_t capacity;
};
int store_gather_add(struct store_gather *gather, const struct store_value *value,
                     struct operation *operation);
void store_gather_clear(struct store_gather *gather);

#endif
