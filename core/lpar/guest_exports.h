/*
 * guest_exports.h - what io does for one guest: the socket its QEMU connects to, its disks, and the
 * watch over its process. Everything may be said again, after any crash.
 */
#ifndef LPAR_GUEST_EXPORTS_H
#define LPAR_GUEST_EXPORTS_H

#include "lpar/record.h"
#include "lpar/run_folder.h"
#include "node/node.h"

/* The listener disk.sock in the run folder, and an export for each disk, for a QEMU that starts
 * or started at generation `start`. */
int guest_exports_make(struct node *node, const struct lpar *lpar, const struct run_folder *folder,
                       int64_t start, struct operation *operation);

/* The same while the guest is another node's, which serves its disks: their locks are not waited
 * for, and nothing is claimed. */
int guest_exports_join(struct node *node, const struct lpar *lpar, const struct run_folder *folder,
                       int64_t start, struct operation *operation);

/* What io does with the I/O of its disks from now on: "standby" holds it, "drain" too, and returns
 * once nothing is in flight, "open" serves it. */
int guest_exports_serve(struct node *node, const struct lpar *lpar, int64_t start, const char *how,
                        struct operation *operation);

/* Hands io the guest's process. */
int guest_exports_watch(struct node *node, const struct lpar *lpar, int process_fd,
                        struct operation *operation);

/* The inverse of both, for an LPAR of which no QEMU lives here: the disks of every start go, also
 * of one that a dead daemon began, or io would keep their files locked. What is not there is
 * fine. */
int guest_exports_drop(struct node *node, const char *uuid, struct operation *operation);

/* All disks on shared pools, whose guests are dead: after VIOS_OK nothing of them is in flight, nor
 * held back until the gate opens again. */
int guest_exports_drop_shared(struct node *node, struct operation *operation);

#endif
