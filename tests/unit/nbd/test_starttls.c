/*
 * test_starttls.c - TLS on NBD connections: nothing is served before it, nothing said before it
 * counts after it, and neither end goes on without it. Ours with ours, with scripted peers, and
 * with nbdkit.
 */
#include "tests/unit/nbd/client.h"

#include "nbd/client.h"
#include "nbd/client_wire.h"
#include "tests/unit/nbd/await.h"
#include "tests/unit/net/identity.h"

#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define BIG (256u * 1024)
#define BIGS 24

static struct tls_context *server_tls, *client_tls;
static char refused_because[400];
static unsigned refusals;
static char removed[CERTIFICATE_SERIAL_SIZE];

/* --- a server whose export is for node n2 --- */

static struct nbd_export *find(void *context, const char *name, const char *identity)
{
    bool may = strcmp(identity, "node:n2") == 0;
    return may ? MEMORY_SERVER.find(context, name, MEMORY_IDENTITY) : NULL;
}

static void list(void *context, const char *identity,
                 void (*one)(void *cookie, const struct nbd_export *export), void *cookie)
{
    if (strcmp(identity, "node:n2") == 0) {
        MEMORY_SERVER.list(context, MEMORY_IDENTITY, one, cookie);
    }
}

static const struct nbd_server_operations NODE_SERVER = {
    .find = find, .release = memory_put_back, .list = list};

static void refused(void *context, const struct vios_error *why)
{
    (void)context;
    refusals++;
    snprintf(refused_because, sizeof refused_because, "%s", why->message);
}

static int allowed(void *context, const char *node, const char *serial, struct vios_error *error)
{
    (void)context;
    return strcmp(serial, removed) == 0
               ? error_set(error, VIOS_E_DENIED, node, NULL, "node %s was removed", node)
               : VIOS_OK;
}

static void fresh_server(void)
{
    memset(memory_bytes, 0, sizeof memory_bytes);
    memory_open(&memory, worker, memory_bytes);
    nbd_server_new(&server, &NODE_SERVER, &memory, NULL);
    nbd_server_set_refused(server, refused, NULL);
    refusals = 0;
    refused_because[0] = removed[0] = 0;
}

static int greeted(struct tls_context *context)
{
    int fd = connect_with(NULL, context);
    greet(fd, 3);
    return fd;
}

static uint32_t option(int fd, uint32_t number, const char *data, size_t size)
{
    char answer[8192];
    uint32_t length;
    put_option(fd, number, data, size);
    return get_answer(fd, number, answer, &length);
}

static const char GO[] = "\0\0\0\6memory\0\0";

static void nothing_is_served_before_tls(void)
{
    static const uint32_t numbers[] = {NBD_OPT_LIST,
                                       NBD_OPT_INFO,
                                       NBD_OPT_GO,
                                       NBD_OPT_STRUCTURED_REPLY,
                                       NBD_OPT_LIST_META_CONTEXT,
                                       NBD_OPT_SET_META_CONTEXT,
                                       4711};
    fresh_server();
    int fd = greeted(server_tls);
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        ok(option(fd, numbers[i], GO, sizeof GO - 1) == NBD_REP_ERR_TLS_REQD, "option %u",
           numbers[i]);
    }
    is_int(refusals, 1); /* told once a connection */
    is_text(refused_because, "it does not begin TLS");
    is_int(memory.holders, 0);
    put_option(fd, NBD_OPT_EXPORT_NAME, "memory", 6);
    ok(is_closed(fd), "EXPORT_NAME has no other answer");
    hang_up(fd);
}

static void starttls_is_refused_where_it_cannot_be(void)
{
    struct tls_context *empty;
    fresh_server();
    int fd = greeted(server_tls);
    is_int(option(fd, NBD_OPT_STARTTLS, "x", 1), NBD_REP_ERR_INVALID);
    put_option(fd, NBD_OPT_ABORT, "", 0);
    ok(is_closed(fd), "ABORT works");
    hang_up(fd);
    fresh_server();
    is_int(tls_context_new(&empty, NULL, NULL, NULL), VIOS_OK);
    fd = greeted(empty);
    is_int(option(fd, NBD_OPT_STARTTLS, "", 0), NBD_REP_ERR_PLATFORM);
    is_int(option(fd, NBD_OPT_GO, GO, sizeof GO - 1), NBD_REP_ERR_TLS_REQD);
    hang_up(fd);
    tls_context_free(empty);
}

