/*
 * event_load.c - thousands of callers of events at once, and how fast events reach all of them; or
 * as many subscribers of a channel of Redis, by the same means, to compare with.
 *
 *     event_load HOST:PORT FILE CALLERS EVENTS [THREADS]
 *     event_load redis:HOST:PORT CHANNEL CALLERS EVENTS [THREADS]
 *     event_load rediss:HOST:PORT CHANNEL CALLERS EVENTS [THREADS]     the same by TLS
 *
 * FILE has "ID TOKEN" lines, of which the first CALLERS are used. Each connects by TLS (ALPN
 * "event"), says hello without a cursor, and is ready when it has the state. When all are, or have
 * failed, a line of JSON says so: {"ready":N,"failed":N,"seconds":S}. Then each reads EVENTS
 * events, and a last line says how that went: deliveries, seconds from the first event's own time
 * (its "sent_us", else its "time") to the last delivery, deliveries_per_s; p50_ms and p99_ms from
 * an event's own time to the last caller that got it; resyncs, and disorder, which counts numbers
 * that did not grow. Exits 1 when some did not get all, within STALL_MS of the last sign of life.
 *
 * It speaks the protocols by itself (core/event/PROTOCOL.md, RESP), and looks at no certificate. A
 * message of Redis is a line as an event is (redis_publish.c makes them).
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define THREADS_MAX 16
#define HANDSHAKES_MAX 100 /* at once, of one thread */
#define STALL_MS 30000
#define READ_SIZE 65536
#define LINE_MAX_SIZE (1024 * 1024)
#define ID_SIZE 80
#define TOKEN_SIZE 80
#define RESP_SIZE 128 /* of what stands before a message */

enum phase { WAITING, CONNECTING, GREETED, READY, DONE, FAILED };

struct caller {
    char id[ID_SIZE], token[TOKEN_SIZE];
    enum phase phase;
    int fd;
    SSL *ssl;
    char *part; /* of a line */
    size_t part_size;
    int64_t events, last;
};

struct loader {
    pthread_t thread;
    struct caller *callers;
    size_t count, next, shaking, finished;
    int epoll;
    int64_t resyncs, disorder, deliveries, life_ns;
    int64_t read_us, last_us; /* when what is looked at was read; and the last event */
    int64_t *arrived_us;      /* by event: the last caller's */
    int64_t *emitted_us;
};

static struct {
    struct sockaddr_storage address;
    socklen_t address_size;
    SSL_CTX *tls;        /* NULL: plain */
    const char *channel; /* of Redis; NULL: it is one of ours */
    char head[RESP_SIZE], confirmed[RESP_SIZE];
    int64_t events;
    atomic_size_t ready, failed;
    size_t callers;
} load;

