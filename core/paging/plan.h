/*
 * plan.h - which pages go along when a job of lpar's changes the owner or the generation of an
 * LPAR. A change of these as such begins with an empty device; the job notes before it in
 * /paging/NAME what it will make of the LPAR, and the reconcilers act upon that:
 *
 *     "plan": {"job":"j-7","node":"n2","generation":5,"start":5}
 *
 * A restart (start = generation): as long as the job holds the LPAR, which nobody owns and whose
 * generation is the one before, the node hosts a new and empty device, under new region numbers;
 * when the LPAR has become that node's in that generation, this is its device, with its pages.
 * A guest that may go on under another generation (start < generation) keeps what it has, under
 * the name that its QEMU knows.
 *
 * One that may become another node's (target) under the next generation keeps them there, too: that
 * node hosts a pager that was given the state of this one's (hand_over.h), and nobody drops it for
 * as long as the job holds the LPAR.
 *
 * The job settles its plan before it lets go of the LPAR. What is left of one is void: its job does
 * not hold the LPAR any more, and a start drops it.
 */
#ifndef PAGING_PLAN_H
#define PAGING_PLAN_H

#include "job/job.h"

#include <stdint.h>

/* All of these: VIOS_OK for an LPAR without a paging device; may be done again. */

/* From now on this node hosts the device that will be the LPAR's in `generation`, empty; the parts
 * of nodes that are not there, or of this one, go to others if there are any. paging_await() waits
 * for it. VIOS_E_STALE: the job does not hold the LPAR. */
int paging_plan_restart(struct job *job, const char *lpar, int64_t generation);

/* The guest, which runs here, may go on under `generation`, with its pages. */
int paging_plan_continue(struct job *job, const char *lpar, int64_t generation);

/* The same, or `target` has it then, with its pages. */
int paging_plan_move(struct job *job, const char *lpar, const char *target, int64_t generation);

/* What the job had planned is so by now, or it is given up. VIOS_OK for a record that cannot be
 * read: nobody acts upon that. */
int paging_plan_settle(struct job *job, const char *lpar);

/* Whoever had planned what: the LPAR, which this job holds, starts anew. */
int paging_plan_drop(struct job *job, const char *lpar);

#endif
