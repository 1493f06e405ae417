/* test_tls.c - TLS connections: who gets in and who does not, bytes through narrow sockets, ends
 * that are proper and ends that are not. */
#include "tests/unit/net/tls_pair.h"

#include <sys/epoll.h>

static void both_ends_know_each_other(void)
{
    int server, client;
    size_t done;
    char text[16] = "";
    struct pair pair = pair_of(context_of(lab, &n1, NULL), context_of(lab, &n2, NULL), "rpc", "n1");
    ok(!transport_peer(pair.server), "nobody yet");
    pair_shake(&pair, &server, &client);
    ok(server == VIOS_OK, "server: %s", why(pair.server));
    ok(client == VIOS_OK, "client: %s", why(pair.client));
    const struct transport_peer *peer = transport_peer(pair.server);
    if (!ok(peer && transport_peer(pair.client), "handshake")) {
        return;
    }
    is_text(peer->node, "n2");
    is_text(peer->serial, n2.serial);
    is_text(peer->protocol, "rpc");
    is_text(transport_peer(pair.client)->node, "n1");
    is_text(transport_peer(pair.client)->protocol, "rpc");
    is_int(put(pair.client, "hello", 5), 5);
    is_int(pair.server->operations->read(pair.server, text, 3, &done), VIOS_OK);
    is_int(done, 3);
    ok(pair.server->operations->pending(pair.server), "two bytes wait inside");
    is_int(pair.server->operations->read(pair.server, text + 3, 10, &done), VIOS_OK);
    is_text(text, "hello");
    ok(!pair.server->operations->pending(pair.server), "nothing waits inside");
    is_int(pair.server->operations->read(pair.server, text, 10, &done), VIOS_OK);
    is_int(done, 0);
    pair.client->operations->close(pair.client);
    pair.client = NULL;
    is_int(pair.server->operations->read(pair.server, text, 10, &done), VIOS_E_UNREACHABLE);
    is_text(why(pair.server), "it closed the connection");
    pair_close(&pair);
}

/* --- refused --- */

static int only_new_serials(void *context, const char *node, const char *serial,
                            struct vios_error *error)
{
    (void)context;
    if (strcmp(node, "n2") == 0 && strcmp(serial, n2.serial) == 0) {
        return error_set(error, VIOS_E_DENIED, node, "join it again", "node n2 was removed");
    }
    return VIOS_OK;
}

/* `reason` is what the server says, or the client when `client_says`. */
static void refused(struct tls_context *server_context, struct tls_context *client_context,
                    const char *node, const char *reason, bool client_says)
{
    int server, client;
    struct pair pair = pair_of(server_context, client_context, "rpc", node);
    pair_shake(&pair, &server, &client);
    struct transport *judge = client_says ? pair.client : pair.server;
    is_int(client_says ? client : server, VIOS_E_DENIED);
    ok(strstr(why(judge), reason) != NULL, "it says \"%s\", not \"%s\"", why(judge), reason);
    ok(!transport_peer(judge), "nobody is there");
    /* The other end hears it as an alert, with what it reads next. */
    struct transport *other = client_says ? pair.server : pair.client;
    char byte;
    size_t done;
    int status = client_says ? server : client;
    status = status ? status : other->operations->read(other, &byte, 1, &done);
    is_int(status, VIOS_E_DENIED);
    ok(strstr(why(other), "certificate") != NULL, "the other says \"%s\"", why(other));
    is_int(judge->operations->read(judge, &byte, 1, &done), VIOS_E_DENIED);
    struct iovec part = {&byte, 1};
    is_int(judge->operations->write(judge, &part, 1, &done), VIOS_E_DENIED);
    pair_close(&pair);
}

