/* datagrams.c - see datagrams.h. Routes are sorted by name, as the listing is. */
#include "node/datagrams.h"

#include "base/log.h"
#include "cluster/keepalive.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define PACKET_SIZE 2048

struct route {
    char name[NAME_MAX_LENGTH + 1];
    struct sockaddr_storage socket;
    socklen_t size;
};

struct datagrams {
    int fd;
    int port;
    char own[NAME_MAX_LENGTH + 1];
    struct route *routes;
    size_t route_count;
};

/* A numeric address, as the configuration has it. */
static int parse_host(const char *host, int port, struct sockaddr_storage *socket, socklen_t *size)
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
    return VIOS_E_USAGE;
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

static int bind_socket(struct datagrams *datagrams, const struct node *node,
                       struct vios_error *error)
{
    struct sockaddr_storage socket_address;
    socklen_t size;
    const char *address = config_text(node->config, "address");
    int port = (int)config_integer(node->config, "port");
    if (parse_host(address, port, &socket_address, &size) != VIOS_OK) {
        return error_set(error, VIOS_E_USAGE, "address", "give it in numbers, as in 192.0.2.1",
                         "\"%.80s\" is no address", address);
    }
    datagrams->fd = socket(socket_address.ss_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (datagrams->fd < 0 ||
        bind(datagrams->fd, (const struct sockaddr *)&socket_address, size) != 0) {
        return error_set_errno(error, address, "cannot use UDP port %d", port);
    }
    datagrams->port = bound_port(datagrams->fd);
    return VIOS_OK;
}

int datagrams_open(struct datagrams **datagrams, struct node *node, int64_t start,
                   struct vios_error *error)
{
    struct datagrams *made = calloc(1, sizeof *made);
    *datagrams = NULL;
    (void)start;
    if (!made) {
        return error_set(error, VIOS_E_NO_SPACE, NULL, NULL, "out of memory");
    }
    made->fd = -1;
    snprintf(made->own, sizeof made->own, "%s", node->name);
    int status = bind_socket(made, node, error);
    if (status != VIOS_OK) {
        datagrams_close(made);
        return status;
    }
    *datagrams = made;
    return VIOS_OK;
}

void datagrams_close(struct datagrams *datagrams)
{
    if (datagrams) {
        if (datagrams->fd >= 0) {
            close(datagrams->fd);
        }
        free(datagrams->routes);
        free(datagrams);
    }
}

int datagrams_descriptor(const struct datagrams *datagrams)
{
    return datagrams->fd;
}

int datagrams_port(const struct datagrams *datagrams)
{
    return datagrams->port;
}

/* --- routes --- */

static const struct store_value *find_value(const struct store_list *list, const char *prefix,
                                            const char *name)
{
    for (size_t i = 0; i < list->count; i++) {
        if (strcmp(list->values[i].key + strlen(prefix), name) == 0) {
            return &list->values[i];
        }
    }
    return NULL;
}

static bool read_route(struct route *route, const struct store_value *node,
                       const struct store_value *alive)
{
    const char *name = node->key + strlen("/node/");
    json_t *record = json_loads(node->json, 0, NULL);
    json_t *life = alive ? json_loads(alive->json, 0, NULL) : NULL;
    const char *address = json_string_value(json_object_get(record, "address"));
    json_int_t port = json_integer_value(json_object_get(life, "port"));
    bool good = address && port > 0 && port <= UINT16_MAX &&
                parse_host(address, (int)port, &route->socket, &route->size) == VIOS_OK;
    snprintf(route->name, sizeof route->name, "%s", name);
    json_decref(record);
    json_decref(life);
    return good;
}

void datagrams_route(struct datagrams *datagrams, const struct store_list *nodes,
                     const struct store_list *alive)
{
    struct route *routes = calloc(nodes->count > 0 ? nodes->count : 1, sizeof *routes);
    size_t count = 0;
    for (size_t i = 0; routes && i < nodes->count; i++) {
        const char *name = nodes->values[i].key + strlen("/node/");
        count += read_route(&routes[count], &nodes->values[i], find_value(alive, "/alive/", name));
    }
    if (routes) {
        free(datagrams->routes);
        datagrams->routes = routes;
        datagrams->route_count = count;
    }
}

static int compare_route(const void *name, const void *route)
{
    return strcmp(name, ((const struct route *)route)->name);
}

/* --- packets --- */

void datagrams_send(struct datagrams *datagrams, const char *node, const void *data, size_t size)
{
    uint8_t packet[PACKET_SIZE];
    const struct route *route = bsearch(node, datagrams->routes, datagrams->route_count,
                                        sizeof *datagrams->routes, compare_route);
    size_t length = strlen(datagrams->own);
    if (!route || size + length + 1 > sizeof packet) {
        return;
    }
    packet[0] = (uint8_t)length;
    memcpy(packet + 1, datagrams->own, length);
    memcpy(packet + 1 + length, data, size);
    ssize_t sent = sendto(datagrams->fd, packet, 1 + length + size, MSG_DONTWAIT | MSG_NOSIGNAL,
                          (const struct sockaddr *)&route->socket, route->size);
    (void)sent; /* the network may lose it too */
}

void datagrams_receive(struct datagrams *datagrams,
                       void (*each)(void *context, const char *from, const uint8_t *data,
                                    size_t size),
                       void *context)
{
    for (int i = 0; i < DATAGRAMS_BATCH_MAX; i++) {
        uint8_t packet[PACKET_SIZE];
        char from[NAME_MAX_LENGTH + 1];
        ssize_t got = recv(datagrams->fd, packet, sizeof packet, 0);
        if (got < 0) {
            return;
        }
        size_t length = got > 0 ? packet[0] : 0;
        if (length == 0 || length > NAME_MAX_LENGTH || (size_t)got < 1 + length) {
            continue;
        }
        memcpy(from, packet + 1, length);
        from[length] = '\0';
        each(context, from, packet + 1 + length, (size_t)got - 1 - length);
    }
}
