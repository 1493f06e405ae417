/*
 * event_emit.c - how many events a second become durable: emitted through a daemon, or, to compare
 * with, written to files by hand.
 *
 *     event_emit calls SOCKET EVENTS IN_FLIGHT SIZE   event.emit over so many calls at once
 *     event_emit files FOLDER EVENTS BATCH SIZE       a file of BATCH events, synced, and its
 *                                                     folder synced, one after the other
 *
 * SIZE is about that of an event's line. Prints one JSON line: events, those published (the others
 * wait on the node), seconds, events_per_s. Exits 1 when an event was refused, or has the number of
 * another one.
 *
 * It speaks the protocol by itself, over as many connections as IN_FLIGHT needs.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define CALLS_MAX 24 /* of a connection, which may have a few more */
#define CONNECTIONS_MAX 16
#define LINE_MAX_SIZE 8192
#define HEAD_SIZE 256 /* of a line, beside the padding */

struct connection {
    int fd;
    int64_t in_flight, limit;
    char input[2 * LINE_MAX_SIZE];
    size_t kept;
};

static int64_t events, begun, done, published;
static int64_t *numbers; /* of those published */
static char padding[LINE_MAX_SIZE];

static int64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

static void fail(const char *what)
{
    fprintf(stderr, "event_emit: %s\n", what);
    exit(1);
}

static void write_all(int fd, const char *data, size_t size)
{
    while (size > 0) {
        ssize_t written = write(fd, data, size);
        if (written <= 0) {
            fail(strerror(errno));
        }
        data += written;
        size -= (size_t)written;
    }
}

static void report(int64_t began_ns)
{
    double seconds = (double)(now_ns() - began_ns) / 1e9;
    printf("{\"events\":%" PRId64 ",\"published\":%" PRId64
           ",\"seconds\":%.3f,\"events_per_s\":%.1f}\n",
           done, published, seconds, (double)done / seconds);
}

/* --- files --- */

static void write_file(int folder, int64_t number, int64_t count)
{
    char name[32];
    static char line[LINE_MAX_SIZE];
    static char text[128 * LINE_MAX_SIZE];
    size_t size = 0;
    for (int64_t i = 0; i < count; i++) {
        int length =
            snprintf(line, sizeof line, "{\"seq\":%" PRId64 ",\"x\":\"%s\"}\n", done + i, padding);
        memcpy(text + size, line, (size_t)length);
        size += (size_t)length;
    }
    snprintf(name, sizeof name, "%" PRId64, number);
    int fd = openat(folder, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0) {
        fail(strerror(errno));
    }
    write_all(fd, text, size);
    if (fsync(fd) != 0 || close(fd) != 0 || fsync(folder) != 0) {
        fail(strerror(errno));
    }
    done += count;
    published += count;
}

static void write_files(const char *path, int64_t batch)
{
    int folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder < 0 || batch < 1 || batch > 128) {
        fail("that is no folder, or no batch");
    }
    int64_t began_ns = now_ns();
    for (int64_t i = 0; done < events; i++) {
        write_file(folder, i, batch < events - done ? batch : events - done);
    }
    report(began_ns);
}

/* --- calls --- */

static void open_connection(struct connection *connection, const char *path)
{
    static const char HELLO[] = "{\"jsonrpc\":\"2.0\",\"id\":-1,\"method\":\"rpc.hello\","
                                "\"params\":{\"level\":[1,1],\"client\":\"event_emit\"}}\n";
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    connection->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connection->fd < 0 ||
        connect(connection->fd, (const struct sockaddr *)&address, sizeof address) != 0) {
        fail("the daemon does not answer");
    }
    write_all(connection->fd, HELLO, sizeof HELLO - 1);
}

