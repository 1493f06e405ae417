/* paging_device.h - a paging device that joins or leaves a running guest. */
#ifndef LPAR_PAGING_DEVICE_H
#define LPAR_PAGING_DEVICE_H

#include "node/node.h"

/* Both do nothing for a guest that does not run here, or that has, or has not, the device. A guest
 * must itself let a device go: VIOS_E_TIMEOUT when it does not. */
int lpar_attach_paging(struct node *node, const char *name, struct operation *operation);
int lpar_detach_paging(struct node *node, const char *name, struct operation *operation);

/* 1: a QEMU runs here with the device; 0: none does; negative: nobody can say at present. */
int lpar_uses_paging(struct node *node, const char *name, struct operation *operation);

#endif