/* What somebody on the way puts behind a client's STARTTLS must never be taken for the client's. */
static void plaintext_behind_starttls_ends_it(void)
{
    uint8_t both[2 * sizeof(struct nbd_wire_option) + sizeof GO - 1];
    struct nbd_wire_option first = {htobe64(NBD_OPTION_MAGIC), htonl(NBD_OPT_STARTTLS), 0};
    struct nbd_wire_option second = {htobe64(NBD_OPTION_MAGIC), htonl(NBD_OPT_GO),
                                     htonl(sizeof GO - 1)};
    memcpy(both, &first, sizeof first);
    memcpy(both + sizeof first, &second, sizeof second);
    memcpy(both + sizeof first + sizeof second, GO, sizeof GO - 1);
    for (size_t more = 1; more <= sizeof both - sizeof first; more++) {
        fresh_server();
        int fd = greeted(server_tls);
        is_int(send(fd, both, sizeof first + more, MSG_NOSIGNAL), (long)(sizeof first + more));
        ok(is_closed(fd), "%zu bytes behind", more);
        is_int(memory.holders, 0);
        hang_up(fd);
    }
    fresh_server(); /* the same, after the acknowledgement */
    int fd = greeted(server_tls);
    is_int(option(fd, NBD_OPT_STARTTLS, "", 0), NBD_REP_ACK);
    put_option(fd, NBD_OPT_GO, GO, sizeof GO - 1);
    char answer[64];
    ssize_t got = 0;
    settle();
    while ((got = recv(fd, answer, sizeof answer, 0)) > 0) {
        ok(got <= 7, "no NBD but an alert of TLS: %zd bytes", got);
    }
    is_text(refused_because, "it does not speak TLS 1.3");
    hang_up(fd);
}

/* --- our client --- */

struct end {
    struct nbd_client *client;
    bool ready, closed;
    struct vios_error why;
    struct nbd_client_export seen;
};

static void end_ready(void *context, const struct nbd_client_export *export)
{
    struct end *end = context;
    end->ready = true;
    end->seen = *export;
}

static void end_closed(void *context, const struct vios_error *why)
{
    struct end *end = context;
    end->closed = true;
    end->why = *why;
    nbd_client_free(end->client);
}

static int listener;
static char address[128];

static void open_end(struct end *end, struct tls_context *context, const char *node)
{
    struct nbd_client_callbacks callbacks = {end_ready, end_closed, end};
    struct vios_error error = {0};
    memset(end, 0, sizeof *end);
    ok(nbd_client_open_tls(&end->client, worker, address, MEMORY_NAME, 60000, &callbacks, context,
                           node, &error) == VIOS_OK,
       "%s", error.message);
}

static int accept_one(void)
{
    struct pollfd waiting = {.fd = listener, .events = POLLIN};
    is_int(poll(&waiting, 1, WAIT_MS), 1);
    return accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
}

static void serve_one(struct tls_context *context)
{
    struct transport *transport;
    is_int(transport_plain(&transport, accept_one(), NULL), VIOS_OK);
    nbd_server_serve_tls(server, transport, worker, context);
}

static void finish_server(void)
{
    AWAIT(nbd_server_connections(server) == 0);
    is_int(memory.holders, 0);
    nbd_server_free(server);
}

struct call {
    struct nbd_client_request request;
    uint8_t *data;
    bool done;
    int error;
};

static void call_done(struct nbd_client_request *request, int error)
{
    struct call *call = (struct call *)request;
    call->done = true;
    call->error = error;
}

/* Many large requests at once; the bytes of each are its own. */
static void transfer(struct end *end, uint16_t command)
{
    static struct call calls[BIGS];
    for (unsigned i = 0; i < BIGS; i++) {
        struct call *call = &calls[i];
        *call = (struct call){.data = malloc(BIG)};
        for (unsigned j = 0; j < BIG; j++) {
            call->data[j] = command == NBD_WRITE ? (uint8_t)(i * 7 + j * 3 + (j >> 9)) : 0;
        }
        call->request = (struct nbd_client_request){.command = command,
                                                    .offset = (uint64_t)i * BIG,
                                                    .length = BIG,
                                                    .data = call->data,
                                                    .done = call_done};
        nbd_client_submit(end->client, &call->request);
    }
    for (unsigned i = 0; i < BIGS; i++) {
        struct call *call = &calls[i];
        AWAIT(call->done);
        is_int(call->error, 0);
        ok(memcmp(call->data, memory_bytes + (size_t)i * BIG, BIG) == 0, "bytes of %u", i);
        free(call->data);
    }
}

