/*
 * audit.h - who changed what: one record below /audit/ for each call of a METHOD_CHANGES method
 * that ran, with its outcome, and what it changed (change.h). The newest AUDIT_KEPT are kept.
 */
#ifndef DAEMON_AUDIT_H
#define DAEMON_AUDIT_H

#include "node/method.h"

#define AUDIT_KEPT 2000
#define AUDIT_REFUSALS_KEPT 200   /* of these, those about somebody who did not get in */
#define AUDIT_PARAMETERS_MAX 8192 /* bytes of JSON; longer ones are left out, and say so */

/* Never fails the call: what cannot be recorded is said in the log. `before` is of change_look(),
 * before the call. */
void audit_write(const struct call *call, const struct method *method, const json_t *parameters,
                 int status, const json_t *before);

/* Somebody did not get in at this port ("RPC"), and `untold` others before that. For refusals.c,
 * which says how often. */
void audit_refusal(struct node *node, const char *port, const char *who, const char *why,
                   int64_t untold, int64_t wall_ms);

#endif
