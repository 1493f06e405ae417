/* jobs.h - the jobs lpar.start and lpar.stop. */
#ifndef LPAR_JOBS_H
#define LPAR_JOBS_H

#include "job/job.h"

extern const struct job_kind lpar_start_job; /* data {"name", "from_storage"} */
extern const struct job_kind lpar_stop_job;  /* data {"name", "timeout_ms", "force"} */

#endif
