/* gateway.c - see gateway.h. Everything but gateway_recheck() runs on the worker's thread. */
#include "daemon/gateway.h"

#include "base/clock.h"
#include "base/log.h"
#include "daemon/connection.h"
#include "daemon/server.h"
#include "event/callers.h"
#include "net/tls.h"
#include "net/worker.h"
#include "node/identity.h"

#include <assert.h>
#include <errno.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define ADDRESS_SIZE 96
#define PUMP_ROUNDS_MAX 16 /* of one connection, then the others have their turn */

struct buffer {
    size_t start, end; /* what is in it; empty: both 0 */
    uint8_t data[GATEWAY_BUFFER_SIZE];
};

enum link_kind {
    LINK_STRANGER, /* in its handshake */
    LINK_MEMBER,   /* past it, with a certificate */
    LINK_JOINING,
    LINK_KINDS
};

struct link {
    struct gateway *gateway;
    struct transport *transport;
    struct watch outside, inside; /* the TLS connection; our end of the pair, fd -1: none yet */
    struct timer limit;
    enum link_kind kind;
    bool heard;       /* something came from it */
    int64_t began_ms; /* when it was accepted */
    char node[64], serial[33];
    char address[ADDRESS_SIZE];
    struct buffer *in, *out; /* to the server, from it; NULL: a stranger has none */
    struct link *next, *previous;
};

/* In the order in which they came. */
struct link_list {
    struct link *first, *last;
    size_t count;
};

struct gateway {
    struct node *node;
    struct server *server;
    struct worker *worker;
    struct watch listener;
    struct timer pause;
    struct task start, recheck, stop;
    atomic_bool rechecking;
    bool paused; /* nobody is accepted */
    struct link_list links[LINK_KINDS];
};

static const char *const PROTOCOLS[] = {TLS_RPC, TLS_JOIN, TLS_EVENT, NULL};

static const size_t KIND_MAX[] = {[LINK_STRANGER] = GATEWAY_STRANGERS_MAX,
                                  [LINK_MEMBER] = GATEWAY_LINKS_MAX,
                                  [LINK_JOINING] = GATEWAY_JOINING_MAX};

#define owner_of(pointer, type, member) ((type *)((char *)(pointer)-offsetof(type, member)))

static void refuse(struct gateway *gateway, const char *who, const char *why)
{
    gateway->node->hooks->refused(gateway->node, "RPC", who, why);
}

/* --- one connection --- */

static void list_add(struct link *link, enum link_kind kind)
{
    struct link_list *list = &link->gateway->links[kind];
    link->kind = kind;
    link->next = NULL;
    link->previous = list->last;
    *(list->last ? &list->last->next : &list->first) = link;
    list->last = link;
    list->count++;
}

static void list_remove(struct link *link)
{
    struct link_list *list = &link->gateway->links[link->kind];
    *(link->previous ? &link->previous->next : &list->first) = link->next;
    *(link->next ? &link->next->previous : &list->last) = link->previous;
    list->count--;
}

/* Accepting goes on as soon as there is room again. */
static void resume(struct gateway *gateway)
{
    if (gateway->paused) {
        gateway->paused = false;
        worker_disarm(gateway->worker, &gateway->pause);
        worker_rewatch(gateway->worker, &gateway->listener, EPOLLIN);
    }
}

static void pause_accepting(struct gateway *gateway)
{
    gateway->paused = true;
    worker_rewatch(gateway->worker, &gateway->listener, 0);
    worker_arm(gateway->worker, &gateway->pause, clock_now_ms() + GATEWAY_PAUSE_MS);
}

/* Lets go of the link; its transport is somebody else's, or closed. */
static void link_forget(struct link *link)
{
    struct gateway *gateway = link->gateway;
    worker_disarm(gateway->worker, &link->limit);
    if (link->inside.fd >= 0) {
        worker_unwatch(gateway->worker, &link->inside);
        close(link->inside.fd);
    }
    list_remove(link);
    free(link->in);
    free(link->out);
    free(link);
    resume(gateway);
}

static void link_close(struct link *link)
{
    worker_unwatch(link->gateway->worker, &link->outside);
    link->transport->operations->close(link->transport);
    link_forget(link);
}

