/*
 * connection.c - the life of a connection to the server: its socket, buffers and phases.
 *
 * Ready events read once into the input buffer (or straight into the payload of a large WRITE)
 * and let the phase's part consume it. Whatever that leads to, replies, continuations, the end,
 * is gathered and done in one deferred turn before the worker sleeps.
 *
 * A connection that closes may still have requests with the back end. It stays, deaf and mute,
 * until the last of them is done; then the export is released and the connection freed.
 */
#include "nbd/connection.h"

#include "base/clock.h"

#include <assert.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

static const struct state_row PHASES[] = {
    [PHASE_GREETING] = {"greeting", STATE_BIT(PHASE_OPTIONS) | STATE_BIT(PHASE_CLOSING)},
    [PHASE_OPTIONS] = {"options", STATE_BIT(PHASE_SECURING) | STATE_BIT(PHASE_MOVING) |
                                      STATE_BIT(PHASE_CLOSING)},
    [PHASE_SECURING] = {"securing", STATE_BIT(PHASE_OPTIONS) | STATE_BIT(PHASE_CLOSING)},
    [PHASE_MOVING] = {"moving", STATE_BIT(PHASE_TRANSMISSION) | STATE_BIT(PHASE_CLOSING)},
    [PHASE_TRANSMISSION] = {"transmission", STATE_BIT(PHASE_CLOSING)},
    [PHASE_CLOSING] = {"closing", 0},
};

#define READS_MAX 16 /* of one connection before others get their turn */

#define connection_of(pointer, member)                                                             \
    ((struct nbd_connection *)((char *)(pointer)-offsetof(struct nbd_connection, member)))

/* --- the server --- */

int nbd_server_new(struct nbd_server **out, const struct nbd_server_operations *operations,
                   void *context, struct vios_error *error)
{
    struct nbd_server *server = calloc(1, sizeof *server);
    if (!server) {
        return error_set(error, VIOS_E_NO_SPACE, NULL, NULL, "no memory for the NBD server");
    }
    server->operations = operations;
    server->context = context;
    pthread_mutex_init(&server->lock, NULL);
    *out = server;
    return VIOS_OK;
}

void nbd_server_free(struct nbd_server *server)
{
    if (server) {
        assert(nbd_server_connections(server) == 0);
        pthread_mutex_destroy(&server->lock);
        free(server);
    }
}

void nbd_server_set_refused(struct nbd_server *server,
                            void (*refused)(void *context, const struct vios_error *why),
                            void *context)
{
    server->refused = refused;
    server->refused_context = context;
}

unsigned nbd_server_connections(const struct nbd_server *server)
{
    return atomic_load(&server->connections);
}

struct nbd_export *server_find(struct nbd_connection *connection, const char *name)
{
    struct nbd_server *server = connection->server;
    return server->operations->find(server->context, name, connection->identity);
}

void server_release(struct nbd_connection *connection, struct nbd_export *export)
{
    connection->server->operations->release(connection->server->context, export);
}

void server_list(struct nbd_connection *connection,
                 void (*one)(void *cookie, const struct nbd_export *export))
{
    struct nbd_server *server = connection->server;
    server->operations->list(server->context, connection->identity, one, connection);
}

/* --- small things --- */

bool connection_is_open(const struct nbd_connection *connection)
{
    return connection->phase.state != PHASE_CLOSING;
}

size_t connection_available(const struct nbd_connection *connection)
{
    return connection->input_end - connection->input_start;
}

bool connection_skip(struct nbd_connection *connection)
{
    size_t have = connection_available(connection);
    size_t now = have < connection->skip ? have : (size_t)connection->skip;
    connection->input_start += now;
    connection->skip -= now;
    return connection->skip == 0;
}

void connection_defer(struct nbd_connection *connection)
{
    if (!connection->turn_deferred) {
        connection->turn_deferred = true;
        worker_defer(connection->worker, &connection->turn);
    }
}

bool connection_put(struct nbd_connection *connection, const void *data, size_t size)
{
    size_t needed = connection->output_size + size;
    if (needed > CONNECTION_OUTPUT_MAX) {
        return false;
    }
    if (needed > connection->output_capacity) {
        size_t capacity = needed * 2;
        uint8_t *larger = realloc(connection->output, capacity);
        if (!larger) {
            return false;
        }
        connection->output = larger;
        connection->output_capacity = capacity;
    }
    memcpy(connection->output + connection->output_size, data, size);
    connection->output_size = needed;
    connection_defer(connection);
    return true;
}

/* --- the end --- */

static void free_connection(struct nbd_connection *connection)
{
    struct nbd_server *server = connection->server;
    struct nbd_export *export = connection->export;
    if (export) {
        server_release(connection, export);
    }
    slot_free_all(connection);
    free(connection->meta_export);
    free(connection->input);
    free(connection->output);
    free(connection);
    atomic_fetch_sub(&server->connections, 1);
}

