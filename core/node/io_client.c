/*
 * io_client.c - see io_client.h.
 *
 * Two threads. The keeper sees to it that there is an io: it connects or starts one, takes
 * over or hands over what is kept, then sleeps on its pidfd. The server passes "serve" on, so
 * that neither the driver of the agent nor a slow set-up ever holds the gate's time back.
 *
 * `kept` holds what a successor needs. It is asked for (give) after each request that changes it,
 * before that request returns: an io that dies afterwards has lost nothing that we promised. An io
 * that dies in between is followed by one that knows nothing of the request, so it is made again.
 */
#include "node/io_client.h"

#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "base/thread.h"
#include "net/transport.h"
#include "node/io_kept.h"
#include "node/io_process.h"

#include <assert.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define IDLE_MAX 8
#define SETUP_TIMEOUT_MS 10000 /* from its start until io has taken everything over */
#define SERVE_TIMEOUT_MS 1000
#define RETRY_MS 20
#define SHORT_LIFE_MS 1000 /* one that lived shorter is started again with a pause */
#define PAUSE_FIRST_MS 100
#define PAUSE_MAX_MS 3000
#define STOP_TIMEOUT_MS 8000

struct io_client {
    char *program, *run_dir;
    uint64_t page_memory_bytes;
    void (*restored)(void *context);
    void *context;

    pthread_t keeper, server;
    int wake;       /* eventfd: the keeper looks at `stopping` */
    int serve_wake; /* eventfd: the server looks at what follows */

    pthread_mutex_t lock; /* of all below */
    pthread_cond_t changed;
    bool stopping;
    bool ready;    /* set up, and not known to be dead */
    pid_t pid;     /* 0: none */
    int pidfd;     /* -1: none; the keeper's */
    uint64_t life; /* counts the ios: connections of an older one are useless */
    int idle[IDLE_MAX];
    size_t idle_count;
    int64_t until_stop_ms, until_kill_ms; /* 0: nothing to say yet */
    uint64_t memory_size_bytes, memory_used_bytes;

    struct io_kept *kept;
    atomic_bool kept_stale[IO_KEPT_COUNT]; /* the keeper is to have it given again */
};

/* --- connections --- */

static int connect_io(struct io_client *client, struct operation *operation)
{
    char address[1100];
    snprintf(address, sizeof address, "unix:%s/io.sock", client->run_dir);
    return transport_connect(address, operation);
}

/*
 * An idle connection of the present io, or a new one; only the keeper may want one that is not
 * ready. A successor that has not taken over yet must hear nothing from anybody else: it would
 * give away its emptiness, or make an export that is about to be handed to it.
 */
static int borrow(struct io_client *client, bool setting_up, uint64_t *life,
                  struct operation *operation)
{
    int fd = -1;
    pthread_mutex_lock(&client->lock);
    *life = client->life;
    pid_t pid = client->ready ? client->pid : 0;
    if (pid > 0 && client->idle_count > 0) {
        fd = client->idle[--client->idle_count];
    }
    pthread_mutex_unlock(&client->lock);
    if (fd < 0 && (setting_up || pid > 0)) {
        fd = connect_io(client, operation);
        if (fd < 0 || setting_up || io_process_listening(fd) == pid) {
            return fd;
        }
        close(fd);
        fd = -1;
    }
    return fd >= 0 ? fd : operation_fail(operation, VIOS_E_UNREACHABLE, "io", NULL, "it has ended");
}

static void give_back(struct io_client *client, int fd, uint64_t life)
{
    pthread_mutex_lock(&client->lock);
    if (life == client->life && client->ready && client->idle_count < IDLE_MAX) {
        client->idle[client->idle_count++] = fd;
        fd = -1;
    }
    pthread_mutex_unlock(&client->lock);
    if (fd >= 0) {
        close(fd);
    }
}

static void close_idle(struct io_client *client)
{
    for (size_t i = 0; i < client->idle_count; i++) {
        close(client->idle[i]);
    }
    client->idle_count = 0;
}

/* One exchange with the io there is now. `*answered`: it came from io itself. */
static int exchange_once(struct io_client *client, bool setting_up, const json_t *request,
                         const struct io_descriptors *sent, json_t **answer,
                         struct io_descriptors *received, bool *answered,
                         struct operation *operation)
{
    uint64_t life;
    *answered = false;
    int fd = borrow(client, setting_up, &life, operation);
    if (fd < 0) {
        return fd;
    }
    int status = io_wire_exchange(fd, request, sent, answer, received, answered, operation);
    if (*answered) {
        give_back(client, fd, life);
    } else {
        close(fd);
    }
    return status;
}

