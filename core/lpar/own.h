/*
 * own.h - the commits that move a guest from one owner or generation to the next, made by a job:
 * does what cluster/ownership.h says is next, and tells it what came of that.
 */
#ifndef LPAR_OWN_H
#define LPAR_OWN_H

#include "cluster/ownership.h"
#include "job/job.h"
#include "lpar/record.h"

/* The record of the guest `name` as it is, for ownership_begin(), and what it says;
 * store_value_clear() it, also after a failure. */
int own_read(struct job *job, const char *name, struct store_value *value, struct lpar *lpar);

/*
 * Until the ownership of the guest `name` is at OWNERSHIP_RUN, OWNERSHIP_GO_ON or OWNERSHIP_END:
 * VIOS_OK. What fails is tried again, so any other status is that of a job that is cancelled, or
 * whose daemon ends. `disks` does OWNERSHIP_DISKS; NULL for a kind that never says so.
 */
int own_drive(struct job *job, const char *name, struct ownership *ownership,
              int (*disks)(struct job *job, struct ownership *ownership));

#endif
