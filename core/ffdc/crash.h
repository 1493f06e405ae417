/*
 * crash.h - how a daemon learns that the one before it did not end by itself: the mark
 * STATE_DIR/running {"v","boot_id","pid"}, which is removed at a clean end. The flight recorder of
 * the one that crashed is copied before the new daemon writes into it, to
 * STATE_DIR/recorder.crashed, and lies there until it was captured: that of the first crash, when
 * there are several. So does its back-trace, if it died of a signal that leaves one, and that of an
 * io that crashed (base/backtrace.h).
 */
#ifndef FFDC_CRASH_H
#define FFDC_CRASH_H

#include "ffdc/manifest.h"

#include "node/node.h"

#define CRASH_COMPONENT "daemon" /* of the signal */
#define CRASH_COMPONENT_IO "io"  /* likewise, for an io that crashed */

/* Before the recorder is opened; the state folder is locked. Looks, copies, and puts the mark. A
 * copy that fails is logged, and hinders nobody. */
int crash_look(int state_dir_fd, const char *state_dir, struct vios_error *error);

/* At a clean end. */
void crash_end(int state_dir_fd);

/* The signal for a crash whose recorder waits to be captured; false: there is none. `trigger` lives
 * for ever. */
bool crash_signal(struct node *node, char signature[MANIFEST_SIGNATURE_SIZE], const char **trigger);

/* What was left by the one of that component that crashed is captured, or is not to be: it goes. A
 * core dump stays for who looks for it, under another name. */
void crash_forget(struct node *node, const char *component);

#endif
