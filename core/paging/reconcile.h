/*
 * reconcile.h - within core/paging: the reconciler's thread, and waiting for what it does.
 * See paging.h for what it is for.
 */
#ifndef PAGING_RECONCILE_H
#define PAGING_RECONCILE_H

#include "node/node.h"
#include "paging/paging.h"
#include "paging/view.h"

#include <jansson.h>
#include <stdbool.h>

int paging_reconcile_start(struct node *node, struct vios_error *error);
void paging_reconcile_stop(struct node *node, bool stop_guests);

/* io is a new process: everything said before is forgotten. */
void paging_reconcile_restored(struct node *node);

/* Runs a round soon. */
void paging_reconcile_poke(struct node *node);

enum paging_await { PAGING_SERVED, PAGING_WHOLE, PAGING_GONE };

/*
 * Waits until this node's io serves the device (any state but DOWN), or serves it with every
 * replica current, or has dropped it. The error at the deadline says which replica is
 * missing, and why.
 */
int paging_reconcile_await(struct node *node, const char *lpar, const char *uuid,
                           int64_t generation, enum paging_await what, struct operation *operation);

/* io's export object of the device as of the last round; a new reference, or NULL. */
json_t *paging_reconcile_export(struct node *node, const char *uuid, int64_t generation);

/* What lpar has set; NULL until then. */
const struct paging_guest_operations *paging_guest(struct node *node);

#endif
