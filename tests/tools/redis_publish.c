/*
 * redis_publish.c - publishes to a channel of Redis what event_fanout.c posts to callers, asked in
 * the same words: for putting the two beside each other. It is on the same machine, over a unix
 * socket.
 *
 *     redis_publish SOCKET CHANNEL SIZE
 *
 * Reads lines from standard input:
 *
 *     post COUNT [RATE]   so many messages of SIZE bytes, RATE a second; as many as are due are
 *                         written at once, AT_ONCE at most
 *
 * Each is answered by a line with the least number of subscribers that a message had. A message is
 * a line as an event is, {"event":{"seq":N,...,"data":{"sent_us":T,"x":"   "}}}.
 */
#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define AT_ONCE 128
#define WAITING_MAX (2 * AT_ONCE) /* without an answer yet */
#define SIZE_MIN 256
#define SIZE_MAX_BYTES 8192

static int fd = -1;
static FILE *answers;
static const char *channel;
static int message_size;
static int64_t newest, waiting, subscribers;

static void fail(const char *what)
{
    fprintf(stderr, "redis_publish: %s\n", what);
    exit(1);
}

static int64_t now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return now.tv_sec * INT64_C(1000000) + now.tv_nsec / 1000;
}

static void connect_to(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (const struct sockaddr *)&address, sizeof address) != 0) {
        fail("nobody listens there");
    }
    answers = fdopen(dup(fd), "r");
    if (!answers) {
        fail("no memory");
    }
}

/* The command at `data`; its size. */
static size_t put_message(char *data, int64_t sent_us)
{
    int size = sprintf(data, "*3\r\n$7\r\nPUBLISH\r\n$%zu\r\n%s\r\n$%d\r\n", strlen(channel),
                       channel, message_size);
    int head = sprintf(data + size,
                       "{\"event\":{\"seq\":%" PRId64 ",\"restores\":0,\"epoch\":1,\"node\":\"n1\","
                       "\"incarnation\":1,\"class\":\"test\",\"object\":\"n1\","
                       "\"operation\":\"x\",\"data\":{\"sent_us\":%" PRId64 ",\"x\":\"",
                       ++newest, sent_us);
    size += head;
    size += sprintf(data + size, "%*s\"}}}\r\n", message_size - head - 4, "");
    return (size_t)size;
}

static void write_all(const char *data, size_t size)
{
    while (size > 0) {
        ssize_t done = send(fd, data, size, MSG_NOSIGNAL);
        if (done <= 0) {
            fail("the connection is lost");
        }
        data += done;
        size -= (size_t)done;
    }
}

/* Until no more than so many messages are without one. */
static void take_answers(int64_t most)
{
    char line[128];
    for (; waiting > most; waiting--) {
        if (!fgets(line, sizeof line, answers) || line[0] != ':') {
            fail("a message was not taken");
        }
        int64_t got = strtoll(line + 1, NULL, 10);
        subscribers = got < subscribers ? got : subscribers;
    }
}

/* When the message of this index is due: all at once without a rate. */
static int64_t due_us(int64_t began_us, int64_t index, int64_t rate)
{
    return rate > 0 ? began_us + index * 1000000 / rate : now_us();
}

static void await(int64_t until_us)
{
    int64_t left_us = until_us - now_us();
    if (left_us > 0) {
        nanosleep(&(struct timespec){left_us / 1000000, left_us % 1000000 * 1000}, NULL);
    }
}

static void post(int64_t count, int64_t rate)
{
    static char data[AT_ONCE * (SIZE_MAX_BYTES + 256)];
    int64_t began_us = now_us();
    subscribers = INT64_MAX;
    for (int64_t done = 0; done < count;) {
        size_t size = 0;
        int64_t until_us = due_us(began_us, done, rate);
        await(until_us);
        for (int many = 0; many < AT_ONCE && done < count && until_us <= now_us(); many++) {
            size += put_message(data + size, until_us);
            waiting++;
            until_us = due_us(began_us, ++done, rate);
        }
        write_all(data, size);
        take_answers(rate > 0 ? 0 : WAITING_MAX - AT_ONCE);
    }
    take_answers(0);
    printf("posted to %" PRId64 "\n", subscribers);
    fflush(stdout);
}

int main(int argc, char **argv)
{
    char line[128];
    if (argc != 4) {
        fail("usage: redis_publish SOCKET CHANNEL SIZE");
    }
    channel = argv[2];
    message_size = atoi(argv[3]);
    if (message_size < SIZE_MIN || message_size > SIZE_MAX_BYTES || strlen(channel) > 64) {
        fail("that is no size, or no channel");
    }
    connect_to(argv[1]);
    while (fgets(line, sizeof line, stdin)) {
        long long count = 0, rate = 0;
        if (sscanf(line, "post %lld %lld", &count, &rate) < 1) {
            fail("what?");
        }
        post(count, rate);
    }
    return 0;
}
