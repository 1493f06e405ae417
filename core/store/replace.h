/*
 * replace.h - the whole content of a VIOS DB: read without touching it, and replaced by another
 * one, for `db restore` and for `db check` while no daemon runs.
 *
 * store_replace() is safe against its own end at any time: afterwards there is the content before
 * it, or the new one, or a VIOS DB that every daemon refuses with the words that it is to be
 * restored again. Nothing of it is for a VIOS DB that is in use: see store_check_unused().
 */
#ifndef STORE_REPLACE_H
#define STORE_REPLACE_H

#include "store/store.h"

#include <limits.h>

/* What store_read() found; free with store_reading_clear(). */
struct store_reading {
    struct store_list list; /* sorted by key; of a damaged one what could be read */
    int64_t revision;       /* the newest; 0: there is nothing */
    bool begun;             /* a store_replace() that did not end left it so */
};

/* All keys with `prefix`, from one snapshot. VIOS_OK: it is whole. VIOS_E_NOT_FOUND: there is no
 * store. VIOS_E_CORRUPT: damaged. Any other: it cannot be reached or may not be read. The reading
 * is to be cleared in each case. */
int store_read(const char *address, const char *prefix, struct store_reading *reading,
               struct operation *operation);
void store_reading_clear(struct store_reading *reading);

/* The address of the new content that an earlier store_replace() wrote and did not put in its
 * place; "" when there is none. */
void store_replace_left(const char *address, char left[PATH_MAX + 16]);

/* VIOS_E_LOCKED, naming it, when a process of this machine has the store's file open. Processes of
 * other machines, and users of an etcd, are not seen so. */
int store_check_unused(const char *address, struct operation *operation);

/*
 * Puts `list`, sorted by key and valid, in the place of all that is there, at `revision` (which an
 * etcd chooses itself). A file that was there keeps lying beside it under the name that `aside`
 * gets ("": there was none).
 */
int store_replace(const char *address, const struct store_list *list, int64_t revision,
                  char aside[PATH_MAX + 64], struct operation *operation);

/* Moves a store's file aside, so that no daemon that is still told to use it finds it; an etcd is
 * left alone. */
int store_retire(const char *address, char aside[PATH_MAX + 64], struct operation *operation);

#endif
