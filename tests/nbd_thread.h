/*
 * nbd_thread.h - for tests of what blocks: an NBD server on a thread of its own, at nbd.sock in the
 * test's folder. Its device is memory; its faults and silence are the test's, which touches both
 * only while nobody is connected: behind fresh() or settle(). Before it is included DEVICE_NAME is
 * the name of the export.
 */
#ifndef TESTS_NBD_THREAD_H
#define TESTS_NBD_THREAD_H

#include "base/clock.h"
#include "tests/nbd_memory.h"
#include "tests/tap.h"

#include <stdatomic.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#define LONG_MS 60000

/* What the server's thread looks at; set while nothing is on its way. */
static struct {
    uint16_t command;         /* the faults are this command's */
    uint64_t bad;             /* the offset of a page that fails; UINT64_MAX: none */
    int error, times;         /* how, and how often: negative, always */
    atomic_int until_silence; /* requests of that command before one is kept; negative: never */
    struct cancel *cancel;    /* triggered then */
    bool hangs_up;            /* then */
    bool tells_no_holes;
    atomic_int flushes;
} fault;

static struct worker *worker; /* the server's */
static struct nbd_server *server;
static struct memory memory;
static uint8_t bytes[MEMORY_SIZE]; /* the device */
static struct operation operation;
static struct cancel *cancel;

/* --- the server --- */

static void hang_up(struct task *task)
{
    (void)task;
    nbd_export_reconnect(&memory.export);
    memory_release(&memory);
}

static bool is_bad(const struct nbd_request *request)
{
    if (request->command != fault.command || fault.bad < request->offset ||
        fault.bad >= request->offset + request->length || fault.times == 0) {
        return false;
    }
    fault.times--;
    return true;
}

static void device_submit(struct nbd_export *export, struct nbd_request *request)
{
    static struct task hanging_up = {.run = hang_up};
    fault.flushes += request->command == NBD_FLUSH;
    if (is_bad(request)) {
        nbd_request_done(request, fault.error);
        return;
    }
    if (request->command == fault.command && fault.until_silence >= 0 &&
        fault.until_silence-- == 0) {
        memory.hold = true;
        cancel_trigger(fault.cancel);
        if (fault.hangs_up) {
            worker_post(worker, &hanging_up);
        }
    }
    if (fault.tells_no_holes && request->command == NBD_READ) {
        memcpy(request->data, bytes + request->offset, request->length);
        nbd_request_done(request, 0);
        return;
    }
    memory_submit(export, request);
}

static const struct nbd_backend_operations device_operations = {.submit = device_submit};

static struct nbd_export *device_find(void *context, const char *name, const char *identity)
{
    (void)context;
    return strcmp(name, DEVICE_NAME) == 0 && strcmp(identity, "local") == 0 ? &memory.export : NULL;
}

static const struct nbd_server_operations device_server = {
    .find = device_find,
    .release = memory_put_back,
    .list = memory_list,
};

static void accept_one(struct watch *watch, uint32_t events)
{
    struct transport *transport;
    int fd = accept4(watch->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    (void)events;
    if (fd >= 0 && transport_plain(&transport, fd, NULL) == VIOS_OK) {
        nbd_server_serve(server, transport, worker, "local");
    }
}

static const char *socket_path(void)
{
    static char path[128];
    snprintf(path, sizeof path, "%s/nbd.sock", tap_folder());
    return path;
}

static atomic_bool server_listens, released;

static void watch_listener(struct task *task)
{
    static struct watch listener = {.ready = accept_one};
    char address[140];
    (void)task;
    snprintf(address, sizeof address, "unix:%s", socket_path());
    listener.fd = transport_listen(address, NULL);
    worker_watch(worker, &listener, EPOLLIN, NULL);
    server_listens = true;
}

static void start_server(void)
{
    static struct task task = {.run = watch_listener};
    int64_t until_ms = clock_now_ms() + LONG_MS;
    is_int(worker_start(&worker, "server", NULL), VIOS_OK);
    is_int(nbd_server_new(&server, &device_server, &memory, NULL), VIOS_OK);
    worker_post(worker, &task);
    while (!server_listens && clock_now_ms() < until_ms) {
        usleep(1000);
    }
}

static void release_held(struct task *task)
{
    (void)task;
    memory.hold = false;
    memory_release(&memory);
    released = true;
}

/* What was kept is answered, and nobody is connected: the memory is the test's. */
static void settle(void)
{
    static struct task task = {.run = release_held};
    int64_t until_ms = clock_now_ms() + LONG_MS;
    released = false;
    worker_post(worker, &task);
    while ((!released || nbd_server_connections(server) > 0) && clock_now_ms() < until_ms) {
        usleep(1000);
    }
    ok(released && nbd_server_connections(server) == 0, "nobody is connected");
}

/* A device of that size, all zero, with no fault. */
static void fresh(uint64_t size)
{
    settle();
    memset(bytes, 0, sizeof bytes);
    memory_open(&memory, worker, bytes);
    memory.export.operations = &device_operations;
    memory.export.size = size;
    memset(&fault, 0, sizeof fault);
    fault.bad = UINT64_MAX;
    fault.until_silence = -1;
    cancel_free(cancel);
    cancel = cancel_new();
    operation_start(&operation, LONG_MS, cancel);
}

/* The server keeps a request of that kind, and all after it, and then does one thing. */
static void be_silent(uint16_t command, bool hangs_up)
{
    fault.command = command;
    fault.until_silence = 3;
    fault.hangs_up = hangs_up;
    fault.cancel = hangs_up ? NULL : cancel;
}

static void failed_with(int status, int code, const char *object, const char *reason)
{
    is_int(status, code);
    ok(strstr(operation.error.object, object) != NULL, "about %s", operation.error.object);
    ok(strstr(operation.error.message, reason) != NULL, "\"%s\" says \"%s\"",
       operation.error.message, reason);
}

static void stop_server(void)
{
    settle();
    nbd_server_free(server);
    worker_stop(worker);
    cancel_free(cancel);
}

#endif
