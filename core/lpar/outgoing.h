/*
 * outgoing.h - the source's side of a live migration: a guest that runs here is sent to another
 * node's daemon, whose side is incoming.h, as a handoff (handoff.h) inside the daemons' TLS.
 */
#ifndef LPAR_OUTGOING_H
#define LPAR_OUTGOING_H

#include "job/job.h"
#include "lpar/guest.h"

/*
 * VIOS_OK: the target's QEMU has loaded all of it, and the guest stands still here, its exports
 * drained; `*incarnation` is the target's. Otherwise it goes on here, or stands still when QEMU had
 * given all of its state. Shows the job's progress, and ends with its cancel.
 */
int outgoing_send(struct job *job, const struct lpar *lpar, struct guest *guest, const char *target,
                  int64_t *incarnation);

#endif