static void another_clusters_certificates_are_refused(void)
{
    struct authority *other = make_authority("lab"); /* of the same name */
    struct test_node stranger = make_node(other, "n2");
    const char *reason = "its certificate is of another cluster";
    refused(context_of(lab, &n1, NULL), context_of(other, &stranger, NULL), NULL, reason, true);
    /* One that does not look at the server, so that the server must. */
    struct tls_context *context = context_of(lab, &n2, NULL);
    struct tls_identity mixed = {stranger.certificate, stranger.key, authority_certificate(lab)};
    struct vios_error error = {0};
    is_int(tls_context_set(context, &mixed, &error), VIOS_E_INVALID);
    ok(strstr(error.message, "is not of its authority") != NULL, "%s", error.message);
    tls_context_free(context);
    free_node(&stranger);
    authority_free(other);
}

static void times_are_looked_at(void)
{
    struct test_node late = make_node_valid(lab, "n2", -7200, -3600);
    struct test_node early = make_node_valid(lab, "n2", 3600, 7200);
    refused(context_of(lab, &n1, NULL), context_of(lab, &late, NULL), NULL, "has expired", false);
    refused(context_of(lab, &n1, NULL), context_of(lab, &early, NULL), NULL, "not valid yet",
            false);
    refused(context_of(lab, &late, NULL), context_of(lab, &n1, NULL), NULL, "has expired", true);
    refused(context_of(lab, &early, NULL), context_of(lab, &n1, NULL), NULL, "not valid yet", true);
    free_node(&late);
    free_node(&early);
}

static void a_removed_node_is_refused_both_ways(void)
{
    refused(context_of(lab, &n1, only_new_serials), context_of(lab, &n2, NULL), NULL,
            "node n2 was removed", false);
    refused(context_of(lab, &n2, NULL), context_of(lab, &n1, only_new_serials), "n2",
            "node n2 was removed", true);
    struct test_node again = make_node(lab, "n2");
    int server, client;
    struct pair pair =
        pair_of(context_of(lab, &n1, only_new_serials), context_of(lab, &again, NULL), "rpc", NULL);
    pair_shake(&pair, &server, &client);
    ok(server == VIOS_OK && client == VIOS_OK, "under its new serial: %s", why(pair.server));
    struct vios_error error = {0};
    is_int(tls_context_allowed(pair.server_context, "n2", n2.serial, &error), VIOS_E_DENIED);
    is_int(tls_context_allowed(pair.server_context, "n2", again.serial, &error), VIOS_OK);
    pair_close(&pair);
    free_node(&again);
}

static void another_node_than_expected_is_refused(void)
{
    refused(context_of(lab, &n1, NULL), context_of(lab, &n2, NULL), "n3",
            "it is node n1, and not n3", true);
}

static void only_spoken_protocols_are_agreed_on(void)
{
    int server, client;
    struct pair pair = pair_of(context_of(lab, &n1, NULL), context_of(lab, &n2, NULL), "nbd", "n1");
    pair_shake(&pair, &server, &client);
    is_int(server, VIOS_E_DENIED);
    is_text(why(pair.server), "it asks for a protocol that is not spoken here");
    bool done;
    is_int(transport_handshake(pair.client, &done), VIOS_E_DENIED);
    is_text(why(pair.client), "it speaks none of our protocols on this port");
    pair_close(&pair);
}

static void plain_bytes_are_refused(void)
{
    static const char *const plain[] = {"GET / HTTP/1.1\r\n\r\n", "NBDMAGICIHAVEOPT\0\3",
                                        "{\"jsonrpc\":\"2.0\",\"id\":0}\n", "\26\3\1\377\377"};
    for (size_t i = 0; i < sizeof plain / sizeof plain[0]; i++) {
        struct pair pair = pair_sockets();
        pair.server_context = context_of(lab, &n1, NULL);
        is_int(transport_tls_server(&pair.server, pair.fds[0], pair.server_context, RPC_ONLY, NULL),
               VIOS_OK);
        bool done;
        char answer[64];
        is_int(transport_handshake(pair.server, &done), VIOS_OK);
        is_int(pair.server->operations->wants(pair.server), EPOLLIN);
        is_int(write(pair.fds[1], plain[i], strlen(plain[i])), (long)strlen(plain[i]));
        is_int(transport_handshake(pair.server, &done), VIOS_E_INVALID);
        is_text(why(pair.server), "it does not speak TLS 1.3");
        pair.server->operations->close(pair.server);
        pair.server = NULL;
        ssize_t got = read(pair.fds[1], answer, sizeof answer);
        ok(got <= 7, "an alert at most, not %zd bytes", got); /* 5 of the record, 2 of the alert */
        close(pair.fds[1]);
        pair_close(&pair);
    }
}

