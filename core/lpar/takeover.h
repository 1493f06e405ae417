/*
 * takeover.h - the job that takes an LPAR from a node whose fence is free (DESIGN "Takeover"). The
 * commits and their order are cluster/ownership.h's; here are the store, and the disks.
 */
#ifndef LPAR_TAKEOVER_H
#define LPAR_TAKEOVER_H

#include "job/job.h"
#include "lpar/record.h"
#include "node/method.h"

/*
 * data {"name", "generation"}: which it had before it is taken over. Afterwards the
 * LPAR is nobody's, stopped, and may be started: each of its LUs has a new file, or the grace time
 * has passed. Refused: a disk that is no LU, a pool that is local-only, a fence that is not free, a
 * job that is at work on it (hold.h).
 */
extern const struct job_kind lpar_takeover_job;

/* Whether it could be, as far as its disks go: each is an LU whose pool keeps an old owner away.
 * VIOS_E_INVALID: see above. */
int takeover_check(struct node *node, struct store *store, const struct lpar *lpar,
                   struct operation *operation);

/* The method: "name:lpar". */
int lpar_call_takeover(struct call *call, const json_t *parameters, json_t **result,
                       struct operation *operation);

#endif
