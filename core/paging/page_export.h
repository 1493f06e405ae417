/*
 * page_export.h - within core/paging: one region of page memory, served over NBD to one owner.
 *
 * A region has one valid export at a time; each request compares, so that a connection which was
 * chosen under a lower generation or number is refused from its next request on. The memory is
 * plain memory: a request is done when submit returns, so there is nothing to drain.
 */
#ifndef PAGING_PAGE_EXPORT_H
#define PAGING_PAGE_EXPORT_H

#include "nbd/backend.h"
#include "paging/arena.h"

#include <pthread.h>

struct page_region {            /* of one entry of the arena; must outlive its exports */
    pthread_mutex_t lock;       /* of the entry's slots, and of `current` */
    struct nbd_export *current; /* NULL: the entry is free, or io ends */
};

/* An export of the entry under this owner's name, not yet the region's valid one; NULL when memory
 * is short. Its `close` operation frees it. */
struct nbd_export *page_export_new(struct arena *arena, size_t entry,
                                   const struct arena_owner *owner, struct page_region *region,
                                   struct worker *home);

#endif