/* --- ends --- */

/* The client's first message, cut after each so many bytes. */
static void a_handshake_that_is_cut_off_is_an_error(void)
{
    char hello[2048];
    bool done;
    struct pair first = pair_sockets();
    first.client_context = context_of(lab, &n2, NULL);
    is_int(
        transport_tls_client(&first.client, first.fds[1], first.client_context, "rpc", "n1", NULL),
        VIOS_OK);
    is_int(transport_handshake(first.client, &done), VIOS_OK);
    ssize_t size = read(first.fds[0], hello, sizeof hello);
    ok(size > 100 && size < (ssize_t)sizeof hello, "%zd bytes", size);
    close(first.fds[0]);
    is_int(transport_handshake(first.client, &done), VIOS_E_IO);
    is_text(why(first.client), "the connection was cut off during the handshake");
    struct tls_context *context = context_of(lab, &n1, NULL);
    for (ssize_t cut = 0; cut < size; cut += 7) {
        struct pair pair = pair_sockets();
        is_int(transport_tls_server(&pair.server, pair.fds[0], context, RPC_ONLY, NULL), VIOS_OK);
        is_int(write(pair.fds[1], hello, (size_t)cut), cut);
        is_int(transport_handshake(pair.server, &done), VIOS_OK);
        ok(!done, "done after %zd bytes", cut);
        close(pair.fds[1]);
        is_int(transport_handshake(pair.server, &done), VIOS_E_IO);
        is_text(why(pair.server), "the connection was cut off during the handshake");
        pair_close(&pair);
    }
    tls_context_free(context);
    pair_close(&first);
}

static void a_connection_that_is_cut_off_is_an_error(void)
{
    int server, client;
    char byte;
    size_t done;
    struct pair pair = pair_of(context_of(lab, &n1, NULL), context_of(lab, &n2, NULL), "rpc", "n1");
    pair_shake(&pair, &server, &client);
    is_int(shutdown(pair.fds[1], SHUT_WR), 0); /* without a close_notify */
    is_int(pair.server->operations->read(pair.server, &byte, 1, &done), VIOS_E_IO);
    is_text(why(pair.server), "the connection was cut off");
    pair_close(&pair);
}

static void a_changed_byte_is_an_error(void)
{
    int server, client;
    char record[64], byte;
    size_t done;
    struct pair pair = pair_of(context_of(lab, &n1, NULL), context_of(lab, &n2, NULL), "rpc", "n1");
    pair_shake(&pair, &server, &client);
    int middle[2];
    is_int(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, middle), 0);
    int kept = dup(pair.fds[0]);
    is_int(put(pair.client, "hello", 5), 5);
    ssize_t size = read(kept, record, sizeof record);
    ok(size > 5, "%zd bytes", size);
    record[size - 1] ^= 1;
    is_int(dup2(middle[0], pair.fds[0]), pair.fds[0]);
    is_int(write(middle[1], record, (size_t)size), size);
    is_int(pair.server->operations->read(pair.server, &byte, 1, &done), VIOS_E_IO);
    close(middle[0]);
    close(middle[1]);
    close(kept);
    pair_close(&pair);
}

/* --- bytes --- */

struct flow {
    struct transport *from, *to;
    size_t sent, got;
    uint32_t random;
    bool good;
};

#define FLOW_BYTES (3u << 20)

static uint8_t pattern(size_t at)
{
    return (uint8_t)(at * 31 + (at >> 8) * 7 + (at >> 16));
}

static uint32_t next_random(struct flow *flow)
{
    flow->random = flow->random * 1664525 + 1013904223;
    return flow->random >> 8;
}