static bool is_empty(const struct buffer *buffer)
{
    return buffer->start == buffer->end;
}

static void taken(struct buffer *buffer, size_t count)
{
    buffer->start += count;
    if (is_empty(buffer)) {
        buffer->start = buffer->end = 0;
    }
}

/* False: the connection is over. */
static bool move_in(struct link *link, bool *moved)
{
    struct buffer *buffer = link->in;
    size_t got = 0;
    if (is_empty(buffer)) {
        int status = link->transport->operations->read(link->transport, buffer->data,
                                                       sizeof buffer->data, &got);
        if (status != VIOS_OK) {
            return false;
        }
        buffer->end = got;
    }
    if (is_empty(buffer)) {
        return true;
    }
    ssize_t sent = send(link->inside.fd, buffer->data + buffer->start, buffer->end - buffer->start,
                        MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0) {
        return errno == EAGAIN || errno == EINTR;
    }
    taken(buffer, (size_t)sent);
    *moved = true;
    return true;
}

static bool move_out(struct link *link, bool *moved)
{
    struct buffer *buffer = link->out;
    size_t sent = 0;
    if (is_empty(buffer)) {
        ssize_t got = recv(link->inside.fd, buffer->data, sizeof buffer->data, MSG_DONTWAIT);
        if (got <= 0) {
            return got < 0 && (errno == EAGAIN || errno == EINTR);
        }
        buffer->end = (size_t)got;
    }
    struct iovec part = {buffer->data + buffer->start, buffer->end - buffer->start};
    if (link->transport->operations->write(link->transport, &part, 1, &sent) != VIOS_OK) {
        return false;
    }
    taken(buffer, sent);
    *moved = *moved || sent > 0;
    return true;
}

static void rewatch(struct link *link)
{
    struct worker *worker = link->gateway->worker;
    uint32_t wants = link->transport->operations->wants(link->transport);
    worker_rewatch(worker, &link->outside,
                   wants | (is_empty(link->in) ? EPOLLIN : 0) |
                       (is_empty(link->out) ? 0 : EPOLLOUT));
    worker_rewatch(worker, &link->inside,
                   (is_empty(link->out) ? EPOLLIN : 0u) | (is_empty(link->in) ? 0u : EPOLLOUT));
}

static void pump(struct link *link)
{
    bool moved = true;
    for (int i = 0; moved && i < PUMP_ROUNDS_MAX; i++) {
        moved = false;
        if (!move_in(link, &moved) || !move_out(link, &moved)) {
            link_close(link);
            return;
        }
    }
    /* What TLS has inside, epoll does not tell: there is none left unless the rounds are over. Who
     * joins never has so much to say. */
    if (moved && link->kind == LINK_MEMBER &&
        link->transport->operations->pending(link->transport)) {
        worker_arm(link->gateway->worker, &link->limit, clock_now_ms());
    }
    rewatch(link);
}

/* --- the handshake --- */

static void introduce(struct link *link, int fd)
{
    bool member = link->kind == LINK_MEMBER;
    struct connection_peer peer = {.role = member ? ROLE_ADMIN : ROLE_NOBODY,
                                   .speaks_for_others = member};
    if (member) {
        snprintf(peer.actor, sizeof peer.actor, "node:%s", link->node);
    } else {
        snprintf(peer.actor, sizeof peer.actor, "join:%s", link->address);
    }
    server_adopt(link->gateway->server, fd, &peer);
}

static void on_inside(struct watch *watch, uint32_t events)
{
    (void)events;
    pump(owner_of(watch, struct link, inside));
}

/* The other end of a pair goes to the server. */
static bool connect_inside(struct link *link)
{
    int pair[2];
    link->in = calloc(1, sizeof *link->in);
    link->out = calloc(1, sizeof *link->out);
    if (!link->in || !link->out) {
        return false;
    }
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) != 0) {
        return false;
    }
    link->inside.fd = pair[0];
    if (worker_watch(link->gateway->worker, &link->inside, EPOLLIN, NULL) != VIOS_OK) {
        link->inside.fd = -1;
        close(pair[0]);
        close(pair[1]);
        return false;
    }
    introduce(link, pair[1]);
    return true;
}

