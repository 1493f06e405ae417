/*
 * paging.h - the daemon's side of remote paging: it decides and records which nodes hold an
 * LPAR's pages, and tells this node's io; the pages themselves never pass through here.
 *
 * One thread, the reconciler, compares /paging/ and /lpar/ with what io says it has, and tells
 * io the difference: listeners for peers, grants of page memory, pagers of the LPARs hosted
 * here. It is woken by changes in the store, by io's events, by a new io, and each second. So
 * after any crash the same loop puts everything right, and nothing else configures paging.
 */
#ifndef PAGING_PAGING_H
#define PAGING_PAGING_H

#include "base/operation.h"
#include "node/node.h"
#include "node/part.h"

#include <jansson.h>

extern const struct part paging_part;

/*
 * Waits until this node's io serves the paging device of `lpar` under `generation`, in a state
 * other than DOWN. lpar.start calls it after its commit: a start uses new, empty regions.
 * VIOS_OK at once for an LPAR without paging.
 */
int paging_await(struct node *node, const char *lpar, int64_t generation,
                 struct operation *operation);

/* The size of the LPAR's paging device; 0 when it has none. */
int paging_device_size(struct node *node, const char *lpar, uint64_t *size_bytes,
                       struct operation *operation);

/* How much of it is not all zero, as of a moment ago; all of it while nobody can say. */
int paging_device_held(struct node *node, const char *lpar, uint64_t *held_bytes,
                       struct operation *operation);

/* Writes the name of the export that a QEMU started at `generation` connects to. */
void paging_export_name(const char *lpar_uuid, int64_t generation, char *name, size_t size);

/* How a paging device joins or leaves a running guest: lpar, which lies above, sets this when it
 * starts. Both do nothing for a guest that does not run. `uses`: 1 when a QEMU runs here with the
 * device, 0 when not, negative while nobody can say. */
struct paging_guest_operations {
    int (*attach)(struct node *node, const char *lpar, struct operation *operation);
    int (*detach)(struct node *node, const char *lpar, struct operation *operation);
    int (*uses)(struct node *node, const char *lpar, struct operation *operation);
};
void paging_set_guest_operations(struct node *node,
                                 const struct paging_guest_operations *operations);

#endif
