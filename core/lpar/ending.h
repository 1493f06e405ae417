/* ending.h - the end of a guest's QEMU by a job, which records it: no supervisor does. */
#ifndef LPAR_ENDING_H
#define LPAR_ENDING_H

#include "job/job.h"
#include "lpar/record.h"
#include "node/node.h"

#define ENDING_TIMEOUT_MS 60000 /* until a QEMU that was killed is gone */

/* Kills the QEMU of the LPAR on this node, one that no supervisor watches too; VIOS_OK: it is gone,
 * or there is none. Of one that was not watched io's exports and the run folder stay. */
int ending_kill(struct node *node, const struct lpar *lpar, struct operation *operation);

/* The same, and nothing of it is left on this node. */
int ending_clear(struct node *node, const struct lpar *lpar, struct operation *operation);

/* The same for a job. With `quit` it is asked first. Not cancelled.
 */
int ending_end(struct job *job, const struct lpar *lpar, bool quit);

#endif