static int exchange_ready(void *context, const json_t *request, const struct io_descriptors *sent,
                          json_t **answer, struct io_descriptors *received, bool *answered,
                          struct operation *operation)
{
    return exchange_once(context, false, request, sent, answer, received, answered, operation);
}

static int exchange_setting_up(void *context, const json_t *request,
                               const struct io_descriptors *sent, json_t **answer,
                               struct io_descriptors *received, bool *answered,
                               struct operation *operation)
{
    return exchange_once(context, true, request, sent, answer, received, answered, operation);
}

/* --- the keeper --- */

static bool stopping(struct io_client *client)
{
    pthread_mutex_lock(&client->lock);
    bool value = client->stopping;
    pthread_mutex_unlock(&client->lock);
    return value;
}

/* Waits on `fd` (-1: on nothing) at most `timeout_ms`, or until io_client_stop. */
static void keeper_wait(struct io_client *client, int fd, int timeout_ms)
{
    struct pollfd polls[2] = {{.fd = client->wake, .events = POLLIN}, {.fd = fd, .events = POLLIN}};
    eventfd_t ignored;
    if (poll(polls, 2, timeout_ms) > 0 && polls[0].revents) {
        eventfd_read(client->wake, &ignored);
    }
}

/* Says hello to whoever listens; its process id, or a negative status. */
static pid_t say_hello(struct io_client *client, struct operation *operation)
{
    json_t *answer = NULL;
    bool answered;
    json_t *hello = json_pack("{s:s, s:i}", "do", "hello", "level", IO_CLIENT_LEVEL);
    int status = exchange_once(client, true, hello, NULL, &answer, NULL, &answered, operation);
    pid_t pid = (pid_t)json_get_integer(answer, "pid");
    json_decref(hello);
    json_decref(answer);
    if (status == VIOS_OK && pid <= 0) {
        status = operation_fail(operation, VIOS_E_CORRUPT, "io", NULL, "hello without a pid");
    }
    return status == VIOS_OK ? pid : status;
}

/* Hello to the io that was just started, as soon as it listens. */
static pid_t await_hello(struct io_client *client, int pidfd, struct operation *operation)
{
    for (;;) {
        pid_t pid = say_hello(client, operation);
        if (pid > 0) {
            return pid;
        }
        if (io_process_ended(pidfd)) {
            return operation_fail(operation, VIOS_E_UNREACHABLE, client->program,
                                  "see its lines in the log", "it ended at once");
        }
        if (operation_check(operation) != VIOS_OK || stopping(client)) {
            return VIOS_E_TIMEOUT;
        }
        keeper_wait(client, pidfd, RETRY_MS);
    }
}

/* Gets hold of an io: the running one, or a new one that took everything over. The pidfd, or a
 * negative status. */
static int obtain(struct io_client *client, struct operation *operation, pid_t *pid, bool *fresh)
{
    *pid = say_hello(client, operation);
    *fresh = *pid <= 0;
    if (!*fresh) {
        return io_process_open(*pid);
    }
    int status = io_process_start(client->program, client->run_dir, client->page_memory_bytes, pid,
                                  &operation->error);
    if (status != VIOS_OK) {
        return status;
    }
    int pidfd = io_process_open(*pid);
    if (pidfd < 0) {
        return operation_fail(operation, VIOS_E_SYSTEM, "io", NULL, "no pidfd for it");
    }
    pid_t answered = await_hello(client, pidfd, operation);
    const struct io_kept_way way = {exchange_setting_up, client};
    int taken = answered > 0 ? io_kept_hand_over(client->kept, &way, operation) : VIOS_OK;
    answered = taken == VIOS_OK ? answered : taken;
    if (answered > 0) {
        return pidfd;
    }
    io_process_kill(pidfd); /* half set up is worse than none */
    keeper_wait(client, pidfd, SERVE_TIMEOUT_MS);
    io_process_reap(pidfd);
    close(pidfd);
    return answered;
}

static void set_ready(struct io_client *client, pid_t pid, int pidfd, bool ready)
{
    pthread_mutex_lock(&client->lock);
    client->ready = ready;
    client->pid = pid;
    client->pidfd = pidfd;
    if (!ready) {
        client->life++;
        close_idle(client);
    }
    pthread_cond_broadcast(&client->changed);
    pthread_mutex_unlock(&client->lock);
    eventfd_write(client->serve_wake, 1); /* a successor's gate */
}