/* Offers the next bytes, cut into pieces that differ each time, also when the same are offered
 * again. */
static void flow_write(struct flow *flow)
{
    static uint8_t data[100000];
    struct iovec parts[8];
    size_t at = flow->sent, used = 0, done = 0;
    int count = 0;
    while (count < 8 && at < FLOW_BYTES) {
        size_t size = next_random(flow) % (next_random(flow) % 4 ? 100 : 12000);
        size = size < FLOW_BYTES - at ? size : FLOW_BYTES - at;
        for (size_t i = 0; i < size; i++) {
            data[used + i] = pattern(at + i);
        }
        parts[count++] = (struct iovec){data + used, size};
        used += size;
        at += size;
    }
    if (used == 0) {
        return;
    }
    flow->good = flow->good &&
                 flow->from->operations->write(flow->from, parts, count, &done) == VIOS_OK &&
                 done <= used;
    flow->sent += done;
}

static void flow_read(struct flow *flow)
{
    uint8_t data[5000];
    size_t done = 0;
    flow->good = flow->good &&
                 flow->to->operations->read(flow->to, data, 1 + next_random(flow) % sizeof data,
                                            &done) == VIOS_OK;
    for (size_t i = 0; flow->good && i < done; i++) {
        flow->good = data[i] == pattern(flow->got + i);
    }
    flow->got += done;
}

static void much_goes_both_ways_through_narrow_sockets(void)
{
    int server, client, small = 1;
    struct pair pair = pair_of(context_of(lab, &n1, NULL), context_of(lab, &n2, NULL), "rpc", "n1");
    for (int i = 0; i < 2; i++) {
        is_int(setsockopt(pair.fds[i], SOL_SOCKET, SO_SNDBUF, &small, sizeof small), 0);
    }
    pair_shake(&pair, &server, &client);
    struct flow there = {pair.client, pair.server, 0, 0, 1, true};
    struct flow back = {pair.server, pair.client, 0, 0, 2, true};
    for (int i = 0; i < 1000000 && there.good && back.good &&
                    (there.got < FLOW_BYTES || back.got < FLOW_BYTES);
         i++) {
        flow_write(&there);
        flow_write(&back);
        flow_read(&there);
        if (i % 3) { /* one side is slower */
            flow_read(&back);
        }
    }
    ok(there.good && back.good, "what came is what was sent");
    is_int(there.got, FLOW_BYTES);
    is_int(back.got, FLOW_BYTES);
    is_int(there.sent, FLOW_BYTES);
    pair_close(&pair);
}

static void a_full_socket_takes_nothing(void)
{
    int server, client;
    static uint8_t data[1 << 20];
    struct pair pair = pair_of(context_of(lab, &n1, NULL), context_of(lab, &n2, NULL), "rpc", "n1");
    pair_shake(&pair, &server, &client);
    size_t taken = put(pair.client, data, sizeof data);
    ok(taken > 0 && taken < sizeof data, "%zu bytes", taken);
    is_int(put(pair.client, data + taken, sizeof data - taken), 0);
    is_int(pair.client->operations->wants(pair.client), 0); /* room to write, as usual */
    pair_close(&pair);
}

/* --- contexts --- */

static void a_context_needs_an_identity_that_fits(void)
{
    struct tls_context *context;
    struct transport *transport;
    struct vios_error error = {0};
    int fds[2];
    is_int(tls_context_new(&context, NULL, NULL, NULL), VIOS_OK);
    ok(!tls_context_ready(context), "not yet");
    is_int(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    is_int(transport_tls_server(&transport, fds[0], context, RPC_ONLY, &error), VIOS_E_LOCKED);
    is_text(error.message, "this node has no certificate yet");
    is_int(fcntl(fds[0], F_GETFD), -1); /* it was taken over all the same */
    const char *authority = authority_certificate(lab);
    struct tls_identity bad[] = {{n1.certificate, n2.key, authority},
                                 {n1.certificate, n1.key, n1.certificate},
                                 {authority, n1.key, authority},
                                 {n1.certificate, "", authority},
                                 {"", n1.key, authority}};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        ok(tls_context_set(context, &bad[i], &error) == VIOS_E_INVALID, "identity %zu", i);
    }
    ok(!tls_context_ready(context), "none was taken");
    tls_context_free(context);
    close(fds[1]);
}

