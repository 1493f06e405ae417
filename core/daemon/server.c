/*
 * server.c - see server.h. The loop's one uv_async says "look": at every connection's outlet and
 * calls, and whether to stop.
 */
#include "daemon/server.h"

#include "base/log.h"
#include "daemon/access.h"
#include "daemon/connection.h"
#include "daemon/lanes.h"
#include "daemon/notify.h"
#include "net/transport.h"
#include "node/node.h"

#include <assert.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SERVER_BACKLOG 128
#define LANE_THREADS 4
#define USERS_THREADS 2
/* When the daemon ends: calls may go on this long, then they are cancelled, then cut off. */
#define STOP_CANCEL_MS 5000
#define STOP_CLOSE_MS 10000

struct adopted { /* on its way to the loop */
    struct adopted *next;
    int fd;
    struct connection_peer peer;
};

struct server {
    uv_loop_t loop;
    uv_pipe_t listener;
    uv_async_t wake;
    uv_signal_t signals[2];
    uv_timer_t stop_timer;
    uv_timer_t watchdog;
    struct connection_settings settings;
    struct connection *connections[SERVER_CONNECTIONS_MAX + 1];
    size_t connection_count;
    struct access_rules rules;
    atomic_bool stop_asked;
    bool stopping;
    bool cancelled_all;
    pthread_mutex_t lock; /* of adopted */
    struct adopted *adopted;
};

static void close_handle(uv_handle_t *handle)
{
    if (!uv_is_closing(handle)) {
        uv_close(handle, NULL);
    }
}

/* The loop ends by itself when its last handle is closed. */
static void close_handles(struct server *server)
{
    close_handle((uv_handle_t *)&server->wake);
    close_handle((uv_handle_t *)&server->signals[0]);
    close_handle((uv_handle_t *)&server->signals[1]);
    close_handle((uv_handle_t *)&server->stop_timer);
    close_handle((uv_handle_t *)&server->watchdog);
    close_handle((uv_handle_t *)&server->listener);
}

static void on_connection_closed(void *context, struct connection *connection)
{
    struct server *server = context;
    for (size_t i = 0; i < server->connection_count; i++) {
        if (server->connections[i] == connection) {
            server->connections[i] = server->connections[--server->connection_count];
            break;
        }
    }
    if (server->stopping && server->connection_count == 0) {
        close_handles(server);
    }
}

static void finish_all(struct server *server, bool all)
{
    for (size_t i = server->connection_count; i > 0; i--) {
        connection_finish(server->connections[i - 1], all);
    }
}

static void on_stop_timer(uv_timer_t *timer)
{
    struct server *server = timer->data;
    if (!server->cancelled_all) {
        server->cancelled_all = true;
        log_warning("rpc", "cancelling the calls that still run");
        finish_all(server, true);
        return;
    }
    for (size_t i = server->connection_count; i > 0; i--) {
        connection_close(server->connections[i - 1]);
    }
}

static void stop_now(struct server *server)
{
    if (server->stopping) {
        return;
    }
    server->stopping = true;
    atomic_store(&server->stop_asked, true);
    close_handle((uv_handle_t *)&server->listener);
    uv_timer_start(&server->stop_timer, on_stop_timer, STOP_CANCEL_MS,
                   STOP_CLOSE_MS - STOP_CANCEL_MS);
    finish_all(server, false);
    if (server->connection_count == 0) {
        close_handles(server);
    }
}

/* Puts a new one into the list; NULL: it could not be made. */
static void take_connection(struct server *server, struct connection *connection)
{
    if (!connection) {
        log_warning("rpc", "no memory for a connection");
        return;
    }
    if (server->connection_count > SERVER_CONNECTIONS_MAX) {
        connection_close(connection); /* those turned away are in flight already */
        return;
    }
    server->connections[server->connection_count++] = connection;
    connection_look(connection);
}

static const char *why_full(const struct server *server)
{
    return server->connection_count >= SERVER_CONNECTIONS_MAX ? "it has too many connections"
                                                              : NULL;
}

static struct adopted *take_adopted(struct server *server)
{
    pthread_mutex_lock(&server->lock);
    struct adopted *all = server->adopted;
    server->adopted = NULL;
    pthread_mutex_unlock(&server->lock);
    return all;
}

static void adopt_all(struct server *server)
{
    struct adopted *all = take_adopted(server);
    while (all) {
        struct adopted *one = all;
        all = one->next;
        if (server->stopping) {
            close(one->fd);
        } else {
            take_connection(server, connection_adopt(&server->settings, &server->loop, one->fd,
                                                     &one->peer, why_full(server)));
        }
        free(one);
    }
}

void server_adopt(struct server *server, int fd, const struct connection_peer *peer)
{
    struct adopted *one = malloc(sizeof *one);
    if (!one) {
        close(fd);
        return;
    }
    *one = (struct adopted){.fd = fd, .peer = *peer};
    pthread_mutex_lock(&server->lock);
    one->next = server->adopted;
    server->adopted = one;
    pthread_mutex_unlock(&server->lock);
    uv_async_send(&server->wake);
}

