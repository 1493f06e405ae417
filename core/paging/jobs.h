/* jobs.h - within core/paging: the kinds of job there are. */
#ifndef PAGING_JOBS_H
#define PAGING_JOBS_H

#include "job/job.h"

/* data: {"lpar", "size_bytes", "policy", "disk": text or null, "nodes": [names] or null} */
extern const struct job_kind paging_create_job;

/* data: {"lpar", "uuid", "device", "generation"}: what it was when it was asked for; `device` is
 * the job that had made it */
extern const struct job_kind paging_remove_job;

#endif
