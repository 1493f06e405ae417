/*
 * The NBD client alone, against a server of which the test says each byte: answers in any order and
 * form, errors, silence, garbage, and a connection that ends in the middle.
 */
#include "base/clock.h"
#include "nbd/client.h"
#include "nbd/client_wire.h"
#include "nbd/protocol.h"
#include "net/transport.h"
#include "tests/unit/nbd/await.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>

#define BLOCK 4096u
#define LONG_MS 60000 /* late_ms of tests that are not about it */

struct call {
    struct nbd_client_request request;
    uint8_t data[4 * BLOCK];
    int done, error;
};

static struct worker *worker;
static struct nbd_client *client;
static int listener, peer; /* the server's end */
static char address[128];
static bool is_ready, is_closed;
static struct vios_error closed_why;
static struct nbd_client_export seen;
static struct call calls[100];

static void client_is_ready(void *context, const struct nbd_client_export *export)
{
    (void)context;
    is_ready = true;
    seen = *export;
}

static void client_is_closed(void *context, const struct vios_error *why)
{
    (void)context;
    ok(!is_closed, "it closes once");
    is_closed = true;
    closed_why = *why;
    nbd_client_free(client); /* as the header allows */
}

static void done(struct nbd_client_request *request, int error)
{
    struct call *call = (struct call *)request;
    call->done++;
    call->error = error;
}

static void submit(struct call *call, uint16_t command, uint64_t offset, uint32_t length)
{
    memset(call, 0, sizeof *call);
    call->request = (struct nbd_client_request){
        .command = command, .offset = offset, .length = length, .data = call->data, .done = done};
    nbd_client_submit(client, &call->request);
}

static void put(const void *data, size_t size)
{
    ok(send(peer, data, size, MSG_NOSIGNAL) == (ssize_t)size, "the server's bytes leave");
}

static void get(void *data, size_t size)
{
    size_t have = 0;
    int64_t until_ms = clock_now_ms() + WAIT_MS;
    while (have < size && clock_now_ms() < until_ms) {
        worker_turn(worker, 1);
        ssize_t got = recv(peer, (char *)data + have, size - have, MSG_DONTWAIT);
        have += got > 0 ? (size_t)got : 0;
    }
    ok(have == size, "the client's %zu bytes come", size);
}

static void open_client(int64_t late_ms)
{
    static const struct nbd_client_callbacks callbacks = {client_is_ready, client_is_closed, NULL};
    is_ready = is_closed = false;
    is_int(nbd_client_open(&client, worker, address, "disk", late_ms, &callbacks, NULL), VIOS_OK);
    peer = -1;
    AWAIT(peer >= 0 || (peer = accept(listener, NULL, NULL)) >= 0);
}

static void put_greeting(uint64_t magic, uint16_t flags)
{
    struct nbd_wire_greeting greeting = {htobe64(magic), htobe64(NBD_OPTION_MAGIC), htobe16(flags)};
    put(&greeting, sizeof greeting);
}

static void put_option(uint32_t option, uint32_t type, const void *data, size_t size)
{
    struct nbd_wire_option_reply reply = {htobe64(NBD_OPTION_REPLY_MAGIC), htobe32(option),
                                          htobe32(type), htobe32((uint32_t)size)};
    put(&reply, sizeof reply);
    if (size > 0) {
        put(data, size);
    }
}

/* The client's answer to the greeting: flags, STRUCTURED_REPLY, GO "disk" with one wish. */
static void get_options(void)
{
    uint8_t options[4 + 16 + 16 + 4 + 4 + 2 + 2];
    put_greeting(NBD_MAGIC, NBD_HANDSHAKE_FIXED_NEWSTYLE | NBD_HANDSHAKE_NO_ZEROES);
    get(options, sizeof options);
    ok(memcmp(options + 40, "disk", 4) == 0, "it asks for its export");
}

