/*
 * lu_guest.h - what LUs ask of the guests that use them: core/lpar puts its answers into
 * node->lu_guests when it starts.
 */
#ifndef STORAGE_LU_GUEST_H
#define STORAGE_LU_GUEST_H

#include "node/node.h"

struct lu_guest_operations {
    /*
     * The file of the LU `udid`, a disk of `lpar`, has become larger: tells the guest if it runs on
     * this node. `*told` says whether it does and knows. May be repeated. VIOS_E_TIMEOUT: it runs
     * here and could not be told; it sees the size when it starts anew. VIOS_E_LOCKED: it is just
     * being started.
     */
    int (*resized)(struct node *node, const char *lpar, const char *udid, uint64_t size_bytes,
                   bool *told, struct operation *operation);
};

#endif
