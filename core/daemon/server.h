/*
 * server.h - the daemon's RPC server: a libuv loop on the thread that runs it, which only moves
 * bytes; every method runs on a lane.
 *
 * RUN_DIR/vios.sock is open to connect for all; who is at the other end (SO_PEERCRED) decides, by
 * the rules of access.h.
 */
#ifndef DAEMON_SERVER_H
#define DAEMON_SERVER_H

#include "base/error.h"

#define SERVER_CONNECTIONS_MAX 256

struct access_rules;
struct node;
struct server;

/* Listens; serves once server_run() runs. Copies the rules. */
int server_new(struct server **server, struct node *node, const struct access_rules *rules,
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
