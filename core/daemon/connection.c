/* connection.c - see connection.h. */
#include "daemon/connection.h"

#include "base/json.h"
#include "base/log.h"
#include "daemon/access.h"
#include "daemon/dispatch.h"
#include "daemon/lookup.h"
#include "daemon/outlet.h"
#include "daemon/running.h"
#include "net/rpc.h"
#include "node/node.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define READ_SIZE (64 * 1024)

struct connection {
    uv_pipe_t pipe;
    uv_timer_t hello_timer;
    unsigned handles; /* open: pipe and timer */
    struct connection_settings settings;
    struct rpc_framer *framer;
    struct outlet *outlet;
    struct running *calls;
    size_t call_count;
    struct connection_peer peer;
    struct lookup *lookup; /* NULL: it is known who is at the other end */
    bool allowed;          /* to call anything at all */
    bool said_hello;
    bool reading;
    bool finishing; /* no new calls; close when all is sent */
    bool closing;
    char read_buffer[READ_SIZE];
};

struct write_request {
    uv_write_t write;
    struct connection *connection;
    struct outlet_chunk *chunk;
};

static void read_start(struct connection *connection);

/* --- the end --- */

static void on_handle_closed(uv_handle_t *handle)
{
    struct connection *connection = handle->data;
    if (--connection->handles > 0) {
        return;
    }
    connection->settings.closed(connection->settings.context, connection);
    outlet_release(connection->outlet);
    rpc_framer_free(connection->framer);
    free(connection);
}

static void release_calls(struct connection *connection)
{
    while (connection->calls) {
        struct running *running = connection->calls;
        connection->calls = running->next;
        cancel_trigger(running->cancel);
        running_room(running);
        running_release(running);
    }
    connection->call_count = 0;
}

void connection_close(struct connection *connection)
{
    if (connection->closing) {
        return;
    }
    connection->closing = true;
    lookup_release(connection->lookup);
    connection->lookup = NULL;
    outlet_close(connection->outlet);
    release_calls(connection);
    uv_close((uv_handle_t *)&connection->pipe, on_handle_closed);
    uv_close((uv_handle_t *)&connection->hello_timer, on_handle_closed);
}

/* --- sending --- */

static void on_written(uv_write_t *write, int status)
{
    struct write_request *request = (struct write_request *)write;
    struct connection *connection = request->connection;
    outlet_sent(connection->outlet, request->chunk->size);
    free(request->chunk);
    free(request);
    if (status < 0) {
        connection_close(connection);
    } else if (!connection->closing) {
        for (struct running *running = connection->calls; running; running = running->next) {
            running_room(running);
        }
        connection_look(connection);
    }
}

static void write_chunk(struct connection *connection, struct outlet_chunk *chunk)
{
    struct write_request *request = malloc(sizeof *request);
    uv_buf_t buffer = uv_buf_init(chunk->data, (unsigned)chunk->size);
    if (request) {
        *request = (struct write_request){.connection = connection, .chunk = chunk};
    }
    if (!request || connection->closing ||
        uv_write(&request->write, (uv_stream_t *)&connection->pipe, &buffer, 1, on_written) != 0) {
        outlet_sent(connection->outlet, chunk->size);
        free(chunk);
        free(request);
        connection_close(connection);
    }
}

static void send_waiting(struct connection *connection)
{
    struct outlet_chunk *chunk = outlet_take(connection->outlet);
    while (chunk) {
        struct outlet_chunk *next = chunk->next;
        write_chunk(connection, chunk);
        chunk = next;
    }
}

static void on_linger_end(uv_timer_t *timer)
{
    connection_close(timer->data);
}

/* Tells the caller why, and closes when that is sent, or when it does not take it. */
static void turn_away(struct connection *connection, const json_t *id,
                      const struct vios_error *error)
{
    outlet_put(connection->outlet, rpc_failure(id, error), NULL, 0);
    connection->finishing = true;
    uv_timer_start(&connection->hello_timer, on_linger_end, CONNECTION_LINGER_MS, 0);
    release_calls(connection);
}

/* --- calls --- */

static void on_call_run(struct lane_work *work)
{
    struct running *running = (struct running *)((char *)work - offsetof(struct running, work));
    dispatch_run(running);
    running_release(running);
}

static struct running *find_call(struct connection *connection, const json_t *parameters)
{
    const json_t *id = json_object_get(parameters, "id");
    struct running *running = json_is_integer(id) ? connection->calls : NULL;
    while (running && running->call.id != json_integer_value(id)) {
        running = running->next;
    }
    return running;
}

