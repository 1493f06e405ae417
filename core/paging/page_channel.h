/*
 * page_channel.h - within core/paging: a channel to the export that an LPAR's guest pages to, at
 * the socket of this node's io that may use every export.
 */
#ifndef PAGING_PAGE_CHANNEL_H
#define PAGING_PAGE_CHANNEL_H

#include "base/operation.h"
#include "nbd/channel.h"
#include "node/node.h"

#include <stdint.h>

#define PAGE_CHANNEL_BYTES                                                                         \
    ((uint32_t)8 << 20)            /* on their way: what a server takes of a connection */
#define PAGE_CHANNEL_LATE_MS 60000 /* io hangs; the stall of a pager fits in */

struct page_channel {
    struct nbd_channel *calls;
    char export[160]; /* its name, for what is said of it */
};

/* Connects to `paging/<lpar_uuid>/<start>`, whose size must be whole pages (VIOS_E_INVALID), for
 * calls of `call_bytes` each. */
int page_channel_open(struct page_channel *channel, const struct node *node, const char *lpar_uuid,
                      int64_t start, uint32_t call_bytes, struct operation *operation);

/* One that is zero, or closed, is fine. */
void page_channel_close(struct page_channel *channel);

/* The failure of a call whose `error` the server gave: names the page that it begins with. */
int page_channel_failed(const struct page_channel *channel, const struct nbd_call *call,
                        struct operation *operation);

#endif
