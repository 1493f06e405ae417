/* job_methods.h - the methods of the nouns job, db, primary and config, for the daemon's table. */
#ifndef NODE_JOB_METHODS_H
#define NODE_JOB_METHODS_H

#include "node/method.h"

extern const struct method_group job_methods;     /* job.list, show, wait, cancel */
extern const struct method_group db_methods;      /* db.status, check, backup, get */
extern const struct method_group primary_methods; /* and cluster.matrix, cluster.simulate */
extern const struct method_group config_methods;
extern const struct method_group settings_methods; /* cluster.set */

#endif
