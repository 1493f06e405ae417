/*
 * lu_file.h - the files of LUs in the shared folder of a pool, and how a new owner keeps what the
 * old one may still write away from them (DESIGN "Takeover").
 *
 * Where the folder's file system clones files, the LU gets a new one: a write that lands late hits
 * the old file, which is dead. Where it does not, time has to pass; and where a file cannot be
 * opened O_DIRECT, what the old node's kernel still holds could land at any time, so that no other
 * node may take the LU over at all. What a folder can is found by trying.
 */
#ifndef STORAGE_LU_FILE_H
#define STORAGE_LU_FILE_H

#include "base/error.h"

#define LU_PROBE_PREFIX ".probe-" /* of the files that lu_file_probe() makes */
#define LU_GRACE_MS 10000         /* how long a new owner waits where it cannot clone */

enum lu_fence { LU_FENCE_CLONE, LU_FENCE_GRACE, LU_FENCE_LOCAL_ONLY };

/* "clone", "grace" or "local-only", as `pool show` says it. */
const char *lu_fence_name(enum lu_fence fence);

/* Tries it with two small files in the folder, which it removes. */
int lu_file_probe(const char *folder, enum lu_fence *fence, struct vios_error *error);

/*
 * Makes `to` a clone of `from`, both names in the folder: under a temporary name, synced, renamed,
 * and the folder synced. It may be repeated until somebody uses `to`, which then is another file
 * again. VIOS_E_INVALID where the file system does not clone.
 */
int lu_file_renew(const char *folder, const char *from, const char *to, struct vios_error *error);

/*
 * Unlinks every file of the LU in the folder: of each generation, dead ones, temporary ones; and
 * syncs the folder. None there is fine. Only once its record says that it is being deleted.
 */
int lu_file_remove_all(const char *folder, const char *udid, struct vios_error *error);

/* Only the temporary ones: what those left who were killed while they made the file. */
int lu_file_remove_temporary(const char *folder, const char *udid, struct vios_error *error);

#endif
