/*
 * reply.c - replies: built as gathered parts when a request is done, sent with their batch.
 *
 * A structured READ alternates data and hole chunks. Runs beyond REPLY_CHUNKS_MAX go out as one
 * data chunk with the holes filled in, so a reply's size is bounded whatever the holes are.
 */
#include "nbd/connection.h"

#include <arpa/inet.h>
#include <assert.h>
#include <endian.h>
#include <errno.h>
#include <string.h>

#define SEND_PARTS_MAX 256 /* in one write */

uint16_t reply_export_flags(const struct nbd_connection *connection,
                            const struct nbd_export *export)
{
    unsigned flags = NBD_TRANSMISSION_HAS_FLAGS | NBD_TRANSMISSION_FLUSH | NBD_TRANSMISSION_FUA;
    flags |= export->read_only ? NBD_TRANSMISSION_READ_ONLY
                               : NBD_TRANSMISSION_TRIM | NBD_TRANSMISSION_WRITE_ZEROES;
    flags |= connection->structured ? NBD_TRANSMISSION_DF : 0;
    flags |= export->multi_connection ? NBD_TRANSMISSION_MULTI_CONN : 0;
    return (uint16_t)flags;
}

static uint32_t wire_error(int error)
{
    switch (error) {
    case EPERM:
    case EROFS:
        return NBD_EPERM;
    case ENOMEM:
        return NBD_ENOMEM;
    case EINVAL:
        return NBD_EINVAL;
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
        return NBD_ENOSPC;
    case EOVERFLOW:
        return NBD_EOVERFLOW;
    case ENOTSUP:
        return NBD_ENOTSUP;
    case ESHUTDOWN:
        return NBD_ESHUTDOWN;
    default:
        return NBD_EIO;
    }
}

/* --- the parts of a reply --- */

static void add_part(struct slot *slot, void *data, size_t size)
{
    assert(slot->part_count < (int)(sizeof slot->parts / sizeof slot->parts[0]));
    slot->parts[slot->part_count++] = (struct iovec){data, size};
    slot->reply_size += size;
}

static void simple(struct slot *slot, int error)
{
    struct nbd_wire_simple_reply reply = {
        .magic = htonl(NBD_SIMPLE_REPLY_MAGIC),
        .error = error ? htonl(wire_error(error)) : 0,
        .cookie = slot->cookie,
    };
    memcpy(slot->headers, &reply, sizeof reply);
    add_part(slot, slot->headers, sizeof reply);
}

static void put_chunk(struct slot *slot, uint8_t *at, uint16_t type, bool last, uint32_t length)
{
    struct nbd_wire_chunk chunk = {
        .magic = htonl(NBD_STRUCTURED_REPLY_MAGIC),
        .flags = htons(last ? NBD_REPLY_FLAG_DONE : 0),
        .type = htons(type),
        .cookie = slot->cookie,
        .length = htonl(length),
    };
    memcpy(at, &chunk, sizeof chunk);
}

static void error_chunk(struct slot *slot, int error)
{
    const char *why = slot->why ? slot->why : strerrordesc_np(error);
    size_t length = why ? strlen(why) : 0;
    uint32_t code = htonl(wire_error(error));
    uint16_t wire_length = htons((uint16_t)length);
    uint8_t *at = slot->headers;
    put_chunk(slot, at, NBD_REPLY_ERROR, true,
              (uint32_t)(sizeof code + sizeof wire_length + length));
    at += sizeof(struct nbd_wire_chunk);
    memcpy(at, &code, sizeof code);
    memcpy(at + sizeof code, &wire_length, sizeof wire_length);
    add_part(slot, slot->headers, sizeof(struct nbd_wire_chunk) + sizeof code + sizeof wire_length);
    if (length > 0) {
        add_part(slot, (void *)why, length);
    }
}

/* --- runs of blocks --- */

static bool is_hole(const struct slot *slot, uint32_t block)
{
    return slot->holes[block / 64] >> (block % 64) & 1;
}

static bool any_hole(const struct slot *slot, uint32_t blocks)
{
    for (uint32_t i = 0; i < (blocks + 63) / 64; i++) {
        if (slot->holes[i]) {
            return true;
        }
    }
    return false;
}

/* Blocks that the request touches; the first and last may be partial. */
static uint32_t block_count(const struct nbd_request *request)
{
    uint64_t first = request->offset / NBD_BLOCK;
    uint64_t last = (request->offset + request->length - 1) / NBD_BLOCK;
    return (uint32_t)(last - first + 1);
}

/* Where block `block` begins, counted from the request's first byte; its end for block_count. */
static uint32_t block_start(const struct nbd_request *request, uint32_t block)
{
    if (block == 0) {
        return 0;
    }
    uint64_t start = (request->offset / NBD_BLOCK + block) * NBD_BLOCK - request->offset;
    return start < request->length ? (uint32_t)start : request->length;
}

static uint32_t run_end(const struct slot *slot, uint32_t block, uint32_t blocks)
{
    bool hole = is_hole(slot, block);
    while (block < blocks && is_hole(slot, block) == hole) {
        block++;
    }
    return block;
}

static void fill_holes(struct slot *slot, uint32_t block, uint32_t blocks)
{
    for (; block < blocks; block++) {
        if (is_hole(slot, block)) {
            uint32_t start = block_start(&slot->request, block);
            memset(slot->request.data + start, 0, block_start(&slot->request, block + 1) - start);
        }
    }
}

