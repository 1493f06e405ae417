/*
 * page_loader.h - a stream of pages (page_stream.h) becomes the content of an LPAR's paging device:
 * it is written into the export that this node's io serves, before the guest runs.
 *
 * The device is as it was made, all zero: what is in no run of the stream is not written. After a
 * failure it holds some of the pages, and is to be made anew.
 *
 * It does not connect anew: where no QEMU uses the device yet, an io without the state of the pager
 * is given an empty one, and pages that were acknowledged would be missing. So a connection that
 * ends fails it.
 */
#ifndef PAGING_PAGE_LOADER_H
#define PAGING_PAGE_LOADER_H

#include "base/operation.h"
#include "node/node.h"

#include <stddef.h>
#include <stdint.h>

struct page_loader;

/* Connects to `paging/<lpar_uuid>/<start>` (`start`: the generation at which the guest's QEMU will
 * start); paging_await() sees to it that it is there. Blocks, as all of these do. */
int page_loader_open(struct page_loader **loader, struct node *node, const char *lpar_uuid,
                     int64_t start, struct operation *operation);

/*
 * Takes the next bytes of the stream, in any pieces. They are checked, copied and on their way when
 * this returns; 8 MiB of them at most. VIOS_E_CORRUPT, VIOS_E_INVALID: see page_stream_read().
 * VIOS_E_IO and VIOS_E_NO_SPACE name a page that cannot be written, perhaps one of an earlier call.
 * After a failure the loader can only be abandoned: bytes are missing. A cancel or the deadline is
 * seen with each call, and while io is waited for.
 */
int page_loader_write(struct page_loader *loader, const void *data, size_t size,
                      struct operation *operation);

/* The stream is over: VIOS_OK when it was whole, and every page is written, acknowledged and
 * flushed. Frees the loader, also when it fails. `pages`, how many there were, may be NULL. */
int page_loader_finish(struct page_loader *loader, uint64_t *pages, struct operation *operation);

/* What was on its way may or may not be written. NULL is fine. */
void page_loader_abandon(struct page_loader *loader);

#endif
