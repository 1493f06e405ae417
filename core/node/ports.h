/*
 * ports.h - the one number at which other nodes reach this one: TCP for RPC, UDP for keep-alives.
 */
#ifndef NODE_PORTS_H
#define NODE_PORTS_H

#include "base/error.h"

#include <sys/socket.h>

struct ports {
    int tcp, udp; /* descriptors, non-blocking; TCP listens */
    int number;
};

/* Binds both at `address`, a numeric one; port 0: at any number that is free for both. */
int ports_open(struct ports *ports, const char *address, int port, struct vios_error *error);

/* Closes what is not -1. */
void ports_close(struct ports *ports);

/* "tcp:HOST:PORT", with brackets for IPv6. */
void ports_address(const char *host, int port, char *text, size_t size);

/* A numeric host and a port as a socket's address. VIOS_E_USAGE. */
int ports_parse(const char *host, int port, struct sockaddr_storage *socket, socklen_t *size,
                struct vios_error *error);

#endif
