/*
 * hold.h - the job that holds an LPAR: `job` in its record names it, and no other changes the
 * record meanwhile (record.h). How jobs take it, ask for it, and change what they hold.
 */
#ifndef LPAR_HOLD_H
#define LPAR_HOLD_H

#include "job/job.h"
#include "lpar/record.h"

/* VIOS_E_LOCKED while its takeover is not finished, or another job than `id` (may be NULL) is at
 * work on the LPAR. A job that has ended, or that nobody knows, holds nothing. */
int lpar_check_lock(struct store *store, const struct lpar *lpar, const char *id,
                    struct operation *operation);

/* Changes the record of the LPAR of job data "name" by `change`, again when somebody else was first
 * or the outcome is unknown. A change returns VIOS_OK to write, 1 when nothing is to be written, or
 * an error. */
int lpar_job_update(struct job *job, int (*change)(struct job *, struct lpar *), struct lpar *lpar);

/* The job becomes the one that may change it. */
void lpar_job_take(const struct job *job, struct lpar *lpar);

#endif
