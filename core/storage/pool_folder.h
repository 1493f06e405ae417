/*
 * pool_folder.h - the folder of a pool on disk: making and removing it, and what this node can do
 * with it. A mount point is made into a pool, and left, with its lost+found.
 */
#ifndef STORAGE_POOL_FOLDER_H
#define STORAGE_POOL_FOLDER_H

#include "storage/lu_file.h"
#include "storage/pool.h"

/*
 * Makes what is missing of it. VIOS_E_INVALID: the folder has the marker of another pool.
 * VIOS_E_EXISTS: it holds other files. May be repeated.
 */
int pool_folder_make(const struct node *node, const struct pool *pool, struct vios_error *error);

/*
 * Removes what pool_folder_make() makes, when the marker is this pool's; with `whole` the folder
 * too, unless it is a mount point or holds more. VIOS_E_CONFLICT, and nothing is removed: files
 * of LUs or images are left in it. May be repeated.
 */
int pool_folder_remove(const struct node *node, const struct pool *pool, bool whole,
                       struct vios_error *error);

/* That pool_folder_remove() would not be refused. */
int pool_folder_check_empty(const struct node *node, const struct pool *pool,
                            struct vios_error *error);

/* Whether it is there (an empty folder is): before pool_folder_make(). */
bool pool_folder_exists(const struct node *node, const char *pool);

/* What this node can do with it, found by trying. */
struct pool_probe {
    bool mounted, writable;
    enum lu_fence fence;     /* when it is writable */
    struct pool_space space; /* when it is mounted */
    char why[200];           /* why it is not mounted or not writable; "" */
};
void pool_folder_probe(const struct node *node, const struct pool *pool, struct pool_probe *probe);

#endif
