/*
 * tls.h - the TLS transport (transport.h): TLS 1.3, certificates on both sides, the cluster's own
 * authority as the only one trusted, no tickets and no resumption.
 *
 * A peer's certificate must be valid now, be signed by the authority, be exactly of a node's form
 * (certificate.h), be of the node that was expected, and be let in by the `allowed` callback, which
 * looks at the serial that the cluster knows for this node. All of this within the handshake: who
 * fails it has said nothing and heard nothing.
 *
 * Both sides name the protocol (ALPN) that they are about to speak, so that a connection cannot be
 * led to another port. One on which TLS begins within NBD may leave it out: other NBD programs do.
 *
 * The exception is "join", for a node that has no certificate yet. Its server asks for none,
 * and whoever comes is nobody (an empty peer.node); the joining side trusts the authority whose
 * fingerprint its token carries. It cannot know which serials are allowed: a node that was removed,
 * and sits on the way, could pose as the server. So what is said there must be good only once.
 *
 * "event" is alike on the server's side only: a caller (event/callers.h) has no certificate, is
 * nobody, and says who it is with a token; it verifies the server as it likes.
 */
#ifndef NET_TLS_H
#define NET_TLS_H

#include "net/transport.h"

#define TLS_RPC "rpc"
#define TLS_EVENT "event"
#define TLS_NBD "nbd"
#define TLS_JOIN "join"

struct tls_context;

/* Own certificate and key, and the authority's certificate: PEM text. */
struct tls_identity {
    const char *certificate;
    const char *key;
    const char *authority;
};

/* Whether a node's certificate with this serial may connect, or be connected to. VIOS_OK, or
 * another status with `error` filled: "node n3 was removed". Called from any thread that drives a
 * handshake, more than one at a time. */
typedef int tls_allowed(void *context, const char *node, const char *serial,
                        struct vios_error *error);

/* A context without an identity: connections fail with VIOS_E_LOCKED until it has one. `allowed`
 * NULL: everybody whom the authority signed. */
int tls_context_new(struct tls_context **context, tls_allowed *allowed, void *allowed_context,
                    struct vios_error *error);

/* The only context of a node that joins: for clients of "join", and of nothing else. */
int tls_context_new_joining(struct tls_context **context, const char *fingerprint,
                            struct vios_error *error);

/* After its transports have been closed. NULL is fine. */
void tls_context_free(struct tls_context *context);

/*
 * Takes a new identity, from any thread, for handshakes that begin from now on. VIOS_E_INVALID, and
 * nothing changed: the certificate is not of a node, not of this key, or not of this authority.
 */
int tls_context_set(struct tls_context *context, const struct tls_identity *identity,
                    struct vios_error *error);

/* Whether it has an identity. From any thread. */
bool tls_context_ready(struct tls_context *context);

/* Asks the `allowed` callback again: for connections that outlive a change. */
int tls_context_allowed(struct tls_context *context, const char *node, const char *serial,
                        struct vios_error *error);

/*
 * The server's side, for what was accepted. `protocols`: which are spoken here, up to a NULL; they
 * stay the caller's, unchanged. Takes over `fd`, also when it fails.
 */
int transport_tls_server(struct transport **transport, int fd, struct tls_context *context,
                         const char *const *protocols, struct vios_error *error);

/* The client's side; connecting may still be under way. `node` NULL: any node that is allowed.
 * Takes over `fd`, also when it fails. */
int transport_tls_client(struct transport **transport, int fd, struct tls_context *context,
                         const char *protocol, const char *node, struct vios_error *error);

/* Connects and does the handshake; blocks as the operation says. The server may still refuse our
 * certificate: TLS 1.3 says so with what is read first. */
int transport_tls_connect(struct transport **transport, const char *address,
                          struct tls_context *context, const char *protocol, const char *node,
                          struct operation *operation);

#endif
