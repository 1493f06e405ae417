/*
 * client.h - an asynchronous NBD client on a worker: one connection, one export, many requests
 * in flight, answered by callbacks in any order.
 *
 * It negotiates fixed newstyle, structured replies and NBD_OPT_GO, after TLS where that is wanted;
 * plain servers without structured replies work too. What a burst of submits gathers leaves in one
 * gathered write. Everything here is called on the worker's own thread, and so are the callbacks.
 */
#ifndef NBD_CLIENT_H
#define NBD_CLIENT_H

#include "base/error.h"
#include "nbd/backend.h"
#include "net/worker.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NBD_CLIENT_IN_FLIGHT 64 /* requests sent and not answered; more wait inside */

struct nbd_client;

/* What the server said of the export. */
struct nbd_client_export {
    uint64_t size;
    uint16_t flags; /* NBD transmission flags */
    bool structured;
    char description[96];
};

/* A request; belongs to the caller and must stay until `done`. */
struct nbd_client_request {
    uint16_t command; /* READ, WRITE, FLUSH, TRIM, WRITE_ZEROES */
    uint16_t flags;   /* NBD_FLAG_FUA */
    uint64_t offset;
    uint32_t length;
    uint8_t *data; /* WRITE: sent from here; READ: filled */
    /* READ, may be NULL: bits as in nbd_request.holes; a set one says that the block is zero and
     * its data not filled. The caller clears them before. Without it holes are filled with zeroes.
     */
    uint64_t *holes;
    /* `error`: 0, or an errno: the server's, ETIMEDOUT, ECONNRESET, EPROTO. */
    void (*done)(struct nbd_client_request *request, int error);

    uint8_t header[28]; /* the rest is the client's */
    uint64_t cookie;
    uint32_t received;
    bool sent;
    int error;
    int64_t due_ms;
    struct nbd_client_request *next, *previous;
};

struct nbd_client_callbacks {
    /* Negotiation succeeded: requests are sent from now on (earlier ones wait). */
    void (*ready)(void *context, const struct nbd_client_export *export);
    /* The connection is gone and every request has been failed; called once, last. Free
     * the client in it or later. */
    void (*closed)(void *context, const struct vios_error *why);
    void *context;
};

/* Starts to connect to `address` (transport.h). `late_ms`: a request, or the handshake, that takes
 * longer ends the connection. Negative, and no callback, when it cannot even start. */
int nbd_client_open(struct nbd_client **client, struct worker *worker, const char *address,
                    const char *export_name, int64_t late_ms,
                    const struct nbd_client_callbacks *callbacks, struct vios_error *error);

struct tls_context;

/* The same over TLS (NBD_OPT_STARTTLS), to the server of `node` and no other (NULL: of any node).
 * A server that begins no TLS is told nothing: `closed` with VIOS_E_DENIED. */
int nbd_client_open_tls(struct nbd_client **client, struct worker *worker, const char *address,
                        const char *export_name, int64_t late_ms,
                        const struct nbd_client_callbacks *callbacks, struct tls_context *context,
                        const char *node, struct vios_error *error);

/* Sends the request, in order of submission. On a closed client `done` is called at once. */
void nbd_client_submit(struct nbd_client *client, struct nbd_client_request *request);

/* Fails what is in flight with ECONNRESET and calls `closed`, unless that was called. */
void nbd_client_close(struct nbd_client *client, const char *why);

/* Closed clients only; NULL is fine. */
void nbd_client_free(struct nbd_client *client);

#endif
