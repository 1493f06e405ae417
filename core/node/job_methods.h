/* job_methods.h - the methods of the nouns job and db, for the daemon's table. */
#ifndef NODE_JOB_METHODS_H
#define NODE_JOB_METHODS_H

#include "node/method.h"

extern const struct method_group job_methods; /* job.list, show, wait, cancel */
extern const struct method_group db_methods;  /* db.status, check, backup, get */

#endif