static void a_new_identity_is_for_new_connections(void)
{
    int server, client;
    struct test_node again = make_node(lab, "n2");
    struct tls_identity identity = {again.certificate, again.key, authority_certificate(lab)};
    struct pair pair = pair_of(context_of(lab, &n1, NULL), context_of(lab, &n2, NULL), "rpc", "n1");
    pair_shake(&pair, &server, &client);
    is_int(tls_context_set(pair.client_context, &identity, NULL), VIOS_OK);
    struct pair later = pair_sockets();
    is_int(transport_tls_server(&later.server, later.fds[0], pair.server_context, RPC_ONLY, NULL),
           VIOS_OK);
    is_int(
        transport_tls_client(&later.client, later.fds[1], pair.client_context, "rpc", "n1", NULL),
        VIOS_OK);
    pair_shake(&later, &server, &client);
    is_text(transport_peer(later.server)->serial, again.serial);
    is_text(transport_peer(later.server)->protocol, "rpc");
    is_text(transport_peer(pair.server)->serial, n2.serial);
    char text[8] = "";
    size_t done;
    is_int(put(pair.client, "on", 2), 2);
    is_int(pair.server->operations->read(pair.server, text, 8, &done), VIOS_OK);
    is_text(text, "on");
    pair_close(&later);
    pair_close(&pair);
    free_node(&again);
}

/* Its certificate, if it has one, is not asked for. */
static void a_caller_is_nobody(void)
{
    int server, client;
    struct pair pair =
        pair_of(context_of(lab, &n1, NULL), context_of(lab, &n2, NULL), "event", "n1");
    pair_shake(&pair, &server, &client);
    ok(server == VIOS_OK && client == VIOS_OK, "server: %s", why(pair.server));
    is_text(transport_peer(pair.server)->protocol, "event");
    is_text(transport_peer(pair.server)->node, "");
    is_text(transport_peer(pair.server)->serial, "");
    is_text(transport_peer(pair.client)->node, "n1");
    pair_close(&pair);
}

/* --- joining --- */

static const char *const WITH_JOIN[] = {"rpc", "join", NULL};

static struct pair join(const char *const *protocols, const char *fingerprint)
{
    struct pair pair = pair_sockets();
    pair.server_context = context_of(lab, &n1, NULL);
    is_int(tls_context_new_joining(&pair.client_context, fingerprint, NULL), VIOS_OK);
    is_int(transport_tls_server(&pair.server, pair.fds[0], pair.server_context, protocols, NULL),
           VIOS_OK);
    is_int(transport_tls_client(&pair.client, pair.fds[1], pair.client_context, "join", NULL, NULL),
           VIOS_OK);
    return pair;
}

static void who_joins_trusts_the_fingerprint(void)
{
    char fingerprint[65], other[65];
    int server, client;
    is_int(certificate_fingerprint(authority_certificate(lab), fingerprint, NULL), VIOS_OK);
    struct pair pair = join(WITH_JOIN, fingerprint);
    pair_shake(&pair, &server, &client);
    ok(server == VIOS_OK && client == VIOS_OK, "%s, %s", why(pair.server), why(pair.client));
    if (ok(transport_peer(pair.server) && transport_peer(pair.client), "handshake")) {
        is_text(transport_peer(pair.server)->protocol, "join");
        is_text(transport_peer(pair.server)->node, "");
        is_text(transport_peer(pair.server)->serial, "");
        is_text(transport_peer(pair.client)->node, "n1");
    }
    pair_close(&pair);
    snprintf(other, sizeof other, "%s", fingerprint);
    other[0] = other[0] == '0' ? '1' : '0';
    pair = join(WITH_JOIN, other);
    pair_shake(&pair, &server, &client);
    is_int(client, VIOS_E_DENIED);
    is_text(why(pair.client), "it is not of the cluster that the join token is for");
    pair_close(&pair);
    pair = join(RPC_ONLY, fingerprint);
    pair_shake(&pair, &server, &client);
    is_int(server, VIOS_E_DENIED);
    pair_close(&pair);
    struct tls_context *context;
    is_int(tls_context_new_joining(&context, "abc", NULL), VIOS_E_INVALID);
}