static void ours_serves_ours(void)
{
    struct end end;
    fresh_server();
    open_end(&end, client_tls, "n1");
    serve_one(server_tls);
    AWAIT(end.ready);
    is_int(end.seen.size, MEMORY_SIZE);
    ok(end.seen.structured, "structured replies were asked for after TLS");
    transfer(&end, NBD_WRITE);
    ok(memory_bytes[BIG + 1] == 10, "it arrived: %u", memory_bytes[BIG + 1]);
    transfer(&end, NBD_READ);
    is_int(refusals, 0);
    nbd_client_close(end.client, "enough");
    finish_server();
}

/* `reason` is the client's, or the server's. */
static void fails(struct tls_context *server_context, struct tls_context *client_context,
                  const char *node, const char *reason, bool client_says)
{
    struct end end;
    fresh_server();
    snprintf(removed, sizeof removed, "%s", server_context == server_tls ? n2.serial : "");
    open_end(&end, client_context, node);
    serve_one(server_context);
    AWAIT(end.closed);
    ok(!end.ready, "not ready");
    AWAIT(refusals == 1 || client_says);
    const char *said = client_says ? end.why.message : refused_because;
    ok(strstr(said, reason) != NULL, "\"%s\", not \"%s\"", said, reason);
    is_int(end.why.code, client_says ? VIOS_E_DENIED : end.why.code);
    finish_server();
}

static void wrong_certificates_get_nothing(void)
{
    struct authority *elsewhere = make_authority("lab");
    struct test_node stranger = make_node(elsewhere, "n1");
    struct tls_context *strange = context_of(elsewhere, &stranger, NULL);
    fails(strange, client_tls, "n1", "its certificate is of another cluster", true);
    fails(server_tls, client_tls, "n1", "node n2 was removed", false);
    fails(server_tls, client_tls, "n3", "it is node n1, and not n3", true);
    tls_context_free(strange);
    free_node(&stranger);
    authority_free(elsewhere);
}

static void a_removed_nodes_connections_end(void)
{
    struct end end, other;
    struct test_node again = make_node(lab, "n2");
    struct tls_context *again_tls = context_of(lab, &again, NULL);
    fresh_server();
    open_end(&end, client_tls, "n1");
    serve_one(server_tls);
    open_end(&other, again_tls, "n1");
    serve_one(server_tls);
    AWAIT(end.ready && other.ready);
    nbd_server_recheck(server); /* nothing has changed */
    transfer(&end, NBD_READ);
    snprintf(removed, sizeof removed, "%s", n2.serial);
    nbd_server_recheck(server);
    AWAIT(end.closed);
    AWAIT(nbd_server_connections(server) == 1);
    transfer(&other, NBD_READ);
    nbd_client_close(other.client, "enough");
    finish_server();
    tls_context_free(again_tls);
    free_node(&again);
}

static void without_a_certificate_it_does_not_connect(void)
{
    struct tls_context *empty;
    struct nbd_client *client;
    struct vios_error error = {0};
    static const struct nbd_client_callbacks callbacks;
    is_int(tls_context_new(&empty, NULL, NULL, NULL), VIOS_OK);
    is_int(nbd_client_open_tls(&client, worker, address, MEMORY_NAME, 1000, &callbacks, empty, "n1",
                               &error),
           VIOS_E_LOCKED);
    is_text(error.message, "this node has no certificate yet");
    tls_context_free(empty);
}

/* --- a server, or somebody on the way, that would rather have no TLS --- */

static void stripped(const void *answer, size_t size, int code, const char *reason)
{
    struct end end;
    uint8_t said[4 + sizeof(struct nbd_wire_option)];
    struct nbd_wire_greeting greeting = {htobe64(NBD_MAGIC), htobe64(NBD_OPTION_MAGIC), htons(3)};
    struct nbd_wire_option asked;
    open_end(&end, client_tls, "n1");
    int fd = accept_one();
    put(fd, &greeting, sizeof greeting);
    ok(get(fd, said, sizeof said), "it says something");
    memcpy(&asked, said + 4, sizeof asked);
    is_int(ntohl(asked.option), NBD_OPT_STARTTLS);
    put(fd, answer, size);
    AWAIT(end.closed);
    is_int(end.why.code, code);
    ok(strstr(end.why.message, reason) != NULL, "%s", end.why.message);
    uint8_t byte;
    ok(recv(fd, &byte, 1, 0) <= 0, "and nothing more");
    close(fd);
}