static int64_t now_ns(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

static void fail(const char *what)
{
    fprintf(stderr, "event_load: %s\n", what);
    exit(1);
}

/* --- lines --- */

/* Behind "sent_us":, or "2026-11-26T12:00:00.000Z" behind "time":, in microseconds; -1: neither. */
static int64_t time_of(const char *line, size_t size)
{
    struct tm tm = {0};
    const char *sent = memmem(line, size, "\"sent_us\":", 10);
    if (sent) {
        return strtoll(sent + 10, NULL, 10);
    }
    const char *at = memmem(line, size, "\"time\":\"", 8);
    const char *end = at ? strptime(at + 8, "%Y-%m-%dT%H:%M:%S", &tm) : NULL;
    return end && *end == '.'
               ? (timegm(&tm) * INT64_C(1000) + strtol(end + 1, NULL, 10)) * INT64_C(1000)
               : -1;
}

static void take_event(struct loader *loader, struct caller *caller, const char *line, size_t size)
{
    int64_t sequence = strtoll(line, NULL, 10);
    loader->disorder += sequence <= caller->last;
    caller->last = sequence;
    loader->last_us = loader->read_us;
    loader->deliveries++;
    if (caller->events < load.events) {
        if (loader->emitted_us[caller->events] == 0) {
            loader->emitted_us[caller->events] = time_of(line, size);
        }
        loader->arrived_us[caller->events] = loader->read_us;
    }
    caller->events++;
}

static void take_ready(struct loader *loader, struct caller *caller)
{
    if (caller->phase == GREETED) {
        caller->phase = READY;
        loader->shaking--;
        atomic_fetch_add(&load.ready, 1);
    }
}

static void take_line(struct loader *loader, struct caller *caller, const char *line, size_t size)
{
    static const char EVENT[] = "{\"event\":{\"seq\":", STATE[] = "{\"state\":",
                      ERROR[] = "{\"error\"", RESYNC[] = "{\"resync\"", MOVED[] = "{\"moved\"";
    if (size > sizeof EVENT && memcmp(line, EVENT, sizeof EVENT - 1) == 0) {
        take_event(loader, caller, line + sizeof EVENT - 1, size - sizeof EVENT + 1);
    } else if (size > sizeof STATE && memcmp(line, STATE, sizeof STATE - 1) == 0) {
        take_ready(loader, caller);
    } else if (size > sizeof RESYNC && memcmp(line, RESYNC, sizeof RESYNC - 1) == 0) {
        loader->resyncs++;
    } else if (size > sizeof ERROR && (memcmp(line, ERROR, sizeof ERROR - 1) == 0 ||
                                       memcmp(line, MOVED, sizeof MOVED - 1) == 0)) {
        fprintf(stderr, "%s: %.*s\n", caller->id, (int)size, line);
    }
}

/* How many of the bytes were whole lines. */
static size_t take_lines(struct loader *loader, struct caller *caller, const char *data,
                         size_t size)
{
    const char *newline, *at = data;
    while ((newline = memchr(at, '\n', size)) != NULL) {
        size_t length = (size_t)(newline - at);
        take_line(loader, caller, at, length);
        at += length + 1;
        size -= length + 1;
    }
    return (size_t)(at - data);
}

/* What Redis sends first is that we are subscribed. The size of it; 0: it is not whole. */
static size_t take_confirmed(struct loader *loader, struct caller *caller, const char *data,
                             size_t size)
{
    size_t length = strlen(load.confirmed);
    if (size < length) {
        return 0;
    }
    if (memcmp(data, load.confirmed, length) != 0) {
        fail("that is not Redis");
    }
    take_ready(loader, caller);
    return length;
}

/* The size of a message, which is taken; 0: it is not whole. */
static size_t take_message(struct loader *loader, struct caller *caller, const char *data,
                           size_t size)
{
    size_t head = strlen(load.head);
    const char *end = size > head ? memchr(data + head, '\n', size - head) : NULL;
    if (!end) {
        return 0;
    }
    if (memcmp(data, load.head, head) != 0) {
        fail("that is no message of the channel");
    }
    size_t length = (size_t)strtoul(data + head, NULL, 10), whole = (size_t)(end + 1 - data);
    if (size - whole < length + 2) {
        return 0;
    }
    take_line(loader, caller, end + 1, length);
    return whole + length + 2;
}

/* The same as take_lines(), of Redis. */
static size_t take_messages(struct loader *loader, struct caller *caller, const char *data,
                            size_t size)
{
    size_t done = 0, one;
    do {
        one = caller->phase == GREETED ? take_confirmed(loader, caller, data + done, size - done)
                                       : take_message(loader, caller, data + done, size - done);
        done += one;
    } while (one > 0);
    return done;
}

static void take_bytes(struct loader *loader, struct caller *caller, char *data, size_t size)
{
    loader->read_us = now_ns(CLOCK_REALTIME) / 1000;
    size_t done = load.channel ? take_messages(loader, caller, data, size)
                               : take_lines(loader, caller, data, size);
    data += done;
    size -= done;
    free(caller->part);
    caller->part = NULL;
    caller->part_size = size;
    if (size > 0) {
        if (size > LINE_MAX_SIZE || !(caller->part = malloc(size))) {
            fail("a line is too long");
        }
        memcpy(caller->part, data, size);
    }
}

/* --- a connection --- */

static void finish(struct loader *loader, struct caller *caller, enum phase phase)
{
    if (caller->phase < READY) {
        loader->shaking--;
    }
    if (phase == FAILED && caller->phase < READY) {
        atomic_fetch_add(&load.failed, 1);
    }
    caller->phase = phase;
    loader->finished++;
    SSL_free(caller->ssl);
    caller->ssl = NULL;
    close(caller->fd);
    free(caller->part);
    caller->part = NULL;
}

/* How many bytes; 0: not now; -1: it has ended. */
static ssize_t put(struct caller *caller, const char *data, size_t size)
{
    ssize_t done = caller->ssl ? SSL_write(caller->ssl, data, (int)size)
                               : send(caller->fd, data, size, MSG_NOSIGNAL);
    return done > 0 ? done : !caller->ssl && errno == EAGAIN ? 0 : -1;
}

static ssize_t get(struct caller *caller, char *data, size_t size)
{
    ssize_t got =
        caller->ssl ? SSL_read(caller->ssl, data, (int)size) : recv(caller->fd, data, size, 0);
    if (got > 0) {
        return got;
    }
    int why = caller->ssl ? SSL_get_error(caller->ssl, (int)got) : 0;
    bool again = caller->ssl ? why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE
                             : got < 0 && errno == EAGAIN;
    return again ? 0 : -1;
}

static void begin(struct loader *loader, struct caller *caller)
{
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = caller};
    int one = 1;
    caller->phase = CONNECTING;
    loader->shaking++;
    caller->fd = socket(load.address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    caller->ssl = load.tls ? SSL_new(load.tls) : NULL;
    if (caller->fd < 0 || (load.tls && !caller->ssl)) {
        fail("no descriptor, or no memory, is left");
    }
    setsockopt(caller->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (caller->ssl) {
        SSL_set_fd(caller->ssl, caller->fd);
        SSL_set_connect_state(caller->ssl);
    }
    if (connect(caller->fd, (const struct sockaddr *)&load.address, load.address_size) != 0 &&
        errno != EINPROGRESS) {
        finish(loader, caller, FAILED);
        return;
    }
    epoll_ctl(loader->epoll, EPOLL_CTL_ADD, caller->fd, &event);
}

/* False: not yet, or failed. */
static bool shake(struct loader *loader, struct caller *caller)
{
    int result = caller->ssl ? SSL_do_handshake(caller->ssl) : 1;
    if (result != 1) {
        int why = SSL_get_error(caller->ssl, result);
        if (why != SSL_ERROR_WANT_READ && why != SSL_ERROR_WANT_WRITE) {
            finish(loader, caller, FAILED);
        }
    }
    return result == 1;
}

/* Likewise. */
static bool greet(struct loader *loader, struct caller *caller)
{
    char hello[256];
    int size = load.channel ? snprintf(hello, sizeof hello, "SUBSCRIBE %s\r\n", load.channel)
                            : snprintf(hello, sizeof hello,
                                       "{\"hello\":1,\"caller\":\"%s\",\"token\":\"%s\"}\n",
                                       caller->id, caller->token);
    ssize_t done = put(caller, hello, (size_t)size);
    if (done == size) {
        caller->phase = GREETED;
    } else if (done != 0) {
        finish(loader, caller, FAILED);
    }
    return done == size;
}

static void read_all(struct loader *loader, struct caller *caller)
{
    static _Thread_local char data[LINE_MAX_SIZE + READ_SIZE + 1]; /* it ends with a NUL */
    for (;;) {
        size_t kept = caller->part_size;
        if (kept > 0) {
            memcpy(data, caller->part, kept);
        }
        ssize_t got = get(caller, data + kept, READ_SIZE);
        if (got <= 0) {
            if (got < 0) {
                finish(loader, caller, FAILED);
            }
            return;
        }
        data[kept + (size_t)got] = 0;
        take_bytes(loader, caller, data, kept + (size_t)got);
        if (caller->events >= load.events && caller->phase == READY) {
            finish(loader, caller, DONE);
            return;
        }
    }
}

static void serve(struct loader *loader, struct caller *caller)
{
    ERR_clear_error();
    if (caller->phase >= DONE ||
        (caller->phase == CONNECTING && !(shake(loader, caller) && greet(loader, caller)))) {
        return;
    }
    read_all(loader, caller);
}

/* --- the threads --- */

static void *run(void *argument)
{
    struct loader *loader = argument;
    struct epoll_event events[256];
    loader->life_ns = now_ns(CLOCK_MONOTONIC);
    while (loader->finished < loader->count) {
        while (loader->shaking < HANDSHAKES_MAX && loader->next < loader->count) {
            begin(loader, &loader->callers[loader->next++]);
        }
        int count = epoll_wait(loader->epoll, events, 256, 1000);
        for (int i = 0; i < count; i++) {
            serve(loader, events[i].data.ptr);
        }
        int64_t now = now_ns(CLOCK_MONOTONIC);
        if (count > 0) {
            loader->life_ns = now;
        } else if (now - loader->life_ns > STALL_MS * INT64_C(1000000)) {
            break;
        }
    }
    return NULL;
}

static void start(struct loader *loader, struct caller *callers, size_t count)
{
    loader->callers = callers;
    loader->count = count;
    loader->epoll = epoll_create1(EPOLL_CLOEXEC);
    loader->arrived_us = calloc((size_t)load.events + 1, sizeof *loader->arrived_us);
    loader->emitted_us = calloc((size_t)load.events + 1, sizeof *loader->emitted_us);
    if (loader->epoll < 0 || !loader->arrived_us || !loader->emitted_us ||
        pthread_create(&loader->thread, NULL, run, loader) != 0) {
        fail("cannot start a thread");
    }
}

static void await_ready(int64_t began_ns)
{
    int64_t until_ns = began_ns + 4 * STALL_MS * INT64_C(1000000);
    while (atomic_load(&load.ready) + atomic_load(&load.failed) < load.callers &&
           now_ns(CLOCK_MONOTONIC) < until_ns) {
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    }
    printf("{\"ready\":%zu,\"failed\":%zu,\"seconds\":%.3f}\n", atomic_load(&load.ready),
           atomic_load(&load.failed), (double)(now_ns(CLOCK_MONOTONIC) - began_ns) / 1e9);
    fflush(stdout);
}

/* --- what came of it --- */

static int compare(const void *one, const void *other)
{
    int64_t a = *(const int64_t *)one, b = *(const int64_t *)other;
    return (a > b) - (a < b);
}

/* The delay of each event to its last caller, sorted; how many. */
static size_t delays(struct loader *loaders, size_t threads, int64_t *delay_us)
{
    size_t count = 0;
    for (int64_t i = 0; i < load.events; i++) {
        int64_t arrived = 0, emitted = 0;
        for (size_t t = 0; t < threads; t++) {
            int64_t mine = loaders[t].arrived_us[i];
            arrived = mine > arrived ? mine : arrived;
            emitted = loaders[t].emitted_us[i] > 0 ? loaders[t].emitted_us[i] : emitted;
        }
        if (arrived > 0 && emitted > 0) {
            delay_us[count++] = arrived - emitted;
        }
    }
    qsort(delay_us, count, sizeof *delay_us, compare);
    return count;
}

static double percentile_ms(const int64_t *sorted_us, size_t count, size_t percent)
{
    size_t at = count * percent / 100;
    return count > 0 ? (double)sorted_us[at] / 1e3 : -1;
}

static bool report(struct loader *loaders, size_t threads)
{
    int64_t deliveries = 0, resyncs = 0, disorder = 0, first_us = 0, last_us = 0;
    int64_t *delay_us = calloc((size_t)load.events + 1, sizeof *delay_us);
    if (!delay_us) {
        fail("no memory");
    }
    for (size_t t = 0; t < threads; t++) {
        deliveries += loaders[t].deliveries;
        resyncs += loaders[t].resyncs;
        disorder += loaders[t].disorder;
        first_us = first_us > 0 ? first_us : loaders[t].emitted_us[0];
        last_us = loaders[t].last_us > last_us ? loaders[t].last_us : last_us;
    }
    size_t count = delays(loaders, threads, delay_us);
    double seconds = first_us > 0 ? (double)(last_us - first_us) / 1e6 : 0;
    printf("{\"callers\":%zu,\"deliveries\":%" PRId64 ",\"seconds\":%.3f,\"deliveries_per_s\":%.0f,"
           "\"p50_ms\":%.3f,\"p99_ms\":%.3f,\"resyncs\":%" PRId64 ",\"disorder\":%" PRId64 "}\n",
           load.callers, deliveries, seconds, seconds > 0 ? (double)deliveries / seconds : 0,
           percentile_ms(delay_us, count, 50), percentile_ms(delay_us, count, 99), resyncs,
           disorder);
    free(delay_us);
    return deliveries >= load.events * (int64_t)load.callers && disorder == 0;
}

/* --- the beginning --- */

static void find_address(const char *text)
{
    char host[128];
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST}, *found;
    const char *colon = strrchr(text, ':');
    if (!colon || (size_t)(colon - text) >= sizeof host) {
        fail("give HOST:PORT");
    }
    size_t brackets = text[0] == '[';
    snprintf(host, sizeof host, "%.*s", (int)((size_t)(colon - text) - 2 * brackets),
             text + brackets);
    if (getaddrinfo(host, colon + 1, &hints, &found) != 0) {
        fail("give a host in numbers");
    }
    memcpy(&load.address, found->ai_addr, found->ai_addrlen);
    load.address_size = found->ai_addrlen;
    freeaddrinfo(found);
}

static struct caller *read_callers(const char *path)
{
    struct caller *callers = calloc(load.callers + 1, sizeof *callers);
    if (callers && load.channel) {
        return callers;
    }
    FILE *file = fopen(path, "r");
    if (!callers || !file) {
        fail("cannot read the file of callers");
    }
    for (size_t i = 0; i < load.callers; i++) {
        if (fscanf(file, "%79s %79s", callers[i].id, callers[i].token) != 2) {
            fail("the file has fewer callers");
        }
    }
    fclose(file);
    return callers;
}

/* What stands before the host says what is there. True: it speaks TLS. */
static bool find_peer(const char *text, const char *channel)
{
    bool plain = strncmp(text, "redis:", 6) == 0, is_redis = plain || !strncmp(text, "rediss:", 7);
    find_address(is_redis ? strchr(text, ':') + 1 : text);
    if (is_redis) {
        size_t size = strlen(channel);
        load.channel = channel;
        if (size > RESP_SIZE / 2) {
            fail("the name of the channel is too long");
        }
        snprintf(load.head, sizeof load.head, "*3\r\n$7\r\nmessage\r\n$%zu\r\n%s\r\n$", size,
                 channel);
        snprintf(load.confirmed, sizeof load.confirmed,
                 "*3\r\n$9\r\nsubscribe\r\n$%zu\r\n%s\r\n:1\r\n", size, channel);
    }
    return !plain;
}

static void prepare(bool by_tls)
{
    static const unsigned char EVENT[] = "\5event";
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
    signal(SIGPIPE, SIG_IGN);
    if (!by_tls) {
        return;
    }
    load.tls = SSL_CTX_new(TLS_client_method());
    if (!load.tls ||
        (!load.channel && SSL_CTX_set_alpn_protos(load.tls, EVENT, sizeof EVENT - 1) != 0)) {
        fail("no TLS");
    }
    SSL_CTX_set_mode(load.tls, SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_read_ahead(load.tls, 1);
}

int main(int argc, char **argv)
{
    static struct loader loaders[THREADS_MAX];
    if (argc < 5 || argc > 6) {
        fail("usage: event_load [redis:|rediss:]HOST:PORT FILE|CHANNEL CALLERS EVENTS [THREADS]");
    }
    bool by_tls = find_peer(argv[1], argv[2]);
    load.callers = (size_t)strtoul(argv[3], NULL, 10);
    load.events = strtol(argv[4], NULL, 10);
    size_t threads = argc == 6 ? (size_t)strtoul(argv[5], NULL, 10) : 1;
    threads = threads > load.callers ? load.callers : threads;
    if (threads < 1 || threads > THREADS_MAX || load.events < 0) {
        fail("that is no number of threads, callers or events");
    }
    struct caller *callers = read_callers(argv[2]);
    prepare(by_tls);
    int64_t began_ns = now_ns(CLOCK_MONOTONIC);
    for (size_t t = 0; t < threads; t++) {
        size_t from = load.callers * t / threads, to = load.callers * (t + 1) / threads;
        start(&loaders[t], callers + from, to - from);
    }
    await_ready(began_ns);
    for (size_t t = 0; t < threads; t++) {
        pthread_join(loaders[t].thread, NULL);
    }
    return report(loaders, threads) ? 0 : 1;
}
