/*
 * securing.c - NBD_OPT_STARTTLS: TLS takes the place of the plain socket, and negotiation begins
 * anew.
 *
 * Nothing that was said in the clear counts afterwards, for anybody on the way may have said it:
 * the options that were set are unset, and bytes that came behind STARTTLS end the connection.
 * Those that are still on their way are read as TLS, and are none.
 *
 * Connections with TLS are in a list, so that those of a node that was removed can be ended. That
 * is done by shutting down their sockets, from any thread: each then ends by itself, on its worker.
 */
#include "nbd/connection.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

static const char *const PROTOCOLS[] = {TLS_NBD, NULL};

bool securing_start(struct nbd_connection *connection, uint32_t *refusal, const char **why)
{
    *refusal = NBD_REP_ERR_POLICY;
    if (!connection->tls) {
        *why = "TLS is not offered on this listener";
        return false;
    }
    if (connection->secure) {
        *refusal = NBD_REP_ERR_INVALID;
        *why = "TLS has begun already";
        return false;
    }
    if (!tls_context_ready(connection->tls)) {
        *refusal = NBD_REP_ERR_PLATFORM;
        *why = "this node has no certificate yet";
        return false;
    }
    state_machine_move(&connection->phase, PHASE_SECURING, "starttls");
    return true;
}

void securing_refused(struct nbd_connection *connection, const struct vios_error *why)
{
    struct vios_error whole = *why;
    struct nbd_server *server = connection->server;
    if (connection->refused) {
        return; /* once is enough */
    }
    connection->refused = true;
    if (!whole.object[0] && connection->transport) {
        (void)transport_peer_address(connection->transport->fd, whole.object, sizeof whole.object,
                                     NULL);
    }
    if (server->refused) {
        server->refused(server->refused_context, &whole);
    }
}

static int replace_transport(struct nbd_connection *connection, struct vios_error *error)
{
    int fd = transport_detach(connection->transport);
    connection->transport = NULL;
    return transport_tls_server(&connection->transport, fd, connection->tls, PROTOCOLS, error);
}

/* --- the list --- */

static bool still_allowed(struct nbd_connection *connection, struct vios_error *error)
{
    const struct transport_peer *peer = transport_peer(connection->transport);
    return tls_context_allowed(connection->tls, peer->node, peer->serial, error) == VIOS_OK;
}

/* Into the list first, then looks again: a change in between is seen by one of the two. */
static bool enter(struct nbd_connection *connection, struct vios_error *error)
{
    struct nbd_server *server = connection->server;
    pthread_mutex_lock(&server->lock);
    connection->secure = true;
    connection->secure_next = server->secure;
    if (server->secure) {
        server->secure->secure_previous = connection;
    }
    server->secure = connection;
    pthread_mutex_unlock(&server->lock);
    return still_allowed(connection, error);
}

void securing_end(struct nbd_connection *connection)
{
    struct nbd_server *server = connection->server;
    if (!connection->secure) {
        return;
    }
    pthread_mutex_lock(&server->lock);
    if (connection->secure_previous) {
        connection->secure_previous->secure_next = connection->secure_next;
    } else {
        server->secure = connection->secure_next;
    }
    if (connection->secure_next) {
        connection->secure_next->secure_previous = connection->secure_previous;
    }
    connection->secure = false;
    pthread_mutex_unlock(&server->lock);
}

void nbd_server_recheck(struct nbd_server *server)
{
    pthread_mutex_lock(&server->lock);
    for (struct nbd_connection *one = server->secure; one; one = one->secure_next) {
        if (!still_allowed(one, NULL)) {
            (void)shutdown(one->transport->fd, SHUT_RDWR);
        }
    }
    pthread_mutex_unlock(&server->lock);
}

/* --- the handshake --- */

static void begin_anew(struct nbd_connection *connection)
{
    const struct transport_peer *peer = transport_peer(connection->transport);
    snprintf(connection->identity, sizeof connection->identity, "node:%s", peer->node);
    connection->structured = false;
    free(connection->meta_export);
    connection->meta_export = NULL;
    connection->input_start = connection->input_end = 0;
    state_machine_move(&connection->phase, PHASE_OPTIONS, connection->identity);
}

bool securing_step(struct nbd_connection *connection)
{
    struct vios_error why = {0};
    bool done = false;
    int status = VIOS_OK;
    if (connection->output_size > 0) {
        return false; /* the acknowledgement leaves in the clear */
    }
    if (connection->transport->operations->handshake == NULL) {
        status = replace_transport(connection, &why);
    }
    if (status == VIOS_OK) {
        status = transport_handshake(connection->transport, &done);
        if (status != VIOS_OK) {
            transport_why(connection->transport, status, &why);
        }
    }
    if (status == VIOS_OK && done && !enter(connection, &why)) {
        status = why.code;
    }
    if (status != VIOS_OK) {
        securing_refused(connection, &why);
        connection_close(connection);
        return false;
    }
    if (done) {
        begin_anew(connection);
    }
    return done;
}
