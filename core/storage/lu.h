/*
 * lu.h - /lu/UDID: the record of a logical unit, and where its file is (CONTRACTS "LPAR",
 * "Repository on disk"). A guest's disk names it by the UDID; `file` is a name in the folder of its
 * pool, <repository>/pools/POOL/lu, and changes only by a takeover.
 */
#ifndef STORAGE_LU_H
#define STORAGE_LU_H

#include "base/operation.h"
#include "base/parse.h"
#include "node/node.h"
#include "store/store.h"

#include <limits.h>

#define LU_FILE_SIZE 128 /* a file's name, with its end */

struct lu {
    char udid[UUID_TEXT_SIZE];
    char pool[NAME_MAX_LENGTH + 1];
    char file[LU_FILE_SIZE];
};

/* VIOS_E_CORRUPT, naming the member, for a record that is not one of ours. */
int lu_parse(const char *udid, const char *json, struct lu *lu, struct vios_error *error);

/* `value` (may be NULL) becomes the caller's: the record as it was read. VIOS_E_NOT_FOUND. */
int lu_load(struct store *store, const char *udid, struct lu *lu, struct store_value *value,
            struct operation *operation);

/* The folder of its pool on this node; VIOS_E_INVALID when no repository is configured. */
int lu_folder(const struct node *node, const struct lu *lu, char path[PATH_MAX],
              struct vios_error *error);

/* The file's whole path, likewise. */
int lu_path(const struct node *node, const struct lu *lu, char path[PATH_MAX],
            struct vios_error *error);

#endif
