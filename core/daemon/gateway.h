/*
 * gateway.h - the TCP port of this node (DESIGN "Security"): TLS with the certificate of a member
 * whose serial is in the allow-list, ALPN "rpc"; or without one, ALPN "join", to call node.admit
 * and nothing else.
 *
 * One thread (net/worker) accepts, does the handshakes and moves the bytes between each TLS
 * connection and a socket pair, whose other end is given to the RPC server as an ordinary
 * connection: its role and actor come from the certificate ("node:n2", admin), or are nobody's
 * ("join:ADDRESS"). Each direction has one buffer, which is read into when it is empty: who does
 * not take what it is sent is not read from either, on both sides.
 *
 * Who is refused is told to the audit (refusals.h), where it is not told too often.
 */
#ifndef DAEMON_GATEWAY_H
#define DAEMON_GATEWAY_H

#include "base/error.h"

#define GATEWAY_LINKS_MAX 128           /* connections; more are closed at once */
#define GATEWAY_STRANGERS_MAX 32        /* of these, in their handshake or joining */
#define GATEWAY_HANDSHAKE_MS 5000       /* for the whole of it */
#define GATEWAY_JOIN_MS 30000           /* for a "join" connection, from its handshake to its end */
#define GATEWAY_BUFFER_SIZE (64 * 1024) /* in each direction */
#define GATEWAY_ACCEPTS_MAX 16          /* in one turn */
#define GATEWAY_PAUSE_MS 50             /* when there is no descriptor left */

struct gateway;
struct node;
struct server;

/* Takes over `listener`, a TCP socket that listens, also when it fails. node->identity is there. */
int gateway_start(struct gateway **gateway, struct node *node, struct server *server, int listener,
                  struct vios_error *error);

/* From any thread: closes the connections whose certificates are not allowed any more. */
void gateway_recheck(struct gateway *gateway);

/* Closes everything. NULL is fine. No recheck may be under way. */
void gateway_stop(struct gateway *gateway);

#endif
