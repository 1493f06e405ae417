/*
 * dispatch.h - from the name of a method to its row, its checked parameters, its run, and its
 * line in the audit. Roles are enforced here and nowhere else.
 */
#ifndef DAEMON_DISPATCH_H
#define DAEMON_DISPATCH_H

#include "daemon/running.h"

/*
 * Whether this caller may call this method now, with these parameters (NULL: none). VIOS_E_USAGE:
 * no such method (with near ones), or bad parameters. VIOS_E_DENIED: the role. VIOS_E_UNREACHABLE:
 * the node has no cluster yet. On VIOS_OK `*parameters` is the caller's.
 */
int dispatch_check(struct node *node, enum role role, const char *name, const json_t *given,
                   const struct method **method, json_t **parameters, struct vios_error *error);

/* Runs the call on this thread, audits it, and answers it. */
void dispatch_run(struct running *running);

#endif
