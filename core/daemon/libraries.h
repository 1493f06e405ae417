/* libraries.h - what the daemon is linked with. */
#ifndef DAEMON_LIBRARIES_H
#define DAEMON_LIBRARIES_H

#include "base/version.h"

/* Those that were loaded, which need not be those that were there when it was built. */
const struct version_library *daemon_libraries(void);

#endif
