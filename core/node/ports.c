/* ports.c - see ports.h. */
#include "node/ports.h"

#include "net/transport.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define ADDRESS_SIZE 128
#define TRIES_MAX 32 /* of free TCP ports whose UDP port is taken */

int ports_parse(const char *host, int port, struct sockaddr_storage *socket, socklen_t *size,
                struct vios_error *error)
{
    struct sockaddr_in *v4 = (struct sockaddr_in *)socket;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)socket;
    memset(socket, 0, sizeof *socket);
    if (inet_pton(AF_INET, host, &v4->sin_addr) == 1) {
        v4->sin_family = AF_INET;
        v4->sin_port = htons((uint16_t)port);
        *size = sizeof *v4;
        return VIOS_OK;
    }
    if (inet_pton(AF_INET6, host, &v6->sin6_addr) == 1) {
        v6->sin6_family = AF_INET6;
        v6->sin6_port = htons((uint16_t)port);
        *size = sizeof *v6;
        return VIOS_OK;
    }
    return error_set(error, VIOS_E_USAGE, "address", "give it in numbers, as in 192.0.2.1",
                     "\"%.80s\" is no address", host);
}

void ports_address(const char *host, int port, char *text, size_t size)
{
    bool v6 = strchr(host, ':') != NULL;
    snprintf(text, size, "tcp:%s%.64s%s:%d", v6 ? "[" : "", host, v6 ? "]" : "", port);
}

static int bound_port(int fd)
{
    struct sockaddr_storage bound;
    socklen_t size = sizeof bound;
    if (getsockname(fd, (struct sockaddr *)&bound, &size) != 0) {
        return 0;
    }
    return ntohs(bound.ss_family == AF_INET ? ((struct sockaddr_in *)&bound)->sin_port
                                            : ((struct sockaddr_in6 *)&bound)->sin6_port);
}

static int open_udp(const char *address, int port, struct vios_error *error)
{
    struct sockaddr_storage at;
    socklen_t size;
    int status = ports_parse(address, port, &at, &size, error);
    if (status != VIOS_OK) {
        return status;
    }
    int fd = socket(at.ss_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd >= 0 && bind(fd, (const struct sockaddr *)&at, size) == 0) {
        return fd;
    }
    status = errno == EADDRINUSE ? error_set(error, VIOS_E_EXISTS, address, "give another port",
                                             "UDP port %d is in use", port)
                                 : error_set_errno(error, address, "cannot use UDP port %d", port);
    if (fd >= 0) {
        close(fd);
    }
    return status;
}

static int open_both(struct ports *ports, const char *address, int port, struct vios_error *error)
{
    char text[ADDRESS_SIZE];
    ports_address(address, port, text, sizeof text);
    ports->tcp = transport_listen(text, error);
    if (ports->tcp < 0) {
        return ports->tcp;
    }
    ports->number = bound_port(ports->tcp);
    ports->udp = open_udp(address, ports->number, error);
    return ports->udp >= 0 ? VIOS_OK : ports->udp;
}

int ports_open(struct ports *ports, const char *address, int port, struct vios_error *error)
{
    struct sockaddr_storage unused;
    socklen_t size;
    *ports = (struct ports){.tcp = -1, .udp = -1};
    int status = ports_parse(address, port, &unused, &size, error);
    for (int tries = 0; status == VIOS_OK && tries < TRIES_MAX; tries++) {
        status = open_both(ports, address, port, error);
        if (status == VIOS_OK) {
            return VIOS_OK;
        }
        ports_close(ports);
        if (status == VIOS_E_EXISTS && port == 0 && tries + 1 < TRIES_MAX) {
            status = VIOS_OK; /* that number is somebody's UDP port: take another */
        }
    }
    return status;
}

void ports_close(struct ports *ports)
{
    if (ports->tcp >= 0) {
        close(ports->tcp);
    }
    if (ports->udp >= 0) {
        close(ports->udp);
    }
    ports->tcp = ports->udp = -1;
}
