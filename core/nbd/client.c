/*
 * client.c - the connection of an NBD client: sending, receiving, being late.
 *
 * Callbacks may submit, close, and free; `depth` counts the calls of ours that are on the stack,
 * so that a freed client ends with the outermost.
 */
#include "nbd/client.h"

#include "base/clock.h"
#include "nbd/client_flight.h"
#include "nbd/client_wire.h"
#include "net/tls.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#define INPUT_SIZE (64 * 1024)
#define PARTS_MAX 64 /* of one gathered write */
#define READS_MAX 16 /* of the socket before others get their turn */

enum client_state { CLIENT_NEGOTIATING, CLIENT_READY, CLIENT_CLOSED };

struct nbd_client {
    enum client_state state;
    struct worker *worker;
    struct transport *transport;
    struct watch watch;
    struct timer timer;
    struct task flush;
    bool flush_posted, free_wanted;
    unsigned depth;
    int64_t late_ms, handshake_due_ms;
    struct nbd_client_callbacks callbacks;
    struct nbd_handshake handshake;
    size_t output_sent;      /* of the handshake's output */
    struct tls_context *tls; /* NULL: plain */
    char node[64];           /* expected; "": any */

    struct nbd_flight flight;

    struct nbd_client_request *reading; /* whose data comes next */
    uint8_t *target;
    uint32_t target_left;
    bool reading_last;
    size_t input_start, input_end;
    uint8_t input[INPUT_SIZE];
};

static void client_destroy(struct nbd_client *client)
{
    if (client->transport) {
        client->transport->operations->close(client->transport);
    }
    free(client);
}

static void enter(struct nbd_client *client)
{
    client->depth++;
}

static void leave(struct nbd_client *client)
{
    if (--client->depth == 0 && client->free_wanted && !client->flush_posted) {
        client_destroy(client);
    }
}

/* --- the end --- */

static void client_end(struct nbd_client *client, int number, const struct vios_error *why)
{
    if (client->state == CLIENT_CLOSED) {
        return;
    }
    client->state = CLIENT_CLOSED;
    enter(client);
    worker_unwatch(client->worker, &client->watch);
    worker_disarm(client->worker, &client->timer);
    if (client->transport) {
        client->transport->operations->close(client->transport);
        client->transport = NULL;
    }
    nbd_flight_fail(&client->flight, number);
    client->callbacks.closed(client->callbacks.context, why);
    leave(client);
}

static void client_late(struct timer *timer)
{
    struct nbd_client *client = (void *)((char *)timer - offsetof(struct nbd_client, timer));
    struct vios_error error;
    int64_t now = clock_now_ms();
    bool negotiating = client->state == CLIENT_NEGOTIATING;
    int64_t due = negotiating            ? client->handshake_due_ms
                  : client->flight.first ? client->flight.first->due_ms
                                         : INT64_MAX;
    if (due <= now) {
        error_set(&error, VIOS_E_TIMEOUT, "nbd server", NULL, "it did not answer %s in %lld ms",
                  negotiating ? "the handshake" : "a request", (long long)client->late_ms);
        client_end(client, ETIMEDOUT, &error);
    } else if (due != INT64_MAX) {
        worker_arm(client->worker, &client->timer, due);
    }
}

/* --- sending --- */

/* Gives waiting requests their slots. */
static void start_waiting(struct nbd_client *client)
{
    nbd_flight_start(&client->flight, clock_now_ms() + client->late_ms);
    if (client->flight.first && !client->timer.armed) {
        worker_arm(client->worker, &client->timer, client->flight.first->due_ms);
    }
}

/* Gathers what is to be sent: how many parts. */
static int gather(struct nbd_client *client, struct iovec *parts)
{
    struct nbd_handshake *handshake = &client->handshake;
    if (handshake->output_size > 0) {
        parts[0] = (struct iovec){handshake->output + client->output_sent,
                                  handshake->output_size - client->output_sent};
        return 1;
    }
    return nbd_flight_gather(&client->flight, parts, PARTS_MAX);
}

static void sent(struct nbd_client *client, size_t done)
{
    struct nbd_handshake *handshake = &client->handshake;
    if (handshake->output_size > 0) {
        client->output_sent += done;
        if (client->output_sent == handshake->output_size) {
            client->output_sent = handshake->output_size = 0;
        }
        return;
    }
    nbd_flight_sent(&client->flight, done);
}

static bool nothing_to_send(const struct nbd_client *client)
{
    return client->handshake.output_size == 0 &&
           (client->state != CLIENT_READY || client->flight.send_count == 0);
}

