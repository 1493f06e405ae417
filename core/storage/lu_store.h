/*
 * lu_store.h - the commits that make, change and end an LU, for all jobs that do so: those of LUs
 * here, those of images and LPARs in their folders.
 *
 * The life of a record: reserved (LU_MAKING, held by the job), its file made, published (LU_READY,
 * held by nobody); later marked (LU_DELETING, held by the job), its files unlinked, forgotten. A
 * record that is held is changed by its job alone, so each of these may be repeated, also after a
 * commit of unknown outcome: they read again, and what is held by `job` is that job's. Only when
 * that cannot be read either do they fail with VIOS_E_UNKNOWN.
 */
#ifndef STORAGE_LU_STORE_H
#define STORAGE_LU_STORE_H

#include "storage/lu.h"
#include "storage/pool.h"

/* Fills `lu` for a new one, whose UDID was never used before: its file is of generation 0, no LPAR,
 * no image, and no job has it yet. */
void lu_begin(struct lu *lu, const char *udid, const char *name, const char *pool,
              uint64_t size_bytes, bool thick);

/*
 * Writes the record and its name, as LU_MAKING, held by lu->job. The pool must be ready in that
 * very commit: one that is being removed is VIOS_E_NOT_FOUND. VIOS_E_EXISTS: the name is taken.
 */
int lu_reserve(struct store *store, struct lu *lu, struct operation *operation);

/* It is there for all: LU_READY and free. Done already, also when it was removed since: fine. */
int lu_publish(struct store *store, const char *udid, const char *job, struct operation *operation);

/* The same for one that turned out to be no linked clone: it stands alone, without an origin. */
int lu_publish_alone(struct store *store, const char *udid, const char *job,
                     struct operation *operation);

/*
 * Takes a ready LU for `job`, so that nobody maps, changes or removes it meanwhile; `lu` is how it
 * is then. With `lpar_revision` (not 0) the record of the LPAR it belongs to must be of that
 * revision in that very commit: VIOS_E_CONFLICT. VIOS_E_LOCKED: another job has it.
 */
int lu_hold(struct store *store, const char *udid, const char *job, int64_t lpar_revision,
            struct lu *lu, struct operation *operation);

/* Lets go of what `job` held. Not held by it, or gone: fine. */
int lu_release(struct store *store, const char *udid, const char *job, struct operation *operation);

/* The same for a linked clone that shares nothing any more: it stands alone, without an origin. */
int lu_release_alone(struct store *store, const char *udid, const char *job,
                     struct operation *operation);

/*
 * Marks a ready LU for its end: from then on its files may be unlinked, and nobody finds it any
 * more. VIOS_E_CONFLICT: it is mapped, with the way out; VIOS_E_LOCKED. `lu` is how it is then; one
 * that is gone already is fine, and leaves lu->udid "".
 */
int lu_mark(struct store *store, const char *udid, const char *job, struct lu *lu,
            struct operation *operation);

/* The inverse, before any of its files was unlinked: it is ready again. */
int lu_unmark(struct store *store, const char *udid, const char *job, struct operation *operation);

/* As lu_mark() for one that `job` was making, when that failed. *marked is false, and nothing was
 * done, when it is not (or not any more) one that this job makes. */
int lu_abandon(struct store *store, const char *udid, const char *job, bool *marked,
               struct operation *operation);

/* Deletes the record and the name of one that `job` makes or ends; its files must be gone. Others
 * are left alone. */
int lu_forget(struct store *store, const char *udid, const char *job, struct operation *operation);

#endif