void connection_close(struct nbd_connection *connection)
{
    if (!connection_is_open(connection)) {
        return;
    }
    if (connection->phase.state == PHASE_TRANSMISSION) {
        transmission_end(connection);
    }
    worker_disarm(connection->worker, &connection->timer);
    worker_unwatch(connection->worker, &connection->watch);
    securing_end(connection);
    if (connection->transport) {
        connection->transport->operations->close(connection->transport);
        connection->transport = NULL;
    }
    state_machine_move(&connection->phase, PHASE_CLOSING, "closed");
    connection_defer(connection);
}

/* --- reading --- */

static void consume(struct nbd_connection *connection)
{
    bool more = true;
    while (more) {
        switch (connection->phase.state) {
        case PHASE_GREETING:
            more = negotiation_greet(connection);
            break;
        case PHASE_OPTIONS:
            more = negotiation_step(connection);
            break;
        case PHASE_SECURING:
            more = securing_step(connection);
            break;
        case PHASE_TRANSMISSION:
            transmission_consume(connection);
            more = false;
            break;
        default:
            more = false;
        }
    }
}

/* Room for the next read at the end of the input buffer. */
static size_t make_room(struct nbd_connection *connection)
{
    size_t left = connection_available(connection);
    if (left == 0) {
        connection->input_start = connection->input_end = 0;
    } else if (connection->input_start > CONNECTION_INPUT_SIZE / 2) {
        memmove(connection->input, connection->input + connection->input_start, left);
        connection->input_start = 0;
        connection->input_end = left;
    }
    return CONNECTION_INPUT_SIZE - connection->input_end;
}

/* VIOS_OK with *done = 0: nothing now. */
static int read_some(struct nbd_connection *connection, size_t *done)
{
    struct transport *transport = connection->transport;
    size_t size = 0;
    uint8_t *target = transmission_target(connection, &size);
    if (target) {
        int status = transport->operations->read(transport, target, size, done);
        if (status == VIOS_OK && *done > 0) {
            transmission_received(connection, *done);
        }
        return status;
    }
    size = make_room(connection);
    *done = 0;
    if (size == 0) {
        return VIOS_OK;
    }
    int status = transport->operations->read(transport, connection->input + connection->input_end,
                                             size, done);
    connection->input_end += *done;
    return status;
}

static bool wants_input(const struct nbd_connection *connection)
{
    bool haggling = connection->phase.state <= PHASE_SECURING;
    if (haggling) {
        return connection->output_size == 0;
    }
    return !connection->stalled && transmission_wants(connection);
}

static void update_interest(struct nbd_connection *connection)
{
    struct transport *transport = connection->transport;
    bool unsent = connection->output_size > 0 || connection->sending.first;
    uint32_t events = wants_input(connection) ? EPOLLIN : 0;
    events |= unsent ? EPOLLOUT : 0;
    if (connection->phase.state == PHASE_SECURING && !unsent) {
        events = transport->operations->wants(transport);
    } else {
        events |= transport->operations->wants(transport);
    }
    if ((events & EPOLLIN) && transport->operations->pending(transport)) {
        events |= EPOLLOUT; /* the socket does not know of it, but it has room: a turn comes */
    }
    worker_rewatch(connection->worker, &connection->watch, events);
}

static void read_all(struct nbd_connection *connection)
{
    struct transport *transport = connection->transport;
    size_t done = 1;
    bool more = true;
    for (int i = 0; i < READS_MAX && more; i++) {
        if (read_some(connection, &done) != VIOS_OK) {
            connection_close(connection);
            return;
        }
        consume(connection);
        more = connection->transport == transport && done > 0 && connection_is_open(connection) &&
               connection->phase.state != PHASE_MOVING && wants_input(connection) &&
               transport->operations->pending(transport);
    }
}

static void ready(struct watch *watch, uint32_t events)
{
    struct nbd_connection *connection = connection_of(watch, watch);
    struct transport *transport = connection->transport;
    bool input =
        (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) || transport->operations->pending(transport);
    if (connection->phase.state == PHASE_SECURING && connection->output_size == 0) {
        consume(connection); /* it may end it, and what came along is read in the next turn */
    } else if (input && wants_input(connection)) {
        read_all(connection);
    } else if (events & (EPOLLHUP | EPOLLERR)) {
        connection_close(connection);
        return;
    }
    if (connection->phase.state != PHASE_MOVING && connection_is_open(connection)) {
        connection_defer(connection);
    }
}

/* --- the turn --- */

static bool send_output(struct nbd_connection *connection)
{
    while (connection->output_sent < connection->output_size) {
        struct iovec part = {connection->output + connection->output_sent,
                             connection->output_size - connection->output_sent};
        size_t done;
        if (connection->transport->operations->write(connection->transport, &part, 1, &done) !=
            VIOS_OK) {
            return false;
        }
        if (done == 0) {
            return true;
        }
        connection->output_sent += done;
    }
    connection->output_size = connection->output_sent = 0;
    return true;
}

