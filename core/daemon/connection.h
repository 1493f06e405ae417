/*
 * connection.h - one caller of the RPC server. Everything here runs on the loop's thread.
 *
 * The first message must be rpc.hello; only rpc.limit (peer.h) may come before it. Then calls may
 * follow each other without waiting, at most CONNECTION_CALLS_MAX at once; each is answered when it
 * is done, in any order. A caller that does not read is not read from either. One that breaks the
 * protocol is told and closed. When a connection ends its calls are cancelled.
 */
#ifndef DAEMON_CONNECTION_H
#define DAEMON_CONNECTION_H

#include "daemon/peer.h"
#include "node/method.h"

#include <sys/types.h>
#include <uv.h>

#define CONNECTION_CALLS_MAX 32
#define CONNECTION_HELLO_MS 10000
#define CONNECTION_LINGER_MS 5000 /* to take what it is told before it is closed */

struct connection;
struct access_rules;
struct lane;

struct connection_settings {
    struct node *node;
    const struct access_rules *rules;
    struct lane *lane;           /* where methods run, see lanes.h */
    struct lane *users;          /* where the user database is asked: it may hang */
    void (*wake)(void *context); /* from any thread: look at the outlets */
    void (*closed)(void *context, struct connection *connection);
    void *context;
};

/* Accepts from `listener`. NULL: it could not. The rules say what the user at the other end may;
 * `refused` (may be NULL) is a reason to tell it at once and close. */
struct connection *connection_accept(const struct connection_settings *settings,
                                     uv_stream_t *listener, const char *refused);

/* Takes over `fd`, a stream socket, whose other end is the gateway's. */
struct connection *connection_adopt(const struct connection_settings *settings, uv_loop_t *loop,
                                    int fd, const struct connection_peer *peer,
                                    const char *refused);

/* Sends what waits, forgets calls that ended, reads again if there is room. */
void connection_look(struct connection *connection);

/* The daemon ends: no new calls; streams and waiting calls are cancelled, or with `all` every
 * call; closed when nothing is left. */
void connection_finish(struct connection *connection, bool all);

/* At once. settings.closed follows. */
void connection_close(struct connection *connection);

#endif
