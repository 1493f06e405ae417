/*
 * client_wire.c - see client_wire.h.
 */
#include "nbd/client_wire.h"

#include "nbd/protocol.h"

#include <assert.h>
#include <endian.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

static int broken(struct vios_error *error, const char *what)
{
    return error_set(error, VIOS_E_IO, "nbd server", NULL, "%s", what);
}

static void output(struct nbd_handshake *handshake, const void *data, size_t size)
{
    assert(handshake->output_size + size <= sizeof handshake->output);
    memcpy(handshake->output + handshake->output_size, data, size);
    handshake->output_size += size;
}

static void output_option(struct nbd_handshake *handshake, uint32_t option, const void *data,
                          size_t size)
{
    struct nbd_wire_option head = {.magic = htobe64(NBD_OPTION_MAGIC),
                                   .option = htobe32(option),
                                   .length = htobe32((uint32_t)size)};
    output(handshake, &head, sizeof head);
    output(handshake, data, size);
}

int nbd_handshake_start(struct nbd_handshake *handshake, const char *export_name,
                        struct vios_error *error)
{
    size_t length = strlen(export_name);
    if (length > NBD_CLIENT_NAME_MAX) {
        return error_set(error, VIOS_E_USAGE, export_name, NULL,
                         "an export name has at most %d bytes", NBD_CLIENT_NAME_MAX);
    }
    *handshake = (struct nbd_handshake){.state = NBD_GREETING};
    memcpy(handshake->name, export_name, length + 1);
    return VIOS_OK;
}

/* Both options at once: one round trip less. */
static void output_options(struct nbd_handshake *handshake)
{
    uint8_t go[4 + NBD_CLIENT_NAME_MAX + 4];
    uint32_t length = (uint32_t)strlen(handshake->name), wire_length = htobe32(length);
    uint16_t count = htobe16(1), info = htobe16(NBD_INFO_DESCRIPTION);
    memcpy(go, &wire_length, 4);
    memcpy(go + 4, handshake->name, length);
    memcpy(go + 4 + length, &count, 2);
    memcpy(go + 6 + length, &info, 2);
    output_option(handshake, NBD_OPT_STRUCTURED_REPLY, "", 0);
    output_option(handshake, NBD_OPT_GO, go, 8 + length);
    handshake->state = NBD_STRUCTURING;
}

void nbd_handshake_secured(struct nbd_handshake *handshake)
{
    assert(handshake->state == NBD_SECURING);
    output_options(handshake);
}

static int feed_greeting(struct nbd_handshake *handshake, const uint8_t *data, size_t size,
                         size_t *used, struct vios_error *error)
{
    struct nbd_wire_greeting greeting;
    if (size < sizeof greeting) {
        return VIOS_OK;
    }
    memcpy(&greeting, data, sizeof greeting);
    if (be64toh(greeting.magic) != NBD_MAGIC ||
        be64toh(greeting.option_magic) != NBD_OPTION_MAGIC ||
        !(be16toh(greeting.flags) & NBD_HANDSHAKE_FIXED_NEWSTYLE) ||
        !(be16toh(greeting.flags) & NBD_HANDSHAKE_NO_ZEROES)) {
        return broken(error, "it does not greet in fixed newstyle");
    }
    *used = sizeof greeting;
    uint32_t flags = htobe32(NBD_HANDSHAKE_FIXED_NEWSTYLE | NBD_HANDSHAKE_NO_ZEROES);
    output(handshake, &flags, sizeof flags);
    if (handshake->tls) {
        output_option(handshake, NBD_OPT_STARTTLS, "", 0);
        handshake->state = NBD_STARTING_TLS;
    } else {
        output_options(handshake);
    }
    return VIOS_OK;
}

/* Without TLS nothing more is said, also when somebody on the way took it out of the answer. */
static int take_tls(struct nbd_handshake *handshake, uint32_t type, const uint8_t *data,
                    size_t size, struct vios_error *error)
{
    if (type == NBD_REP_ACK && size == 0) {
        handshake->state = NBD_SECURING;
        return VIOS_OK;
    }
    return error_set(error, VIOS_E_DENIED, "nbd server", NULL, "it does not begin TLS (%u): %.*s",
                     type & ~NBD_REP_ERROR_BIT, size < 200 ? (int)size : 200, (const char *)data);
}