static void a_client_goes_on_with_tls_or_not_at_all(void)
{
    struct nbd_wire_option_reply no = {htobe64(NBD_OPTION_REPLY_MAGIC), htonl(NBD_OPT_STARTTLS),
                                       htonl(NBD_REP_ERR_UNSUP), htonl(3)};
    struct nbd_wire_option_reply yes = {htobe64(NBD_OPTION_REPLY_MAGIC), htonl(NBD_OPT_STARTTLS),
                                        htonl(NBD_REP_ACK), 0};
    struct nbd_wire_option_reply other = {htobe64(NBD_OPTION_REPLY_MAGIC), htonl(NBD_OPT_GO),
                                          htonl(NBD_REP_ACK), 0};
    uint8_t data[2 * sizeof yes];
    memcpy(data, &no, sizeof no);
    memcpy(data + sizeof no, "nay", 3);
    stripped(data, sizeof no + 3, VIOS_E_DENIED, "it does not begin TLS (1): nay");
    stripped(&other, sizeof other, VIOS_E_IO, "is malformed");
    memcpy(data, &yes, sizeof yes); /* the answer to what the client will ask under TLS */
    memcpy(data + sizeof yes, &other, sizeof other);
    stripped(data, sizeof data, VIOS_E_IO, "more in the clear");
    stripped(data, sizeof yes + 1, VIOS_E_IO, "more in the clear");
}

/* --- nbdkit --- */

static char folder[128];

static void write_file(const char *name, const char *text)
{
    char path[200];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "w");
    ok(file && fputs(text, file) >= 0 && fclose(file) == 0, "write %s", path);
}

/* nbdkit on a socket that listens already. */
static pid_t start_nbdkit(void)
{
    char certificates[160], pid[32];
    snprintf(certificates, sizeof certificates, "--tls-certificates=%s", folder);
    pid_t child = fork();
    if (child == 0) {
        snprintf(pid, sizeof pid, "%ld", (long)getpid());
        setenv("LISTEN_PID", pid, 1);
        setenv("LISTEN_FDS", "1", 1);
        if (listener != 3) {
            dup2(listener, 3);
        } else {
            fcntl(3, F_SETFD, 0);
        }
        execlp("nbdkit", "nbdkit", "-f", "--exit-with-parent", "--tls=require", certificates,
               "--tls-verify-peer", "memory", "8M", (char *)NULL);
        _exit(127);
    }
    return child;
}

static void nbdkit_serves_us(void)
{
    struct end end;
    int status;
    pid_t probe = fork();
    if (probe == 0) {
        dup2(open("/dev/null", O_WRONLY), 1);
        execlp("nbdkit", "nbdkit", "--version", (char *)NULL);
        _exit(127);
    }
    if (waitpid(probe, &status, 0) != probe || status != 0) {
        SKIP("no nbdkit");
    }
    snprintf(folder, sizeof folder, "%s", tap_folder());
    write_file("ca-cert.pem", authority_certificate(lab));
    write_file("server-cert.pem", n1.certificate);
    write_file("server-key.pem", n1.key);
    pid_t child = start_nbdkit();
    open_end(&end, client_tls, "n1");
    AWAIT(end.ready || end.closed);
    if (ok(end.ready, "%s: %s", end.why.object, end.why.message)) {
        is_int(end.seen.size, 8 << 20);
        memset(memory_bytes, 0, sizeof memory_bytes);
        for (unsigned i = 0; i < BIGS * BIG; i++) { /* what transfer() will write */
            unsigned call = i / BIG, j = i % BIG;
            memory_bytes[i] = (uint8_t)(call * 7 + j * 3 + (j >> 9));
        }
        transfer(&end, NBD_WRITE);
        transfer(&end, NBD_READ);
        nbd_client_close(end.client, "enough");
    }
    kill(child, SIGTERM);
    is_int(waitpid(child, &status, 0), child);
    static const char *const names[] = {"ca-cert.pem", "server-cert.pem", "server-key.pem"};
    for (int i = 0; i < 3; i++) {
        char path[200];
        snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        unlink(path);
    }
    rmdir(folder);
}

int main(void)
{
    make_lab();
    server_tls = context_of(lab, &n1, allowed);
    client_tls = context_of(lab, &n2, NULL);
    is_int(worker_adopt(&worker, NULL), VIOS_OK);
    listener = transport_listen("tcp:127.0.0.1:0", NULL);
    is_int(transport_address(listener, address, sizeof address, NULL), VIOS_OK);
    RUN(nothing_is_served_before_tls);
    RUN(starttls_is_refused_where_it_cannot_be);
    RUN(plaintext_behind_starttls_ends_it);
    RUN(ours_serves_ours);
    RUN(wrong_certificates_get_nothing);
    RUN(a_removed_nodes_connections_end);
    RUN(without_a_certificate_it_does_not_connect);
    RUN(a_client_goes_on_with_tls_or_not_at_all);
    RUN(nbdkit_serves_us);
    close(listener);
    worker_abandon(worker);
    tls_context_free(server_tls);
    tls_context_free(client_tls);
    free_lab();
    return tap_done();
}
