/* datagrams.c - see datagrams.h. Routes are sorted by name, as the listing is. */
#include "node/datagrams.h"

#include "base/log.h"
#include "cluster/keepalive.h"

#include "base/json.h"
#include "net/datagram.h"
#include "node/ports.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

_Static_assert(KEEPALIVE_SIZE_MAX <= DATAGRAM_BODY_MAX, "a keep-alive can be sealed");

struct route {
    char name[NAME_MAX_LENGTH + 1];
    struct sockaddr_storage socket;
    socklen_t size; /* 0: nobody knows where it is */
};

struct datagrams {
    int fd;
    const char *own; /* the node's name */
    struct datagram *sealing;
    struct ring ring; /* count 0: none yet */
    struct route *routes;
    size_t route_count;
    bool strangers; /* spoke since it was asked last */
};

int datagrams_open(struct datagrams **datagrams, struct node *node, int fd, int64_t start,
                   struct vios_error *error)
{
    struct datagrams *made = calloc(1, sizeof *made);
    *datagrams = NULL;
    if (!made) {
        close(fd);
        return error_no_memory(error, NULL);
    }
    made->fd = fd;
    made->own = node->name;
    int status = datagram_new(&made->sealing, node->name, error);
    if (status == VIOS_OK) {
        status = datagram_begin(made->sealing, node->incarnation, start, error);
    }
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
        close(datagrams->fd);
        datagram_free(datagrams->sealing);
        ring_forget(&datagrams->ring);
        free(datagrams->routes);
        free(datagrams);
    }
}

int datagrams_descriptor(const struct datagrams *datagrams)
{
    return datagrams->fd;
}

/* --- keys --- */

static bool same_ring(const struct ring *one, const struct ring *other)
{
    bool same = one->count == other->count && one->seal == other->seal;
    for (size_t i = 0; same && i < one->count; i++) {
        same = one->keys[i].id == other->keys[i].id &&
               memcmp(one->keys[i].bytes, other->keys[i].bytes, DATAGRAM_KEY_BYTES) == 0;
    }
    return same;
}

void datagrams_set_ring(struct datagrams *datagrams, const struct ring *ring)
{
    struct vios_error error;
    if (same_ring(&datagrams->ring, ring)) {
        return;
    }
    if (datagram_set_keys(datagrams->sealing, ring->keys, ring->count, ring->seal, &error) !=
        VIOS_OK) {
        log_error("cluster", "the ring key cannot be used: %s", error.message);
        return;
    }
    datagrams->ring = *ring;
}

void datagrams_tell_ring(const struct datagrams *datagrams, json_t *record)
{
    json_t *ids = json_array();
    for (size_t i = 0; i < datagrams->ring.count; i++) {
        json_array_append_new(ids, json_integer(datagrams->ring.keys[i].id));
    }
    json_object_set_new(record, "ring", ids);
    json_object_set_new(record, "seal", json_integer(datagrams->ring.seal));
}

json_t *datagrams_counts(const struct datagrams *datagrams)
{
    const uint64_t *counts = datagram_counts(datagrams->sealing);
    json_t *shown = json_object();
    for (int verdict = 0; verdict < DATAGRAM_VERDICTS; verdict++) {
        json_object_set_new(shown, datagram_verdict_name((enum datagram_verdict)verdict),
                            json_integer((json_int_t)counts[verdict]));
    }
    return shown;
}

bool datagrams_had_strangers(struct datagrams *datagrams)
{
    bool had = datagrams->strangers;
    datagrams->strangers = false;
    return had;
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

/* Who is not in the list any more is not believed any more. */
static void forget_removed(struct datagrams *datagrams, const struct store_list *nodes)
{
    for (size_t i = 0; i < datagrams->route_count; i++) {
        if (!find_value(nodes, "/node/", datagrams->routes[i].name)) {
            datagram_forget(datagrams->sealing, datagrams->routes[i].name);
        }
    }
}

static void read_route(struct datagrams *datagrams, struct route *route,
                       const struct store_value *node, const struct store_value *alive)
{
    const char *name = node->key + strlen("/node/");
    json_t *record = json_loads(node->json, 0, NULL);
    json_t *life = alive ? json_loads(alive->json, 0, NULL) : NULL;
    const char *address = json_get_text(record, "address");
    json_int_t port = json_get_integer(life, "port");
    if (!address || port <= 0 || port > UINT16_MAX ||
        ports_parse(address, (int)port, &route->socket, &route->size, NULL) != VIOS_OK) {
        route->size = 0;
    }
    snprintf(route->name, sizeof route->name, "%s", name);
    bool other = strcmp(name, datagrams->own) != 0; /* our own, sent back to us, are nobody's */
    if (other && datagram_know(datagrams->sealing, name, NULL) == VIOS_OK && life) {
        datagram_expect(datagrams->sealing, name, json_get_integer(life, "incarnation"),
                        json_get_integer(life, "start"));
    }
    json_decref(record);
    json_decref(life);
}

void datagrams_route(struct datagrams *datagrams, const struct store_list *nodes,
                     const struct store_list *alive)
{
    struct route *routes = calloc(nodes->count > 0 ? nodes->count : 1, sizeof *routes);
    size_t count = 0;
    if (!routes) {
        return;
    }
    forget_removed(datagrams, nodes);
    for (size_t i = 0; i < nodes->count; i++) {
        const char *name = nodes->values[i].key + strlen("/node/");
        read_route(datagrams, &routes[count], &nodes->values[i],
                   find_value(alive, "/alive/", name));
        count++;
    }
    free(datagrams->routes);
    datagrams->routes = routes;
    datagrams->route_count = count;
}

static int compare_route(const void *name, const void *route)
{
    return strcmp(name, ((const struct route *)route)->name);
}

/* --- packets --- */

void datagrams_send(struct datagrams *datagrams, const char *node, const void *data, size_t size)
{
    uint8_t packet[DATAGRAM_MAX];
    size_t packet_size;
    const struct route *route = bsearch(node, datagrams->routes, datagrams->route_count,
                                        sizeof *datagrams->routes, compare_route);
    if (!route || route->size == 0 ||
        datagram_seal(datagrams->sealing, data, size, packet, &packet_size, NULL) != VIOS_OK) {
        return;
    }
    ssize_t sent = sendto(datagrams->fd, packet, packet_size, MSG_DONTWAIT | MSG_NOSIGNAL,
                          (const struct sockaddr *)&route->socket, route->size);
    (void)sent; /* the network may lose it too */
}

void datagrams_receive(struct datagrams *datagrams,
                       void (*each)(void *context, const char *from, const uint8_t *data,
                                    size_t size),
                       void *context)
{
    for (int i = 0; i < DATAGRAMS_BATCH_MAX; i++) {
        uint8_t packet[DATAGRAM_MAX + 1]; /* one that is longer is seen to be so */
        struct datagram_message message;
        ssize_t got = recv(datagrams->fd, packet, sizeof packet, 0);
        if (got < 0) {
            return;
        }
        enum datagram_verdict verdict =
            datagram_open(datagrams->sealing, packet, (size_t)got, &message);
        if (verdict == DATAGRAM_GOOD) {
            each(context, message.node, message.body, message.size);
        } else if (verdict == DATAGRAM_UNKNOWN_SENDER || verdict == DATAGRAM_UNKNOWN_KEY) {
            datagrams->strangers = true;
        }
    }
}
