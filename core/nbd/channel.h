/*
 * channel.h - an export as a thread that is no worker uses it: many calls on their way, awaited in
 * the order in which they were begun. For jobs that carry whole devices to or from an export.
 *
 * A worker of its own keeps the connection. So answers are taken, and a server that is late is
 * seen, also while the caller is busy with what came; and what is on its way is bounded by the
 * calls, whose buffers are allocated once. One thread at a time calls.
 */
#ifndef NBD_CHANNEL_H
#define NBD_CHANNEL_H

#include "base/operation.h"
#include "nbd/backend.h"

#include <stddef.h>
#include <stdint.h>

#define NBD_CHANNEL_CALLS_MAX 64
#define NBD_CHANNEL_BYTES_MAX NBD_REQUEST_MAX /* of one call */

struct nbd_channel;

struct nbd_channel_settings {
    const char *address; /* transport.h; plain */
    const char *export;  /* its name */
    unsigned calls;      /* on their way at most */
    uint32_t call_bytes; /* of one: whole NBD_BLOCKs */
    int64_t late_ms;     /* as nbd_client_open has it */
};

struct nbd_call {
    uint16_t command; /* READ, WRITE, FLUSH, TRIM, WRITE_ZEROES */
    uint32_t length;  /* `call_bytes` at most when there is data */
    uint64_t offset;
    uint8_t *data; /* the call's own `call_bytes` */
    /* READ: a set bit says that the NBD_BLOCK is zero, and its data not filled. Bit 0 is the block
     * of `offset`. */
    uint64_t *holes;
    int error; /* once awaited: 0, or the server's errno */
};

/* Connects, and waits until the export can be used. What fails names the export. */
int nbd_channel_open(struct nbd_channel **channel, const struct nbd_channel_settings *settings,
                     struct operation *operation);

/* The size of the export, as it was when the channel was opened. */
uint64_t nbd_channel_size(const struct nbd_channel *channel);

/* A call to be filled in and begun, the same until it is; its `data` is as it was left. NULL: all
 * are on their way, await one. */
struct nbd_call *nbd_channel_next(struct nbd_channel *channel);

/* Sends what nbd_channel_next() gave. */
void nbd_channel_begin(struct nbd_channel *channel);

/* How many were begun and not awaited. */
unsigned nbd_channel_on_their_way(const struct nbd_channel *channel);

/*
 * Waits for the one that was begun first, of which there must be one. VIOS_OK: the server answered,
 * see its `error`; it may be looked at until another is asked for. Otherwise the connection is
 * gone, or the operation over, and the channel can only be closed.
 */
int nbd_channel_await(struct nbd_channel *channel, struct nbd_call **call,
                      struct operation *operation);

/* What was not awaited may or may not be done. NULL is fine. */
void nbd_channel_close(struct nbd_channel *channel);

#endif