/* A failure is tried again: the statistics show that it is out of date. */
static void keep(struct io_client *client, enum io_kept_what what, bool setting_up,
                 struct operation *operation)
{
    const struct io_kept_way way = {setting_up ? exchange_setting_up : exchange_ready, client};
    bool answered;
    if (io_kept_fetch(client->kept, what, &way, &answered, operation) != VIOS_OK) {
        log_warning("io", "it does not give its %s: %s", io_kept_name(what),
                    operation->error.message);
    }
}

static void keep_again(struct io_client *client)
{
    for (int what = 0; what < IO_KEPT_COUNT; what++) {
        if (atomic_exchange(&client->kept_stale[what], false)) {
            struct operation operation;
            operation_start(&operation, SETUP_TIMEOUT_MS, NULL);
            keep(client, what, false, &operation);
        }
    }
}

/* Lives with one io from its beginning to its end. False: there was none. */
static bool keep_one(struct io_client *client, unsigned *lives, bool *complained)
{
    struct operation operation;
    pid_t pid;
    bool fresh;
    char text[800];
    operation_start(&operation, SETUP_TIMEOUT_MS, NULL);
    int pidfd = obtain(client, &operation, &pid, &fresh);
    if (pidfd < 0) {
        if (!stopping(client) && !*complained) {
            log_error("io", "cannot set it up: %s",
                      error_format(&operation.error, text, sizeof text));
            *complained = true;
        }
        return false;
    }
    *complained = false;
    log_notice("io", "%s, process %ld", fresh ? "started" : "found running", (long)pid);
    for (int what = 0; what < IO_KEPT_COUNT; what++) {
        keep(client, what, true, &operation); /* nothing is asked of it before it is known */
    }
    set_ready(client, pid, pidfd, true);
    if ((*lives)++ > 0 && client->restored) {
        client->restored(client->context);
    }
    while (!io_process_ended(pidfd) && !stopping(client)) {
        keeper_wait(client, pidfd, -1);
        keep_again(client);
    }
    if (!io_process_ended(pidfd)) {
        return true; /* stopping: io stays, its pidfd too */
    }
    set_ready(client, 0, -1, false);
    log_warning("io", "process %ld ended", (long)pid);
    io_process_reap(pidfd);
    close(pidfd);
    return true;
}

static void *keeper_run(void *argument)
{
    struct io_client *client = argument;
    int pause_ms = PAUSE_FIRST_MS;
    unsigned lives = 0;
    bool complained = false;
    while (!stopping(client)) {
        int64_t began_ms = clock_now_ms();
        bool lived = keep_one(client, &lives, &complained);
        if (lived && clock_now_ms() - began_ms >= SHORT_LIFE_MS) {
            pause_ms = PAUSE_FIRST_MS;
            continue;
        }
        keeper_wait(client, -1, pause_ms);
        pause_ms = pause_ms * 2 < PAUSE_MAX_MS ? pause_ms * 2 : PAUSE_MAX_MS;
    }
    return NULL;
}

/* --- the server --- */

static void note_memory(struct io_client *client, const json_t *answer)
{
    const json_t *memory = json_object_get(answer, "page_memory");
    json_int_t size = json_get_integer(memory, "size_bytes");
    json_int_t used = json_get_integer(memory, "used_bytes");
    pthread_mutex_lock(&client->lock);
    client->memory_size_bytes = size > 0 ? (uint64_t)size : 0;
    client->memory_used_bytes = used > 0 ? (uint64_t)used : 0;
    pthread_mutex_unlock(&client->lock);
}

/* What was changed and not given, because the one who changed it could not wait. */
static void note_stale(struct io_client *client, const json_t *statistics)
{
    for (int what = 0; what < IO_KEPT_COUNT; what++) {
        if (io_kept_is_stale(client->kept, what, statistics)) {
            atomic_store(&client->kept_stale[what], true);
            eventfd_write(client->wake, 1);
        }
    }
}

