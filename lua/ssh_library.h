/* ssh_library.h - loads core/ssh when a host is first to be reached. */
#ifndef LUA_SSH_LIBRARY_H
#define LUA_SSH_LIBRARY_H

#include "base/error.h"
#include "ssh/library.h"

/* Any thread. NULL with `error`: it is not installed, or is another version's. Stays loaded. */
const struct ssh_library *ssh_library(struct vios_error *error);

#endif
