/*
 * audit.h - who changed what: one record below /audit/ for each call of a METHOD_CHANGES method
 * that ran, with its outcome. The newest AUDIT_KEPT are kept.
 */
#ifndef DAEMON_AUDIT_H
#define DAEMON_AUDIT_H

#include "node/method.h"

#define AUDIT_KEPT 2000
#define AUDIT_PARAMETERS_MAX 8192 /* bytes of JSON; longer ones are left out, and say so */

/* Never fails the call: what cannot be recorded is said in the log. */
void audit_write(const struct call *call, const struct method *method, const json_t *parameters,
                 int status);

#endif
