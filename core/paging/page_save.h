/*
 * page_save.h - the pages of an LPAR's paging device, read from the export that this node's io
 * serves, become a stream (page_stream.h).
 */
#ifndef PAGING_PAGE_SAVE_H
#define PAGING_PAGE_SAVE_H

#include "base/operation.h"
#include "node/node.h"

#include <stddef.h>
#include <stdint.h>

struct page_save_target {
    /* Gets the bytes of the stream in order, in pieces of any size up to some MiB. A failure ends
     * the save. */
    int (*sink)(void *context, const void *data, size_t size, struct operation *operation);
    /* Now and then: how much of the device was gone through, and how many pages were found. May be
     * NULL. */
    void (*progress)(void *context, uint64_t done_bytes, uint64_t size_bytes, uint64_t pages);
    void *context;
};

/*
 * Reads the export `paging/<lpar_uuid>/<start>` from end to end (`start`: the generation at which
 * the guest's QEMU started); the guest must not write meanwhile. A page that cannot be read fails
 * it (VIOS_E_IO) and is named; what else fails is the connection to io, and the sink. Blocks, with
 * 8 MiB of memory and a thread; a cancel or the deadline is seen with each MiB, and while io is
 * waited for. `pages`, how many there were, may be NULL.
 *
 * It does not connect anew, as page_loader.h does not. A page that no replica has takes up to twice
 * the stall of its pager (pager.h) to fail.
 */
int page_save(struct node *node, const char *lpar_uuid, int64_t start,
              const struct page_save_target *target, uint64_t *pages, struct operation *operation);

#endif
