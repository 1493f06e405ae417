/* page_channel.c - see the header. */
#include "paging/page_channel.h"

#include "paging/page.h"
#include "paging/paging.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

static int check_size(struct page_channel *channel, struct operation *operation)
{
    uint64_t size = nbd_channel_size(channel->calls);
    if (size % PAGE_BYTES == 0) {
        return VIOS_OK;
    }
    page_channel_close(channel);
    return operation_fail(operation, VIOS_E_INVALID, channel->export, NULL,
                          "its %" PRIu64 " bytes do not end with a page", size);
}

int page_channel_open(struct page_channel *channel, const struct node *node, const char *lpar_uuid,
                      int64_t start, uint32_t call_bytes, struct operation *operation)
{
    char address[PATH_MAX + 16];
    *channel = (struct page_channel){0};
    snprintf(address, sizeof address, "unix:%s/nbd.sock", node->run_dir);
    paging_export_name(lpar_uuid, start, channel->export, sizeof channel->export);
    const struct nbd_channel_settings settings = {
        .address = address,
        .export = channel->export,
        .calls = PAGE_CHANNEL_BYTES / call_bytes,
        .call_bytes = call_bytes,
        .late_ms = PAGE_CHANNEL_LATE_MS,
    };
    int status = nbd_channel_open(&channel->calls, &settings, operation);
    return status == VIOS_OK ? check_size(channel, operation) : status;
}

void page_channel_close(struct page_channel *channel)
{
    nbd_channel_close(channel->calls);
    channel->calls = NULL;
}

int page_channel_failed(const struct page_channel *channel, const struct nbd_call *call,
                        struct operation *operation)
{
    static const char HINT[] = "see `paging show` for the nodes that hold its pages";
    const char *reason = strerror(call->error);
    int code = call->error == ENOSPC  ? VIOS_E_NO_SPACE
               : call->error == EPERM ? VIOS_E_DENIED
                                      : VIOS_E_IO;
    if (call->command == NBD_FLUSH) {
        return operation_fail(operation, code, channel->export, HINT,
                              "its pages cannot be flushed: %s", reason);
    }
    return operation_fail(operation, code, channel->export, HINT,
                          "the page at %" PRIu64 " cannot be %s: %s", call->offset,
                          call->command == NBD_READ ? "read" : "written", reason);
}