/* To the callers of this node, which speak with it from now on. */
static void hand_over(struct link *link)
{
    struct gateway *gateway = link->gateway;
    struct callers *callers = atomic_load(&gateway->node->callers);
    if (!callers) { /* it has only just started */
        link_close(link);
        return;
    }
    worker_unwatch(gateway->worker, &link->outside);
    callers_adopt(callers, link->transport, link->address);
    link_forget(link);
}

static void on_established(struct link *link)
{
    struct gateway *gateway = link->gateway;
    const struct transport_peer *peer = transport_peer(link->transport);
    if (strcmp(peer->protocol, TLS_EVENT) == 0) {
        hand_over(link);
        return;
    }
    bool joins = strcmp(peer->protocol, TLS_JOIN) == 0;
    enum link_kind kind = joins ? LINK_JOINING : LINK_MEMBER;
    if (gateway->links[kind].count >= KIND_MAX[kind]) {
        link_close(link);
        return;
    }
    snprintf(link->node, sizeof link->node, "%s", peer->node);
    snprintf(link->serial, sizeof link->serial, "%s", peer->serial);
    worker_disarm(gateway->worker, &link->limit);
    if (joins) {
        worker_arm(gateway->worker, &link->limit, clock_now_ms() + GATEWAY_JOIN_MS);
    }
    list_remove(link);
    list_add(link, kind);
    resume(gateway);
    if (connect_inside(link)) {
        pump(link);
    } else {
        link_close(link);
    }
}

static void shake_hands(struct link *link)
{
    bool done;
    int status = transport_handshake(link->transport, &done);
    if (status != VIOS_OK) {
        struct vios_error why = {0};
        transport_why(link->transport, status, &why);
        refuse(link->gateway, link->address, why.message);
        link_close(link);
    } else if (done) {
        on_established(link);
    } else {
        worker_rewatch(link->gateway->worker, &link->outside,
                       link->transport->operations->wants(link->transport));
    }
}

static void on_outside(struct watch *watch, uint32_t events)
{
    struct link *link = owner_of(watch, struct link, outside);
    (void)events;
    link->heard = true;
    if (link->inside.fd >= 0) {
        pump(link);
    } else {
        shake_hands(link);
    }
}

static void on_limit(struct timer *timer)
{
    struct link *link = owner_of(timer, struct link, limit);
    if (link->kind == LINK_MEMBER) {
        pump(link); /* it had more to give than one turn takes */
        return;
    }
    if (link->inside.fd < 0) {
        refuse(link->gateway, link->address, "it did not finish the handshake in time");
    }
    link_close(link);
}

/* --- accepting --- */

/* Whom others, who wait, need not wait for; NULL: nobody. */
static struct link *find_idler(const struct gateway *gateway)
{
    int64_t now_ms = clock_now_ms();
    struct link *slow = NULL;
    for (struct link *link = gateway->links[LINK_STRANGER].first; link; link = link->next) {
        int64_t age_ms = now_ms - link->began_ms;
        if (age_ms < GATEWAY_SILENT_MS) {
            break; /* and those behind it came later */
        }
        if (!link->heard) {
            return link;
        }
        slow = slow || age_ms < GATEWAY_SHAKING_MS ? slow : link;
    }
    return slow;
}

/* Whether one more stranger may come, though there is no room. */
static bool make_room(struct gateway *gateway)
{
    struct link *idler = find_idler(gateway);
    if (idler) {
        refuse(gateway, idler->address, "it did not shake hands while others waited");
        link_close(idler);
    }
    return idler != NULL;
}

