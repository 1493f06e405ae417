/*
 * lu.h - /lu/UDID: the record of a logical unit, and where its file is (CONTRACTS "LPAR",
 * "Repository on disk"). A guest's disk names it by the UDID, which is never used again. Its name
 * is unique in its pool: /lu-name/POOL/NAME {"udid"} is written and deleted in the same commits.
 *
 * The file of an ordinary LU lies in <repository>/pools/POOL/lu and is named UDID.GENERATION; it
 * changes only by a takeover. That of an image's LU lies in the folder of the image (MISSION §2:
 * the image management fileset), and is never mapped to a guest.
 *
 * `job` is the job that may change it, as in an LPAR's record. An LU is for people to see only when
 * it is LU_READY: one that is being made, or deleted, has a job that ends that.
 */
#ifndef STORAGE_LU_H
#define STORAGE_LU_H

#include "base/operation.h"
#include "base/parse.h"
#include "job/job.h"
#include "node/node.h"
#include "store/store.h"

#include <limits.h>

#define LU_FILE_SIZE 128          /* a file's name, with its end */
#define LU_SIZE_MAX (1ULL << 46)  /* bytes: 64 TiB */
#define LU_WORD_SIZE (2 * 64 + 1) /* "POOL/NAME" */

enum lu_state { LU_READY, LU_MAKING, LU_DELETING };

struct lu {
    char udid[UUID_TEXT_SIZE];
    char name[NAME_MAX_LENGTH + 1];
    char pool[NAME_MAX_LENGTH + 1];
    char file[LU_FILE_SIZE];
    uint64_t size_bytes;
    bool thick; /* its space was taken when it was made */
    enum lu_state state;
    char job[JOB_ID_SIZE];          /* "": none */
    char lpar[NAME_MAX_LENGTH + 1]; /* whose disk it is; "": it is free */
    char image[UUID_TEXT_SIZE];     /* the handle of the image it is a file of; "": of none */
    char origin[UUID_TEXT_SIZE]; /* the image's LU whose linked clone it is; "": it stands alone */
};

/* An error's object: `lu "web1"`. Returns `text`. */
char *lu_object(const char *name, char text[96]);

/* VIOS_E_CORRUPT, naming the member, for a record that is not one of ours. */
int lu_parse(const char *udid, const char *json, struct lu *lu, struct vios_error *error);

/* The record. `json` is how it was read (NULL: it is new, and created now); members that are not of
 * this struct, such as `dead`, stay. free() it; NULL without memory. */
char *lu_format(const struct lu *lu, const char *json);

/* "/lu/UDID", and "/lu-name/POOL/NAME" with what stands there. Return `key` and `json`. */
char *lu_key(const char *udid, char key[STORE_KEY_MAX]);
char *lu_name_key(const struct lu *lu, char key[STORE_KEY_MAX]);
char *lu_name_record(const struct lu *lu, char json[64]);

/* `value` (may be NULL) becomes the caller's: the record as it was read. VIOS_E_NOT_FOUND. */
int lu_load(struct store *store, const char *udid, struct lu *lu, struct store_value *value,
            struct operation *operation);

/*
 * The LU that a person means by "NAME", "POOL/NAME" or a UDID, if it is ready. VIOS_E_NOT_FOUND
 * with near names; VIOS_E_USAGE when several pools have one of this name.
 */
int lu_find(struct store *store, const char *word, struct lu *lu, struct store_value *value,
            struct operation *operation);

/* That nobody else works on it: `job` (NULL: no job at all) may. VIOS_E_LOCKED. */
int lu_check_lock(const struct lu *lu, const char *job, struct vios_error *error);

/* Writes `lu` if nobody changed it since `value` was read, which then is the new record.
 * VIOS_E_CONFLICT. */
int lu_save(struct store *store, const struct lu *lu, struct store_value *value,
            struct operation *operation);

/* The folder of its file on this node; VIOS_E_INVALID when no repository is configured. */
int lu_folder(const struct node *node, const struct lu *lu, char path[PATH_MAX],
              struct vios_error *error);

/* The file's whole path, likewise. */
int lu_path(const struct node *node, const struct lu *lu, char path[PATH_MAX],
            struct vios_error *error);

#endif
