/*
 * freeze.h - a process that stops itself in the middle of a write, for tests of the gate.
 *
 * In a build with VIOS_TEST_HOOKS the environment variable VIOS_FREEZE_AT=PLACE:OFFSET, read once,
 * stops io (SIGSTOP) the first time that a gated write which begins at this byte of its export
 * comes to the place: "entered" (the gate was found open, nothing is written), "written" (it is,
 * and is still counted in flight) or "answering" (it is not any more; the gate is looked at next).
 */
#ifndef STORAGE_FREEZE_H
#define STORAGE_FREEZE_H

#include "nbd/backend.h"

#ifdef VIOS_TEST_HOOKS
/* Any thread. `request` NULL: it is no gated write. */
void freeze_point(const char *place, const struct nbd_request *request);
#else
static inline void freeze_point(const char *place, const struct nbd_request *request)
{
    (void)place, (void)request;
}
#endif

#endif
