/*
 * rpc_client.c - the blocking client of rpc.h.
 *
 * One loop per call waits for whatever comes first: the daemon's messages, room to send, input to
 * forward, the cancel. The socket never blocks and what could not be sent yet stays in `unsent`,
 * so a daemon that fills our receive buffer while we fill its can never hang the two.
 *
 * Credit flows both ways: the daemon may send RPC_CREDIT_START items or "bytes" before we give
 * more, and so may we before it does; rpc.more is the word for both.
 */
#include "base/clock.h"
#include "base/json.h"
#include "net/rpc.h"
#include "net/transport.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#define READ_SIZE (64 * 1024)
#define HELLO_TIMEOUT_MS 5000
/* How long a cancelled call may still take to answer before the connection is given up. */
#define CANCEL_GRACE_MS 3000
#define ACTOR_SIZE 128
#define ROLE_SIZE 16
#define WORD_SIZE 64

struct rpc_client {
    struct transport *transport; /* NULL: broken */
    struct rpc_framer *framer;
    json_t *hello;
    int64_t next_id;
    char *unsent;
    size_t unsent_size, unsent_capacity;
    char address[256];                       /* for errors */
    char actor[ACTOR_SIZE], role[ROLE_SIZE]; /* on whose behalf; "": one's own */
    char user[WORD_SIZE], from[WORD_SIZE];   /* more about them, "": not known */
};

/* One call in progress. */
struct exchange {
    struct rpc_client *client;
    const struct rpc_handlers *handlers;
    struct operation *operation;
    int64_t id;
    int input_fd;       /* -1: none, or at its end */
    int input_credit;   /* "bytes" we may still send */
    int received;       /* items and bytes since we gave credit last */
    bool cancelled;     /* rpc.cancel was sent */
    int cancel_status;  /* why: VIOS_E_CANCELLED or VIOS_E_TIMEOUT; VIOS_OK: the handler */
    int64_t give_up_ms; /* after a cancel */
    bool answered;
    int status;
    json_t *parts; /* of a long answer, as far as they came; NULL: none did */
    int part_count;
    json_t *result;
};

static const struct rpc_handlers no_handlers = {.input_fd = -1};

static void client_drop(struct rpc_client *client)
{
    if (client->transport) {
        client->transport->operations->close(client->transport);
        client->transport = NULL;
    }
}

static int client_broken(struct rpc_client *client, struct vios_error *error, const char *why)
{
    client_drop(client);
    return error_set(error, VIOS_E_UNREACHABLE, client->address,
                     "see whether it was done before you try again", "%s", why);
}

/* The transport failed with `status`. One that knows why says so: a certificate was refused. */
static int client_lost(struct rpc_client *client, int status, struct vios_error *error,
                       const char *otherwise)
{
    struct vios_error why = {0};
    transport_why(client->transport, status, &why);
    if (why.code == VIOS_E_UNREACHABLE) {
        return client_broken(client, error, otherwise);
    }
    if (why.code == VIOS_E_IO) {
        return client_broken(client, error, why.message);
    }
    client_drop(client);
    return error_set(error, why.code, client->address, why.hint, "%s", why.message);
}

/* Sends what it can of `unsent`. */
static int client_flush(struct rpc_client *client, struct vios_error *error)
{
    size_t sent = 0, done = 1;
    while (sent < client->unsent_size && done > 0) {
        struct iovec part = {client->unsent + sent, client->unsent_size - sent};
        int status = client->transport->operations->write(client->transport, &part, 1, &done);
        if (status != VIOS_OK) {
            return client_lost(client, status, error, "the daemon closed the connection");
        }
        sent += done;
    }
    client->unsent_size -= sent;
    memmove(client->unsent, client->unsent + sent, client->unsent_size);
    return VIOS_OK;
}

static int client_append(struct rpc_client *client, const void *data, size_t size,
                         struct vios_error *error)
{
    size_t needed = client->unsent_size + size;
    if (needed > client->unsent_capacity) {
        char *unsent = realloc(client->unsent, needed);
        if (!unsent) {
            return error_no_memory(error, NULL);
        }
        client->unsent = unsent;
        client->unsent_capacity = needed;
    }
    if (size > 0) {
        memcpy(client->unsent + client->unsent_size, data, size);
    }
    client->unsent_size = needed;
    return VIOS_OK;
}

