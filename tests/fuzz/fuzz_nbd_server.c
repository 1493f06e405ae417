/*
 * fuzz_nbd_server.c - whatever bytes a client sends, the NBD server answers or disconnects, and
 * gives back all that it took. The first byte of the input says where the handshake stands:
 * bit 0: a good GO with structured replies comes before it; else the input is all there is.
 * bit 1: the peer must begin TLS, so nothing is ever served; the good start is STARTTLS then.
 */
#include "nbd/protocol.h"
#include "net/worker.h"
#include "tests/nbd_memory.h"
#include "tests/unit/net/identity.h"

#include <assert.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define INPUT_MAX (64 * 1024) /* fits into the socket at once */

static const uint8_t GOOD_START[] = "\0\0\0\3"
                                    "IHAVEOPT\0\0\0\x08\0\0\0\0"
                                    "IHAVEOPT\0\0\0\x0a\0\0\0\x1f\0\0\0\6memory\0\0\0\1\0\0\0\x0f"
                                    "base:allocation"
                                    "IHAVEOPT\0\0\0\x07\0\0\0\x0c\0\0\0\6memory\0\0";

static const uint8_t SECURE_START[] = "\0\0\0\3"
                                      "IHAVEOPT\0\0\0\5\0\0\0\0";

static struct worker *worker;
static struct tls_context *tls;
static uint8_t bytes[MEMORY_SIZE + NBD_BLOCK];

static void feed(int fd, const uint8_t *data, size_t size)
{
    ssize_t sent = send(fd, data, size, MSG_NOSIGNAL);
    (void)sent; /* the server may have hung up on the first part */
}

static void swallow(int fd)
{
    static uint8_t answers[256 * 1024];
    while (recv(fd, answers, sizeof answers, MSG_DONTWAIT) > 0) {
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1 || size > INPUT_MAX) {
        return 0;
    }
    if (!worker) {
        int status = worker_adopt(&worker, NULL);
        assert(status == VIOS_OK);
        make_lab();
        tls = context_of(lab, &n1, NULL);
        free_lab();
    }
    bool secure = data[0] & 2;
    struct memory memory;
    memory_open(&memory, worker, bytes);
    struct nbd_server *server;
    int status = nbd_server_new(&server, &MEMORY_SERVER, &memory, NULL);
    int pair[2];
    struct transport *transport;
    assert(status == VIOS_OK && socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
    status = transport_plain(&transport, pair[0], NULL);
    assert(status == VIOS_OK);
    if (secure) {
        nbd_server_serve_tls(server, transport, worker, tls);
    } else {
        nbd_server_serve(server, transport, worker, MEMORY_IDENTITY);
    }
    if (data[0] & 1) {
        feed(pair[1], secure ? SECURE_START : GOOD_START,
             (secure ? sizeof SECURE_START : sizeof GOOD_START) - 1);
        worker_turn(worker, 0);
    }
    feed(pair[1], data + 1, size - 1);
    shutdown(pair[1], SHUT_WR);
    while (nbd_server_connections(server) > 0) {
        worker_turn(worker, 0);
        swallow(pair[1]);
    }
    close(pair[1]);
    assert(!secure || memory.submits == 0);
    assert(memory.holders == 0 && memory.export.in_flight == 0 && memory.export.connections == 0);
    nbd_server_free(server);
    return 0;
}
