/*
 * jobs.h - the kinds of jobs of pools and LUs. None is local: a pool is shared, and a survivor goes
 * on with what a node that died had begun.
 */
#ifndef STORAGE_JOBS_H
#define STORAGE_JOBS_H

#include "job/job.h"
#include "node/node.h"
#include "storage/lu.h"

/* {"name", "uuid", "overcommit"} */
extern const struct job_kind pool_create_job;
/* {"name"} */
extern const struct job_kind pool_remove_job;

/* {"udid", "name", "pool", "size_bytes", "thick"} */
extern const struct job_kind lu_create_job;
/* The same, with "source": the UDID of the LU that it becomes a copy of. */
extern const struct job_kind lu_clone_job;
/* {"udid", "name"} */
extern const struct job_kind lu_remove_job;
/* {"udid", "size_bytes"}; where its guest runs. */
extern const struct job_kind lu_resize_job;

/* Its steps that other kinds of jobs share (lu_jobs.c). */
int lu_job_reserve(struct job *job);
int lu_job_reserve_undo(struct job *job);
int lu_job_file_undo(struct job *job);
int lu_job_publish(struct job *job);
/* The record that the job of "udid" in its data made, which it still holds. */
int lu_job_load(struct job *job, struct lu *lu);
/* `job->result` becomes what lu.show says. */
void lu_job_result(struct job *job, const char *udid);

#endif