/* Queues one message and `size` bytes behind it. Takes over `message`. */
static int client_send(struct rpc_client *client, json_t *message, const void *data, size_t size,
                       struct vios_error *error)
{
    size_t line_size = 0;
    char *line = message ? rpc_format(message, &line_size) : NULL;
    json_decref(message);
    if (!line) {
        return error_set(error, VIOS_E_INVALID, NULL, NULL,
                         "parameters that are not UTF-8 text, or no memory");
    }
    int status = VIOS_OK;
    if (line_size > RPC_LINE_MAX) {
        status =
            error_set(error, VIOS_E_INVALID, NULL, NULL,
                      "the parameters are %zu bytes; the limit is %d", line_size, RPC_LINE_MAX);
    } else {
        status = client_append(client, line, line_size, error);
    }
    free(line);
    if (status == VIOS_OK) {
        status = client_append(client, data, size, error);
    }
    return status == VIOS_OK ? client_flush(client, error) : status;
}

static int exchange_cancel(struct exchange *exchange, int why)
{
    if (exchange->cancelled) {
        return VIOS_OK;
    }
    exchange->cancelled = true;
    exchange->cancel_status = why;
    exchange->give_up_ms = clock_now_ms() + CANCEL_GRACE_MS;
    exchange->input_fd = -1;
    return client_send(exchange->client,
                       rpc_notification("rpc.cancel", json_pack("{s:I}", "id", exchange->id)), NULL,
                       0, &exchange->operation->error);
}

/* After an item or bytes: gives credit back by halves, and cancels when the handler had enough. */
static int exchange_received(struct exchange *exchange, bool more)
{
    if (!more) {
        return exchange_cancel(exchange, VIOS_OK);
    }
    if (++exchange->received < RPC_CREDIT_START / 2) {
        return VIOS_OK;
    }
    json_t *parameters = json_pack("{s:I, s:i}", "id", exchange->id, "items", exchange->received);
    exchange->received = 0;
    return client_send(exchange->client, rpc_notification("rpc.more", parameters), NULL, 0,
                       &exchange->operation->error);
}

/* What comes of an answer before the answer. */
static int exchange_part(struct exchange *exchange, json_t *value)
{
    struct vios_error *error = &exchange->operation->error;
    if (!json_is_array(value) || ++exchange->part_count > RPC_PARTS_MAX) {
        return error_set(error, VIOS_E_INVALID, NULL, NULL,
                         "a part of an answer that is no array, or one of more than %d",
                         RPC_PARTS_MAX);
    }
    if (!exchange->parts) {
        exchange->parts = json_array();
    }
    return exchange->parts && json_array_extend(exchange->parts, value) == 0
               ? VIOS_OK
               : error_no_memory(error, NULL);
}

static int exchange_notified(struct exchange *exchange, const char *method,
                             const json_t *parameters, const struct rpc_message *message)
{
    const struct rpc_handlers *handlers = exchange->handlers;
    if (json_get_integer(parameters, "id") != exchange->id) {
        return VIOS_OK;
    }
    if (strcmp(method, "progress") == 0) {
        if (handlers->progress) {
            handlers->progress(handlers->context, parameters);
        }
    } else if (strcmp(method, "item") == 0) {
        bool more = !handlers->item || exchange->cancelled ||
                    handlers->item(handlers->context, json_object_get(parameters, "value"));
        return exchange_received(exchange, more);
    } else if (strcmp(method, "bytes") == 0) {
        bool end = json_is_true(json_object_get(parameters, "end"));
        bool more = !handlers->bytes || exchange->cancelled ||
                    handlers->bytes(handlers->context, message->data, message->data_size, end);
        return exchange_received(exchange, more);
    } else if (strcmp(method, "part") == 0) {
        return exchange_part(exchange, json_object_get(parameters, "value"));
    } else if (strcmp(method, "rpc.more") == 0) {
        json_int_t items = json_get_integer(parameters, "items");
        if (items > 0 && items <= RPC_CREDIT_START) {
            exchange->input_credit += (int)items;
        }
    }
    return VIOS_OK;
}

