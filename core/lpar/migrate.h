/*
 * migrate.h - the job lpar.migrate: a guest goes on on another node while it runs (DESIGN "LPARs
 * and hibernation"). It is its owner's job:
 *
 * claim (held by this job, and everything is there that it takes, here and there) -> send (the
 * other node's QEMU has all of it; the guest stands still, its I/O is drained) -> commit (the
 * record says that it is the other node's, in the next generation: the commit point) -> run (it
 * goes on there) -> end (its QEMU here is killed) -> finish. A failure before the commit point lets
 * it go on here.
 *
 * The target acts upon the record alone (incoming.h). So until this node has sent its commit the
 * guest may go on here as it was; refused, it goes on in a generation of its own; unknown, both
 * stand still until one of these is known (cluster/ownership.h).
 */
#ifndef LPAR_MIGRATE_H
#define LPAR_MIGRATE_H

#include "job/job.h"
#include "node/method.h"

extern const struct job_kind lpar_migrate_job; /* data {"name", "target"} */

/* The method lpar.migrate, on any node. */
int lpar_call_migrate(struct call *call, const json_t *parameters, json_t **result,
                      struct operation *operation);

#endif
