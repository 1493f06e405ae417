/*
 * transport.h - bytes over a connection, plain or TLS, through one interface. Non-blocking,
 * used from one worker's thread. A reader sees VIOS_OK with *done = 0 for "not now".
 */
#ifndef NET_TRANSPORT_H
#define NET_TRANSPORT_H

#include "base/operation.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

struct transport;

struct transport_operations {
    /* VIOS_OK and *done > 0; VIOS_OK and *done == 0: would block; VIOS_E_UNREACHABLE: ended. */
    int (*read)(struct transport *transport, void *data, size_t size, size_t *done);
    int (*write)(struct transport *transport, const struct iovec *parts, int count, size_t *done);
    /* What to wait for beside the usual (input to read, room to write) before trying again:
     * EPOLLIN, EPOLLOUT, both, or 0. During a handshake it is all there is to wait for. */
    uint32_t (*wants)(const struct transport *transport);
    /* Bytes already decrypted wait inside, so that epoll would not tell. */
    bool (*pending)(const struct transport *transport);
    void (*close)(struct transport *transport);
    /* Those of TLS; NULL: plain. See transport_handshake and so on. */
    int (*handshake)(struct transport *transport, bool *done);
    const struct transport_peer *(*peer)(const struct transport *transport);
    const struct vios_error *(*why)(const struct transport *transport);
};

/* Who is at the other end, as its certificate says. */
struct transport_peer {
    char node[64];     /* "": it joins, and is nobody yet */
    char serial[33];   /* of its certificate, lower-case hex */
    char protocol[16]; /* "rpc", "event", "nbd", "join" */
};

struct transport {
    const struct transport_operations *operations;
    int fd;
};

/* Takes over `fd`, which becomes non-blocking; for TCP, TCP_NODELAY. */
int transport_plain(struct transport **transport, int fd, struct vios_error *error);

/* Frees a plain transport and gives its descriptor back, so that TLS can take its place. */
int transport_detach(struct transport *transport);

/*
 * One step of the handshake, which reading and writing would take too: for who wants to limit its
 * time, or look at the peer before anything else. Not *done: wait for what `wants` says. A plain
 * transport has none and is done.
 */
int transport_handshake(struct transport *transport, bool *done);

/* After the handshake; NULL before, and for a plain transport. Owned by the transport. */
const struct transport_peer *transport_peer(const struct transport *transport);

/* Fills `error` with the reason why reading, writing or the handshake failed, and returns its
 * code; `status`, what they returned, stands for a plain transport, which knows no more. */
int transport_why(const struct transport *transport, int status, struct vios_error *error);

/*
 * Addresses: "unix:/path" (any length: a long one is opened through a descriptor of its folder),
 * and "tcp:HOST:PORT" with numeric hosts, "[::1]" for IPv6. transport_listen with port 0 binds a
 * free one; transport_address gives what was bound (not of a unix path over 107 bytes). They
 * return a descriptor, non-blocking and close-on-exec, or a status. Listening on a unix path
 * replaces a socket that nobody listens on, and refuses a live one (VIOS_E_EXISTS).
 * transport_connect waits for a listener whose backlog is full; transport_connect_start says
 * VIOS_E_LOCKED then. Nobody listening is VIOS_E_UNREACHABLE.
 */
int transport_listen(const char *address, struct vios_error *error);
int transport_connect(const char *address, struct operation *operation);    /* blocks */
int transport_connect_start(const char *address, struct vios_error *error); /* EINPROGRESS is
                                                                              VIOS_OK */
int transport_address(int fd, char *address, size_t size, struct vios_error *error);
/* The other end's; "unix:" for one on this machine. */
int transport_peer_address(int fd, char *address, size_t size, struct vios_error *error);
/* Whether the text is an address at all; nothing is opened. */
int transport_address_check(const char *address, struct vios_error *error);

#endif
