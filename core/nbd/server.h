/*
 * server.h - the NBD server: connections that negotiate (fixed newstyle), then serve the
 * requests of one export on that export's home worker.
 *
 * Whoever connects has an identity, which comes from the listener: `local`, `node:N` or
 * `lpar:UUID`. The exports it may use are looked up through an operations table; one that it may
 * not use cannot be told from one that does not exist.
 *
 * Whatever a client sends, it gets an error reply or is disconnected. What it may occupy is
 * limited below; at the limit its socket is not read any more.
 */
#ifndef NBD_SERVER_H
#define NBD_SERVER_H

#include "base/histogram.h"
#include "nbd/backend.h"
#include "net/transport.h"

#include <stdatomic.h>

#define NBD_CONNECTIONS_MAX 2048  /* of one server; one more is closed at once */
#define NBD_HANDSHAKE_MS 10000    /* from accept to the end of negotiation */
#define NBD_OPTIONS_MAX 128       /* asked on one connection */
#define NBD_OPTION_SIZE_MAX 16384 /* bytes of one option */
#define NBD_REQUESTS_MAX 128      /* in flight on one connection */
#define NBD_BYTES_MAX (8u << 20)  /* of their data, or one request */
#define NBD_SKIP_MAX (64u << 20)  /* payload read over after an error; more: disconnect */
#define NBD_IDENTITY_SIZE 80

/* What one export did; any thread may read. */
struct nbd_counters {
    _Atomic uint64_t reads, writes, flushes, trims, zeroes, statuses, errors;
    _Atomic uint64_t read_bytes, written_bytes;
    struct histogram read_ns, write_ns; /* from submit to done */
};

struct nbd_server_operations {
    /* The export, held until released, or NULL. Any worker; may look further than a table. */
    struct nbd_export *(*find)(void *context, const char *name, const char *identity);
    void (*release)(void *context, struct nbd_export *export);
    /* Calls `one` for each export that this identity may use. */
    void (*list)(void *context, const char *identity,
                 void (*one)(void *cookie, const struct nbd_export *export), void *cookie);
};

struct nbd_server;
struct tls_context;

int nbd_server_new(struct nbd_server **server, const struct nbd_server_operations *operations,
                   void *context, struct vios_error *error);

/* Only when it has no connections left. */
void nbd_server_free(struct nbd_server *server);

/* From any thread. */
unsigned nbd_server_connections(const struct nbd_server *server);

/* Serves a connection, starting on `worker`; takes over the transport, whatever comes. From any
 * thread. */
void nbd_server_serve(struct nbd_server *server, struct transport *transport, struct worker *worker,
                      const char *identity);

/*
 * The same for a peer that must begin TLS (NBD_OPT_STARTTLS) before it may ask for anything; its
 * identity is then `node:N`, N from its certificate. Whatever was said before is forgotten, and who
 * says more before TLS than was asked for is disconnected.
 */
void nbd_server_serve_tls(struct nbd_server *server, struct transport *transport,
                          struct worker *worker, struct tls_context *context);

/* Ends the TLS connections whose certificates are no longer allowed. From any thread. */
void nbd_server_recheck(struct nbd_server *server);

/* `refused` is told why a peer did not get in by TLS, on a worker's thread; must not block. Before
 * anything is served. */
void nbd_server_set_refused(struct nbd_server *server,
                            void (*refused)(void *context, const struct vios_error *why),
                            void *context);

/* --- an export's life, on its home worker only --- */

/* Goes on with the requests held by the two below. */
void nbd_export_open(struct nbd_export *export);

/* Holds requests; `drained` (may be NULL) is called once nothing is in flight, perhaps at once. */
void nbd_export_hold(struct nbd_export *export, enum nbd_export_state state,
                     void (*drained)(struct nbd_export *export));

/* Closes its connections, so that clients come again and see what is new about it. */
void nbd_export_reconnect(struct nbd_export *export);

/* EXPORT_DROPPED: its connections are closed, and each released when its requests are done. */
void nbd_export_drop(struct nbd_export *export);

#endif
