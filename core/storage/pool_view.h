/* pool_view.h - what people see of pools: records, space, and what each node can do with them. */
#ifndef STORAGE_POOL_VIEW_H
#define STORAGE_POOL_VIEW_H

#include "node/method.h"
#include "storage/pool_folder.h"

#define POOL_VIEW_MS 5000  /* to look at a pool for the result of a job */
#define POOL_PROBE_MS 5000 /* for another node to say what it can do with a pool */

/*
 * {name, state, size_bytes, free_bytes, promised_bytes, lus, images, fence, overcommit, why}, as
 * this node sees it: OK, or DOWN when it is not mounted here; what cannot be seen then is null.
 * `lus` are those of images not counted. All pools, sorted by name; or one.
 */
int pool_view_list(struct node *node, struct store *store, json_t **list,
                   struct operation *operation);
int pool_view_one(struct node *node, struct store *store, const char *name, json_t **view,
                  struct operation *operation);

/* pool_view_one() with uuid, path, promised_percent, and nodes: what each member that is up says
 * to daemon.pool_probe. The fence is the worst of them, and the state DEGRADED when one lacks it.
 */
int pool_view_show(struct call *call, struct store *store, const char *name, json_t **view,
                   struct operation *operation);

/* The answer of daemon.pool_probe. */
json_t *pool_view_probe(const struct pool_probe *probe);

#endif
