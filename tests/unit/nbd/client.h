/*
 * client.h - a scripted NBD client for unit tests: it sends any bytes and reads what comes, while
 * turning the worker that serves it. Everything happens on one thread.
 */
#ifndef TESTS_NBD_CLIENT_H
#define TESTS_NBD_CLIENT_H

#include "nbd/protocol.h"
#include "net/worker.h"
#include "tests/nbd_memory.h"
#include "tests/tap.h"

#include <arpa/inet.h>
#include <endian.h>
#include <fcntl.h>
#include <sys/socket.h>

#define TURNS_MAX 20000 /* without a byte: the server does not answer */

static struct worker *worker;
static struct nbd_server *server;
static struct memory memory;
static uint8_t memory_bytes[MEMORY_SIZE];

__attribute__((unused)) static void fresh(void)
{
    memset(memory_bytes, 0, sizeof memory_bytes);
    memory_open(&memory, worker, memory_bytes);
    nbd_server_new(&server, &MEMORY_SERVER, &memory, NULL);
}

/* With a TLS context the peer must begin TLS, and has no identity before. */
static int connect_with(const char *identity, struct tls_context *tls)
{
    int pair[2];
    struct transport *transport = NULL;
    ok(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0, "socketpair");
    fcntl(pair[1], F_SETFL, O_NONBLOCK);
    is_int(transport_plain(&transport, pair[0], NULL), VIOS_OK);
    if (tls) {
        nbd_server_serve_tls(server, transport, worker, tls);
    } else {
        nbd_server_serve(server, transport, worker, identity);
    }
    return pair[1];
}

__attribute__((unused)) static int connect_as(const char *identity)
{
    return connect_with(identity, NULL);
}

__attribute__((unused)) static void settle(void)
{
    for (int i = 0; i < 20; i++) {
        worker_turn(worker, 0);
    }
}

/* True when `size` bytes came. */
static bool get(int fd, void *data, size_t size)
{
    size_t have = 0;
    for (int idle = 0; have < size && idle < TURNS_MAX; idle++) {
        worker_turn(worker, 0);
        ssize_t got = recv(fd, (char *)data + have, size - have, 0);
        if (got == 0) {
            return false;
        }
        if (got > 0) {
            have += (size_t)got;
            idle = 0;
        }
    }
    return have == size;
}

static void put(int fd, const void *data, size_t size)
{
    size_t sent = 0;
    for (int idle = 0; sent < size && idle < TURNS_MAX; idle++) {
        ssize_t now = send(fd, (const char *)data + sent, size - sent, MSG_NOSIGNAL);
        if (now > 0) {
            sent += (size_t)now;
            idle = 0;
        } else if (errno != EAGAIN) {
            return;
        }
        worker_turn(worker, 0);
    }
}

/* Everything was answered and the server hung up. */
static bool is_closed(int fd)
{
    char byte;
    for (int i = 0; i < TURNS_MAX; i++) {
        worker_turn(worker, 0);
        ssize_t got = recv(fd, &byte, 1, 0);
        if (got >= 0 || errno != EAGAIN) {
            return got <= 0;
        }
    }
    return false;
}

static void hang_up(int fd)
{
    close(fd);
    for (int i = 0; i < TURNS_MAX && nbd_server_connections(server) > 0; i++) {
        worker_turn(worker, 0);
    }
    is_int(nbd_server_connections(server), 0);
    is_int(memory.holders, 0);
    is_int(memory.export.connections, 0);
    nbd_server_free(server);
}

/* --- the handshake --- */

static void greet(int fd, uint32_t flags)
{
    struct nbd_wire_greeting greeting = {0};
    ok(get(fd, &greeting, sizeof greeting), "a greeting comes");
    ok(be64toh(greeting.magic) == NBD_MAGIC, "its magic");
    ok(be64toh(greeting.option_magic) == NBD_OPTION_MAGIC, "its second magic");
    is_int(ntohs(greeting.flags), 3);
    flags = htonl(flags);
    put(fd, &flags, sizeof flags);
}

static void put_option(int fd, uint32_t option, const void *data, size_t size)
{
    struct nbd_wire_option wire = {htobe64(NBD_OPTION_MAGIC), htonl(option), htonl((uint32_t)size)};
    put(fd, &wire, sizeof wire);
    put(fd, data, size);
}

