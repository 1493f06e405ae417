/*
 * event_load.c - thousands of callers of events at once, and how fast events reach all of them.
 *
 *     event_load HOST:PORT FILE CALLERS EVENTS [THREADS]
 *
 * FILE has "ID TOKEN" lines, of which the first CALLERS are used. Each connects by TLS (ALPN
 * "event"), says hello without a cursor, and is ready when it has the state. When all are, or have
 * failed, a line of JSON says so: {"ready":N,"failed":N,"seconds":S}. Then each reads EVENTS
 * events, and a last line says how that went: deliveries, seconds between the first and the last,
 * deliveries_per_s; p50_ms and p99_ms from an event's own time to the last caller that got it;
 * resyncs, and disorder, which counts numbers that did not grow. Exits 1 when some did not get all,
 * within STALL_MS of the last sign of life.
 *
 * It speaks the protocol by itself (core/event/PROTOCOL.md), and looks at no certificate.
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
    int64_t resyncs, disorder, deliveries, first_ns, last_ns, life_ns;
    int64_t *arrived_ms; /* by event: the last caller's */
    int64_t *emitted_ms;
};

static struct {
    struct sockaddr_storage address;
    socklen_t address_size;
    SSL_CTX *tls;
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

/* "2026-11-26T12:00:00.000Z" behind "time":, in milliseconds; -1: there is none. */
static int64_t time_of(const char *line, size_t size)
{
    struct tm tm = {0};
    const char *at = memmem(line, size, "\"time\":\"", 8);
    const char *end = at ? strptime(at + 8, "%Y-%m-%dT%H:%M:%S", &tm) : NULL;
    return end && *end == '.' ? timegm(&tm) * INT64_C(1000) + strtol(end + 1, NULL, 10) : -1;
}

static void take_event(struct loader *loader, struct caller *caller, const char *line, size_t size)
{
    int64_t sequence = strtoll(line, NULL, 10), wall_ms = now_ns(CLOCK_REALTIME) / 1000000;
    loader->disorder += sequence <= caller->last;
    caller->last = sequence;
    loader->last_ns = now_ns(CLOCK_MONOTONIC);
    loader->first_ns = loader->first_ns ? loader->first_ns : loader->last_ns;
    loader->deliveries++;
    if (caller->events < load.events) {
        if (loader->emitted_ms[caller->events] == 0) {
            loader->emitted_ms[caller->events] = time_of(line, size);
        }
        loader->arrived_ms[caller->events] = wall_ms;
    }
    caller->events++;
}

static void take_line(struct loader *loader, struct caller *caller, const char *line, size_t size)
{
    static const char EVENT[] = "{\"event\":{\"seq\":", STATE[] = "{\"state\":",
                      ERROR[] = "{\"error\"", RESYNC[] = "{\"resync\"", MOVED[] = "{\"moved\"";
    if (size > sizeof EVENT && memcmp(line, EVENT, sizeof EVENT - 1) == 0) {
        take_event(loader, caller, line + sizeof EVENT - 1, size - sizeof EVENT + 1);
    } else if (size > sizeof STATE && memcmp(line, STATE, sizeof STATE - 1) == 0) {
        if (caller->phase == GREETED) {
            caller->phase = READY;
            loader->shaking--;
            atomic_fetch_add(&load.ready, 1);
        }
    } else if (size > sizeof RESYNC && memcmp(line, RESYNC, sizeof RESYNC - 1) == 0) {
        loader->resyncs++;
    } else if (size > sizeof ERROR && (memcmp(line, ERROR, sizeof ERROR - 1) == 0 ||
                                       memcmp(line, MOVED, sizeof MOVED - 1) == 0)) {
        fprintf(stderr, "%s: %.*s\n", caller->id, (int)size, line);
    }
}

static void take_bytes(struct loader *loader, struct caller *caller, char *data, size_t size)
{
    const char *newline;
    while ((newline = memchr(data, '\n', size)) != NULL) {
        size_t length = (size_t)(newline - data);
        take_line(loader, caller, data, length);
        data += length + 1;
        size -= length + 1;
    }
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

static void begin(struct loader *loader, struct caller *caller)
{
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = caller};
    int one = 1;
    caller->phase = CONNECTING;
    loader->shaking++;
    caller->fd = socket(load.address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    caller->ssl = SSL_new(load.tls);
    if (caller->fd < 0 || !caller->ssl) {
        fail("no descriptor, or no memory, is left");
    }
    setsockopt(caller->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    SSL_set_fd(caller->ssl, caller->fd);
    SSL_set_connect_state(caller->ssl);
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
    char hello[256];
    int result = SSL_do_handshake(caller->ssl);
    if (result != 1) {
        int why = SSL_get_error(caller->ssl, result);
        if (why != SSL_ERROR_WANT_READ && why != SSL_ERROR_WANT_WRITE) {
            finish(loader, caller, FAILED);
        }
        return false;
    }
    int size = snprintf(hello, sizeof hello, "{\"hello\":1,\"caller\":\"%s\",\"token\":\"%s\"}\n",
                        caller->id, caller->token);
    if (SSL_write(caller->ssl, hello, size) != size) {
        finish(loader, caller, FAILED);
        return false;
    }
    caller->phase = GREETED;
    return true;
}

static void read_all(struct loader *loader, struct caller *caller)
{
    static _Thread_local char data[LINE_MAX_SIZE + READ_SIZE];
    for (;;) {
        size_t kept = caller->part_size;
        if (kept > 0) {
            memcpy(data, caller->part, kept);
        }
        int got = SSL_read(caller->ssl, data + kept, READ_SIZE);
        if (got <= 0) {
            int why = SSL_get_error(caller->ssl, got);
            if (why != SSL_ERROR_WANT_READ && why != SSL_ERROR_WANT_WRITE) {
                finish(loader, caller, FAILED);
            }
            return;
        }
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
    if (caller->phase >= DONE || (caller->phase == CONNECTING && !shake(loader, caller))) {
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
    loader->arrived_ms = calloc((size_t)load.events + 1, sizeof *loader->arrived_ms);
    loader->emitted_ms = calloc((size_t)load.events + 1, sizeof *loader->emitted_ms);
    if (loader->epoll < 0 || !loader->arrived_ms || !loader->emitted_ms ||
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
static size_t delays(struct loader *loaders, size_t threads, int64_t *delay_ms)
{
    size_t count = 0;
    for (int64_t i = 0; i < load.events; i++) {
        int64_t arrived = 0, emitted = 0;
        for (size_t t = 0; t < threads; t++) {
            int64_t mine = loaders[t].arrived_ms[i];
            arrived = mine > arrived ? mine : arrived;
            emitted = loaders[t].emitted_ms[i] > 0 ? loaders[t].emitted_ms[i] : emitted;
        }
        if (arrived > 0 && emitted > 0) {
            delay_ms[count++] = arrived - emitted;
        }
    }
    qsort(delay_ms, count, sizeof *delay_ms, compare);
    return count;
}

static bool report(struct loader *loaders, size_t threads)
{
    int64_t deliveries = 0, resyncs = 0, disorder = 0, first_ns = INT64_MAX, last_ns = 0;
    int64_t *delay_ms = calloc((size_t)load.events + 1, sizeof *delay_ms);
    if (!delay_ms) {
        fail("no memory");
    }
    for (size_t t = 0; t < threads; t++) {
        deliveries += loaders[t].deliveries;
        resyncs += loaders[t].resyncs;
        disorder += loaders[t].disorder;
        if (loaders[t].first_ns && loaders[t].first_ns < first_ns) {
            first_ns = loaders[t].first_ns;
        }
        last_ns = loaders[t].last_ns > last_ns ? loaders[t].last_ns : last_ns;
    }
    size_t count = delays(loaders, threads, delay_ms);
    double seconds = last_ns > first_ns ? (double)(last_ns - first_ns) / 1e9 : 0;
    printf("{\"callers\":%zu,\"deliveries\":%" PRId64 ",\"seconds\":%.3f,\"deliveries_per_s\":%.0f,"
           "\"p50_ms\":%" PRId64 ",\"p99_ms\":%" PRId64 ",\"resyncs\":%" PRId64
           ",\"disorder\":%" PRId64 "}\n",
           load.callers, deliveries, seconds, seconds > 0 ? (double)deliveries / seconds : 0,
           count ? delay_ms[count / 2] : -1, count ? delay_ms[count * 99 / 100] : -1, resyncs,
           disorder);
    free(delay_ms);
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

static void prepare(void)
{
    static const unsigned char EVENT[] = "\5event";
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
    signal(SIGPIPE, SIG_IGN);
    load.tls = SSL_CTX_new(TLS_client_method());
    if (!load.tls || SSL_CTX_set_alpn_protos(load.tls, EVENT, sizeof EVENT - 1) != 0) {
        fail("no TLS");
    }
    SSL_CTX_set_mode(load.tls, SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_read_ahead(load.tls, 1);
}

int main(int argc, char **argv)
{
    static struct loader loaders[THREADS_MAX];
    if (argc < 5 || argc > 6) {
        fail("usage: event_load HOST:PORT FILE CALLERS EVENTS [THREADS]");
    }
    find_address(argv[1]);
    load.callers = (size_t)strtoul(argv[3], NULL, 10);
    load.events = strtol(argv[4], NULL, 10);
    size_t threads = argc == 6 ? (size_t)strtoul(argv[5], NULL, 10) : 1;
    threads = threads > load.callers ? load.callers : threads;
    if (threads < 1 || threads > THREADS_MAX || load.events < 0) {
        fail("that is no number of threads, callers or events");
    }
    struct caller *callers = read_callers(argv[2]);
    prepare();
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