static void serve_once(struct io_client *client)
{
    struct operation operation;
    bool answered;
    json_t *answer = NULL;
    pthread_mutex_lock(&client->lock);
    bool ready = client->ready;
    int64_t until_stop_ms = client->until_stop_ms, until_kill_ms = client->until_kill_ms;
    pthread_mutex_unlock(&client->lock);
    if (!ready) {
        return;
    }
    operation_start(&operation, SERVE_TIMEOUT_MS, NULL);
    if (until_stop_ms > 0) {
        json_t *serve =
            json_pack("{s:s, s:I, s:I}", "do", "serve", "until_stop", (json_int_t)until_stop_ms,
                      "until_kill", (json_int_t)until_kill_ms);
        if (exchange_once(client, false, serve, NULL, NULL, NULL, &answered, &operation) !=
            VIOS_OK) {
            log_warning("io", "the gate was not moved: %s", operation.error.message);
        }
        json_decref(serve);
    }
    json_t *statistics = json_pack("{s:s}", "do", "statistics");
    if (exchange_once(client, false, statistics, NULL, &answer, NULL, &answered, &operation) ==
        VIOS_OK) {
        note_memory(client, answer);
        note_stale(client, answer);
    }
    json_decref(statistics);
    json_decref(answer);
}

static void *server_run(void *argument)
{
    struct io_client *client = argument;
    while (!stopping(client)) {
        struct pollfd wake = {.fd = client->serve_wake, .events = POLLIN};
        eventfd_t ignored;
        if (poll(&wake, 1, -1) > 0) {
            eventfd_read(client->serve_wake, &ignored);
        }
        if (!stopping(client)) {
            serve_once(client);
        }
    }
    return NULL;
}

void io_client_serve(struct io_client *client, int64_t until_stop_ms, int64_t until_kill_ms)
{
    pthread_mutex_lock(&client->lock);
    client->until_stop_ms = until_stop_ms;
    client->until_kill_ms = until_kill_ms;
    pthread_mutex_unlock(&client->lock);
    eventfd_write(client->serve_wake, 1);
}

/* --- calls --- */

/* Waits until an io is there; looks at the operation every so often, which a condition cannot. */
static int await_ready(struct io_client *client, struct operation *operation)
{
    pthread_mutex_lock(&client->lock);
    int status = operation_check(operation);
    while (status == VIOS_OK && !client->ready) {
        condition_wait(&client->changed, &client->lock, RETRY_MS);
        status = client->stopping
                     ? operation_fail(operation, VIOS_E_UNREACHABLE, "io", NULL, "the daemon ends")
                     : operation_check(operation);
    }
    pthread_mutex_unlock(&client->lock);
    return status;
}

/* The request, and what it changed given to us before the caller may rely on it. An io that dies in
 * between leaves its successor the state before: then both are done again (`*answered` false). */
static int call_once(struct io_client *client, const json_t *request,
                     const struct io_descriptors *sent, json_t **answer,
                     struct io_descriptors *received, bool *answered, struct operation *operation)
{
    enum io_kept_what changed = io_kept_changed_by(request);
    int status = exchange_once(client, false, request, sent, answer, received, answered, operation);
    if (status != VIOS_OK || changed == IO_KEPT_COUNT) {
        return status;
    }
    const struct io_kept_way way = {exchange_ready, client};
    status = io_kept_fetch(client->kept, changed, &way, answered, operation);
    if (status != VIOS_OK && answer) {
        json_decref(*answer);
        *answer = NULL;
    }
    return status;
}

static int call(struct io_client *client, json_t *request, const struct io_descriptors *sent,
                json_t **answer, struct io_descriptors *received, struct operation *operation)
{
    bool answered = false;
    int status;
    do {
        status = await_ready(client, operation);
        if (status == VIOS_OK) {
            status = call_once(client, request, sent, answer, received, &answered, operation);
        } else {
            answered = true;
        }
    } while (!answered && operation_check(operation) == VIOS_OK &&
             operation_sleep(operation, RETRY_MS) == VIOS_OK);
    json_decref(request);
    return answered ? status : operation->error.code; /* why it was given up */
}

int io_client_call(struct io_client *client, json_t *request, const int *descriptors,
                   size_t descriptor_count, json_t **answer, struct operation *operation)
{
    assert(descriptor_count <= DESCRIPTORS_MAX);
    struct io_descriptors sent = {.count = descriptor_count};
    if (descriptor_count > 0) {
        memcpy(sent.fds, descriptors, descriptor_count * sizeof sent.fds[0]);
    }
    return call(client, request, &sent, answer, NULL, operation);
}