/* The type of the next answer; its data in `data`, with a NUL behind. */
static uint32_t get_answer(int fd, uint32_t option, char data[8192], uint32_t *size)
{
    struct nbd_wire_option_reply reply = {0};
    if (!get(fd, &reply, sizeof reply)) {
        return 0;
    }
    ok(be64toh(reply.magic) == NBD_OPTION_REPLY_MAGIC, "the answer's magic");
    is_int(ntohl(reply.option), option);
    uint32_t length = ntohl(reply.length);
    ok(length < 8192, "length %u", length);
    ok(get(fd, data, length), "the answer's data");
    data[length] = 0;
    *size = length;
    return ntohl(reply.type);
}

static size_t make_go(char *data, const char *name, uint16_t infos)
{
    uint32_t length = htonl((uint32_t)strlen(name));
    uint16_t count = htons(infos);
    memcpy(data, &length, 4);
    memcpy(data + 4, name, strlen(name));
    memcpy(data + 4 + strlen(name), &count, 2);
    for (uint16_t i = 0; i < infos; i++) {
        uint16_t info = htons(i);
        memcpy(data + 6 + strlen(name) + 2 * i, &info, 2);
    }
    return 6 + strlen(name) + 2u * infos;
}

__attribute__((unused)) static uint32_t simple_option(int fd, uint32_t option, const void *data,
                                                      size_t size)
{
    char answer[8192];
    uint32_t answer_size;
    put_option(fd, option, data, size);
    return get_answer(fd, option, answer, &answer_size);
}

/* Negotiates to the transmission phase. */
__attribute__((unused)) static int go(bool structured)
{
    char data[8192];
    uint32_t size, type;
    int fd = connect_as(MEMORY_IDENTITY);
    greet(fd, 3);
    if (structured) {
        is_int(simple_option(fd, NBD_OPT_STRUCTURED_REPLY, "", 0), NBD_REP_ACK);
        static const char query[] = "\0\0\0\6memory\0\0\0\1\0\0\0\x0f"
                                    "base:allocation";
        put_option(fd, NBD_OPT_SET_META_CONTEXT, query, sizeof query - 1);
        is_int(get_answer(fd, NBD_OPT_SET_META_CONTEXT, data, &size), NBD_REP_META_CONTEXT);
        is_int(get_answer(fd, NBD_OPT_SET_META_CONTEXT, data, &size), NBD_REP_ACK);
    }
    put_option(fd, NBD_OPT_GO, data, make_go(data, MEMORY_NAME, 0));
    while ((type = get_answer(fd, NBD_OPT_GO, data, &size)) == NBD_REP_INFO) {
    }
    is_int(type, NBD_REP_ACK);
    return fd;
}

/* --- transmission --- */

__attribute__((unused)) static void put_request(int fd, uint16_t command, uint16_t flags,
                                                uint64_t cookie, uint64_t offset, uint32_t length)
{
    struct nbd_wire_request wire = {htonl(NBD_REQUEST_MAGIC), htons(flags), htons(command), cookie,
                                    htobe64(offset),          htonl(length)};
    put(fd, &wire, sizeof wire);
}

__attribute__((unused)) static uint32_t get_simple(int fd, uint64_t cookie)
{
    struct nbd_wire_simple_reply reply = {0};
    ok(get(fd, &reply, sizeof reply), "a reply comes");
    is_int(ntohl(reply.magic), NBD_SIMPLE_REPLY_MAGIC);
    is_int(reply.cookie, cookie);
    return ntohl(reply.error);
}

/* The header of a chunk; the type is returned. */
__attribute__((unused)) static uint16_t get_chunk(int fd, uint64_t cookie, bool *last,
                                                  uint32_t *length)
{
    struct nbd_wire_chunk chunk = {0};
    ok(get(fd, &chunk, sizeof chunk), "a chunk comes");
    is_int(ntohl(chunk.magic), NBD_STRUCTURED_REPLY_MAGIC);
    is_int(chunk.cookie, cookie);
    *last = ntohs(chunk.flags) & NBD_REPLY_FLAG_DONE;
    *length = ntohl(chunk.length);
    return ntohs(chunk.type);
}

/* An error chunk: its code; its text is compared. */
__attribute__((unused)) static uint32_t get_error(int fd, uint64_t cookie, const char *text)
{
    bool last;
    uint32_t length, code = 0;
    uint16_t size = 0;
    char got[512] = "";
    is_int(get_chunk(fd, cookie, &last, &length), NBD_REPLY_ERROR);
    ok(last, "it is the last");
    get(fd, &code, sizeof code);
    get(fd, &size, sizeof size);
    get(fd, got, ntohs(size) < sizeof got ? ntohs(size) : sizeof got - 1);
    is_int(length, 6 + ntohs(size));
    is_text(got, text);
    return ntohl(code);
}

#endif
