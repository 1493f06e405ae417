/* resize.h - telling a running guest that one of its disks has become larger. */
#ifndef LPAR_RESIZE_H
#define LPAR_RESIZE_H

#include "storage/lu_guest.h"

/* For node->lu_guests. */
extern const struct lu_guest_operations lpar_lu_operations;

#endif
