/*
 * gateway.h - the TCP port of this node (DESIGN "Security"): TLS with the certificate of a member
 * whose serial is in the allow-list, ALPN "rpc"; or without one, ALPN "join", to call node.admit
 * and nothing else, or ALPN "event", to be a caller (event/callers.h), which takes the connection
 * over.
 *
 * One thread (net/worker) accepts, does the handshakes and moves the bytes between each TLS
 * connection and a socket pair, whose other end is given to the RPC server as an ordinary
 * connection: its role and actor come from the certificate ("node:n2", admin), or are nobody's
 * ("join:ADDRESS"). Each direction has one buffer, which is read into when it is empty: who does
 * not take what it is sent is not read from either, on both sides.
 *
 * Thousands of callers may come at once, when the primary changed, and strangers may come only to
 * stay. So there is room for GATEWAY_STRANGERS_MAX in their handshakes; when it is taken, the
 * oldest that has said nothing for GATEWAY_SILENT_MS goes, or else the oldest that has been at it
 * for GATEWAY_SHAKING_MS; and when there is none, who comes next waits in the listener's backlog.
 *
 * Who is refused is told to the audit (refusals.h), where it is not told too often.
 */
#ifndef DAEMON_GATEWAY_H
#define DAEMON_GATEWAY_H

#include "base/error.h"

#define GATEWAY_LINKS_MAX 128           /* connections of members; more are closed at once */
#define GATEWAY_JOINING_MAX 32          /* "join" connections; likewise */
#define GATEWAY_STRANGERS_MAX 256       /* in their handshakes */
#define GATEWAY_HANDSHAKE_MS 5000       /* for the whole of it */
#define GATEWAY_SILENT_MS 250           /* to begin with it, when others wait */
#define GATEWAY_SHAKING_MS 1000         /* for the whole of it, when others wait */
#define GATEWAY_JOIN_MS 30000           /* for a "join" connection, from its handshake to its end */
#define GATEWAY_BUFFER_SIZE (64 * 1024) /* in each direction */
#define GATEWAY_ACCEPTS_MAX 16          /* in one turn */
#define GATEWAY_PAUSE_MS 50             /* when there is no descriptor, or no room, left */

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
