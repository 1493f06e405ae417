/*
 * datagram_format.h - a sealed keep-alive on the wire. All numbers in network byte order.
 *
 *     head | name of the sender | body, encrypted | tag
 *
 * The head and the name travel in the clear, and are authenticated with the body.
 * key   = HKDF-SHA256(ring key, salt DATAGRAM_SALT, info = head's incarnation and start | name)
 * nonce = 4 zero bytes | counter
 */
#ifndef NET_DATAGRAM_FORMAT_H
#define NET_DATAGRAM_FORMAT_H

#include <stdint.h>

#define DATAGRAM_MAGIC 0x76696f73u /* "vios" */
#define DATAGRAM_VERSION 1
#define DATAGRAM_SALT "vios keep-alive 1"
#define DATAGRAM_TAG_BYTES 16
#define DATAGRAM_NONCE_BYTES 12

struct datagram_head {
    uint32_t magic;
    uint8_t version;
    uint8_t name_length; /* bytes of the name, 1 to 63 */
    uint16_t reserved;   /* 0 */
    uint32_t key_id;
    int64_t incarnation, start; /* not negative */
    uint64_t counter;           /* 1, 2, … */
} __attribute__((packed));

#endif
