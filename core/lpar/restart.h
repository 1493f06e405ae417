/*
 * restart.h - the job lpar.restart: a hibernated LPAR goes on, on the node that runs the job, where
 * it was (MISSION §6; DESIGN "LPARs and hibernation").
 *
 * claim (held by this job; the file is the right one, this node has room and the disks) -> prepare
 * (an empty paging device, run folder, exports) -> launch (a QEMU that waits for its state) -> load
 * (its I/O is held from now on; every block verified, then given to its device or to it) -> commit
 * (this node owns it, the next generation: the commit point)
 * -> run (its I/O is served, it goes on) -> finish (the file is removed).
 * A failure before the commit point leaves the LPAR hibernated.
 */
#ifndef LPAR_RESTART_H
#define LPAR_RESTART_H

#include "job/job.h"

extern const struct job_kind lpar_restart_job; /* data {"name"} */

#endif