/* Hands a checked call to its thread. Takes over `parameters`. */
static int start_call(struct connection *connection, const struct method *method,
                      json_t *parameters, int64_t id, const struct connection_peer *caller,
                      struct vios_error *error)
{
    struct running *running =
        running_new(connection->settings.node, method, parameters, id, caller, connection->outlet);
    if (!running) {
        return error_set(error, VIOS_E_NO_SPACE, NULL, "try again later",
                         "no memory or descriptors for one more call");
    }
    running->work.run = on_call_run;
    bool lasting = method->flags & (METHOD_STREAM | METHOD_JOB | METHOD_LASTS);
    int status = lasting ? lane_submit_own(connection->settings.lane, &running->work, error)
                         : lane_submit(connection->settings.lane, &running->work, error);
    if (status != VIOS_OK) {
        running_release(running); /* the thread's */
        running_release(running);
        return status;
    }
    running->next = connection->calls;
    connection->calls = running;
    connection->call_count++;
    return VIOS_OK;
}

static int take_call(struct connection *connection, const char *method, const json_t *message,
                     struct vios_error *error)
{
    const json_t *id = json_object_get(message, "id");
    const struct method *row;
    json_t *parameters;
    if (connection->finishing) {
        return error_set(error, VIOS_E_UNREACHABLE, NULL, "try again when it is back",
                         "the daemon ends");
    }
    if (connection->call_count >= CONNECTION_CALLS_MAX) {
        return error_set(error, VIOS_E_NO_SPACE, NULL, "wait for some of them",
                         "%d calls run on this connection", CONNECTION_CALLS_MAX);
    }
    if (find_call(connection, message)) {
        return error_set(error, VIOS_E_USAGE, NULL, NULL, "a call with id %lld runs already",
                         (long long)json_integer_value(id));
    }
    struct connection_peer caller;
    int status = peer_caller(&connection->peer, message, &caller, error);
    if (status == VIOS_OK) {
        status = dispatch_check(connection->settings.node, caller.role, method,
                                json_object_get(message, "params"), &row, &parameters, error);
    }
    if (status == VIOS_E_DENIED) {
        log_warning("rpc", "%s is denied to %s", method, connection->peer.actor);
    }
    return status == VIOS_OK
               ? start_call(connection, row, parameters, json_integer_value(id), &caller, error)
               : status;
}

/* --- hello --- */

/* The level that both speak, or a negative status. */
static int choose_level(const json_t *level, struct vios_error *error)
{
    const json_t *lowest = json_array_get(level, 0), *highest = json_array_get(level, 1);
    if (!json_is_integer(lowest) || !json_is_integer(highest)) {
        return error_set(error, VIOS_E_INVALID, "rpc.hello", NULL,
                         "level is not [lowest, highest]");
    }
    if (json_integer_value(lowest) > rpc_level() || json_integer_value(highest) < rpc_level() - 1) {
        return error_set(error, VIOS_E_INVALID, "rpc.hello",
                         "use a vios of the same version, or of the one before or after",
                         "this daemon speaks levels %d and %d", rpc_level() - 1, rpc_level());
    }
    int most = rpc_level();
    return json_integer_value(highest) < most ? (int)json_integer_value(highest) : most;
}

static int take_hello(struct connection *connection, const json_t *message,
                      struct vios_error *error)
{
    struct node *node = connection->settings.node;
    const json_t *parameters = json_object_get(message, "params");
    int level = choose_level(json_object_get(parameters, "level"), error);
    if (level < 0) {
        return level;
    }
    if (!connection->allowed) {
        return access_refuse(connection->settings.rules, connection->peer.actor, error);
    }
    connection->said_hello = true;
    uv_timer_stop(&connection->hello_timer);
    json_t *result = json_pack("{s:i, s:s, s:s, s:s}", "level", level, "node", node->name,
                               "cluster", atomic_load(&node->active) ? node->cluster : "", "role",
                               role_name(connection->peer.role));
    outlet_put(connection->outlet, rpc_answer(json_object_get(message, "id"), result), NULL, 0);
    return VIOS_OK;
}

/* Also before the hello: so who only passes bytes on can limit what comes behind it. */
static int take_limit(struct connection *connection, const json_t *message,
                      struct vios_error *error)
{
    int status = peer_limit(&connection->peer, json_object_get(message, "params"), error);
    if (status == VIOS_OK) {
        json_t *result = json_pack("{s:s}", "role", role_name(connection->peer.role));
        outlet_put(connection->outlet, rpc_answer(json_object_get(message, "id"), result), NULL, 0);
    }
    return status;
}

/* --- messages --- */

