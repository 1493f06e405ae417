/*
 * hand_over.h - the pager of an LPAR's paging device on its way to another node with its guest,
 * which runs (lpar/migrate.h). The pages stay where they are: what goes along is the pager's state
 * (pager_state.h), after the guest stands still. Under which plan: plan.h.
 */
#ifndef PAGING_HAND_OVER_H
#define PAGING_HAND_OVER_H

#include "node/node.h"

#include <stdint.h>

/* VIOS_E_CONFLICT for a device whose pages are in a file of this node. One without a device is
 * fine. */
int paging_hand_over_check(struct node *node, const char *lpar, struct operation *operation);

/* At the source: a descriptor of the state of the pager that a QEMU uses which started at `start`,
 * as long as it is a file; the caller's. It does not change while the guest stands still. */
int paging_hand_over(struct node *node, const char *lpar_uuid, int64_t start, int *descriptor,
                     struct operation *operation);

/* At the target, for a QEMU that is to start at `generation`: a pager that it can connect to, but
 * not use; then, in its place, one with the source's state, a sealed memfd that stays the caller's.
 * It finds its pages when the LPAR has become this node's. */
int paging_expect(struct node *node, const char *lpar, int64_t generation,
                  struct operation *operation);
int paging_take_over(struct node *node, const char *lpar, int64_t generation, int state,
                     struct operation *operation);

#endif
