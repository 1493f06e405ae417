/* parts.h - what the daemon is made of; one line for each part in parts.c. */
#ifndef DAEMON_PARTS_H
#define DAEMON_PARTS_H

#include "node/part.h"

extern const struct method_group daemon_methods; /* core/daemon/methods.c */

/* In the order they start. */
const struct part *const *parts_all(size_t *count);

/* All methods there are, NULL-terminated. */
const struct method_group *const *parts_methods(void);

/* All kinds of jobs there are. */
const struct job_kind *const *parts_job_kinds(size_t *count);

#endif
