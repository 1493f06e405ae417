/*
 * server.h - the daemon's RPC server: a libuv loop on the thread that runs it, which only moves
 * bytes; every method runs on a lane.
 *
 * RUN_DIR/vios.sock is open to connect for all; who is at the other end (SO_PEERCRED) decides: root
 * and the daemon's own user are admin, others viewers when `allow_viewers` says so, and refused
 * else.
 */
#ifndef DAEMON_SERVER_H
#define DAEMON_SERVER_H

#include "base/error.h"

#include <stdbool.h>

#define SERVER_CONNECTIONS_MAX 256

struct node;
struct server;

/* Listens; serves once server_run() runs. */
int server_new(struct server **server, struct node *node, bool allow_viewers,
               struct vios_error *error);

/* Serves until server_stop(), SIGTERM or SIGINT; then answers what runs, for a bounded time. */
void server_run(struct server *server);

/* From any thread: a connection that the gateway let in. Takes over `fd`, a stream socket. */
struct connection_peer;
void server_adopt(struct server *server, int fd, const struct connection_peer *peer);

/* From any thread. */
void server_stop(struct server *server);

void server_free(struct server *server);

#endif
