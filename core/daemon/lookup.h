/*
 * lookup.h - one question to the user database, which may be far away, asked on a lane of its own.
 * A connection has at most one, and reads nothing before it is answered.
 */
#ifndef DAEMON_LOOKUP_H
#define DAEMON_LOOKUP_H

#include "daemon/access.h"

struct lane;
struct lookup;
struct outlet;

/* Asks what the rules say of `uid`; `outlet` is woken when that is known. The rules outlive the
 * lane. VIOS_E_NO_SPACE: too many ask already. */
int lookup_start(struct lookup **lookup, struct lane *lane, const struct access_rules *rules,
                 uid_t uid, struct outlet *outlet, struct vios_error *error);

/* False: it is not known yet, and `verdict` is left alone. */
bool lookup_ended(const struct lookup *lookup, struct access_verdict *verdict);

/* Also of one that has not ended: it is dropped when it has. NULL does nothing. */
void lookup_release(struct lookup *lookup);

#endif
