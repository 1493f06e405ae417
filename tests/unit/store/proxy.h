/*
 * proxy.h - between the store and one etcd-server: passes everything on, and when told to takes
 * one commit's answer away, or holds one commit back and lets it land later.
 *
 * libcurl sends a request's head and body together or one after the other, and one request at a
 * time on a connection; so what comes from the client after an answer is one request.
 */
#ifndef TESTS_STORE_PROXY_H
#define TESTS_STORE_PROXY_H

#include "tests/etcd.h"

#include <pthread.h>
#include <stdatomic.h>

#define PROXY_REQUEST_MAX (1024 * 1024)

enum proxy_mode {
    PROXY_PASS,
    PROXY_EAT_ANSWER, /* the next commit lands, and its answer is lost with the connection */
    PROXY_HOLD        /* the next commit lies here until proxy_release() */
};

struct proxy {
    int listener, port, server_port;
    pthread_t thread;
    _Atomic int mode; /* for the next commit only */
    _Atomic int eaten;
    _Atomic int requests; /* that came */
    char *held;           /* the request */
    size_t held_size;
    pthread_mutex_t lock;
};

/* One client's connection. */
struct proxy_pipe {
    struct proxy *proxy;
    int client, server;
};

/* Reads one whole request: its head says how long the body is. -1: the client has gone. */
static ssize_t proxy_read_request(int fd, char *text)
{
    size_t filled = 0;
    for (;;) {
        ssize_t got = read(fd, text + filled, PROXY_REQUEST_MAX - 1 - filled);
        if (got <= 0) {
            return -1;
        }
        filled += (size_t)got;
        text[filled] = '\0';
        const char *length = strstr(text, "Content-Length: ");
        const char *body = strstr(text, "\r\n\r\n");
        if (length && body &&
            filled == (size_t)(body + 4 - text) + strtoull(length + 16, NULL, 10)) {
            return (ssize_t)filled;
        }
    }
}

/* Passes on what the server says until the client speaks again; false when one has gone. */
static bool proxy_pass_answer(struct proxy_pipe *pipe, bool eat)
{
    char bytes[16384];
    struct pollfd polled[2] = {{.fd = pipe->server, .events = POLLIN},
                               {.fd = pipe->client, .events = POLLIN}};
    for (;;) {
        poll(polled, 2, -1);
        if (polled[0].revents) {
            ssize_t got = read(pipe->server, bytes, sizeof bytes);
            if (got <= 0 || eat || write(pipe->client, bytes, (size_t)got) != got) {
                return false;
            }
        } else if (polled[1].revents) {
            return true;
        }
    }
}

static void proxy_serve(struct proxy_pipe *pipe, char *request)
{
    for (;;) {
        ssize_t size = proxy_read_request(pipe->client, request);
        if (size < 0) {
            return;
        }
        int mode = PROXY_PASS;
        atomic_fetch_add(&pipe->proxy->requests, 1);
        if (strncmp(request, "POST /v3/kv/txn ", 16) == 0) {
            mode = atomic_exchange(&pipe->proxy->mode, PROXY_PASS);
        }
        if (mode == PROXY_HOLD) {
            pthread_mutex_lock(&pipe->proxy->lock);
            pipe->proxy->held = malloc((size_t)size);
            memcpy(pipe->proxy->held, request, (size_t)size);
            pipe->proxy->held_size = (size_t)size;
            pthread_mutex_unlock(&pipe->proxy->lock);
            ssize_t got = read(pipe->client, request, 1); /* until the client gives up */
            (void)got;
            return;
        }
        if (write(pipe->server, request, (size_t)size) != size ||
            !proxy_pass_answer(pipe, mode == PROXY_EAT_ANSWER)) {
            atomic_fetch_add(&pipe->proxy->eaten, mode == PROXY_EAT_ANSWER);
            return;
        }
    }
}

static void *proxy_run_pipe(void *argument)
{
    struct proxy_pipe *pipe = argument;
    char *request = malloc(PROXY_REQUEST_MAX);
    pipe->server = etcd_connect(pipe->proxy->server_port);
    if (pipe->server >= 0) {
        proxy_serve(pipe, request);
        close(pipe->server);
    }
    close(pipe->client);
    free(request);
    free(pipe);
    return NULL;
}

static void *proxy_accept(void *argument)
{
    struct proxy *proxy = argument;
    int client;
    while ((client = accept(proxy->listener, NULL, NULL)) >= 0) {
        struct proxy_pipe *pipe = malloc(sizeof *pipe);
        pthread_t thread;
        *pipe = (struct proxy_pipe){proxy, client, -1};
        pthread_create(&thread, NULL, proxy_run_pipe, pipe);
        pthread_detach(thread);
    }
    return NULL;
}

static void proxy_start(struct proxy *proxy, int server_port)
{
    struct sockaddr_in name = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof name;
    memset(proxy, 0, sizeof *proxy);
    pthread_mutex_init(&proxy->lock, NULL);
    proxy->server_port = server_port;
    proxy->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (bind(proxy->listener, (struct sockaddr *)&name, size) != 0 ||
        listen(proxy->listener, 16) != 0 ||
        getsockname(proxy->listener, (struct sockaddr *)&name, &size) != 0) {
        perror("proxy");
        exit(1);
    }
    proxy->port = ntohs(name.sin_port);
    pthread_create(&proxy->thread, NULL, proxy_accept, proxy);
}

/* Sends what was held; the answer in a buffer that the next call overwrites, "" if there is
 * none. */
__attribute__((unused)) static const char *proxy_release(struct proxy *proxy)
{
    static char answer[16384];
    ssize_t got = 0;
    int fd = etcd_connect(proxy->server_port);
    pthread_mutex_lock(&proxy->lock);
    if (fd >= 0 && proxy->held &&
        write(fd, proxy->held, proxy->held_size) == (ssize_t)proxy->held_size) {
        got = read(fd, answer, sizeof answer - 1);
    }
    free(proxy->held);
    proxy->held = NULL;
    pthread_mutex_unlock(&proxy->lock);
    answer[got > 0 ? got : 0] = '\0';
    close(fd);
    return answer;
}

/* Connections that are open go on until their clients end them. */
static void proxy_stop(struct proxy *proxy)
{
    shutdown(proxy->listener, SHUT_RDWR);
    pthread_join(proxy->thread, NULL);
    close(proxy->listener);
    free(proxy->held);
}

#endif
