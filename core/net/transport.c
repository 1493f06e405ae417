/*
 * transport.c - the plain transport: a socket, and nothing in between.
 */
#include "net/transport.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

static int plain_read(struct transport *transport, void *data, size_t size, size_t *done)
{
    *done = 0;
    for (;;) {
        ssize_t got = recv(transport->fd, data, size, 0);
        if (got > 0) {
            *done = (size_t)got;
            return VIOS_OK;
        }
        if (got < 0 && errno == EINTR) {
            continue;
        }
        return got < 0 && errno == EAGAIN ? VIOS_OK : VIOS_E_UNREACHABLE;
    }
}

static int plain_write(struct transport *transport, const struct iovec *parts, int count,
                       size_t *done)
{
    struct msghdr message = {
        .msg_iov = (struct iovec *)parts,
        .msg_iovlen = (size_t)(count > IOV_MAX ? IOV_MAX : count),
    };
    *done = 0;
    for (;;) {
        ssize_t sent = sendmsg(transport->fd, &message, MSG_NOSIGNAL);
        if (sent >= 0) {
            *done = (size_t)sent;
            return VIOS_OK;
        }
        if (errno == EINTR) {
            continue;
        }
        return errno == EAGAIN ? VIOS_OK : VIOS_E_UNREACHABLE;
    }
}

/* A plain reader waits for input, a writer for output: the caller knows which. */
static uint32_t plain_wants(const struct transport *transport)
{
    (void)transport;
    return 0;
}

static bool plain_pending(const struct transport *transport)
{
    (void)transport;
    return false;
}

static void plain_close(struct transport *transport)
{
    if (transport) {
        close(transport->fd);
        free(transport);
    }
}

static const struct transport_operations PLAIN = {
    .read = plain_read,
    .write = plain_write,
    .wants = plain_wants,
    .pending = plain_pending,
    .close = plain_close,
};

int transport_plain(struct transport **out, int fd, struct vios_error *error)
{
    int flags = fcntl(fd, F_GETFL);
    if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) != 0) {
        int status = error_set_errno(error, NULL, "fcntl");
        close(fd);
        return status;
    }
    struct transport *transport = calloc(1, sizeof *transport);
    if (!transport) {
        close(fd);
        return error_set(error, VIOS_E_NO_SPACE, NULL, NULL, "no memory for a connection");
    }
    int one = 1; /* fails on anything but TCP, where there is nothing to delay */
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    transport->operations = &PLAIN;
    transport->fd = fd;
    *out = transport;
    return VIOS_OK;
}

int transport_detach(struct transport *transport)
{
    assert(transport->operations == &PLAIN);
    int fd = transport->fd;
    free(transport);
    return fd;
}

int transport_handshake(struct transport *transport, bool *done)
{
    if (transport->operations->handshake) {
        return transport->operations->handshake(transport, done);
    }
    *done = true;
    return VIOS_OK;
}

const struct transport_peer *transport_peer(const struct transport *transport)
{
    return transport->operations->peer ? transport->operations->peer(transport) : NULL;
}

int transport_why(const struct transport *transport, int status, struct vios_error *error)
{
    const struct vios_error *why =
        transport->operations->why ? transport->operations->why(transport) : NULL;
    if (!why || why->code == VIOS_OK) {
        return error_set(error, status, NULL, NULL, "the connection is lost");
    }
    if (error) {
        *error = *why;
    }
    return why->code;
}
