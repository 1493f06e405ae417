/* jobs.h - the jobs lpar.start and lpar.stop, and the lock they share. */
#ifndef LPAR_JOBS_H
#define LPAR_JOBS_H

#include "job/job.h"
#include "lpar/record.h"

extern const struct job_kind lpar_start_job; /* data {"name"} */
extern const struct job_kind lpar_stop_job;  /* data {"name", "timeout_ms", "force"} */

/* VIOS_E_LOCKED while its takeover is not finished, or another job than `id` (may be NULL) is at
 * work on the LPAR. A job that has ended, or that nobody knows, holds nothing. */
int lpar_check_lock(struct store *store, const struct lpar *lpar, const char *id,
                    struct operation *operation);

#endif