static void update_interest(struct nbd_client *client)
{
    const struct transport *transport = client->transport;
    uint32_t wants = nothing_to_send(client) ? EPOLLIN : EPOLLIN | EPOLLOUT;
    if (client->handshake.state == NBD_SECURING && nothing_to_send(client)) {
        wants = transport->operations->wants(transport);
    } else {
        wants |= transport->operations->wants(transport);
    }
    if (transport->operations->pending(transport)) {
        wants |= EPOLLOUT; /* the socket does not know of it, but it has room: a turn comes */
    }
    if (wants != client->watch.events) {
        worker_rewatch(client->worker, &client->watch, wants);
    }
}

/* The transport failed with `status`. */
static void lost(const struct nbd_client *client, int status, struct vios_error *error)
{
    transport_why(client->transport, status, error);
    if (!error->object[0]) {
        snprintf(error->object, sizeof error->object, "nbd server");
    }
}

static void client_send(struct nbd_client *client)
{
    struct iovec parts[PARTS_MAX];
    struct vios_error error = {0};
    while (client->state != CLIENT_CLOSED && !nothing_to_send(client)) {
        size_t done = 0;
        int count = gather(client, parts);
        int status = client->transport->operations->write(client->transport, parts, count, &done);
        if (status != VIOS_OK) {
            lost(client, status, &error);
            client_end(client, ECONNRESET, &error);
            return;
        }
        if (done == 0) {
            break;
        }
        sent(client, done);
    }
    if (client->state != CLIENT_CLOSED) {
        update_interest(client);
    }
}

static void client_flush(struct task *task)
{
    struct nbd_client *client = (void *)((char *)task - offsetof(struct nbd_client, flush));
    enter(client);
    client->flush_posted = false;
    client_send(client);
    leave(client);
}

static void flush_later(struct nbd_client *client)
{
    if (!client->flush_posted && client->state == CLIENT_READY) {
        client->flush_posted = true;
        worker_defer(client->worker, &client->flush);
    }
}

/* --- receiving --- */

static int wrong(struct vios_error *error, const char *what)
{
    return error_set(error, VIOS_E_IO, "nbd server", NULL, "%s", what);
}

/* Whole blocks become bits where the caller takes them, the rest zeroes. */
static void take_hole(struct nbd_client_request *request, uint64_t offset, uint32_t length)
{
    uint64_t first = request->offset / NBD_BLOCK, end = offset + length;
    while (offset < end) {
        uint64_t block = offset / NBD_BLOCK, next = (block + 1) * NBD_BLOCK;
        uint64_t stop = next < end ? next : end;
        if (request->holes && offset % NBD_BLOCK == 0 && stop == next) {
            request->holes[(block - first) / 64] |= UINT64_C(1) << (block - first) % 64;
        } else {
            memset(request->data + (offset - request->offset), 0, stop - offset);
        }
        offset = stop;
    }
}

static int finish_chunk(struct nbd_client *client, struct nbd_client_request *request, bool last,
                        struct vios_error *error)
{
    if (!last) {
        return VIOS_OK;
    }
    if (request->command == NBD_READ && !request->error && request->received != request->length) {
        return wrong(error, "it answered a part of a read");
    }
    nbd_flight_finish(&client->flight, request, request->error);
    return VIOS_OK;
}

static void await_data(struct nbd_client *client, struct nbd_client_request *request,
                       uint64_t offset, uint32_t length, bool last)
{
    client->reading = request;
    client->target = request->data + (offset - request->offset);
    client->target_left = length;
    client->reading_last = last;
}

static int take_reply(struct nbd_client *client, const struct nbd_reply *reply,
                      struct vios_error *error)
{
    struct nbd_client_request *request = nbd_flight_find(&client->flight, reply->cookie);
    if (!request) {
        return wrong(error, "it answers what was not asked");
    }
    if (reply->kind == NBD_ANSWER) {
        request->error = reply->error ? reply->error : request->error;
        if (request->command == NBD_READ && !reply->structured && !reply->error) {
            request->received = request->length;
            await_data(client, request, request->offset, request->length, true);
            return VIOS_OK;
        }
    } else if (reply->kind != NBD_NOTHING) {
        uint64_t start = reply->offset - request->offset;
        if (request->command != NBD_READ || reply->offset < request->offset ||
            start > request->length || reply->length > request->length - start ||
            reply->length > request->length - request->received) {
            return wrong(error, "it sends data that was not asked for");
        }
        request->received += reply->length;
        if (reply->kind == NBD_DATA) {
            await_data(client, request, reply->offset, reply->length, reply->last);
            return VIOS_OK;
        }
        take_hole(request, reply->offset, reply->length);
    }
    return finish_chunk(client, request, reply->last, error);
}