/* As many calls as it may have. */
static void call_more(struct connection *connection)
{
    static char text[CALLS_MAX * LINE_MAX_SIZE];
    size_t size = 0;
    while (connection->in_flight < connection->limit && begun < events) {
        size += (size_t)sprintf(text + size,
                                "{\"jsonrpc\":\"2.0\",\"id\":%" PRId64
                                ",\"method\":\"event.emit\",\"params\":{\"class\":\"test\","
                                "\"object\":\"bench\",\"operation\":\"x\","
                                "\"data\":{\"x\":\"%s\"}}}\n",
                                begun++, padding);
        connection->in_flight++;
    }
    write_all(connection->fd, text, size);
}

static void take_answer(struct connection *connection, const char *line)
{
    const char *seq = strstr(line, "\"seq\":");
    if (strstr(line, "\"id\":-1")) {
        return; /* the hello's */
    }
    if (!strstr(line, "\"result\"") || !seq) {
        fprintf(stderr, "%s\n", line);
        fail("an event was refused");
    }
    if (strncmp(seq + 6, "null", 4) != 0) {
        numbers[published++] = strtoll(seq + 6, NULL, 10);
    }
    connection->in_flight--;
    done++;
}

static void take_answers(struct connection *connection)
{
    char *newline, *at = connection->input;
    ssize_t got = read(connection->fd, connection->input + connection->kept,
                       sizeof connection->input - connection->kept);
    if (got <= 0) {
        fail("the connection is lost");
    }
    size_t size = connection->kept + (size_t)got;
    while ((newline = memchr(at, '\n', size)) != NULL) {
        *newline = 0;
        take_answer(connection, at);
        size -= (size_t)(newline + 1 - at);
        at = newline + 1;
    }
    if (size == sizeof connection->input) {
        fail("an answer is too long");
    }
    memmove(connection->input, at, size);
    connection->kept = size;
}

static int compare(const void *one, const void *other)
{
    int64_t a = *(const int64_t *)one, b = *(const int64_t *)other;
    return (a > b) - (a < b);
}

static void check_numbers(void)
{
    qsort(numbers, (size_t)published, sizeof *numbers, compare);
    for (int64_t i = 1; i < published; i++) {
        if (numbers[i] == numbers[i - 1]) {
            fail("two events have the same number");
        }
    }
}

static void emit(const char *path, int64_t in_flight)
{
    static struct connection connections[CONNECTIONS_MAX];
    struct pollfd polled[CONNECTIONS_MAX];
    int64_t count = (in_flight + CALLS_MAX - 1) / CALLS_MAX;
    numbers = calloc((size_t)events + 1, sizeof *numbers);
    if (count < 1 || count > CONNECTIONS_MAX || !numbers) {
        fail("that is no number of calls");
    }
    for (int64_t i = 0; i < count; i++) {
        connections[i].limit = in_flight / count + (i < in_flight % count);
        open_connection(&connections[i], path);
        polled[i] = (struct pollfd){.fd = connections[i].fd, .events = POLLIN};
    }
    int64_t began_ns = now_ns();
    while (done < events) {
        for (int64_t i = 0; i < count; i++) {
            call_more(&connections[i]);
        }
        poll(polled, (nfds_t)count, -1);
        for (int64_t i = 0; i < count; i++) {
            if (polled[i].revents) {
                take_answers(&connections[i]);
            }
        }
    }
    report(began_ns);
    check_numbers();
}

int main(int argc, char **argv)
{
    if (argc != 6) {
        fail("usage: event_emit calls|files SOCKET|FOLDER EVENTS IN_FLIGHT|BATCH SIZE");
    }
    events = strtol(argv[3], NULL, 10);
    int64_t number = strtol(argv[4], NULL, 10);
    long size = strtol(argv[5], NULL, 10);
    if (events < 1 || size < HEAD_SIZE || size > LINE_MAX_SIZE - HEAD_SIZE) {
        fail("that is no number of events, or no size");
    }
    bool calls = strcmp(argv[1], "calls") == 0;
    memset(padding, ' ', (size_t)size - (calls ? 220 : 20));
    if (calls) {
        emit(argv[2], number);
    } else {
        write_files(argv[2], number);
    }
    return 0;
}