static int take_notification(struct connection *connection, const char *method,
                             const struct rpc_message *message, struct vios_error *error)
{
    const json_t *parameters = json_object_get(message->json, "params");
    struct running *running = find_call(connection, parameters);
    if (!running) {
        return VIOS_OK; /* it has just ended */
    }
    if (strcmp(method, "rpc.cancel") == 0) {
        cancel_trigger(running->cancel);
    } else if (strcmp(method, "rpc.more") == 0) {
        json_int_t items = json_get_integer(parameters, "items");
        if (items <= 0) {
            return error_set(error, VIOS_E_INVALID, "rpc.more", NULL, "items is not a number");
        }
        running_credit(running, items);
    } else if (strcmp(method, "bytes") == 0) {
        return running_input(running, message->data, message->data_size,
                             json_is_true(json_object_get(parameters, "end")), error);
    }
    return VIOS_OK;
}

/* A negative status: the caller broke the protocol. */
static int take_message(struct connection *connection, const struct rpc_message *message,
                        struct vios_error *error)
{
    const json_t *id = json_object_get(message->json, "id");
    const char *method = json_get_text(message->json, "method");
    if (!method || (id && !json_is_integer(id))) {
        return error_set(error, VIOS_E_INVALID, NULL, NULL,
                         "neither a call nor a notification, or an id that is no integer");
    }
    if (id && strcmp(method, "rpc.limit") == 0) {
        return take_limit(connection, message->json, error);
    }
    if (!connection->said_hello) {
        return id && strcmp(method, "rpc.hello") == 0
                   ? take_hello(connection, message->json, error)
                   : error_set(error, VIOS_E_INVALID, method, NULL, "rpc.hello comes first");
    }
    if (!id) {
        return take_notification(connection, method, message, error);
    }
    struct vios_error why = {0};
    if (take_call(connection, method, message->json, &why) != VIOS_OK) {
        outlet_put(connection->outlet, rpc_failure(id, &why), NULL, 0);
    }
    return VIOS_OK;
}

/* Handles what was read, as long as there is room for answers. */
static void take_messages(struct connection *connection)
{
    struct vios_error error = {0};
    struct rpc_message message;
    int status = 1;
    while (!connection->closing && !outlet_full(connection->outlet) &&
           !(connection->finishing && connection->call_count == 0)) {
        status = rpc_framer_pop(connection->framer, &message, &error);
        if (status <= 0) {
            break;
        }
        const json_t *id = json_object_get(message.json, "id");
        status = take_message(connection, &message, &error);
        if (status < 0) {
            turn_away(connection, json_is_integer(id) ? id : NULL, &error);
        }
        json_decref(message.json);
        if (status < 0) {
            return;
        }
    }
    if (status < 0) {
        turn_away(connection, NULL, &error);
    }
}

/* --- reading --- */

static void on_allocate(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer)
{
    struct connection *connection = handle->data;
    (void)suggested;
    *buffer = uv_buf_init(connection->read_buffer, READ_SIZE);
}

static void on_read(uv_stream_t *stream, ssize_t got, const uv_buf_t *buffer)
{
    struct connection *connection = stream->data;
    struct vios_error error = {0};
    if (got < 0) {
        connection_close(connection);
        return;
    }
    if (rpc_framer_push(connection->framer, buffer->base, (size_t)got, &error) != VIOS_OK) {
        turn_away(connection, NULL, &error);
    }
    connection_look(connection);
}

static void read_start(struct connection *connection)
{
    bool ending = connection->finishing && connection->call_count == 0;
    bool want =
        !connection->closing && !connection->lookup && !ending && !outlet_full(connection->outlet);
    if (want && !connection->reading) {
        connection->reading =
            uv_read_start((uv_stream_t *)&connection->pipe, on_allocate, on_read) == 0;
    } else if (!want && connection->reading) {
        uv_read_stop((uv_stream_t *)&connection->pipe);
        connection->reading = false;
    }
}

static void forget_ended(struct connection *connection)
{
    struct running **place = &connection->calls;
    while (*place) {
        struct running *running = *place;
        if (running_ended(running)) {
            *place = running->next;
            connection->call_count--;
            running_release(running);
        } else {
            place = &running->next;
        }
    }
}

static void take_verdict(struct connection *connection, const struct access_verdict *verdict)
{
    connection->allowed = verdict->allowed;
    connection->peer.role = verdict->role;
    snprintf(connection->peer.user, sizeof connection->peer.user, "%s", verdict->user);
}

static void look_up(struct connection *connection)
{
    struct access_verdict verdict;
    if (connection->lookup && lookup_ended(connection->lookup, &verdict)) {
        take_verdict(connection, &verdict);
        lookup_release(connection->lookup);
        connection->lookup = NULL;
    }
}