/* `size` bytes have reached the target. */
static int took_data(struct nbd_client *client, size_t size, struct vios_error *error)
{
    client->target += size;
    client->target_left -= (uint32_t)size;
    if (client->target_left > 0) {
        return VIOS_OK;
    }
    struct nbd_client_request *request = client->reading;
    client->reading = NULL;
    return finish_chunk(client, request, client->reading_last, error);
}

/* TLS takes the place of the socket. What came behind the answer in the clear is no server's. */
static int start_tls(struct nbd_client *client, struct vios_error *error)
{
    if (client->input_start != client->input_end) {
        return wrong(error, "it says more in the clear than that TLS may begin");
    }
    worker_unwatch(client->worker, &client->watch);
    int fd = transport_detach(client->transport);
    client->transport = NULL;
    int status = transport_tls_client(&client->transport, fd, client->tls, TLS_NBD,
                                      client->node[0] ? client->node : NULL, error);
    return status == VIOS_OK
               ? worker_watch(client->worker, &client->watch, EPOLLIN | EPOLLOUT, error)
               : status;
}

static int take_handshake(struct nbd_client *client, struct vios_error *error)
{
    size_t used;
    int status = nbd_handshake_feed(&client->handshake, client->input + client->input_start,
                                    client->input_end - client->input_start, &used, error);
    client->input_start += used;
    if (status == VIOS_OK && client->handshake.state == NBD_SECURING) {
        return start_tls(client, error);
    }
    if (status != VIOS_OK || client->handshake.state != NBD_READY) {
        return status;
    }
    client->state = CLIENT_READY;
    client->callbacks.ready(client->callbacks.context, &client->handshake.export);
    flush_later(client);
    return VIOS_OK;
}

/* One step over what is in the buffer; *more says whether another may follow. */
static int take_input(struct nbd_client *client, bool *more, struct vios_error *error)
{
    size_t there = client->input_end - client->input_start, used = 0;
    struct nbd_reply reply;
    *more = false;
    if (client->state == CLIENT_NEGOTIATING) {
        int status = take_handshake(client, error);
        *more = status == VIOS_OK && client->state == CLIENT_READY;
        return status;
    }
    if (client->reading) {
        size_t size = there < client->target_left ? there : client->target_left;
        memcpy(client->target, client->input + client->input_start, size);
        client->input_start += size;
        *more = size > 0 && size == client->target_left;
        return took_data(client, size, error);
    }
    int found = nbd_reply_parse(client->handshake.export.structured,
                                client->input + client->input_start, there, &reply, &used, error);
    if (found <= 0) {
        return found;
    }
    client->input_start += used;
    *more = true;
    return take_reply(client, &reply, error);
}

static int take_all(struct nbd_client *client, struct vios_error *error)
{
    bool more = true;
    int status = VIOS_OK;
    while (more && status == VIOS_OK && client->state != CLIENT_CLOSED) {
        status = take_input(client, &more, error);
    }
    size_t left = client->input_end - client->input_start;
    memmove(client->input, client->input + client->input_start, left);
    client->input_start = 0;
    client->input_end = left;
    return status;
}

/* One read of the socket, straight to its target when nothing else can come before. */
static int read_some(struct nbd_client *client, size_t *done, struct vios_error *error)
{
    bool direct = client->reading && client->input_end == 0;
    void *into = direct ? client->target : client->input + client->input_end;
    size_t room = direct ? client->target_left : INPUT_SIZE - client->input_end;
    assert(room > 0);
    int status = client->transport->operations->read(client->transport, into, room, done);
    if (status != VIOS_OK) {
        lost(client, status, error);
        return VIOS_E_UNREACHABLE;
    }
    if (*done == 0) {
        return VIOS_OK;
    }
    if (direct) {
        return took_data(client, *done, error);
    }
    client->input_end += *done;
    return take_all(client, error);
}

/* A step of the handshake of TLS; *done 0 when it waits. */
static int secure(struct nbd_client *client, size_t *done, struct vios_error *error)
{
    bool secured = false;
    int status = transport_handshake(client->transport, &secured);
    if (status != VIOS_OK) {
        lost(client, status, error);
        return VIOS_E_UNREACHABLE;
    }
    if (secured) {
        nbd_handshake_secured(&client->handshake);
    }
    *done = secured;
    return VIOS_OK;
}

