/*
 * stall_client.c - reads 4 KiB blocks of an NBD export one after the other, as a guest that waits
 * for its pages does, and tells the longest time between two answers.
 *
 *     stall_client SOCKET EXPORT SECONDS
 *
 * When the connection ends it connects again at once and repeats the read, as QEMU does. Prints one
 * JSON line: reads, errors, reconnects, p50_us, p99_us, longest_ms. Exits 1 when a read got an
 * error. It speaks the little of the protocol that it needs by itself, so that nothing of ours is
 * measured with ours: fixed newstyle, NBD_OPT_EXPORT_NAME, simple replies.
 */
#include <endian.h>
#include <errno.h>
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

#define BLOCK 4096u
#define REQUEST_MAGIC 0x25609513u
#define REPLY_MAGIC 0x67446698u
#define OPTION_MAGIC UINT64_C(0x49484156454F5054)
#define OPTION_EXPORT_NAME 1u
#define FIXED_NO_ZEROES 3u
#define SAMPLES_MAX 4000000u
#define RETRY_NS 1000000 /* between two attempts to connect */

struct client {
    const char *path, *export;
    int fd; /* -1: not connected */
    uint64_t size;
    uint64_t reads, errors, reconnects;
    double longest_ms;
};

static uint32_t samples_us[SAMPLES_MAX];

static int64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

static bool receive_all(int fd, void *data, size_t size)
{
    return recv(fd, data, size, MSG_WAITALL) == (ssize_t)size;
}

static bool send_all(int fd, const void *data, size_t size)
{
    return send(fd, data, size, MSG_NOSIGNAL) == (ssize_t)size;
}

static bool negotiate(struct client *client)
{
    struct {
        uint64_t magic, option_magic;
        uint16_t flags;
    } __attribute__((packed)) greeting;
    struct {
        uint32_t flags;
        uint64_t magic;
        uint32_t option, length;
    } __attribute__((packed))
    hello = {htobe32(FIXED_NO_ZEROES), htobe64(OPTION_MAGIC), htobe32(OPTION_EXPORT_NAME),
             htobe32((uint32_t)strlen(client->export))};
    struct {
        uint64_t size;
        uint16_t flags;
    } __attribute__((packed)) answer;
    if (!receive_all(client->fd, &greeting, sizeof greeting) ||
        !send_all(client->fd, &hello, sizeof hello) ||
        !send_all(client->fd, client->export, strlen(client->export)) ||
        !receive_all(client->fd, &answer, sizeof answer)) {
        return false;
    }
    client->size = be64toh(answer.size);
    return client->size >= BLOCK;
}

static void drop(struct client *client)
{
    if (client->fd >= 0) {
        close(client->fd);
    }
    client->fd = -1;
}

static bool connect_once(struct client *client)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "%s", client->path);
    client->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (client->fd >= 0 && connect(client->fd, (struct sockaddr *)&address, sizeof address) == 0 &&
        negotiate(client)) {
        return true;
    }
    drop(client);
    return false;
}

/* 0: read; positive: the export's error; -1: the connection ended. */
static int read_block(struct client *client, uint64_t offset, void *data)
{
    struct {
        uint32_t magic;
        uint16_t flags, type;
        uint64_t cookie, offset;
        uint32_t length;
    } __attribute__((packed))
    request = {htobe32(REQUEST_MAGIC), 0, 0, htobe64(offset), htobe64(offset), htobe32(BLOCK)};
    struct {
        uint32_t magic, error;
        uint64_t cookie;
    } __attribute__((packed)) reply;
    if (!send_all(client->fd, &request, sizeof request) ||
        !receive_all(client->fd, &reply, sizeof reply) || be32toh(reply.magic) != REPLY_MAGIC) {
        return -1;
    }
    if (reply.error) {
        return (int)be32toh(reply.error);
    }
    return receive_all(client->fd, data, BLOCK) ? 0 : -1;
}

/* One read that counts, however many connections it takes until `end_ns`. */
static bool read_once(struct client *client, uint64_t offset, int64_t end_ns)
{
    static char data[BLOCK];
    int64_t start_ns = now_ns();
    for (;;) {
        int error = client->fd >= 0 ? read_block(client, offset, data) : -1;
        if (error >= 0) {
            client->errors += error > 0;
            break;
        }
        drop(client);
        if (connect_once(client)) {
            client->reconnects++;
        } else if (now_ns() < end_ns) {
            nanosleep(&(struct timespec){.tv_nsec = RETRY_NS}, NULL);
        } else {
            return false;
        }
    }
    double us = (double)(now_ns() - start_ns) / 1e3;
    if (us / 1e3 > client->longest_ms) {
        client->longest_ms = us / 1e3;
    }
    if (client->reads < SAMPLES_MAX) {
        samples_us[client->reads] = (uint32_t)us;
    }
    client->reads++;
    return true;
}

static int compare_samples(const void *a, const void *b)
{
    uint32_t left = *(const uint32_t *)a, right = *(const uint32_t *)b;
    return (left > right) - (left < right);
}

static void report(struct client *client)
{
    size_t count = client->reads < SAMPLES_MAX ? client->reads : SAMPLES_MAX;
    qsort(samples_us, count, sizeof samples_us[0], compare_samples);
    printf("{\"reads\":%" PRIu64 ",\"errors\":%" PRIu64 ",\"reconnects\":%" PRIu64
           ",\"p50_us\":%u,\"p99_us\":%u,\"longest_ms\":%.1f}\n",
           client->reads, client->errors, client->reconnects, count ? samples_us[count / 2] : 0,
           count ? samples_us[count * 99 / 100] : 0, client->longest_ms);
}

int main(int argc, char **argv)
{
    if (argc != 4 || atoi(argv[3]) <= 0) {
        fprintf(stderr, "stall_client: usage: stall_client SOCKET EXPORT SECONDS\n");
        return 2;
    }
    struct client client = {.path = argv[1], .export = argv[2], .fd = -1};
    int64_t end_ns = now_ns() + atoi(argv[3]) * INT64_C(1000000000);
    if (!connect_once(&client)) {
        fprintf(stderr, "stall_client: cannot read %s of %s\n", argv[2], argv[1]);
        return 1;
    }
    uint64_t blocks = client.size / BLOCK;
    bool going = true;
    for (uint64_t i = 0; going && now_ns() < end_ns; i++) {
        going = read_once(&client, i * 7919 % blocks * BLOCK, end_ns);
    }
    report(&client);
    drop(&client);
    return going && client.errors == 0 ? 0 : 1;
}
