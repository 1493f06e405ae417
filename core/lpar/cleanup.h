/*
 * cleanup.h - the job lpar.cleanup: what hibernations and restarts of an LPAR left in the
 * repository and in the VIOS DB goes: files that were used up, or that were never noted, what
 * writers that were killed have left, and a hibernation that is void. What the LPAR could go on
 * from stays.
 *
 * claim (held by this job, so that no hibernation writes meanwhile) -> clean -> finish.
 */
#ifndef LPAR_CLEANUP_H
#define LPAR_CLEANUP_H

#include "job/job.h"
#include "node/method.h"

extern const struct job_kind lpar_cleanup_job; /* data {"name"} */

/* lpar.cleanup: {"name","removed"}, the names of files and records. By the node that is called. */
int lpar_call_cleanup(struct call *call, const json_t *parameters, json_t **result,
                      struct operation *operation);

#endif
