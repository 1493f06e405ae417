/* lu_view.h - what people see of LUs: records, and files as this node sees them. */
#ifndef STORAGE_LU_VIEW_H
#define STORAGE_LU_VIEW_H

#include "node/node.h"
#include "storage/lu.h"

#define LU_VIEW_MS 5000 /* to look at one for the result of a job */

/*
 * {name, udid, pool, size_bytes, used_bytes, mapped_to, thick, origin} of each ready LU that is no
 * file of an image, by pool and name; of one pool when `pool` is not NULL. `used_bytes` is null
 * when this node does not see the file.
 */
int lu_view_list(struct node *node, struct store *store, const char *pool, json_t **list,
                 struct operation *operation);

/* One, also of an image, with path, file, dead, created, image, job. `word` as in lu_find(). */
int lu_view_show(struct node *node, struct store *store, const char *word, json_t **view,
                 struct operation *operation);

#endif