static void on_wake(uv_async_t *async)
{
    struct server *server = async->data;
    adopt_all(server);
    for (size_t i = server->connection_count; i > 0; i--) {
        connection_look(server->connections[i - 1]);
    }
    if (atomic_load(&server->stop_asked)) {
        stop_now(server);
    }
}

static void on_signal(uv_signal_t *handle, int number)
{
    struct server *server = handle->data;
    log_notice("daemon", "ends on %s", number == SIGTERM ? "SIGTERM" : "SIGINT");
    stop_now(server);
}

static void wake_loop(void *context)
{
    struct server *server = context;
    uv_async_send(&server->wake);
}

void server_stop(struct server *server)
{
    if (!atomic_exchange(&server->stop_asked, true)) {
        wake_loop(server);
    }
}

static void on_connection(uv_stream_t *listener, int status)
{
    struct server *server = listener->data;
    if (status < 0) {
        log_warning("rpc", "cannot accept: %s", uv_strerror(status));
        return;
    }
    take_connection(server, connection_accept(&server->settings, listener, why_full(server)));
}

static void on_watchdog(uv_timer_t *timer)
{
    (void)timer;
    notify_send("WATCHDOG=1");
}

static void make_handles(struct server *server)
{
    uv_async_init(&server->loop, &server->wake, on_wake);
    uv_pipe_init(&server->loop, &server->listener, 0);
    uv_timer_init(&server->loop, &server->stop_timer);
    uv_timer_init(&server->loop, &server->watchdog);
    int64_t watchdog_ms = notify_watchdog_ms();
    if (watchdog_ms > 0) {
        uv_timer_start(&server->watchdog, on_watchdog, (uint64_t)watchdog_ms,
                       (uint64_t)watchdog_ms);
    }
    server->wake.data = server->listener.data = server->stop_timer.data = server;
    static const int numbers[] = {SIGTERM, SIGINT};
    for (size_t i = 0; i < 2; i++) {
        uv_signal_init(&server->loop, &server->signals[i]);
        server->signals[i].data = server;
        uv_signal_start(&server->signals[i], on_signal, numbers[i]);
    }
}

static int listen_at(struct server *server, struct vios_error *error)
{
    struct node *node = server->settings.node;
    char address[1100];
    snprintf(address, sizeof address, "unix:%s/vios.sock", node->run_dir);
    int fd = transport_listen(address, error);
    if (fd < 0) {
        return fd;
    }
    /* who may do what is decided by who they are, not by who can connect */
    if (fchmodat(node->run_dir_fd, "vios.sock", 0666, 0) != 0) {
        close(fd);
        return error_set_errno(error, address, "cannot set its mode");
    }
    int failed = uv_pipe_open(&server->listener, fd);
    if (failed == 0) {
        failed = uv_listen((uv_stream_t *)&server->listener, SERVER_BACKLOG, on_connection);
    } else {
        close(fd);
    }
    return failed == 0 ? VIOS_OK
                       : error_set(error, VIOS_E_SYSTEM, address, NULL, "cannot listen: %s",
                                   uv_strerror(failed));
}

int server_new(struct server **server, struct node *node, const struct access_rules *rules,
               struct vios_error *error)
{
    struct server *made = calloc(1, sizeof *made);
    *server = NULL;
    if (!made || uv_loop_init(&made->loop) != 0) {
        free(made);
        return error_set(error, VIOS_E_NO_SPACE, NULL, NULL, "no memory for the server");
    }
    made->rules = *rules;
    pthread_mutex_init(&made->lock, NULL);
    made->settings = (struct connection_settings){
        .node = node,
        .rules = &made->rules,
        .wake = wake_loop,
        .closed = on_connection_closed,
        .context = made,
    };
    make_handles(made);
    int status = listen_at(made, error);
    if (status == VIOS_OK) {
        status = lane_start(&made->settings.lane, "store", LANE_THREADS, error);
    }
    if (status == VIOS_OK) {
        status = lane_start(&made->settings.users, "users", USERS_THREADS, error);
    }
    if (status != VIOS_OK) {
        server_free(made);
        return status;
    }
    *server = made;
    return VIOS_OK;
}

void server_run(struct server *server)
{
    uv_run(&server->loop, UV_RUN_DEFAULT);
    unlinkat(server->settings.node->run_dir_fd, "vios.sock", 0);
}

void server_free(struct server *server)
{
    if (!server) {
        return;
    }
    close_handles(server);
    uv_run(&server->loop, UV_RUN_DEFAULT);
    lane_stop(server->settings.lane);
    lane_stop(server->settings.users);
    struct adopted *left = take_adopted(server);
    while (left) {
        struct adopted *one = left;
        left = one->next;
        close(one->fd);
        free(one);
    }
    pthread_mutex_destroy(&server->lock);
    int failed = uv_loop_close(&server->loop);
    assert(failed == 0);
    (void)failed;
    free(server);
}
