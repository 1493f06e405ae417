/* caller_connection.c - the bytes of one caller's connection, see callers_internal.h. */
#include "event/callers_internal.h"

#include "base/clock.h"

#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

static void close_when_broken(struct caller_connection *connection)
{
    if (connection->broken) {
        caller_connection_close(connection);
    }
}

/* --- sending --- */

/* How many bytes the socket took. */
static size_t send_now(struct caller_connection *connection, const char *data, size_t size)
{
    struct transport *transport = connection->transport;
    struct iovec part = {(void *)data, size};
    size_t done = 0;
    if (transport->operations->write(transport, &part, 1, &done) != VIOS_OK) {
        connection->broken = true;
    }
    if (done > 0) {
        connection->progress_ms = clock_now_ms();
    }
    return done;
}

static void keep_rest(struct caller_connection *connection, const char *data, size_t size)
{
    size_t kept = connection->unsent_size - connection->unsent_start;
    char *joined = malloc(kept + size);
    if (!joined) {
        connection->broken = true;
        return;
    }
    if (kept > 0) {
        memcpy(joined, connection->unsent + connection->unsent_start, kept);
    }
    memcpy(joined + kept, data, size);
    free(connection->unsent);
    connection->unsent = joined;
    connection->unsent_start = 0;
    connection->unsent_size = kept + size;
}

void caller_connection_put(struct caller_connection *connection, const char *data, size_t size)
{
    size_t done = 0;
    if (!connection->unsent && size > 0 && !connection->broken) {
        done = send_now(connection, data, size);
    }
    if (done < size && !connection->broken) {
        keep_rest(connection, data + done, size - done);
    }
    if (caller_connection_state(connection) >= CONNECTION_LOADING &&
        caller_connection_state(connection) <= CONNECTION_FOLLOWING) {
        caller_connection_live(connection, &connection->callers->served); /* it was not silent */
    }
}

void caller_connection_put_line(struct caller_connection *connection, char *line)
{
    if (line) {
        caller_connection_put(connection, line, strlen(line));
    } else {
        connection->broken = true;
    }
    free(line);
}

/* True: the socket has taken all. */
static bool flush(struct caller_connection *connection)
{
    if (connection->unsent && !connection->broken) {
        connection->unsent_start +=
            send_now(connection, connection->unsent + connection->unsent_start,
                     connection->unsent_size - connection->unsent_start);
        if (connection->unsent_start == connection->unsent_size) {
            free(connection->unsent);
            connection->unsent = NULL;
            connection->unsent_start = connection->unsent_size = 0;
        }
    }
    return !connection->unsent;
}

/* --- reading --- */

static void keep_line(struct caller_connection *connection, const char *data, size_t size)
{
    if (size > CALLERS_LINE_MAX) {
        service_end(connection, VIOS_E_INVALID, "the line is too long", "");
        return;
    }
    connection->line = size > 0 ? malloc(size) : NULL;
    connection->line_size = connection->line ? size : 0;
    if (connection->line) {
        memcpy(connection->line, data, size);
    } else if (size > 0) {
        connection->broken = true;
    }
}

/* All lines that are whole. What an ending connection still says is of no interest. */
static void take_lines(struct caller_connection *connection, const char *data, size_t size)
{
    const char *newline;
    while (caller_connection_state(connection) != CONNECTION_ENDING &&
           (newline = memchr(data, '\n', size)) != NULL) {
        service_line(connection, data, (size_t)(newline - data));
        size -= (size_t)(newline + 1 - data);
        data = newline + 1;
    }
    if (caller_connection_state(connection) != CONNECTION_ENDING) {
        keep_line(connection, data, size);
    }
}

/* Once: the others have their turn before it has the next. */
static void read_some(struct caller_connection *connection)
{
    struct transport *transport = connection->transport;
    char *input = connection->callers->input;
    size_t kept = connection->line_size, done = 0;
    if (kept > 0) {
        memcpy(input, connection->line, kept);
    }
    connection->more_input = false;
    int status = transport->operations->read(transport, input + kept, CALLERS_LINE_MAX, &done);
    if (status != VIOS_OK) {
        connection->broken = true;
    } else if (done > 0) {
        free(connection->line);
        connection->line = NULL;
        connection->line_size = 0;
        take_lines(connection, input, kept + done);
        connection->more_input = transport->operations->pending(transport);
    }
    if (connection->more_input) {
        caller_connection_queue(connection);
    }
}

/* --- the socket --- */

void caller_connection_rewatch(struct caller_connection *connection)
{
    uint32_t wants = connection->transport->operations->wants(connection->transport);
    worker_rewatch(connection->callers->worker, &connection->watch,
                   EPOLLIN | wants | (connection->unsent ? EPOLLOUT : 0u));
}

static void on_ready(struct watch *watch, uint32_t events)
{
    struct caller_connection *connection = owner_of(watch, struct caller_connection, watch);
    if (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) {
        read_some(connection);
    }
    if (!connection->broken && (events & EPOLLOUT) && connection->unsent) {
        caller_connection_turn(connection);
        return;
    }
    if (!connection->broken) {
        caller_connection_rewatch(connection);
    }
    close_when_broken(connection);
}

void caller_connection_open(struct caller_connection *connection)
{
    connection->watch = (struct watch){.ready = on_ready, .fd = connection->transport->fd};
    if (worker_watch(connection->callers->worker, &connection->watch, EPOLLIN, NULL) != VIOS_OK) {
        connection->watch.ready = NULL;
        caller_connection_close(connection);
        return;
    }
    read_some(connection); /* the hello may have come with the handshake */
    close_when_broken(connection);
}

static void forget_hello(struct caller_connection *connection)
{
    if (connection->hello) {
        caller_said_forget(connection->hello);
        free(connection->hello);
        connection->hello = NULL;
    }
}

void caller_connection_close(struct caller_connection *connection)
{
    struct callers *callers = connection->callers;
    if (connection->watch.ready) {
        worker_unwatch(callers->worker, &connection->watch);
    }
    connection->transport->operations->close(connection->transport);
    callers->silent_count -= caller_connection_state(connection) == CONNECTION_GREETING;
    callers->count--;
    chain_remove(&connection->life);
    chain_remove(&connection->work);
    service_drop_batch(connection);
    caller_state_release(connection->state);
    forget_hello(connection);
    if (connection->registered && connection->registered->connection == connection) {
        connection->registered->connection = NULL;
    }
    registered_release(connection->registered);
    free(connection->line);
    free(connection->unsent);
    free(connection);
}

/* --- turns --- */

void caller_connection_live(struct caller_connection *connection, struct chain *list)
{
    connection->since_ms = clock_now_ms();
    chain_append(list, &connection->life);
}

void caller_connection_queue(struct caller_connection *connection)
{
    chain_append(&connection->callers->ready, &connection->work);
    callers_poke(connection->callers);
}

void caller_connection_turn(struct caller_connection *connection)
{
    struct chain *list = NULL;
    chain_remove(&connection->work);
    if (connection->more_input) {
        read_some(connection);
        chain_remove(&connection->work);
    }
    if (flush(connection) && !connection->broken) {
        list = service_send(connection);
    }
    if (connection->broken) {
        caller_connection_close(connection);
        return;
    }
    if (connection->more_input) {
        list = &connection->callers->ready;
    }
    if (list == &connection->callers->ready && !connection->unsent) {
        caller_connection_queue(connection);
    } else if (list && !connection->unsent) {
        chain_append(list, &connection->work);
    }
    caller_connection_rewatch(connection);
}