static bool send_all(struct nbd_connection *connection)
{
    bool had_output = connection->output_size > 0;
    if (!send_output(connection)) {
        return false;
    }
    if (connection->output_size > 0) {
        return true; /* the socket is full */
    }
    if (connection->phase.state != PHASE_TRANSMISSION) {
        if (had_output) {
            consume(connection); /* options that waited for the answers before them */
        }
        return true;
    }
    return reply_send(connection);
}

static void turn(struct task *task)
{
    struct nbd_connection *connection = connection_of(task, turn);
    connection->turn_deferred = false;
    if (connection->phase.state == PHASE_TRANSMISSION) {
        transmission_continue(connection);
    }
    if (connection_is_open(connection) && !send_all(connection)) {
        connection_close(connection);
    }
    if (connection->phase.state == PHASE_TRANSMISSION && connection->stalled) {
        connection->stalled = false;
        transmission_consume(connection);
    }
    if (connection->phase.state == PHASE_MOVING && connection->turn_deferred) {
        return; /* GO came behind another option: the next turn sends its answer and posts */
    }
    if (connection->phase.state == PHASE_MOVING) {
        worker_post(connection->export->home, &connection->task); /* from now on it is theirs */
    } else if (connection_is_open(connection)) {
        update_interest(connection);
    } else if (connection->slots_busy == 0 && !connection->turn_deferred) {
        free_connection(connection);
    }
}

/* --- beginning and moving --- */

static void too_slow(struct timer *timer)
{
    connection_close(connection_of(timer, timer));
}

static void begin(struct task *task)
{
    struct nbd_connection *connection = connection_of(task, task);
    struct nbd_wire_greeting greeting = {
        .magic = __builtin_bswap64(NBD_MAGIC),
        .option_magic = __builtin_bswap64(NBD_OPTION_MAGIC),
        .flags = __builtin_bswap16(NBD_HANDSHAKE_FIXED_NEWSTYLE | NBD_HANDSHAKE_NO_ZEROES),
    };
    worker_arm(connection->worker, &connection->timer, clock_now_ms() + NBD_HANDSHAKE_MS);
    if (worker_watch(connection->worker, &connection->watch, EPOLLIN, NULL) != VIOS_OK ||
        !connection_put(connection, &greeting, sizeof greeting)) {
        connection_close(connection);
    }
}

static struct nbd_connection *new_connection(struct nbd_server *server, struct transport *transport,
                                             struct worker *worker, const char *identity)
{
    struct nbd_connection *connection = calloc(1, sizeof *connection);
    if (!connection) {
        return NULL;
    }
    connection->input = malloc(CONNECTION_INPUT_SIZE);
    if (!connection->input) {
        free(connection);
        return NULL;
    }
    connection->server = server;
    connection->transport = transport;
    connection->worker = worker;
    connection->watch = (struct watch){.ready = ready, .fd = transport->fd};
    connection->timer.expired = too_slow;
    connection->task.run = begin;
    connection->turn.run = turn;
    size_t length = strnlen(identity, NBD_IDENTITY_SIZE - 1);
    memcpy(connection->identity, identity, length);
    state_machine_start(&connection->phase, "nbd connection", PHASES,
                        sizeof PHASES / sizeof PHASES[0], PHASE_GREETING, NULL);
    return connection;
}

static void serve(struct nbd_server *server, struct transport *transport, struct worker *worker,
                  const char *identity, struct tls_context *tls)
{
    struct nbd_connection *connection = NULL;
    if (atomic_fetch_add(&server->connections, 1) < NBD_CONNECTIONS_MAX) {
        connection = new_connection(server, transport, worker, identity);
    }
    if (!connection) {
        atomic_fetch_sub(&server->connections, 1);
        transport->operations->close(transport);
        return;
    }
    connection->tls = tls;
    worker_post(worker, &connection->task);
}

void nbd_server_serve(struct nbd_server *server, struct transport *transport, struct worker *worker,
                      const char *identity)
{
    serve(server, transport, worker, identity, NULL);
}

void nbd_server_serve_tls(struct nbd_server *server, struct transport *transport,
                          struct worker *worker, struct tls_context *context)
{
    serve(server, transport, worker, "", context);
}

/* On the home worker. */
static void arrive(struct task *task)
{
    struct nbd_connection *connection = connection_of(task, task);
    connection->worker = connection->export->home;
    if (worker_watch(connection->worker, &connection->watch, EPOLLIN, NULL) != VIOS_OK ||
        connection->export->state == EXPORT_DROPPED || !transmission_start(connection)) {
        connection_close(connection);
        return;
    }
    state_machine_move(&connection->phase, PHASE_TRANSMISSION, "go");
    consume(connection);
    connection_defer(connection);
}

void connection_move(struct nbd_connection *connection, struct nbd_export *export)
{
    connection->export = export;
    worker_disarm(connection->worker, &connection->timer);
    worker_unwatch(connection->worker, &connection->watch);
    state_machine_move(&connection->phase, PHASE_MOVING, export->name);
    connection->task.run = arrive;
    connection_defer(connection); /* the turn posts it, when nothing else here touches it */
}
