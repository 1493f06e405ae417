/*
 * keepalive.h - the messages between the nodes of a cluster as bytes (MISSION §4.1, §4.2, §7.3).
 * They travel as sealed datagrams, which say who sent them; what is inside is validated here
 * completely before anybody looks at it. Pure.
 *
 * Integers are big-endian; a text is one byte of length and its bytes.
 *
 *     u8 version, u8 kind, u8 flags, u8 zero
 *     u64 incarnation, u64 start, u64 epoch, u64 wall_ms, u64 members, u64 round,
 *     u64 incarnation_of
 *     text primary        of that epoch, committed; empty: none is known
 *     text name           see the kinds
 *     text reason         for people
 *     u8 count, count times text: whom the sender hears
 */
#ifndef CLUSTER_KEEPALIVE_H
#define CLUSTER_KEEPALIVE_H

#include "base/parse.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define KEEPALIVE_VERSION 1
#define KEEPALIVE_SIZE_MAX 1280 /* what one sealed datagram holds on any link */
#define KEEPALIVE_ROW_MAX 16
#define KEEPALIVE_REASON_MAX 160

enum keepalive_kind {
    KEEPALIVE_ROW = 1,  /* the keep-alive itself */
    KEEPALIVE_ELECT,    /* primary node discovery: the sender declined, `reason` says why, and the
                           receiver is next on its elector list */
    KEEPALIVE_RESIGNED, /* the sender was primary of `epoch`; `name` is whom it prefers, or "" */
    KEEPALIVE_PROMISE_ASK, /* the sender cannot renew; `round` is repeated in the answer */
    KEEPALIVE_PROMISE      /* `name` and `incarnation_of` are whom it is given to */
};
#define KEEPALIVE_KIND_LAST KEEPALIVE_PROMISE

enum keepalive_flags {
    KEEPALIVE_SLOW = 1,    /* the sender misses its own ticks */
    KEEPALIVE_STORE_OK = 2 /* its last renewal succeeded */
};

struct keepalive {
    enum keepalive_kind kind;
    unsigned flags;
    uint64_t incarnation, start; /* of the sender */
    uint64_t epoch;              /* the highest that the sender saw committed */
    int64_t wall_ms;             /* the sender's, for the requirement on clocks */
    uint64_t members;            /* roster_members_hash() */
    uint64_t round;
    uint64_t incarnation_of; /* of a promise: whose it is good for; 0 in the other kinds */
    char primary[NAME_MAX_LENGTH + 1];
    char name[NAME_MAX_LENGTH + 1];
    char reason[KEEPALIVE_REASON_MAX + 1];
    size_t row_count;
    char row[KEEPALIVE_ROW_MAX][NAME_MAX_LENGTH + 1];
};

/* The message as at most KEEPALIVE_SIZE_MAX bytes, and how many. What does not fit of the
 * row is cut, and what is not printable ASCII in the reason becomes "?". */
size_t keepalive_write(const struct keepalive *message, uint8_t data[KEEPALIVE_SIZE_MAX]);

/* False, and `*message` is of no use, when the bytes are not exactly one message. */
bool keepalive_read(struct keepalive *message, const uint8_t *data, size_t size);

#endif
