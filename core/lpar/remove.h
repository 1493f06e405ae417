/*
 * remove.h - the end of an LPAR: its record, what it published, its paging device, and with
 * "disks" its LUs and their files too.
 */
#ifndef LPAR_REMOVE_H
#define LPAR_REMOVE_H

#include "job/job.h"
#include "node/method.h"

extern const struct job_kind lpar_remove_job; /* data {"name", "uuid", "disks"} */

/* The method lpar.remove. */
int lpar_call_remove(struct call *call, const json_t *parameters, json_t **result,
                     struct operation *operation);

#endif
