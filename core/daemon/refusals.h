/*
 * refusals.h - the audit of those who did not get in: connections without a certificate of a
 * member, join tokens that are none, packets that do not open.
 *
 * Who knocks all day must not fill the VIOS DB, nor push what matters out of the audit. So a record
 * is written for the first REFUSALS_AT_ONCE of them, then for one each REFUSALS_PERIOD_MS; the
 * record says how many were not told since the one before. Of these records AUDIT_REFUSALS_KEPT
 * stay in the cluster (audit.h).
 */
#ifndef DAEMON_REFUSALS_H
#define DAEMON_REFUSALS_H

#include "base/error.h"

#include <jansson.h>

#define REFUSALS_AT_ONCE 10
#define REFUSALS_PERIOD_MS 30000
#define REFUSALS_WAITING_MAX 16 /* to be written */

struct node;
struct refusals;

/* Starts the thread that writes. */
int refusals_new(struct refusals **refusals, struct node *node, struct vios_error *error);

/* Ends it; what waits is not written. NULL is fine. */
void refusals_free(struct refusals *refusals);

/* From any thread; never blocks. The texts are copied, cut where they are long. */
void refusals_note(struct refusals *refusals, const char *port, const char *who, const char *why);

#endif
