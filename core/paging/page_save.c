/*
 * page_save.c - see the header. Pieces of the device are read ahead and delivered in order. One
 * that cannot be read is tried again page by page: to say which page it is, or to go on when it was
 * a replica that was lost at that moment.
 */
#include "paging/page_save.h"

#include "paging/page_channel.h"
#include "paging/page_stream.h"

#define PIECE_BYTES ((uint32_t)1 << 20)

_Static_assert(PIECE_BYTES <= PAGE_STREAM_RUN_MAX, "a piece is one run at most");

struct page_saving {
    struct page_channel channel;
    const struct page_save_target *target;
    struct operation *operation;
    uint64_t size, next, pages; /* of the device; what is to be read; found */
};

static int put(struct page_saving *saving, const void *data, size_t size)
{
    return saving->target->sink(saving->target->context, data, size, saving->operation);
}

static bool has_page(const struct nbd_call *call, uint32_t page)
{
    return !(call->holes[page / 64] >> page % 64 & 1) &&
           !page_is_zero(call->data + (size_t)page * PAGE_BYTES, PAGE_BYTES);
}

static int put_run(struct page_saving *saving, const struct nbd_call *call, uint32_t first,
                   uint32_t end)
{
    struct page_stream_head head;
    uint32_t size = (end - first) * PAGE_BYTES;
    page_stream_make_run(&head, call->offset + (uint64_t)first * PAGE_BYTES, size);
    saving->pages += end - first;
    int status = put(saving, &head, sizeof head);
    return status == VIOS_OK ? put(saving, call->data + (size_t)first * PAGE_BYTES, size) : status;
}

/* What was read, in runs. */
static int deliver(struct page_saving *saving, const struct nbd_call *call)
{
    const struct page_save_target *target = saving->target;
    uint32_t count = call->length / PAGE_BYTES;
    for (uint32_t page = 0, end; page < count; page = end + 1) {
        for (end = page; end < count && has_page(call, end); end++) {
        }
        int status = end > page ? put_run(saving, call, page, end) : VIOS_OK;
        if (status != VIOS_OK) {
            return status;
        }
    }
    if (target->progress) {
        target->progress(target->context, call->offset + call->length, saving->size, saving->pages);
    }
    return VIOS_OK;
}

static void begin(struct page_saving *saving, uint64_t offset, uint32_t length)
{
    struct nbd_call *call = nbd_channel_next(saving->channel.calls);
    call->command = NBD_READ;
    call->offset = offset;
    call->length = length;
    nbd_channel_begin(saving->channel.calls);
}

/* What is on its way is forgotten, and will be read again. */
static int forget_others(struct page_saving *saving)
{
    struct nbd_call *call;
    int status = VIOS_OK;
    while (status == VIOS_OK && nbd_channel_on_their_way(saving->channel.calls) > 0) {
        status = nbd_channel_await(saving->channel.calls, &call, saving->operation);
    }
    return status;
}

static int save_by_page(struct page_saving *saving, uint64_t offset, uint32_t length)
{
    struct nbd_call *call;
    int status = forget_others(saving);
    for (uint64_t at = offset; status == VIOS_OK && at < offset + length; at += PAGE_BYTES) {
        begin(saving, at, PAGE_BYTES);
        status = nbd_channel_await(saving->channel.calls, &call, saving->operation);
        if (status == VIOS_OK && call->error) {
            return page_channel_failed(&saving->channel, call, saving->operation);
        }
        if (status == VIOS_OK) {
            status = deliver(saving, call);
        }
    }
    saving->next = offset + length;
    return status;
}

static int save_pieces(struct page_saving *saving)
{
    struct nbd_call *call;
    int status = VIOS_OK;
    while (status == VIOS_OK) {
        while (saving->next < saving->size && nbd_channel_next(saving->channel.calls)) {
            uint64_t left = saving->size - saving->next;
            uint32_t length = left < PIECE_BYTES ? (uint32_t)left : PIECE_BYTES;
            begin(saving, saving->next, length);
            saving->next += length;
        }
        if (nbd_channel_on_their_way(saving->channel.calls) == 0) {
            return VIOS_OK;
        }
        status = nbd_channel_await(saving->channel.calls, &call, saving->operation);
        if (status == VIOS_OK) {
            status = call->error ? save_by_page(saving, call->offset, call->length)
                                 : deliver(saving, call);
        }
    }
    return status;
}

static int save_all(struct page_saving *saving)
{
    struct page_stream_header header;
    struct page_stream_head end;
    saving->size = nbd_channel_size(saving->channel.calls);
    page_stream_make_header(&header, saving->size);
    int status = put(saving, &header, sizeof header);
    if (status == VIOS_OK) {
        status = save_pieces(saving);
    }
    if (status == VIOS_OK) {
        page_stream_make_end(&end, saving->pages);
        status = put(saving, &end, sizeof end);
    }
    return status;
}

int page_save(struct node *node, const char *lpar_uuid, int64_t start,
              const struct page_save_target *target, uint64_t *pages, struct operation *operation)
{
    struct page_saving saving = {.target = target, .operation = operation};
    int status = page_channel_open(&saving.channel, node, lpar_uuid, start, PIECE_BYTES, operation);
    if (status == VIOS_OK) {
        status = save_all(&saving);
    }
    page_channel_close(&saving.channel);
    if (status == VIOS_OK && pages) {
        *pages = saving.pages;
    }
    return status;
}