static void exchange_answered(struct exchange *exchange, const json_t *json)
{
    const json_t *error = json_object_get(json, "error");
    exchange->answered = true;
    if (error) {
        exchange->status = rpc_error_from_json(error, &exchange->operation->error);
        return;
    }
    json_t *result = json_object_get(json, "result");
    if (exchange->parts && json_is_array(result) &&
        json_array_extend(exchange->parts, result) == 0) {
        result = exchange->parts;
    }
    exchange->result = json_incref(result);
}

static int exchange_message(struct exchange *exchange, const struct rpc_message *message)
{
    const json_t *id = json_object_get(message->json, "id");
    const char *method = json_get_text(message->json, "method");
    if (method && !id) {
        return exchange_notified(exchange, method, json_object_get(message->json, "params"),
                                 message);
    }
    bool answer = !method && (json_object_get(message->json, "result") ||
                              json_object_get(message->json, "error"));
    if (answer && json_is_null(id)) { /* it could not even read which call it was */
        exchange_answered(exchange, message->json);
    } else if (answer && json_is_integer(id) && json_integer_value(id) == exchange->id) {
        exchange_answered(exchange, message->json);
    }
    return VIOS_OK; /* an answer to a call that was given up is of no interest */
}

/* Takes what came and handles each whole message. */
static int exchange_read(struct exchange *exchange)
{
    struct rpc_client *client = exchange->client;
    struct vios_error *error = &exchange->operation->error;
    char data[READ_SIZE];
    size_t got;
    int status = client->transport->operations->read(client->transport, data, sizeof data, &got);
    if (status != VIOS_OK) {
        return client_lost(client, status, error,
                           "the daemon closed the connection before it answered");
    }
    status = rpc_framer_push(client->framer, data, got, error);
    while (status == VIOS_OK) {
        struct rpc_message message;
        status = rpc_framer_pop(client->framer, &message, error);
        if (status <= 0) {
            break;
        }
        status = exchange_message(exchange, &message);
        json_decref(message.json);
    }
    if (status < 0 && client->transport) {
        char why[sizeof error->message];
        snprintf(why, sizeof why, "the daemon's answer is malformed: %.300s", error->message);
        return client_broken(client, error, why);
    }
    return status;
}

/* Forwards what the input has. */
static int exchange_input(struct exchange *exchange)
{
    const struct rpc_handlers *handlers = exchange->handlers;
    char data[RPC_INPUT_MAX];
    ssize_t got = handlers->receive ? handlers->receive(handlers->context, data, sizeof data)
                                    : read(exchange->input_fd, data, sizeof data);
    if (got < 0 && handlers->receive) {
        return exchange_cancel(exchange, VIOS_OK); /* what came must not pass for all */
    }
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) {
        return VIOS_OK;
    }
    if (got > 0 && handlers->input) {
        got = handlers->input(handlers->context, data, (size_t)got);
        if (got == 0) {
            return VIOS_OK; /* all of it was the handler's */
        }
    }
    bool end = got <= 0;
    if (end) {
        exchange->input_fd = -1;
        got = 0;
    }
    exchange->input_credit--;
    json_t *parameters =
        json_pack("{s:I, s:i, s:b}", "id", exchange->id, "count", (int)got, "end", (int)end);
    return client_send(exchange->client, rpc_notification("bytes", parameters), data, (size_t)got,
                       &exchange->operation->error);
}

/* Milliseconds until the next thing to do without being told; -1: none. */
static int exchange_timeout(const struct exchange *exchange)
{
    if (!exchange->cancelled) {
        return operation_remaining_ms(exchange->operation);
    }
    int64_t left = exchange->give_up_ms - clock_now_ms();
    return left > 0 ? (int)left : 0;
}

/* Looks whether the call is to be cancelled, or given up after it was. */
static int exchange_deadline(struct exchange *exchange)
{
    struct operation *operation = exchange->operation;
    if (!exchange->cancelled) {
        int status = operation_check(operation);
        return status == VIOS_OK ? VIOS_OK : exchange_cancel(exchange, status);
    }
    if (clock_now_ms() < exchange->give_up_ms) {
        return VIOS_OK;
    }
    return client_broken(exchange->client, &operation->error,
                         "the daemon does not answer, not even to the cancelling of the call");
}

