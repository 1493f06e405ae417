/*
 * page_loader.c - see the header. Data is gathered in a call as long as it follows on the last; a
 * page that is alone takes a call of its own, so they are small and many.
 */
#include "paging/page_loader.h"

#include "paging/page_channel.h"
#include "paging/page_stream.h"

#include <stdlib.h>
#include <string.h>

#define CALL_BYTES ((uint32_t)128 << 10)

_Static_assert(PAGE_CHANNEL_BYTES / CALL_BYTES <= NBD_CHANNEL_CALLS_MAX, "so many calls");
_Static_assert(CALL_BYTES % PAGE_BYTES == 0, "a call ends with a page");

struct page_loader {
    struct page_channel channel;
    struct page_stream stream;
    struct nbd_call *filling; /* the next to be begun; NULL: none has data */
    bool has_failed;
};

int page_loader_open(struct page_loader **out, struct node *node, const char *lpar_uuid,
                     int64_t start, struct operation *operation)
{
    struct page_loader *loader = calloc(1, sizeof *loader);
    if (!loader) {
        return operation_no_memory(operation, lpar_uuid);
    }
    int status = page_channel_open(&loader->channel, node, lpar_uuid, start, CALL_BYTES, operation);
    if (status != VIOS_OK) {
        page_loader_abandon(loader);
        return status;
    }
    page_stream_begin(&loader->stream, nbd_channel_size(loader->channel.calls));
    *out = loader;
    return VIOS_OK;
}

void page_loader_abandon(struct page_loader *loader)
{
    if (loader) {
        page_channel_close(&loader->channel);
        free(loader);
    }
}

/* --- calls --- */

static int await_one(struct page_loader *loader, struct operation *operation)
{
    struct nbd_call *call;
    int status = nbd_channel_await(loader->channel.calls, &call, operation);
    if (status == VIOS_OK && call->error) {
        status = page_channel_failed(&loader->channel, call, operation);
    }
    return status;
}

static int await_all(struct page_loader *loader, struct operation *operation)
{
    int status = VIOS_OK;
    while (status == VIOS_OK && nbd_channel_on_their_way(loader->channel.calls) > 0) {
        status = await_one(loader, operation);
    }
    return status;
}

static void send_filling(struct page_loader *loader)
{
    if (loader->filling) {
        nbd_channel_begin(loader->channel.calls);
        loader->filling = NULL;
    }
}

/* A call that takes bytes of the device from `offset` on. */
static int make_room(struct page_loader *loader, uint64_t offset, struct operation *operation)
{
    struct nbd_call *filling = loader->filling;
    int status = VIOS_OK;
    if (filling && filling->offset + filling->length == offset && filling->length < CALL_BYTES) {
        return VIOS_OK;
    }
    send_filling(loader);
    while (status == VIOS_OK && !(filling = nbd_channel_next(loader->channel.calls))) {
        status = await_one(loader, operation);
    }
    if (status == VIOS_OK) {
        filling->command = NBD_WRITE;
        filling->offset = offset;
        filling->length = 0;
        loader->filling = filling;
    }
    return status;
}

static int load_piece(struct page_loader *loader, struct page_piece piece,
                      struct operation *operation)
{
    while (piece.size > 0) {
        int status = make_room(loader, piece.offset, operation);
        if (status != VIOS_OK) {
            return status;
        }
        struct nbd_call *filling = loader->filling;
        size_t room = CALL_BYTES - filling->length, part = piece.size < room ? piece.size : room;
        memcpy(filling->data + filling->length, piece.data, part);
        filling->length += (uint32_t)part;
        piece.offset += part;
        piece.data += part;
        piece.size -= part;
    }
    return VIOS_OK;
}

int page_loader_write(struct page_loader *loader, const void *data, size_t size,
                      struct operation *operation)
{
    const uint8_t *at = data;
    struct page_piece piece;
    int status = loader->has_failed
                     ? operation_fail(operation, VIOS_E_INVALID, loader->channel.export, NULL,
                                      "pages of its stream are missing")
                     : operation_check(operation);
    while (status == VIOS_OK && (status = page_stream_read(&loader->stream, &at, &size, &piece,
                                                           &operation->error)) > 0) {
        status = load_piece(loader, piece, operation);
    }
    loader->has_failed |= status != VIOS_OK;
    return status;
}

/* --- the end --- */

static int flush(struct page_loader *loader, struct operation *operation)
{
    struct nbd_call *call = nbd_channel_next(loader->channel.calls);
    call->command = NBD_FLUSH;
    call->offset = 0;
    call->length = 0;
    nbd_channel_begin(loader->channel.calls);
    return await_all(loader, operation);
}

int page_loader_finish(struct page_loader *loader, uint64_t *pages, struct operation *operation)
{
    int status = page_loader_write(loader, NULL, 0, operation); /* whether it failed before */
    if (status == VIOS_OK) {
        status = page_stream_check_end(&loader->stream, &operation->error);
    }
    if (status == VIOS_OK) {
        send_filling(loader);
        status = await_all(loader, operation);
    }
    if (status == VIOS_OK) {
        status = flush(loader, operation);
    }
    if (status == VIOS_OK && pages) {
        *pages = loader->stream.pages;
    }
    page_loader_abandon(loader);
    return status;
}
