/* tls_pair.h - two ends of a TLS connection in one test, driven turn by turn. */
#ifndef TESTS_UNIT_NET_TLS_PAIR_H
#define TESTS_UNIT_NET_TLS_PAIR_H

#include "tests/unit/net/identity.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>

#define TURNS_MAX 1000

static const char *const RPC_ONLY[] = {"event", "rpc", NULL};

struct pair {
    struct tls_context *server_context, *client_context;
    struct transport *server, *client;
    int fds[2]; /* server, client: owned by the transports once these are there */
};

__attribute__((unused)) static struct pair pair_sockets(void)
{
    struct pair pair = {0};
    is_int(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair.fds), 0);
    return pair;
}

/* Takes over the contexts. */
__attribute__((unused)) static struct pair pair_of(struct tls_context *server,
                                                   struct tls_context *client, const char *protocol,
                                                   const char *node)
{
    struct pair pair = pair_sockets();
    pair.server_context = server;
    pair.client_context = client;
    is_int(transport_tls_server(&pair.server, pair.fds[0], server, RPC_ONLY, NULL), VIOS_OK);
    is_int(transport_tls_client(&pair.client, pair.fds[1], client, protocol, node, NULL), VIOS_OK);
    return pair;
}

/* Both handshakes, as far as they go. */
__attribute__((unused)) static void pair_shake(struct pair *pair, int *server, int *client)
{
    bool server_done = false, client_done = false;
    *server = *client = VIOS_OK;
    for (int i = 0; i < TURNS_MAX && !(server_done && client_done); i++) {
        *client = *client ? *client : transport_handshake(pair->client, &client_done);
        *server = *server ? *server : transport_handshake(pair->server, &server_done);
        if (*server != VIOS_OK) {
            return;
        }
        if (*client != VIOS_OK) { /* its alert comes to the server in the next turn */
            *server = transport_handshake(pair->server, &server_done);
            return;
        }
    }
}

__attribute__((unused)) static void pair_close(struct pair *pair)
{
    if (pair->client) {
        pair->client->operations->close(pair->client);
    }
    if (pair->server) {
        pair->server->operations->close(pair->server);
    }
    tls_context_free(pair->client_context);
    tls_context_free(pair->server_context);
}

/* Why this end failed. */
__attribute__((unused)) static const char *why(const struct transport *transport)
{
    static struct vios_error error;
    error = (struct vios_error){0};
    transport_why(transport, VIOS_E_SYSTEM, &error);
    return error.message;
}

__attribute__((unused)) static size_t put(struct transport *transport, const void *data,
                                          size_t size)
{
    struct iovec part = {(void *)data, size};
    size_t done = 0;
    is_int(transport->operations->write(transport, &part, 1, &done), VIOS_OK);
    return done;
}

#endif
