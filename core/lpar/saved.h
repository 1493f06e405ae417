/*
 * saved.h - the hibernation of an LPAR: its record in the VIOS DB, its file in the repository, and
 * the key that seals it (MISSION §6; DESIGN "LPARs and hibernation").
 *
 *     /hibernation/NAME  {"v":1,"generation":4,"lu":"web1-4-1a2b3c4d","content":"memory",
 *                         "size_bytes":...,"memory_bytes":...,"file":UUID,"node":"n1",
 *                         "time":"2026-...","encrypted":false}
 *     REPOSITORY/hibernation/web1-4-1a2b3c4d
 *     /secret/hibernation {"v":1,"id":1,"key":"64 hex digits"}, made with the first one
 *
 * It is of use only while its generation is the LPAR's: an older memory never meets a newer disk.
 */
#ifndef LPAR_SAVED_H
#define LPAR_SAVED_H

#include "hibernation/reader.h"
#include "hibernation/writer.h"
#include "lpar/record.h"
#include "node/node.h"

#define SAVED_PREFIX "/hibernation/"
#define SAVED_FOLDER "hibernation"
#define SAVED_TIME_SIZE 32

struct saved {
    char lu[HIBERNATION_FILE_NAME_MAX + 1]; /* the name of the file */
    char file[UUID_TEXT_SIZE];              /* in its header */
    char node[NAME_MAX_LENGTH + 1];         /* that it ran on */
    char time[SAVED_TIME_SIZE];
    int64_t generation;
    uint64_t size_bytes, memory_bytes;
    bool encrypted;
    int64_t revision;
};

/* Validates all of it. VIOS_E_CORRUPT. */
int saved_parse(const struct store_value *value, struct saved *saved, struct vios_error *error);

/* The members of the record but for the version and the generation, which the commit adds; the
 * caller's. NULL: no memory. */
json_t *saved_to_json(const struct saved *saved);

/* VIOS_E_NOT_FOUND: it is not hibernated. */
int saved_load(struct store *store, const char *name, struct saved *saved,
               struct operation *operation);

/* That the LPAR can go on from it: it is hibernated, and at this generation still. */
bool saved_is_current(const struct lpar *lpar, const struct saved *saved);

/* That this node has the cluster's repository, and its folder for these files: a descriptor. */
int saved_folder(struct node *node, struct store *store, struct operation *operation);

/* Of the file system of that folder. */
int saved_free_bytes(int folder, uint64_t *bytes, struct vios_error *error);

/* With `make` it is made when there is none yet. */
int saved_key(struct store *store, bool make, struct hibernation_key *key,
              struct operation *operation);

/* Of the cluster, from /cluster. */
int saved_cluster(struct store *store, char uuid[UUID_TEXT_SIZE], struct operation *operation);

/* Opens the file, and validates that it is that of this LPAR as it is now: of its generation, size
 * and adapters. */
int saved_open(struct node *node, struct store *store, const struct lpar *lpar,
               const struct saved *saved, struct hibernation_reader **reader,
               struct operation *operation);

/* Removes the file, and then deletes the record, of a hibernation that is void: the LPAR's
 * generation is a later one, or it is not hibernated any more. None is fine; when the file cannot
 * be removed now both stay, with a line in the log. */
int saved_discard(struct node *node, struct store *store, const char *name,
                  struct operation *operation);

/*
 * Removes the file of a hibernation that a restart has used up, and with it its record. `record` is
 * saved_to_json() of it, of `generation`. When the file cannot be removed now, that is put back,
 * void, unless there is a newer one: so the file is not forgotten (`lpar cleanup`).
 */
int saved_used_up(struct node *node, struct store *store, const char *name, const json_t *record,
                  int64_t generation, struct operation *operation);

/*
 * Removes every file of the LPAR `name` but `keep` ("": none), and all that is left of its writers.
 * The caller holds the LPAR, so that none of them is at work. The names of those that went are
 * appended to `removed`. The first failure is the status, but the others are tried.
 */
int saved_remove_others(int folder, const char *name, const char *keep, json_t *removed,
                        struct operation *operation);

/* Deletes the record, unless it is another one by now: VIOS_E_CONFLICT. */
int saved_forget(struct store *store, const char *name, const struct saved *saved,
                 struct operation *operation);

/* Removes what writers of this file that were killed have left. */
void saved_sweep(int folder, const char *lu);

/* Removes a file, and what is left of its writers; absent is fine. */
int saved_remove(struct node *node, struct store *store, const char *lu,
                 struct operation *operation);

#endif