static void negotiate(int64_t late_ms, bool structured)
{
    struct nbd_wire_info_export export = {htobe16(NBD_INFO_EXPORT), htobe64(1 << 20), htobe16(1)};
    open_client(late_ms);
    get_options();
    put_option(NBD_OPT_STRUCTURED_REPLY, structured ? NBD_REP_ACK : NBD_REP_ERR_UNSUP, NULL, 0);
    put_option(NBD_OPT_GO, NBD_REP_INFO, &export, sizeof export);
    put_option(NBD_OPT_GO, NBD_REP_INFO, "\0\2the text", 10);
    put_option(NBD_OPT_GO, NBD_REP_ACK, NULL, 0);
    AWAIT(is_ready);
    ok(seen.size == 1 << 20 && seen.structured == structured, "it knows the export");
    is_text(seen.description, "the text");
}

static void end(void)
{
    if (!is_closed) {
        nbd_client_close(client, "the test is over");
    }
    worker_turn(worker, 0);
    close(peer);
}

/* Takes a request off the wire; its cookie, as it is there. */
static uint64_t get_request(uint16_t command)
{
    struct nbd_wire_request request;
    get(&request, sizeof request);
    is_int(be32toh(request.magic), NBD_REQUEST_MAGIC);
    is_int(be16toh(request.command), command);
    return request.cookie;
}

static void put_simple(uint64_t cookie, uint32_t error)
{
    struct nbd_wire_simple_reply reply = {htobe32(NBD_SIMPLE_REPLY_MAGIC), htobe32(error), cookie};
    put(&reply, sizeof reply);
}

static void put_chunk(uint64_t cookie, uint16_t flags, uint16_t type, uint32_t length)
{
    struct nbd_wire_chunk chunk = {htobe32(NBD_STRUCTURED_REPLY_MAGIC), htobe16(flags),
                                   htobe16(type), cookie, htobe32(length)};
    put(&chunk, sizeof chunk);
}

static void put_data(uint64_t cookie, uint16_t flags, uint64_t offset, uint32_t size, size_t sent)
{
    uint8_t data[4 * BLOCK];
    uint64_t wire_offset = htobe64(offset);
    memset(data, 0x5a, sizeof data);
    put_chunk(cookie, flags, NBD_REPLY_OFFSET_DATA, 8 + size);
    put(&wire_offset, 8);
    put(data, sent);
}

static void put_hole(uint64_t cookie, uint16_t flags, uint64_t offset, uint32_t size)
{
    uint64_t wire_offset = htobe64(offset);
    uint32_t wire_size = htobe32(size);
    put_chunk(cookie, flags, NBD_REPLY_OFFSET_HOLE, 12);
    put(&wire_offset, 8);
    put(&wire_size, 4);
}

/* --- what works --- */

static void answers_come_in_any_order(void)
{
    uint64_t cookies[3], holes = 0;
    negotiate(LONG_MS, true);
    submit(&calls[0], NBD_READ, BLOCK, 3 * BLOCK);
    calls[0].request.holes = &holes;
    submit(&calls[1], NBD_FLUSH, 0, 0);
    submit(&calls[2], NBD_READ, 0, BLOCK);
    cookies[0] = get_request(NBD_READ);
    cookies[1] = get_request(NBD_FLUSH);
    cookies[2] = get_request(NBD_READ);
    put_data(cookies[0], 0, 3 * BLOCK, BLOCK, BLOCK);
    put_simple(cookies[1], 0);
    put_data(cookies[2], NBD_REPLY_FLAG_DONE, 0, BLOCK, BLOCK);
    put_hole(cookies[0], 0, BLOCK, 2 * BLOCK);
    AWAIT(calls[1].done && calls[2].done);
    ok(!calls[0].done, "one chunk is missing");
    put_chunk(cookies[0], NBD_REPLY_FLAG_DONE, NBD_REPLY_NONE, 0);
    AWAIT(calls[0].done);
    is_int(calls[0].error, 0);
    is_int((long long)holes, 3);
    ok(calls[0].data[2 * BLOCK] == 0x5a && calls[2].data[0] == 0x5a, "the data is there");
    end();
}

static void a_plain_server_works_too(void)
{
    uint8_t sent[BLOCK];
    negotiate(LONG_MS, false);
    submit(&calls[0], NBD_WRITE, 0, BLOCK);
    uint64_t cookie = get_request(NBD_WRITE);
    get(sent, sizeof sent);
    put_simple(cookie, NBD_ENOSPC);
    AWAIT(calls[0].done);
    is_int(calls[0].error, ENOSPC);
    submit(&calls[1], NBD_READ, 0, BLOCK);
    put_simple(get_request(NBD_READ), 0);
    memset(sent, 7, sizeof sent);
    put(sent, sizeof sent);
    AWAIT(calls[1].done);
    ok(calls[1].error == 0 && calls[1].data[BLOCK - 1] == 7, "the connection goes on");
    submit(&calls[2], NBD_READ, 0, BLOCK);
    put_simple(get_request(NBD_READ), 12345);
    AWAIT(calls[2].done);
    is_int(calls[2].error, EIO); /* what Linux does not know */
    end();
}

