/* page_stream.c - see the header. */
#include "paging/page_stream.h"

#include <endian.h>
#include <inttypes.h>
#include <string.h>

#define OBJECT "stream of pages"

void page_stream_make_header(struct page_stream_header *header, uint64_t size_bytes)
{
    *header = (struct page_stream_header){
        .version = htole32(PAGE_STREAM_VERSION),
        .page_size = htole32(PAGE_BYTES),
        .size_bytes = htole64(size_bytes),
    };
    memcpy(header->magic, PAGE_STREAM_MAGIC, sizeof header->magic);
}

static void make_head(struct page_stream_head *head, enum page_stream_kind kind, uint32_t size,
                      uint64_t value)
{
    head->kind = htole32(kind);
    head->size_bytes = htole32(size);
    head->value = htole64(value);
}

void page_stream_make_run(struct page_stream_head *head, uint64_t offset, uint32_t size_bytes)
{
    make_head(head, PAGE_STREAM_RUN, size_bytes, offset);
}

void page_stream_make_end(struct page_stream_head *head, uint64_t pages)
{
    make_head(head, PAGE_STREAM_END, 0, pages);
}

/* --- reading --- */

void page_stream_begin(struct page_stream *stream, uint64_t size_bytes)
{
    *stream = (struct page_stream){.size_bytes = size_bytes};
}

#define senseless(error, ...) error_set(error, VIOS_E_CORRUPT, OBJECT, NULL, __VA_ARGS__)

static int take_header(struct page_stream *stream, struct vios_error *error)
{
    struct page_stream_header header;
    memcpy(&header, stream->head, sizeof header);
    uint64_t size = le64toh(header.size_bytes);
    if (memcmp(header.magic, PAGE_STREAM_MAGIC, sizeof header.magic) != 0) {
        return senseless(error, "it does not begin as one");
    }
    if (le32toh(header.version) != PAGE_STREAM_VERSION) {
        return senseless(error, "its version is %" PRIu32 ", this software knows %d",
                         le32toh(header.version), PAGE_STREAM_VERSION);
    }
    if (le32toh(header.page_size) != PAGE_BYTES) {
        return senseless(error, "its pages have %" PRIu32 " bytes, not %u",
                         le32toh(header.page_size), PAGE_BYTES);
    }
    if (size % PAGE_BYTES) {
        return senseless(error, "its device of %" PRIu64 " bytes does not end with a page", size);
    }
    if (size != stream->size_bytes) {
        return error_set(error, VIOS_E_INVALID, OBJECT, "make the paging device of that size",
                         "it is of a device of %" PRIu64 " bytes, this one has %" PRIu64, size,
                         stream->size_bytes);
    }
    stream->has_begun = true;
    return VIOS_OK;
}

static int take_run(struct page_stream *stream, uint64_t offset, uint32_t size,
                    struct vios_error *error)
{
    if (size == 0 || size % PAGE_BYTES || size > PAGE_STREAM_RUN_MAX) {
        return senseless(error, "a run at %" PRIu64 " has %" PRIu32 " bytes", offset, size);
    }
    if (offset % PAGE_BYTES) {
        return senseless(error, "a run at %" PRIu64 " does not begin with a page", offset);
    }
    if (offset < stream->offset) {
        return senseless(error, "a run at %" PRIu64 " follows one that ends at %" PRIu64, offset,
                         stream->offset);
    }
    if (offset > stream->size_bytes || size > stream->size_bytes - offset) {
        return senseless(
            error, "a run of %" PRIu32 " bytes at %" PRIu64 " is beyond the device's %" PRIu64,
            size, offset, stream->size_bytes);
    }
    stream->offset = offset;
    stream->left = size;
    stream->pages += size / PAGE_BYTES;
    return VIOS_OK;
}

static int take_head(struct page_stream *stream, struct vios_error *error)
{
    struct page_stream_head head;
    memcpy(&head, stream->head, sizeof head);
    uint32_t kind = le32toh(head.kind), size = le32toh(head.size_bytes);
    uint64_t value = le64toh(head.value);
    if (kind == PAGE_STREAM_RUN) {
        return take_run(stream, value, size, error);
    }
    if (kind != PAGE_STREAM_END || size != 0) {
        return senseless(error, "a head behind %" PRIu64 " pages is neither a run nor the end",
                         stream->pages);
    }
    if (value != stream->pages) {
        return senseless(error, "it says that it has %" PRIu64 " pages, and has %" PRIu64, value,
                         stream->pages);
    }
    stream->has_ended = true;
    return VIOS_OK;
}

/* Gathers the header or a head, and takes it once it is whole. */
static int gather(struct page_stream *stream, const uint8_t **data, size_t *size,
                  struct vios_error *error)
{
    size_t whole =
        stream->has_begun ? sizeof(struct page_stream_head) : sizeof(struct page_stream_header);
    size_t room = whole - stream->head_size, part = *size < room ? *size : room;
    memcpy(stream->head + stream->head_size, *data, part);
    stream->head_size += part;
    *data += part;
    *size -= part;
    if (stream->head_size < whole) {
        return VIOS_OK;
    }
    stream->head_size = 0;
    return stream->has_begun ? take_head(stream, error) : take_header(stream, error);
}

int page_stream_read(struct page_stream *stream, const uint8_t **data, size_t *size,
                     struct page_piece *piece, struct vios_error *error)
{
    while (*size > 0) {
        if (stream->has_ended) {
            return senseless(error, "more follows its end");
        }
        if (stream->left > 0) {
            size_t part = *size < stream->left ? *size : stream->left;
            *piece = (struct page_piece){stream->offset, *data, part};
            stream->offset += part;
            stream->left -= (uint32_t)part;
            *data += part;
            *size -= part;
            return 1;
        }
        int status = gather(stream, data, size, error);
        if (status != VIOS_OK) {
            return status;
        }
    }
    return 0;
}

int page_stream_check_end(const struct page_stream *stream, struct vios_error *error)
{
    if (stream->has_ended) {
        return VIOS_OK;
    }
    if (!stream->has_begun) {
        return senseless(error, "it was cut short in its header");
    }
    if (stream->left > 0) {
        return senseless(error, "it was cut short in the page at %" PRIu64,
                         stream->offset - stream->offset % PAGE_BYTES);
    }
    return senseless(error, "it was cut short behind %" PRIu64 " pages", stream->pages);
}