void connection_look(struct connection *connection)
{
    if (connection->closing) {
        return;
    }
    look_up(connection);
    forget_ended(connection);
    take_messages(connection);
    send_waiting(connection);
    if (connection->closing) {
        return;
    }
    if (connection->finishing && connection->call_count == 0 && outlet_empty(connection->outlet)) {
        connection_close(connection);
        return;
    }
    read_start(connection);
}

void connection_finish(struct connection *connection, bool all)
{
    connection->finishing = true;
    for (struct running *running = connection->calls; running; running = running->next) {
        if (all || (running->method->flags & (METHOD_STREAM | METHOD_JOB | METHOD_LASTS))) {
            cancel_trigger(running->cancel);
        }
    }
    connection_look(connection);
}

/* --- the beginning --- */

static void on_hello_late(uv_timer_t *timer)
{
    struct connection *connection = timer->data;
    struct vios_error error = {0};
    error_set(&error, VIOS_E_TIMEOUT, NULL, NULL, "no rpc.hello within %d ms", CONNECTION_HELLO_MS);
    turn_away(connection, NULL, &error);
    connection_look(connection);
}

/* Who is at the other end, as the kernel says; negative: it cannot be asked what they may. */
static int identify(struct connection *connection, struct vios_error *error)
{
    const struct connection_settings *settings = &connection->settings;
    struct ucred peer = {.uid = (uid_t)-1};
    struct access_verdict verdict;
    socklen_t size = sizeof peer;
    int fd = -1;
    if (uv_fileno((uv_handle_t *)&connection->pipe, &fd) != 0 ||
        getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) {
        return error_set_errno(error, "this daemon", "cannot see who calls");
    }
    snprintf(connection->peer.actor, sizeof connection->peer.actor, "uid:%u", (unsigned)peer.uid);
    if (access_is_own(settings->rules, peer.uid, &verdict)) {
        take_verdict(connection, &verdict);
        return VIOS_OK;
    }
    return lookup_start(&connection->lookup, settings->users, settings->rules, peer.uid,
                        connection->outlet, error);
}

static struct connection *connection_new(const struct connection_settings *settings,
                                         uv_loop_t *loop)
{
    struct connection *connection = calloc(1, sizeof *connection);
    if (!connection) {
        return NULL;
    }
    connection->settings = *settings;
    connection->framer = rpc_framer_new();
    connection->outlet = outlet_new(settings->wake, settings->context);
    if (!connection->framer || !connection->outlet) {
        rpc_framer_free(connection->framer);
        outlet_release(connection->outlet);
        free(connection);
        return NULL;
    }
    uv_pipe_init(loop, &connection->pipe, 0);
    uv_timer_init(loop, &connection->hello_timer);
    connection->pipe.data = connection->hello_timer.data = connection;
    connection->handles = 2;
    return connection;
}

/* What must be said at once, when `refused` (may be NULL) is a reason to close. */
static int check_refused(const char *refused, struct vios_error *error)
{
    return refused
               ? error_set(error, VIOS_E_NO_SPACE, "this daemon", "try again later", "%s", refused)
               : VIOS_OK;
}

/* `status` is negative for one that is turned away. */
static void begin(struct connection *connection, int status, const struct vios_error *error)
{
    uv_timer_start(&connection->hello_timer, on_hello_late, CONNECTION_HELLO_MS, 0);
    if (status != VIOS_OK) {
        turn_away(connection, NULL, error);
    }
}

struct connection *connection_accept(const struct connection_settings *settings,
                                     uv_stream_t *listener, const char *refused)
{
    struct connection *connection = connection_new(settings, listener->loop);
    if (!connection) {
        return NULL;
    }
    if (uv_accept(listener, (uv_stream_t *)&connection->pipe) != 0) {
        connection_close(connection);
        return connection;
    }
    struct vios_error error = {0};
    int status = check_refused(refused, &error);
    if (status == VIOS_OK) {
        status = identify(connection, &error);
    }
    begin(connection, status, &error);
    return connection;
}

struct connection *connection_adopt(const struct connection_settings *settings, uv_loop_t *loop,
                                    int fd, const struct connection_peer *peer, const char *refused)
{
    struct connection *connection = connection_new(settings, loop);
    if (!connection) {
        close(fd);
        return NULL;
    }
    if (uv_pipe_open(&connection->pipe, fd) != 0) {
        close(fd);
        connection_close(connection);
        return connection;
    }
    connection->peer = *peer;
    connection->allowed = true;
    struct vios_error error = {0};
    int status = check_refused(refused, &error);
    begin(connection, status, &error);
    return connection;
}
