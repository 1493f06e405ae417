/* job_guest.h - the guest that runs here, for a job that gives it away: hibernate.h, migrate.h. Its
 * data says in which "generation" the job claimed it. */
#ifndef LPAR_JOB_GUEST_H
#define LPAR_JOB_GUEST_H

#include "job/job.h"
#include "lpar/guest.h"

/* Its record, which the job holds, and the guest of that generation; guest_release() it.
 * VIOS_E_CONFLICT: it does not run any more. */
int job_guest_find(struct job *job, struct lpar *lpar, struct guest **guest);

/* It stands still: nothing of it is in flight to its disks when this returns VIOS_OK, and nothing
 * more gets there. */
int job_guest_drain(struct job *job, const struct lpar *lpar);

/* It goes on as it was, its disks served, if it is still this job's to say so, and if it is there.
 */
int job_guest_go_on(struct job *job);

#endif
