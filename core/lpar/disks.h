/*
 * disks.h - the disks of an LPAR that are LUs on shared pools, as a node finds them.
 */
#ifndef LPAR_DISKS_H
#define LPAR_DISKS_H

#include "lpar/record.h"
#include "node/node.h"

/*
 * That each LU is there, is this LPAR's, and has its file on this node; before each start.
 * VIOS_E_NOT_FOUND: the LU is gone. VIOS_E_CONFLICT: it belongs to another LPAR. VIOS_E_INVALID:
 * its file cannot be opened here; the message names LU, pool and node.
 */
int disks_check(struct node *node, struct store *store, const struct lpar *lpar,
                struct operation *operation);

/*
 * That no job is at work on its LUs, such as a copy: VIOS_E_LOCKED. Asked once the LPAR has its
 * owner, since from then on no such job begins (lu_hold()).
 */
int disks_check_free(struct store *store, const struct lpar *lpar, struct operation *operation);

#endif
