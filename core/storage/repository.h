/*
 * repository.h - the shared folder that every node mounts (CONTRACTS "Repository on disk"), and
 * its marker: vios.json {"v":1,"cluster","uuid"} says whose it is.
 */
#ifndef STORAGE_REPOSITORY_H
#define STORAGE_REPOSITORY_H

#include "base/operation.h"
#include "node/node.h"
#include "store/store.h"

#define REPOSITORY_MARKER "vios.json"
#define REPOSITORY_MARKER_MAX 4096 /* bytes */

/*
 * That it is this cluster's, by the UUID in /cluster; with `make`, one that has no marker yet gets
 * it. VIOS_E_INVALID: another cluster's, or it is not there.
 */
int repository_check(const struct node *node, struct store *store, bool make,
                     struct operation *operation);

/* Its path; VIOS_E_INVALID, about `object`, when none is configured. */
int repository_path(const struct node *node, const char *object, const char **path,
                    struct vios_error *error);

/* For those that cannot touch a node: gives the folder its marker. */
int repository_write_marker(int folder, const char *cluster, const char *uuid,
                            struct vios_error *error);

/* VIOS_OK: the text of a marker is of `uuid`. VIOS_E_INVALID says whose it is. For tests too. */
int repository_check_marker(const char *text, const char *uuid, struct vios_error *error);

#endif