/* What the connection is waited for; 0 milliseconds when it has something inside. */
static struct pollfd client_poll(const struct rpc_client *client, int *timeout_ms)
{
    const struct transport *transport = client->transport;
    bool output = client->unsent_size > 0 || (transport->operations->wants(transport) & EPOLLOUT);
    if (transport->operations->pending(transport)) {
        *timeout_ms = 0;
    }
    return (struct pollfd){.fd = transport->fd, .events = (short)(POLLIN | (output ? POLLOUT : 0))};
}

/* One wait, and what it brought. */
static int exchange_step(struct exchange *exchange)
{
    struct rpc_client *client = exchange->client;
    struct cancel *cancel = exchange->cancelled ? NULL : exchange->operation->cancel;
    bool input = exchange->input_fd >= 0 && exchange->input_credit > 0 && client->unsent_size == 0;
    int timeout_ms = exchange_timeout(exchange);
    struct pollfd polls[3] = {client_poll(client, &timeout_ms),
                              {.fd = cancel_descriptor(cancel), .events = POLLIN},
                              {.fd = input ? exchange->input_fd : -1, .events = POLLIN}};
    int ready = poll(polls, 3, timeout_ms);
    if (ready < 0 && errno != EINTR) {
        return error_set_errno(&exchange->operation->error, client->address, "cannot wait");
    }
    int status = exchange_deadline(exchange);
    bool pending = status == VIOS_OK && client->transport->operations->pending(client->transport);
    if (ready <= 0 && !pending) {
        return status;
    }
    if (status == VIOS_OK && (polls[0].revents & POLLOUT)) {
        status = client_flush(client, &exchange->operation->error);
    }
    if (status == VIOS_OK && (polls[0].revents || pending)) {
        status = exchange_read(exchange);
    }
    if (status == VIOS_OK && polls[2].revents && exchange->input_fd >= 0 && !exchange->answered) {
        status = exchange_input(exchange);
    }
    return status;
}

/* The call's outcome when it was cancelled by us. What it did before is no failure of a stream
 * that the handler ended itself; a result that came all the same is a result. */
static int exchange_outcome(struct exchange *exchange)
{
    if (exchange->status != VIOS_E_CANCELLED || !exchange->cancelled) {
        return exchange->status;
    }
    struct vios_error *error = &exchange->operation->error;
    if (exchange->cancel_status == VIOS_OK) {
        memset(error, 0, sizeof *error);
        return VIOS_OK;
    }
    if (exchange->cancel_status == VIOS_E_TIMEOUT && error->hint[0]) { /* a job goes on */
        struct vios_error told = *error;
        return error_set(error, VIOS_E_TIMEOUT, told.object, told.hint, "timed out: %s",
                         told.message);
    }
    if (exchange->cancel_status == VIOS_E_TIMEOUT) {
        return error_set(error, VIOS_E_TIMEOUT, error->object, "give a longer --timeout",
                         "timed out and was cancelled");
    }
    return exchange->status;
}

int rpc_client_call(struct rpc_client *client, const char *method, json_t *parameters,
                    const struct rpc_handlers *handlers, json_t **result,
                    struct operation *operation)
{
    struct exchange exchange = {.client = client,
                                .handlers = handlers ? handlers : &no_handlers,
                                .operation = operation,
                                .id = client->next_id++,
                                .input_credit = RPC_CREDIT_START};
    exchange.input_fd = exchange.handlers->input_fd;
    if (result) {
        *result = NULL;
    }
    if (!client->transport) {
        json_decref(parameters);
        return client_broken(client, &operation->error, "the connection was lost");
    }
    json_t *message =
        json_pack("{s:s, s:I, s:s, s:o}", "jsonrpc", "2.0", "id", exchange.id, "method", method,
                  "params", parameters ? parameters : json_object());
    if (client->actor[0]) {
        json_object_set_new(message, "actor",
                            json_pack("{s:s, s:s, s:s, s:s}", "name", client->actor, "role",
                                      client->role, "user", client->user, "from", client->from));
    }
    int status = client_send(client, message, NULL, 0, &operation->error);
    while (status == VIOS_OK && !exchange.answered) {
        status = exchange_step(&exchange);
    }
    if (exchange.answered) { /* even if something broke behind it */
        status = exchange_outcome(&exchange);
    }
    if (status == VIOS_OK && result) {
        *result = exchange.result;
    } else {
        json_decref(exchange.result);
    }
    json_decref(exchange.parts);
    return status;
}