static void client_receive(struct nbd_client *client)
{
    struct vios_error error = {0};
    int status = VIOS_OK;
    size_t done = 1;
    for (int i = 0; i < READS_MAX && done > 0 && client->state != CLIENT_CLOSED; i++) {
        done = 0;
        status = client->handshake.state == NBD_SECURING ? secure(client, &done, &error)
                                                         : read_some(client, &done, &error);
        if (status != VIOS_OK) {
            client_end(client, status == VIOS_E_IO ? EPROTO : ECONNRESET, &error);
            return;
        }
    }
    if (client->state == CLIENT_READY) {
        start_waiting(client);
    }
    if (client->state != CLIENT_CLOSED) {
        client_send(client);
    }
}

static void client_ready(struct watch *watch, uint32_t events)
{
    struct nbd_client *client = (void *)((char *)watch - offsetof(struct nbd_client, watch));
    enter(client);
    if ((events & ~(uint32_t)EPOLLOUT) || client->handshake.state == NBD_SECURING ||
        client->transport->operations->pending(client->transport)) {
        client_receive(client);
    } else {
        client_send(client);
    }
    leave(client);
}

/* --- the interface --- */

static int client_connect(struct nbd_client *client, const char *address, struct vios_error *error)
{
    int fd = transport_connect_start(address, error);
    if (fd < 0) {
        return fd;
    }
    int status = transport_plain(&client->transport, fd, error);
    if (status != VIOS_OK) {
        return status;
    }
    client->watch = (struct watch){.ready = client_ready, .fd = client->transport->fd};
    return worker_watch(client->worker, &client->watch, EPOLLIN, error);
}

static int client_open(struct nbd_client **out, struct worker *worker, const char *address,
                       const char *export_name, int64_t late_ms,
                       const struct nbd_client_callbacks *callbacks, struct tls_context *tls,
                       const char *node, struct vios_error *error)
{
    struct nbd_client *client = calloc(1, sizeof *client);
    if (!client) {
        return error_no_memory(error, address);
    }
    client->worker = worker;
    client->callbacks = *callbacks;
    client->late_ms = late_ms;
    client->handshake_due_ms = clock_now_ms() + late_ms;
    client->timer.expired = client_late;
    client->flush.run = client_flush;
    nbd_flight_init(&client->flight);
    client->tls = tls;
    snprintf(client->node, sizeof client->node, "%s", node ? node : "");
    int status = nbd_handshake_start(&client->handshake, export_name, error);
    client->handshake.tls = tls != NULL;
    if (status == VIOS_OK) {
        status = client_connect(client, address, error);
    }
    if (status != VIOS_OK) {
        client_destroy(client);
        return status;
    }
    worker_arm(worker, &client->timer, client->handshake_due_ms);
    *out = client;
    return VIOS_OK;
}

int nbd_client_open(struct nbd_client **client, struct worker *worker, const char *address,
                    const char *export_name, int64_t late_ms,
                    const struct nbd_client_callbacks *callbacks, struct vios_error *error)
{
    return client_open(client, worker, address, export_name, late_ms, callbacks, NULL, NULL, error);
}

int nbd_client_open_tls(struct nbd_client **client, struct worker *worker, const char *address,
                        const char *export_name, int64_t late_ms,
                        const struct nbd_client_callbacks *callbacks, struct tls_context *context,
                        const char *node, struct vios_error *error)
{
    if (!tls_context_ready(context)) {
        return error_set(error, VIOS_E_LOCKED, address, NULL, "this node has no certificate yet");
    }
    return client_open(client, worker, address, export_name, late_ms, callbacks, context, node,
                       error);
}

void nbd_client_submit(struct nbd_client *client, struct nbd_client_request *request)
{
    if (client->state == CLIENT_CLOSED) {
        request->done(request, ECONNRESET);
        return;
    }
    nbd_flight_add(&client->flight, request);
    if (client->state == CLIENT_READY) {
        start_waiting(client);
        flush_later(client);
    }
}

void nbd_client_close(struct nbd_client *client, const char *why)
{
    struct vios_error error;
    error_set(&error, VIOS_E_CANCELLED, "nbd server", NULL, "%s", why);
    client_end(client, ECONNRESET, &error);
}

void nbd_client_free(struct nbd_client *client)
{
    if (!client) {
        return;
    }
    assert(client->state == CLIENT_CLOSED);
    client->free_wanted = true;
    if (client->depth == 0 && !client->flush_posted) {
        client_destroy(client);
    }
}