static uint32_t awaited_option(const struct nbd_handshake *handshake)
{
    switch (handshake->state) {
    case NBD_STARTING_TLS:
        return NBD_OPT_STARTTLS;
    case NBD_STRUCTURING:
        return NBD_OPT_STRUCTURED_REPLY;
    default:
        return NBD_OPT_GO;
    }
}

static void take_info(struct nbd_handshake *handshake, const uint8_t *data, size_t size)
{
    struct nbd_wire_info_export export;
    uint16_t type;
    memcpy(&type, data, sizeof type);
    if (be16toh(type) == NBD_INFO_EXPORT && size == sizeof export) {
        memcpy(&export, data, sizeof export);
        handshake->export.size = be64toh(export.size);
        handshake->export.flags = be16toh(export.flags);
        handshake->exported = true;
    } else if (be16toh(type) == NBD_INFO_DESCRIPTION) {
        snprintf(handshake->export.description, sizeof handshake->export.description, "%.*s",
                 (int)(size - 2), (const char *)data + 2);
    }
}

static int take_go(struct nbd_handshake *handshake, uint32_t type, const uint8_t *data, size_t size,
                   struct vios_error *error)
{
    if (type == NBD_REP_ERR_UNKNOWN) {
        return error_set(error, VIOS_E_NOT_FOUND, handshake->name, NULL, "there is no such export");
    }
    if (type & NBD_REP_ERROR_BIT) {
        return error_set(error, VIOS_E_DENIED, handshake->name, NULL,
                         "the server refuses it (%u): %.*s", type & ~NBD_REP_ERROR_BIT,
                         size < 200 ? (int)size : 200, (const char *)data);
    }
    if (type == NBD_REP_INFO && size >= 2) {
        take_info(handshake, data, size);
        return VIOS_OK;
    }
    if (type == NBD_REP_ACK && handshake->exported) {
        handshake->state = NBD_READY;
        return VIOS_OK;
    }
    return broken(error, "it answers GO with what is no answer to it");
}

static int feed_option(struct nbd_handshake *handshake, const uint8_t *data, size_t size,
                       size_t *used, struct vios_error *error)
{
    struct nbd_wire_option_reply head;
    if (size < sizeof head) {
        return VIOS_OK;
    }
    memcpy(&head, data, sizeof head);
    uint32_t option = be32toh(head.option), type = be32toh(head.type);
    uint32_t length = be32toh(head.length);
    if (be64toh(head.magic) != NBD_OPTION_REPLY_MAGIC || length > NBD_CLIENT_OPTION_MAX ||
        option != awaited_option(handshake)) {
        return broken(error, "its reply to an option is malformed");
    }
    if (size - sizeof head < length) {
        return VIOS_OK;
    }
    *used = sizeof head + length;
    if (handshake->state == NBD_STARTING_TLS) {
        return take_tls(handshake, type, data + sizeof head, length, error);
    }
    if (handshake->state == NBD_STRUCTURING) {
        handshake->export.structured = type == NBD_REP_ACK;
        handshake->state = NBD_GOING;
        return VIOS_OK;
    }
    return take_go(handshake, type, data + sizeof head, length, error);
}

int nbd_handshake_feed(struct nbd_handshake *handshake, const uint8_t *data, size_t size,
                       size_t *used, struct vios_error *error)
{
    int status = VIOS_OK;
    size_t step = 1;
    *used = 0;
    while (status == VIOS_OK && step > 0 && handshake->state != NBD_READY &&
           handshake->state != NBD_SECURING) {
        step = 0;
        if (handshake->state == NBD_GREETING) {
            status = feed_greeting(handshake, data + *used, size - *used, &step, error);
        } else {
            status = feed_option(handshake, data + *used, size - *used, &step, error);
        }
        *used += step;
    }
    return status;
}

/* --- replies --- */

/* An errno of the wire that Linux knows; anything else is EIO. */
static int wire_errno(uint32_t value)
{
    switch (value) {
    case NBD_EPERM:
    case NBD_EIO:
    case NBD_ENOMEM:
    case NBD_EINVAL:
    case NBD_ENOSPC:
    case NBD_EOVERFLOW:
    case NBD_ENOTSUP:
    case NBD_ESHUTDOWN:
        return (int)value;
    default:
        return EIO;
    }
}

