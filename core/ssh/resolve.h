/* resolve.h - whether the address book knows a host. */
#ifndef SSH_RESOLVE_H
#define SSH_RESOLVE_H

#include "base/operation.h"

/* `name` is in errors. getaddrinfo(3) of `target` on a thread of its own, which is left behind when
 * the operation ends first. VIOS_E_NOT_FOUND: there is no such host; VIOS_E_UNREACHABLE: it cannot
 * be looked up now. */
int resolve_check(const char *target, const char *name, struct operation *operation);

#endif