static void more_requests_than_slots_wait(void)
{
    uint64_t cookies[100];
    negotiate(LONG_MS, true);
    for (int i = 0; i < 100; i++) {
        submit(&calls[i], NBD_FLUSH, 0, 0);
    }
    for (int i = 0; i < NBD_CLIENT_IN_FLIGHT; i++) {
        cookies[i] = get_request(NBD_FLUSH);
    }
    uint8_t byte;
    worker_turn(worker, 0);
    ok(recv(peer, &byte, 1, MSG_DONTWAIT) < 0, "no more than the limit are on their way");
    for (int i = 0; i < NBD_CLIENT_IN_FLIGHT; i++) {
        put_simple(cookies[i], 0);
    }
    for (int i = NBD_CLIENT_IN_FLIGHT; i < 100; i++) {
        put_simple(get_request(NBD_FLUSH), 0);
    }
    AWAIT(calls[99].done);
    for (int i = 0; i < 100; i++) {
        ok(calls[i].done == 1 && calls[i].error == 0, "request %d", i);
    }
    end();
}

/* --- what does not --- */

static void closed_with(int code, const char *message)
{
    AWAIT(is_closed);
    is_int(closed_why.code, code);
    ok(strstr(closed_why.message, message) != NULL, "\"%s\" says \"%s\"", closed_why.message,
       message);
    end();
}

static void a_silent_server_is_late(void)
{
    open_client(50);
    submit(&calls[0], NBD_FLUSH, 0, 0);
    closed_with(VIOS_E_TIMEOUT, "the handshake in 50 ms");
    is_int(calls[0].error, ETIMEDOUT);
    negotiate(2000, true);
    submit(&calls[0], NBD_READ, 0, BLOCK);
    submit(&calls[1], NBD_FLUSH, 0, 0);
    get_request(NBD_READ);
    put_simple(get_request(NBD_FLUSH), 0);
    closed_with(VIOS_E_TIMEOUT, "a request in 2000 ms");
    is_int(calls[0].error, ETIMEDOUT);
    is_int(calls[1].error, 0);
}

static void what_cannot_be_had_is_said(void)
{
    open_client(LONG_MS);
    get_options();
    put_option(NBD_OPT_STRUCTURED_REPLY, NBD_REP_ACK, NULL, 0);
    put_option(NBD_OPT_GO, NBD_REP_ERR_UNKNOWN, NULL, 0);
    closed_with(VIOS_E_NOT_FOUND, "no such export");
    open_client(LONG_MS);
    get_options();
    put_option(NBD_OPT_STRUCTURED_REPLY, NBD_REP_ACK, NULL, 0);
    put_option(NBD_OPT_GO, NBD_REP_ERR_POLICY, "not you", 7);
    closed_with(VIOS_E_DENIED, "refuses it (2): not you");

    static const struct nbd_client_callbacks callbacks = {client_is_ready, client_is_closed, NULL};
    struct vios_error error;
    char name[NBD_CLIENT_NAME_MAX + 2], away[160];
    memset(name, 'x', sizeof name - 1);
    name[sizeof name - 1] = 0;
    is_int(nbd_client_open(&client, worker, address, name, 1, &callbacks, &error), VIOS_E_USAGE);
    ok(strstr(error.message, "255 bytes") != NULL, "%s", error.message);
    snprintf(away, sizeof away, "%s.away", address);
    is_int(nbd_client_open(&client, worker, away, "disk", 1, &callbacks, &error),
           VIOS_E_UNREACHABLE);
}

