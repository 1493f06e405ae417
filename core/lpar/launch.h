/*
 * launch.h - starts a QEMU that outlives the daemon: its own session, reparented to init, with
 * the descriptors of qemu.h and no other, in its run folder, as its own user.
 */
#ifndef LPAR_LAUNCH_H
#define LPAR_LAUNCH_H

#include "lpar/qemu.h"
#include "lpar/record.h"
#include "lpar/run_folder.h"
#include "node/node.h"

/* The run folder of the LPAR, made when it is absent, which says that it is of its generation, and
 * for which job its QEMU waits (incoming.h; "": for none). */
int launch_folder(const struct node *node, const struct lpar *lpar, const char *job,
                  struct run_folder *folder, struct vios_error *error);

/*
 * On VIOS_OK the process exists and the sockets qmp.sock and
 * console.sock can be connected to at once (what comes is queued until QEMU is ready); that
 * QEMU accepted its arguments shows only there. VIOS_E_LOCKED: one runs already. VIOS_E_NOT_FOUND:
 * QEMU is not installed.
 */
int launch_qemu(const struct lpar *lpar, const struct run_folder *folder,
                const struct qemu_start *start, struct operation *operation);

#endif