/* --- the blocking client --- */

static void connecting_ends_at_its_deadline(void)
{
    struct operation operation;
    struct transport *transport;
    char address[96];
    int listener = transport_listen("tcp:127.0.0.1:0", NULL); /* nobody accepts */
    struct tls_context *context = context_of(lab, &n2, NULL);
    is_int(transport_address(listener, address, sizeof address, NULL), VIOS_OK);
    operation_start(&operation, 50, NULL);
    is_int(transport_tls_connect(&transport, address, context, "rpc", "n1", &operation),
           VIOS_E_TIMEOUT);
    struct cancel *cancel = cancel_new();
    cancel_trigger(cancel);
    operation_start(&operation, OPERATION_NO_DEADLINE, cancel);
    is_int(transport_tls_connect(&transport, address, context, "rpc", "n1", &operation),
           VIOS_E_CANCELLED);
    cancel_free(cancel);
    close(listener);
    operation_start(&operation, 10000, NULL);
    is_int(transport_tls_connect(&transport, address, context, "rpc", "n1", &operation),
           VIOS_E_UNREACHABLE);
    tls_context_free(context);
}

/* The first message may be asked for before the connection is there. */
static void connecting_may_be_under_way(void)
{
    struct transport *transport;
    char address[96];
    bool done;
    int listener = transport_listen("tcp:127.0.0.1:0", NULL);
    struct tls_context *context = context_of(lab, &n2, NULL);
    is_int(transport_address(listener, address, sizeof address, NULL), VIOS_OK);
    int fd = transport_connect_start(address, NULL);
    is_int(transport_tls_client(&transport, fd, context, "rpc", "n1", NULL), VIOS_OK);
    is_int(transport_handshake(transport, &done), VIOS_OK);
    struct pollfd waiting = {.fd = listener, .events = POLLIN};
    is_int(poll(&waiting, 1, 10000), 1);
    int accepted = accept(listener, NULL, NULL);
    is_int(transport_handshake(transport, &done), VIOS_OK);
    ok(!done, "nobody answers");
    close(accepted);
    waiting.fd = fd;
    is_int(poll(&waiting, 1, 10000), 1);
    int status = transport_handshake(transport, &done);
    ok(status == VIOS_E_IO || status == VIOS_E_UNREACHABLE, "%d: %s", status, why(transport));
    struct vios_error error;
    transport_why(transport, status, &error);
    is_text(error.object, address);
    transport->operations->close(transport);
    close(listener);
    tls_context_free(context);
}

int main(void)
{
    make_lab();
    RUN(both_ends_know_each_other);
    RUN(another_clusters_certificates_are_refused);
    RUN(times_are_looked_at);
    RUN(a_removed_node_is_refused_both_ways);
    RUN(another_node_than_expected_is_refused);
    RUN(only_spoken_protocols_are_agreed_on);
    RUN(plain_bytes_are_refused);
    RUN(a_handshake_that_is_cut_off_is_an_error);
    RUN(a_connection_that_is_cut_off_is_an_error);
    RUN(a_changed_byte_is_an_error);
    RUN(much_goes_both_ways_through_narrow_sockets);
    RUN(a_full_socket_takes_nothing);
    RUN(a_context_needs_an_identity_that_fits);
    RUN(a_new_identity_is_for_new_connections);
    RUN(a_caller_is_nobody);
    RUN(who_joins_trusts_the_fingerprint);
    RUN(connecting_ends_at_its_deadline);
    RUN(connecting_may_be_under_way);
    free_lab();
    return tap_done();
}