static void garbage_ends_the_handshake(void)
{
    uint8_t noise[20];
    memset(noise, 0xa5, sizeof noise);
    open_client(LONG_MS);
    put(noise, sizeof noise);
    closed_with(VIOS_E_IO, "does not greet");
    open_client(LONG_MS);
    put_greeting(NBD_MAGIC, 0); /* oldstyle */
    closed_with(VIOS_E_IO, "does not greet");
    open_client(LONG_MS);
    get_options();
    put(noise, sizeof noise);
    closed_with(VIOS_E_IO, "malformed");
    open_client(LONG_MS);
    get_options();
    put_option(NBD_OPT_STRUCTURED_REPLY, NBD_REP_ACK, NULL, 0);
    put_option(NBD_OPT_GO, NBD_REP_ACK, NULL, 0); /* without the export's size */
    closed_with(VIOS_E_IO, "no answer");
}

static uint64_t a_read(void)
{
    negotiate(LONG_MS, true);
    submit(&calls[0], NBD_READ, BLOCK, 2 * BLOCK);
    return get_request(NBD_READ);
}

static void garbage_ends_the_connection(void)
{
    a_read();
    put("this is no NBD reply", 20);
    closed_with(VIOS_E_IO, "does not start as one");
    is_int(calls[0].error, EPROTO);
    uint64_t cookie = a_read();
    put_simple(cookie ^ 1, 0);
    closed_with(VIOS_E_IO, "not asked");
    cookie = a_read();
    put_data(cookie, 0, 0, BLOCK, BLOCK); /* before what was asked for */
    closed_with(VIOS_E_IO, "not asked for");
    cookie = a_read();
    put_hole(cookie, 0, BLOCK, 3 * BLOCK); /* longer */
    closed_with(VIOS_E_IO, "not asked for");
    cookie = a_read();
    put_hole(cookie, 0, BLOCK, 2 * BLOCK);
    put_hole(cookie, 0, BLOCK, BLOCK); /* more than all */
    closed_with(VIOS_E_IO, "not asked for");
    cookie = a_read();
    put_data(cookie, NBD_REPLY_FLAG_DONE, BLOCK, BLOCK, BLOCK);
    closed_with(VIOS_E_IO, "a part of a read");
    cookie = a_read();
    put_chunk(cookie, 0, NBD_REPLY_BLOCK_STATUS, 12);
    closed_with(VIOS_E_IO, "not asked for");
    cookie = a_read();
    put_chunk(cookie, 0, NBD_REPLY_ERROR, 1u << 30);
    closed_with(VIOS_E_IO, "impossible size");
    is_int(calls[0].error, EPROTO);
}

static void a_connection_ends_in_the_middle(void)
{
    uint64_t cookie = a_read();
    put_data(cookie, 0, BLOCK, 2 * BLOCK, 100);
    submit(&calls[1], NBD_WRITE, 0, BLOCK);
    worker_turn(worker, 10);
    shutdown(peer, SHUT_RDWR);
    AWAIT(is_closed);
    ok(calls[0].done == 1 && calls[1].done == 1, "both are answered, once");
    is_int(calls[0].error, ECONNRESET);
    is_int(calls[1].error, ECONNRESET);
    end();
    open_client(LONG_MS);
    shutdown(peer, SHUT_RDWR);
    AWAIT(is_closed);
    end();
}

static void closing_fails_what_is_on_its_way(void)
{
    a_read();
    submit(&calls[1], NBD_FLUSH, 0, 0); /* not sent yet: the worker does not turn */
    nbd_client_close(client, "enough");
    is_int(calls[0].error, ECONNRESET);
    is_int(calls[1].error, ECONNRESET);
    closed_with(VIOS_E_CANCELLED, "enough");
}

int main(void)
{
    worker_adopt(&worker, NULL);
    snprintf(address, sizeof address, "unix:%s/server.sock", tap_folder());
    listener = transport_listen(address, NULL);
    fcntl(listener, F_SETFL, O_NONBLOCK);
    RUN(answers_come_in_any_order);
    RUN(a_plain_server_works_too);
    RUN(more_requests_than_slots_wait);
    RUN(a_silent_server_is_late);
    RUN(what_cannot_be_had_is_said);
    RUN(garbage_ends_the_handshake);
    RUN(garbage_ends_the_connection);
    RUN(a_connection_ends_in_the_middle);
    RUN(closing_fails_what_is_on_its_way);
    worker_abandon(worker);
    close(listener);
    return tap_done();
}