static int parse_simple(const uint8_t *data, size_t size, struct nbd_reply *reply, size_t *used)
{
    struct nbd_wire_simple_reply simple;
    if (size < sizeof simple) {
        return 0;
    }
    memcpy(&simple, data, sizeof simple);
    *reply = (struct nbd_reply){.kind = NBD_ANSWER, .last = true, .cookie = be64toh(simple.cookie)};
    reply->error = simple.error ? wire_errno(be32toh(simple.error)) : 0;
    *used = sizeof simple;
    return 1;
}

static int parse_error_chunk(const uint8_t *data, size_t size, uint32_t length,
                             struct nbd_reply *reply, size_t *used, struct vios_error *error)
{
    uint32_t code;
    if (length < 6 || length > NBD_CLIENT_ERROR_MAX) {
        return broken(error, "an error chunk has an impossible size");
    }
    if (size < length) {
        return 0;
    }
    memcpy(&code, data, sizeof code);
    reply->kind = NBD_ANSWER;
    reply->error = wire_errno(be32toh(code));
    *used += length;
    return 1;
}

static int parse_data_chunk(const uint8_t *data, size_t size, uint32_t length,
                            struct nbd_reply *reply, size_t *used, struct vios_error *error)
{
    uint64_t offset;
    uint32_t hole;
    bool is_hole = reply->kind == NBD_HOLE;
    size_t head = is_hole ? 12 : 8;
    if (is_hole ? length != head : length <= head) {
        return broken(error, "a data chunk has an impossible size");
    }
    if (size < head) {
        return 0;
    }
    memcpy(&offset, data, sizeof offset);
    reply->offset = be64toh(offset);
    reply->length = length - 8;
    if (is_hole) {
        memcpy(&hole, data + 8, sizeof hole);
        reply->length = be32toh(hole);
    }
    *used += head;
    return 1;
}

static int parse_chunk(const uint8_t *data, size_t size, struct nbd_reply *reply, size_t *used,
                       struct vios_error *error)
{
    struct nbd_wire_chunk chunk;
    if (size < sizeof chunk) {
        return 0;
    }
    memcpy(&chunk, data, sizeof chunk);
    uint16_t type = be16toh(chunk.type);
    uint32_t length = be32toh(chunk.length);
    *reply = (struct nbd_reply){.kind = NBD_NOTHING, .structured = true};
    reply->last = be16toh(chunk.flags) & NBD_REPLY_FLAG_DONE;
    reply->cookie = be64toh(chunk.cookie);
    *used = sizeof chunk;
    if (type & 0x8000u) {
        return parse_error_chunk(data + *used, size - *used, length, reply, used, error);
    }
    if (type == NBD_REPLY_OFFSET_DATA || type == NBD_REPLY_OFFSET_HOLE) {
        reply->kind = type == NBD_REPLY_OFFSET_DATA ? NBD_DATA : NBD_HOLE;
        return parse_data_chunk(data + *used, size - *used, length, reply, used, error);
    }
    if (type != NBD_REPLY_NONE || length != 0) {
        return broken(error, "a chunk is of a kind that was not asked for");
    }
    return 1;
}

int nbd_reply_parse(bool structured, const uint8_t *data, size_t size, struct nbd_reply *reply,
                    size_t *used, struct vios_error *error)
{
    uint32_t magic;
    *used = 0;
    if (size < sizeof magic) {
        return 0;
    }
    memcpy(&magic, data, sizeof magic);
    if (be32toh(magic) == NBD_SIMPLE_REPLY_MAGIC) {
        return parse_simple(data, size, reply, used);
    }
    if (structured && be32toh(magic) == NBD_STRUCTURED_REPLY_MAGIC) {
        return parse_chunk(data, size, reply, used, error);
    }
    return broken(error, "a reply does not start as one");
}

void nbd_request_format(uint8_t header[28], const struct nbd_client_request *request,
                        uint64_t cookie)
{
    struct nbd_wire_request wire = {.magic = htobe32(NBD_REQUEST_MAGIC),
                                    .flags = htobe16(request->flags),
                                    .command = htobe16(request->command),
                                    .cookie = htobe64(cookie),
                                    .offset = htobe64(request->offset),
                                    .length = htobe32(request->length)};
    _Static_assert(sizeof wire == 28, "the wire says 28");
    memcpy(header, &wire, sizeof wire);
}
