/* adopt.h - a daemon that starts, and the guests and records it finds. */
#ifndef LPAR_ADOPT_H
#define LPAR_ADOPT_H

#include "node/node.h"

/*
 * Takes up every QEMU that a run folder shows to live and that is still the LPAR's current
 * start on this node; ends any other and removes its folder. What cannot be decided now (the
 * store is away) is left running and reported as a failure.
 */
int lpar_adopt_guests(struct node *node, struct operation *operation);

/* Ends every QEMU of this node's, whatever it runs, and io's work for their disks on shared pools:
 * their incarnation is fenced. VIOS_OK when none is left. */
int lpar_end_guests(struct node *node, struct operation *operation);

/* Each record owned by this node without a guest and without a job is settled; `names`, a new
 * array, gets those among them that are to be started again (autostart). */
int lpar_settle_all(struct node *node, struct store *store, json_t **names,
                    struct operation *operation);

/* Records that `name`, owned by this node, does not run: VIOS_OK; 1 when that is not so, or a job
 * holds it. */
int lpar_settle(struct node *node, struct store *store, const char *name,
                struct operation *operation);

#endif