int io_client_fetch(struct io_client *client, json_t *request, int *descriptor,
                    struct operation *operation)
{
    struct io_descriptors received = {.count = 0};
    json_t *answer = NULL;
    *descriptor = -1;
    int status = call(client, request, NULL, &answer, &received, operation);
    json_decref(answer);
    if (status == VIOS_OK && received.count == 1) {
        *descriptor = received.fds[0];
        return VIOS_OK;
    }
    io_descriptors_close(&received);
    return status < 0 ? status
                      : operation_fail(operation, VIOS_E_INVALID, "io", NULL,
                                       "it answered with %zu descriptors", received.count);
}

pid_t io_client_pid(const struct io_client *client)
{
    struct io_client *mutable = (struct io_client *)client;
    pthread_mutex_lock(&mutable->lock);
    pid_t pid = client->pid;
    pthread_mutex_unlock(&mutable->lock);
    return pid;
}

void io_client_page_memory(const struct io_client *client, uint64_t *size_bytes,
                           uint64_t *used_bytes)
{
    struct io_client *mutable = (struct io_client *)client;
    pthread_mutex_lock(&mutable->lock);
    *size_bytes = client->memory_size_bytes;
    *used_bytes = client->memory_used_bytes;
    pthread_mutex_unlock(&mutable->lock);
}

/* --- beginning and end --- */

static void client_free(struct io_client *client)
{
    io_kept_free(client->kept);
    close_idle(client);
    close(client->wake);
    close(client->serve_wake);
    if (client->pidfd >= 0) {
        close(client->pidfd);
    }
    pthread_cond_destroy(&client->changed);
    pthread_mutex_destroy(&client->lock);
    free(client->program);
    free(client->run_dir);
    free(client);
}

static struct io_client *client_new(const struct io_client_settings *settings)
{
    struct io_client *client = calloc(1, sizeof *client);
    if (!client) {
        return NULL;
    }
    condition_init(&client->changed);
    pthread_mutex_init(&client->lock, NULL);
    client->kept = io_kept_new();
    client->program = strdup(settings->program);
    client->run_dir = strdup(settings->run_dir);
    client->page_memory_bytes = settings->page_memory_bytes;
    client->restored = settings->restored;
    client->context = settings->context;
    client->pidfd = -1;
    client->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    client->serve_wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (!client->program || !client->run_dir || !client->kept || client->wake < 0 ||
        client->serve_wake < 0) {
        client_free(client);
        return NULL;
    }
    return client;
}

static void tell_stop(struct io_client *client)
{
    pthread_mutex_lock(&client->lock);
    client->stopping = true;
    pthread_cond_broadcast(&client->changed);
    pthread_mutex_unlock(&client->lock);
    eventfd_write(client->wake, 1);
    eventfd_write(client->serve_wake, 1);
}

int io_client_start(struct io_client **client, const struct io_client_settings *settings,
                    struct vios_error *error)
{
    struct io_client *made = client_new(settings);
    *client = NULL;
    if (!made) {
        return error_set(error, VIOS_E_NO_SPACE, "io", NULL, "no memory or descriptors");
    }
    int failed = thread_start(&made->keeper, "io-keeper", keeper_run, made);
    if (!failed && (failed = thread_start(&made->server, "io-server", server_run, made)) != 0) {
        tell_stop(made);
        pthread_join(made->keeper, NULL);
    }
    if (failed) {
        client_free(made);
        return error_set(error, VIOS_E_NO_SPACE, "io", NULL, "no thread for its client");
    }
    *client = made;
    return VIOS_OK;
}

/* Asks io to end, and ends it when it does not. */
static void stop_io(struct io_client *client)
{
    struct operation operation;
    bool answered;
    operation_start(&operation, STOP_TIMEOUT_MS, NULL);
    json_t *request = json_pack("{s:s}", "do", "stop");
    exchange_once(client, false, request, NULL, NULL, NULL, &answered, &operation);
    json_decref(request);
    if (operation_wait(&operation, client->pidfd, POLLIN) != VIOS_OK) {
        log_warning("io", "it does not end, and is killed");
        io_process_kill(client->pidfd);
    }
    io_process_reap(client->pidfd);
}

void io_client_stop(struct io_client *client, bool stop_io_too)
{
    if (!client) {
        return;
    }
    tell_stop(client);
    pthread_join(client->keeper, NULL);
    pthread_join(client->server, NULL);
    if (stop_io_too && client->pidfd >= 0) {
        stop_io(client);
    }
    client_free(client);
}