static void link_open(struct gateway *gateway, int fd)
{
    struct vios_error error = {0};
    struct link *link = calloc(1, sizeof *link);
    if (!link) {
        close(fd);
        return;
    }
    link->gateway = gateway;
    link->inside = (struct watch){.ready = on_inside, .fd = -1};
    link->outside = (struct watch){.ready = on_outside, .fd = fd};
    link->limit.expired = on_limit;
    link->began_ms = clock_now_ms();
    (void)transport_peer_address(fd, link->address, sizeof link->address, NULL);
    if (transport_tls_server(&link->transport, fd, identity_tls(gateway->node->identity), PROTOCOLS,
                             &error) != VIOS_OK) {
        log_warning("rpc", "%s: %s", link->address, error.message);
        free(link);
        return;
    }
    if (worker_watch(gateway->worker, &link->outside, EPOLLIN, NULL) != VIOS_OK) {
        link->transport->operations->close(link->transport);
        free(link);
        return;
    }
    worker_arm(gateway->worker, &link->limit, link->began_ms + GATEWAY_HANDSHAKE_MS);
    list_add(link, LINK_STRANGER);
}

static void on_accept(struct watch *watch, uint32_t events)
{
    struct gateway *gateway = owner_of(watch, struct gateway, listener);
    (void)events;
    for (int i = 0; i < GATEWAY_ACCEPTS_MAX; i++) {
        bool full = gateway->links[LINK_STRANGER].count >= GATEWAY_STRANGERS_MAX;
        if (i > 0 && full) {
            return; /* it is not known whether one more waits */
        }
        if (full && !make_room(gateway)) {
            pause_accepting(gateway);
            return;
        }
        int fd = accept4(watch->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            link_open(gateway, fd);
        } else if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS) {
            pause_accepting(gateway);
            return;
        } else if (errno != ECONNABORTED && errno != EINTR) {
            return;
        }
    }
}

static void on_pause_end(struct timer *timer)
{
    resume(owner_of(timer, struct gateway, pause));
}

/* --- the whole --- */

static void run_start(struct task *task)
{
    struct gateway *gateway = owner_of(task, struct gateway, start);
    if (worker_watch(gateway->worker, &gateway->listener, EPOLLIN, NULL) != VIOS_OK) {
        log_error("rpc", "the TCP port cannot be watched: other nodes do not reach this one");
    }
}

static void run_recheck(struct task *task)
{
    struct gateway *gateway = owner_of(task, struct gateway, recheck);
    struct tls_context *tls = identity_tls(gateway->node->identity);
    struct link *next;
    atomic_store(&gateway->rechecking, false);
    for (struct link *link = gateway->links[LINK_MEMBER].first; link; link = next) {
        struct vios_error why = {0};
        next = link->next;
        if (tls_context_allowed(tls, link->node, link->serial, &why) != VIOS_OK) {
            refuse(gateway, link->address, why.message);
            link_close(link);
        }
    }
}

static void run_stop(struct task *task)
{
    struct gateway *gateway = owner_of(task, struct gateway, stop);
    worker_unwatch(gateway->worker, &gateway->listener);
    worker_disarm(gateway->worker, &gateway->pause);
    gateway->paused = false; /* for good */
    for (int kind = 0; kind < LINK_KINDS; kind++) {
        while (gateway->links[kind].first) {
            link_close(gateway->links[kind].first);
        }
    }
}

int gateway_start(struct gateway **gateway, struct node *node, struct server *server, int listener,
                  struct vios_error *error)
{
    struct gateway *made = calloc(1, sizeof *made);
    *gateway = NULL;
    int status =
        made ? worker_start(&made->worker, "gateway", error) : error_no_memory(error, NULL);
    if (status != VIOS_OK) {
        close(listener);
        free(made);
        return status;
    }
    made->node = node;
    made->server = server;
    made->listener = (struct watch){.ready = on_accept, .fd = listener};
    made->pause.expired = on_pause_end;
    made->start.run = run_start;
    made->recheck.run = run_recheck;
    made->stop.run = run_stop;
    worker_post(made->worker, &made->start);
    *gateway = made;
    return VIOS_OK;
}

void gateway_recheck(struct gateway *gateway)
{
    if (!atomic_exchange(&gateway->rechecking, true)) {
        worker_post(gateway->worker, &gateway->recheck);
    }
}

void gateway_stop(struct gateway *gateway)
{
    if (gateway) {
        worker_post(gateway->worker, &gateway->stop);
        worker_stop(gateway->worker);
        close(gateway->listener.fd);
        free(gateway);
    }
}