static int client_connect(struct transport **transport, const char *address,
                          struct operation *operation)
{
    int fd = transport_connect(address, operation);
    if (fd >= 0) {
        return transport_plain(transport, fd, &operation->error);
    }
    if (fd == VIOS_E_CANCELLED || fd == VIOS_E_TIMEOUT || fd == VIOS_E_DENIED ||
        fd == VIOS_E_USAGE) {
        return fd;
    }
    return operation_fail(operation, VIOS_E_UNREACHABLE, address,
                          "start one: \"vios lab up\" to try it out, \"vios daemon\" for real",
                          "no daemon answers");
}

static int client_hello(struct rpc_client *client, struct operation *operation)
{
    struct operation hello = *operation; /* of its own, shorter deadline */
    int64_t latest_ms = clock_now_ms() + HELLO_TIMEOUT_MS;
    hello.deadline_ms = latest_ms < operation->deadline_ms ? latest_ms : operation->deadline_ms;
    json_t *parameters = json_pack("{s:[i,i], s:s}", "level", rpc_level() - 1, rpc_level(),
                                   "client", "vios " VIOS_VERSION);
    int status = rpc_client_call(client, "rpc.hello", parameters, NULL, &client->hello, &hello);
    operation->error = hello.error;
    if (status == VIOS_E_UNREACHABLE) {
        operation->error.hint[0] = '\0'; /* nothing was asked that could have been done */
    } else if (status == VIOS_E_INVALID) {
        snprintf(operation->error.object, sizeof operation->error.object, "%.*s",
                 (int)sizeof operation->error.object - 1, client->address);
    }
    if (status == VIOS_OK && !json_is_object(client->hello)) {
        return client_broken(client, &operation->error, "it answers, but not as a vios daemon");
    }
    return status;
}

int rpc_client_open_on(struct rpc_client **client, struct transport *transport, const char *address,
                       struct operation *operation)
{
    *client = NULL;
    struct rpc_client *made = calloc(1, sizeof *made);
    struct rpc_framer *framer = made ? rpc_framer_new() : NULL;
    if (!framer) {
        free(made);
        transport->operations->close(transport);
        return operation_no_memory(operation, NULL);
    }
    made->framer = framer;
    made->transport = transport;
    snprintf(made->address, sizeof made->address, "%s", address);
    int status = client_hello(made, operation);
    if (status != VIOS_OK) {
        rpc_client_close(made);
        return status;
    }
    *client = made;
    return VIOS_OK;
}

int rpc_client_open(struct rpc_client **client, const char *address, struct operation *operation)
{
    char whole[sizeof((struct rpc_client *)0)->address];
    struct transport *transport;
    *client = NULL;
    snprintf(whole, sizeof whole, "%s%s", address[0] == '/' ? "unix:" : "", address);
    int status = client_connect(&transport, whole, operation);
    return status == VIOS_OK ? rpc_client_open_on(client, transport, whole, operation) : status;
}

void rpc_client_speak_for(struct rpc_client *client, const char *actor, const char *role)
{
    snprintf(client->actor, sizeof client->actor, "%s", actor ? actor : "");
    snprintf(client->role, sizeof client->role, "%s", role ? role : "");
}

void rpc_client_speak_of(struct rpc_client *client, const char *user, const char *from)
{
    snprintf(client->user, sizeof client->user, "%s", user ? user : "");
    snprintf(client->from, sizeof client->from, "%s", from ? from : "");
}

void rpc_client_close(struct rpc_client *client)
{
    if (!client) {
        return;
    }
    client_drop(client);
    rpc_framer_free(client->framer);
    json_decref(client->hello);
    free(client->unsent);
    free(client);
}

const json_t *rpc_client_hello(const struct rpc_client *client)
{
    return client->hello;
}

bool rpc_client_alive(struct rpc_client *client)
{
    char data[READ_SIZE];
    size_t got = 1;
    while (client->transport && got > 0) { /* what comes between calls is kept for the next */
        if (client->transport->operations->read(client->transport, data, sizeof data, &got) !=
                VIOS_OK ||
            rpc_framer_push(client->framer, data, got, NULL) != VIOS_OK) {
            client_drop(client);
        }
    }
    return client->transport != NULL;
}
