/*
 * hibernate.h - the job lpar.hibernate: a running guest becomes a file in the repository (MISSION
 * §6; DESIGN "LPARs and hibernation").
 *
 * claim (held by this job, and everything is there that it takes) -> save (the guest stands still,
 * its state is in the file, durably, and so are the pages of its paging device) -> commit (its I/O
 * is drained; nobody owns it, and the record of the file is there: the commit point) -> end (its
 * QEMU is killed) -> finish. A failure before the commit point lets the guest go on.
 */
#ifndef LPAR_HIBERNATE_H
#define LPAR_HIBERNATE_H

#include "job/job.h"

extern const struct job_kind lpar_hibernate_job; /* data {"name", "encrypt"} */

#endif
