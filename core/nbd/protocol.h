/*
 * protocol.h - the NBD protocol on the wire: constants and fixed-width fields, nothing else.
 * All numbers travel in network byte order. The reference is doc/proto.md of the NBD project.
 */
#ifndef NBD_PROTOCOL_H
#define NBD_PROTOCOL_H

#include <stdint.h>

/* --- the handshake (fixed newstyle) --- */

#define NBD_MAGIC UINT64_C(0x4e42444d41474943)        /* "NBDMAGIC" */
#define NBD_OPTION_MAGIC UINT64_C(0x49484156454F5054) /* "IHAVEOPT" */
#define NBD_OPTION_REPLY_MAGIC UINT64_C(0x3e889045565a9)

#define NBD_HANDSHAKE_FIXED_NEWSTYLE 1u /* the server's flags, and the client's */
#define NBD_HANDSHAKE_NO_ZEROES 2u

struct nbd_wire_greeting {
    uint64_t magic, option_magic;
    uint16_t flags;
} __attribute__((packed));

struct nbd_wire_option { /* followed by `length` bytes */
    uint64_t magic;
    uint32_t option;
    uint32_t length;
} __attribute__((packed));

struct nbd_wire_option_reply { /* followed by `length` bytes */
    uint64_t magic;
    uint32_t option;
    uint32_t type;
    uint32_t length;
} __attribute__((packed));

enum nbd_option {
    NBD_OPT_EXPORT_NAME = 1,
    NBD_OPT_ABORT = 2,
    NBD_OPT_LIST = 3,
    NBD_OPT_STARTTLS = 5,
    NBD_OPT_INFO = 6,
    NBD_OPT_GO = 7,
    NBD_OPT_STRUCTURED_REPLY = 8,
    NBD_OPT_LIST_META_CONTEXT = 9,
    NBD_OPT_SET_META_CONTEXT = 10
};

#define NBD_REP_ACK 1u
#define NBD_REP_SERVER 2u
#define NBD_REP_INFO 3u
#define NBD_REP_META_CONTEXT 4u
#define NBD_REP_ERROR_BIT 0x80000000u
#define NBD_REP_ERR_UNSUP (NBD_REP_ERROR_BIT + 1)
#define NBD_REP_ERR_POLICY (NBD_REP_ERROR_BIT + 2)
#define NBD_REP_ERR_INVALID (NBD_REP_ERROR_BIT + 3)
#define NBD_REP_ERR_PLATFORM (NBD_REP_ERROR_BIT + 4)
#define NBD_REP_ERR_TLS_REQD (NBD_REP_ERROR_BIT + 5)
#define NBD_REP_ERR_UNKNOWN (NBD_REP_ERROR_BIT + 6)
#define NBD_REP_ERR_SHUTDOWN (NBD_REP_ERROR_BIT + 7)
#define NBD_REP_ERR_BLOCK_SIZE_REQD (NBD_REP_ERROR_BIT + 8)
#define NBD_REP_ERR_TOO_BIG (NBD_REP_ERROR_BIT + 9)

enum nbd_info {
    NBD_INFO_EXPORT = 0,
    NBD_INFO_NAME = 1,
    NBD_INFO_DESCRIPTION = 2,
    NBD_INFO_BLOCK_SIZE = 3
};

struct nbd_wire_info_export {
    uint16_t type;
    uint64_t size;
    uint16_t flags;
} __attribute__((packed));

struct nbd_wire_info_block_size {
    uint16_t type;
    uint32_t minimum, preferred, maximum;
} __attribute__((packed));

#define NBD_NAME_MAX 4096u          /* bytes of a name, by the protocol */
#define NBD_EXPORT_NAME_ZEROES 124u /* behind EXPORT_NAME's answer unless NO_ZEROES */
#define NBD_BASE_ALLOCATION "base:allocation"

/* --- transmission --- */

#define NBD_TRANSMISSION_HAS_FLAGS (1u << 0)
#define NBD_TRANSMISSION_READ_ONLY (1u << 1)
#define NBD_TRANSMISSION_FLUSH (1u << 2)
#define NBD_TRANSMISSION_FUA (1u << 3)
#define NBD_TRANSMISSION_TRIM (1u << 5)
#define NBD_TRANSMISSION_WRITE_ZEROES (1u << 6)
#define NBD_TRANSMISSION_DF (1u << 7)
#define NBD_TRANSMISSION_MULTI_CONN (1u << 8)

#define NBD_REQUEST_MAGIC 0x25609513u
#define NBD_SIMPLE_REPLY_MAGIC 0x67446698u
#define NBD_STRUCTURED_REPLY_MAGIC 0x668e33efu

struct nbd_wire_request { /* NBD_CMD_WRITE: followed by `length` bytes */
    uint32_t magic;
    uint16_t flags;
    uint16_t command;
    uint64_t cookie;
    uint64_t offset;
    uint32_t length;
} __attribute__((packed));

#define NBD_CMD_FLAG_FUA (1u << 0)
#define NBD_CMD_FLAG_NO_HOLE (1u << 1)
#define NBD_CMD_FLAG_DF (1u << 2)
#define NBD_CMD_FLAG_REQ_ONE (1u << 3)
#define NBD_CMD_FLAG_FAST_ZERO (1u << 4)

struct nbd_wire_simple_reply { /* a good READ: followed by the data */
    uint32_t magic;
    uint32_t error;
    uint64_t cookie;
} __attribute__((packed));

struct nbd_wire_chunk { /* followed by `length` bytes */
    uint32_t magic;
    uint16_t flags;
    uint16_t type;
    uint64_t cookie;
    uint32_t length;
} __attribute__((packed));

#define NBD_REPLY_FLAG_DONE 1u
#define NBD_REPLY_NONE 0u
#define NBD_REPLY_OFFSET_DATA 1u  /* uint64_t offset, data */
#define NBD_REPLY_OFFSET_HOLE 2u  /* uint64_t offset, uint32_t length */
#define NBD_REPLY_BLOCK_STATUS 5u /* uint32_t context, then extents */
#define NBD_REPLY_ERROR 0x8001u   /* uint32_t error, uint16_t length, text */
#define NBD_REPLY_ERROR_OFFSET 0x8002u

struct nbd_wire_extent { /* of a block status */
    uint32_t length;
    uint32_t flags;
} __attribute__((packed));

#define NBD_STATE_HOLE 1u
#define NBD_STATE_ZERO 2u

/* The errors of the wire; they are Linux's numbers. */
#define NBD_EPERM 1u
#define NBD_EIO 5u
#define NBD_ENOMEM 12u
#define NBD_EINVAL 22u
#define NBD_ENOSPC 28u
#define NBD_EOVERFLOW 75u
#define NBD_ENOTSUP 95u
#define NBD_ESHUTDOWN 108u

#endif