/* One chunk for bytes [start, end) of the request; its header's place is `at`. */
static uint8_t *read_chunk(struct slot *slot, uint8_t *at, uint32_t start, uint32_t end, bool hole)
{
    uint64_t offset = htobe64(slot->request.offset + start);
    uint32_t length = htonl(end - start);
    bool last = end == slot->request.length;
    uint8_t *body = at + sizeof(struct nbd_wire_chunk);
    memcpy(body, &offset, sizeof offset);
    body += sizeof offset;
    if (hole) {
        put_chunk(slot, at, NBD_REPLY_OFFSET_HOLE, last, sizeof offset + sizeof length);
        memcpy(body, &length, sizeof length);
        body += sizeof length;
        add_part(slot, at, (size_t)(body - at));
    } else {
        put_chunk(slot, at, NBD_REPLY_OFFSET_DATA, last, (uint32_t)sizeof offset + end - start);
        add_part(slot, at, (size_t)(body - at));
        add_part(slot, slot->request.data + start, end - start);
    }
    return body;
}

static void structured_read(struct slot *slot)
{
    uint32_t blocks = block_count(&slot->request), block = 0;
    int chunks_max = slot->flags & NBD_CMD_FLAG_DF ? 1 : REPLY_CHUNKS_MAX;
    uint8_t *at = slot->headers;
    for (int chunk = 1; block < blocks; chunk++) {
        uint32_t end = run_end(slot, block, blocks);
        bool hole = is_hole(slot, block);
        if (chunk == chunks_max && end < blocks) {
            fill_holes(slot, block, blocks);
            end = blocks;
            hole = false;
        }
        at = read_chunk(slot, at, block_start(&slot->request, block),
                        block_start(&slot->request, end), hole);
        block = end;
    }
}

static void simple_read(struct slot *slot)
{
    uint32_t blocks = block_count(&slot->request);
    if (any_hole(slot, blocks)) {
        fill_holes(slot, 0, blocks);
    }
    simple(slot, 0);
    add_part(slot, slot->request.data, slot->request.length);
}

static void block_status(struct slot *slot)
{
    uint32_t blocks = block_count(&slot->request), block = 0, context = 0;
    uint32_t extents_max = slot->flags & NBD_CMD_FLAG_REQ_ONE ? 1 : REPLY_EXTENTS_MAX;
    uint8_t *at = slot->headers + sizeof(struct nbd_wire_chunk);
    memcpy(at, &context, sizeof context);
    at += sizeof context;
    for (uint32_t i = 0; i < extents_max && block < blocks; i++) {
        uint32_t end = run_end(slot, block, blocks);
        struct nbd_wire_extent extent = {
            .length = htonl(block_start(&slot->request, end) - block_start(&slot->request, block)),
            .flags = is_hole(slot, block) ? htonl(NBD_STATE_HOLE | NBD_STATE_ZERO) : 0,
        };
        memcpy(at, &extent, sizeof extent);
        at += sizeof extent;
        block = end;
    }
    size_t size = (size_t)(at - slot->headers);
    put_chunk(slot, slot->headers, NBD_REPLY_BLOCK_STATUS, true,
              (uint32_t)(size - sizeof(struct nbd_wire_chunk)));
    add_part(slot, slot->headers, size);
}

_Static_assert(sizeof(struct nbd_wire_chunk) + sizeof(uint32_t) +
                       REPLY_EXTENTS_MAX * sizeof(struct nbd_wire_extent) <=
                   REPLY_HEADERS_SIZE,
               "the extents of a block status fit");

void reply_queue(struct nbd_connection *connection, struct slot *slot)
{
    int error = slot->request.error;
    slot->part_count = 0;
    slot->reply_size = slot->reply_sent = 0;
    if (error) {
        if (connection->structured) {
            error_chunk(slot, error);
        } else {
            simple(slot, error);
        }
    } else if (slot->request.command == NBD_READ) {
        if (connection->structured) {
            structured_read(slot);
        } else {
            simple_read(slot);
        }
    } else if (slot->request.command == NBD_BLOCK_STATUS) {
        block_status(slot);
    } else {
        simple(slot, 0);
    }
    slot_append(&connection->sending, slot);
}

/* --- sending --- */

/* The slot's parts not sent yet. */
static int gather_slot(const struct slot *slot, struct iovec *parts, int room)
{
    size_t skip = slot->reply_sent;
    int count = 0;
    for (int i = 0; i < slot->part_count && count < room; i++) {
        struct iovec part = slot->parts[i];
        if (skip >= part.iov_len) {
            skip -= part.iov_len;
            continue;
        }
        part.iov_base = (char *)part.iov_base + skip;
        part.iov_len -= skip;
        skip = 0;
        parts[count++] = part;
    }
    return count;
}

static int gather(const struct nbd_connection *connection, struct iovec *parts)
{
    int count = 0;
    for (struct slot *slot = connection->sending.first; slot && count < SEND_PARTS_MAX;
         slot = slot->next) {
        count += gather_slot(slot, parts + count, SEND_PARTS_MAX - count);
    }
    return count;
}

static void advance(struct nbd_connection *connection, size_t done)
{
    while (done > 0) {
        struct slot *slot = connection->sending.first;
        size_t left = slot->reply_size - slot->reply_sent;
        if (done < left) {
            slot->reply_sent += done;
            return;
        }
        done -= left;
        slot_pop(&connection->sending);
        slot_release(connection, slot);
    }
}

bool reply_send(struct nbd_connection *connection)
{
    struct iovec parts[SEND_PARTS_MAX];
    while (connection->sending.first) {
        size_t done;
        int count = gather(connection, parts);
        if (connection->transport->operations->write(connection->transport, parts, count, &done) !=
            VIOS_OK) {
            return false;
        }
        if (done == 0) {
            return true;
        }
        advance(connection, done);
    }
    return true;
}
