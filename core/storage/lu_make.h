/*
 * lu_make.h - making the file of a new LU: under a temporary name that only this node's
 * incarnation uses, synced, and then linked to its own name, UDID.0.
 *
 * A link, other than a rename, never replaces a file: a daemon that was frozen in the middle, and
 * whose job another node has finished, finds the name taken when it wakes, and what it still
 * writes hits a file that nobody reads. A name that is there is therefore whole, and the work of
 * an earlier run.
 */
#ifndef STORAGE_LU_MAKE_H
#define STORAGE_LU_MAKE_H

#include "node/node.h"
#include "storage/lu.h"

struct lu_making {
    int fd; /* of the new file, for reading and writing; -1: it is there already */
    int folder_fd;
    char folder[PATH_MAX];
    char temporary[LU_FILE_SIZE + 2 * NAME_MAX_LENGTH];
    const struct lu *lu; /* the caller's */
};

/* Opens an empty file. lu_make_end() it, also after VIOS_E_EXISTS: it was made by an earlier run,
 * nothing is left to do. */
int lu_make_begin(struct lu_making *making, const struct node *node, const struct lu *lu,
                  struct vios_error *error);

/* Gives it its size and, when the LU is thick, its space. VIOS_E_NO_SPACE names the pool, what is
 * needed and what is free. */
int lu_make_size(const struct lu_making *making, struct vios_error *error);

/* Makes it durable under its name. */
int lu_make_publish(const struct lu_making *making, struct vios_error *error);

/* Closes it; what was not published is gone. */
void lu_make_end(struct lu_making *making);

/* All of it: the file of a new, empty LU. Once made, again is fine. */
int lu_make(const struct node *node, const struct lu *lu, struct vios_error *error);

/* Gives a file its size (it only grows) and, with `thick`, its space, and syncs it. Errors as
 * lu_make_size(). What a failure took of the space is given back. */
int lu_make_larger(int fd, const struct lu *lu, uint64_t size_bytes, struct vios_error *error);

#endif
