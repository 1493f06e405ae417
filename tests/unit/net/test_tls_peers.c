/*
 * test_tls_peers.c - TLS with somebody else at the other end: clients that leave out what ours
 * never do (OpenSSL's library used by hand), and `openssl s_client` and `openssl s_server`.
 */
#include "tests/unit/net/tls_pair.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <sys/wait.h>

/* --- clients by hand --- */

struct raw {
    const struct test_node *node; /* NULL: no certificate */
    const char *protocol;         /* with its length in front; NULL: none */
    int version;                  /* the highest */
};

static SSL *raw_open(const struct raw *raw, int fd)
{
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    SSL_CTX_set_max_proto_version(context, raw->version);
    SSL *ssl = SSL_new(context);
    SSL_CTX_free(context);
    if (raw->node) {
        BIO *bio = BIO_new_mem_buf(raw->node->certificate, -1);
        X509 *certificate = PEM_read_bio_X509(bio, NULL, NULL, NULL);
        BIO_free(bio);
        bio = BIO_new_mem_buf(raw->node->key, -1);
        EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL);
        BIO_free(bio);
        ok(SSL_use_certificate(ssl, certificate) && SSL_use_PrivateKey(ssl, key), "identity");
        X509_free(certificate);
        EVP_PKEY_free(key);
    }
    if (raw->protocol) {
        SSL_set_alpn_protos(ssl, (const unsigned char *)raw->protocol,
                            (unsigned)strlen(raw->protocol));
    }
    SSL_set_fd(ssl, fd);
    SSL_set_connect_state(ssl);
    return ssl;
}

/* What the server makes of it; its reason in `reason`. */
static int meet(const struct raw *raw, const char *const *protocols, char reason[400])
{
    struct pair pair = pair_sockets();
    struct transport_peer peer = {0};
    bool done = false;
    int status = VIOS_OK;
    pair.server_context = context_of(lab, &n1, NULL);
    is_int(transport_tls_server(&pair.server, pair.fds[0], pair.server_context, protocols, NULL),
           VIOS_OK);
    SSL *ssl = raw_open(raw, pair.fds[1]);
    for (int i = 0; i < TURNS_MAX && status == VIOS_OK && !done; i++) {
        (void)SSL_do_handshake(ssl);
        ERR_clear_error();
        status = transport_handshake(pair.server, &done);
    }
    if (done) {
        peer = *transport_peer(pair.server);
        (void)SSL_do_handshake(ssl);
        ok(SSL_get_session(ssl) && !SSL_SESSION_has_ticket(SSL_get_session(ssl)), "no ticket");
    }
    snprintf(reason, 400, "%s", done ? peer.protocol : why(pair.server));
    SSL_free(ssl);
    close(pair.fds[1]);
    pair_close(&pair);
    return status;
}

static void who_leaves_out_something_is_refused(void)
{
    struct authority *elsewhere = make_authority("lab");
    struct test_node stranger = make_node(elsewhere, "n2");
    static const char *const all[] = {"rpc", "event", "join", NULL};
    static const char *const nbd[] = {"nbd", NULL};
    const struct {
        struct raw raw;
        const char *const *protocols;
        int status;
        const char *reason;
    } rows[] = {
        {{&n2, "\3rpc", TLS1_3_VERSION}, all, VIOS_OK, "rpc"},
        {{NULL, "\3rpc", TLS1_3_VERSION}, all, VIOS_E_DENIED, "it has no certificate"},
        {{NULL, "\3foo\3rpc", TLS1_3_VERSION}, all, VIOS_E_DENIED, "it has no certificate"},
        {{NULL, "\4join", TLS1_3_VERSION}, all, VIOS_OK, "join"},
        /* the server's first choice counts: rpc, and that wants a certificate */
        {{NULL, "\4join\3rpc", TLS1_3_VERSION}, all, VIOS_E_DENIED, "it has no certificate"},
        {{NULL, "\4join", TLS1_3_VERSION}, RPC_ONLY, VIOS_E_DENIED, "not spoken here"},
        {{&n2, NULL, TLS1_3_VERSION}, all, VIOS_E_DENIED, "it names no protocol"},
        {{NULL, NULL, TLS1_3_VERSION}, all, VIOS_E_DENIED, "it has no certificate"},
        {{&n2, NULL, TLS1_3_VERSION}, nbd, VIOS_OK, "nbd"},
        {{NULL, NULL, TLS1_3_VERSION}, nbd, VIOS_E_DENIED, "it has no certificate"},
        {{&n2, "\3rpc", TLS1_3_VERSION}, nbd, VIOS_E_DENIED, "not spoken here"},
        {{&n2, "\3rpc", TLS1_2_VERSION}, all, VIOS_E_INVALID, "it does not speak TLS 1.3"},
        {{&stranger, "\3rpc", TLS1_3_VERSION}, all, VIOS_E_DENIED, "is of another cluster"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char reason[400];
        int status = meet(&rows[i].raw, rows[i].protocols, reason);
        ok(status == rows[i].status && strstr(reason, rows[i].reason), "row %zu: %d, %s", i, status,
           reason);
    }
    free_node(&stranger);
    authority_free(elsewhere);
}

/* --- the openssl program --- */

static char paths[4][128]; /* ca.pem, cert.pem, key.pem, s.sock */

static void write_file(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");
    ok(file && fputs(text, file) >= 0 && fclose(file) == 0, "write %s", path);
}

static void write_identity(const struct test_node *node)
{
    static const char *const names[] = {"ca.pem", "cert.pem", "key.pem", "s.sock"};
    for (int i = 0; i < 4; i++) {
        snprintf(paths[i], sizeof paths[i], "%s/%s", tap_folder(), names[i]);
    }
    write_file(paths[0], authority_certificate(lab));
    write_file(paths[1], node->certificate);
    write_file(paths[2], node->key);
}

static void remove_files(void)
{
    for (int i = 0; i < 4; i++) {
        unlink(paths[i]);
    }
}

/* Starts `openssl`; `pipes` get its input and output. */
static pid_t run_openssl(const char *const *words, int pipes[2])
{
    int in[2], out[2];
    is_int(pipe2(in, O_CLOEXEC) | pipe2(out, O_CLOEXEC), 0);
    pid_t child = fork();
    if (child == 0) {
        dup2(in[0], 0);
        dup2(out[1], 1);
        dup2(open("/dev/null", O_WRONLY), 2);
        execvp("openssl", (char *const *)words);
        _exit(127);
    }
    close(in[0]);
    close(out[1]);
    pipes[0] = in[1];
    pipes[1] = out[0];
    return child;
}

/* Reads until `wanted` and the end of its line have come, or the end; the rest of that line. */
static bool read_until(int fd, const char *wanted, char rest[64])
{
    char text[8192] = "";
    size_t used = 0;
    ssize_t got = 1;
    const char *found = NULL;
    while (!(found && strchr(found, '\n')) && got > 0) {
        got = read(fd, text + used, sizeof text - 1 - used);
        used += got > 0 ? (size_t)got : 0;
        text[used] = 0;
        found = strstr(text, wanted);
    }
    if (found && rest) {
        found += strlen(wanted);
        snprintf(rest, 64, "%.*s", (int)strcspn(found, "\n"), found);
    }
    return found != NULL;
}

static bool have_openssl(void)
{
    static const char *const words[] = {"openssl", "version", NULL};
    int pipes[2], status;
    pid_t child = run_openssl(words, pipes);
    bool there = read_until(pipes[1], "OpenSSL", NULL);
    close(pipes[0]);
    close(pipes[1]);
    return waitpid(child, &status, 0) == child && there;
}

/* Reads through the transport until `wanted`, waiting as it says. */
static bool transport_until(struct transport *transport, const char *wanted)
{
    char text[256] = "";
    size_t used = 0, done;
    struct operation operation;
    operation_start(&operation, 20000, NULL);
    while (!strstr(text, wanted) && used < sizeof text - 1) {
        if (transport->operations->read(transport, text + used, sizeof text - 1 - used, &done) !=
            VIOS_OK) {
            ok(false, "read: %s", why(transport));
            return false;
        }
        used += done;
        if (done == 0 && operation_wait(&operation, transport->fd, POLLIN) != VIOS_OK) {
            return false;
        }
    }
    return strstr(text, wanted) != NULL;
}

static void s_client_is_served(void)
{
    if (!have_openssl()) {
        SKIP("no openssl program");
    }
    int pipes[2], status;
    write_identity(&n2);
    char address[160];
    snprintf(address, sizeof address, "unix:%s", paths[3]);
    int listener = transport_listen(address, NULL);
    const char *const words[] = {"openssl", "s_client", "-unix",   paths[3],
                                 "-cert",   paths[1],   "-key",    paths[2],
                                 "-CAfile", paths[0],   "-verify", "1",
                                 "-alpn",   "rpc",      "-quiet",  "-verify_return_error",
                                 NULL};
    pid_t child = run_openssl(words, pipes);
    struct pollfd waiting = {.fd = listener, .events = POLLIN};
    is_int(poll(&waiting, 1, 20000), 1);
    struct pair pair = {.server_context = context_of(lab, &n1, NULL)};
    is_int(transport_tls_server(&pair.server, accept(listener, NULL, NULL), pair.server_context,
                                RPC_ONLY, NULL),
           VIOS_OK);
    is_int(write(pipes[0], "hello\n", 6), 6);
    ok(transport_until(pair.server, "hello\n"), "it says hello");
    is_text(transport_peer(pair.server)->node, "n2");
    is_int(put(pair.server, "world\n", 6), 6);
    ok(read_until(pipes[1], "world", NULL), "it hears world");
    pair_close(&pair);
    close(pipes[0]);
    close(pipes[1]);
    close(listener);
    is_int(waitpid(child, &status, 0), child);
    ok(WIFEXITED(status) && WEXITSTATUS(status) == 0, "status %d", status);
    remove_files();
}

static void s_server_is_asked(void)
{
    if (!have_openssl()) {
        SKIP("no openssl program");
    }
    int pipes[2], status;
    write_identity(&n1);
    char address[64 + 8] = "tcp:";
    const char *const words[] = {"openssl", "s_server", "-accept", "127.0.0.1:0",
                                 "-cert",   paths[1],   "-key",    paths[2],
                                 "-CAfile", paths[0],   "-Verify", "1",
                                 "-alpn",   "rpc",      "-rev",    "-verify_return_error",
                                 NULL};
    pid_t child = run_openssl(words, pipes);
    ok(read_until(pipes[1], "ACCEPT ", address + 4), "it listens");
    struct tls_context *context = context_of(lab, &n2, NULL);
    struct transport *transport;
    struct operation operation;
    operation_start(&operation, 20000, NULL);
    is_int(transport_tls_connect(&transport, address, context, "rpc", "n3", &operation),
           VIOS_E_DENIED);
    is_text(operation.error.message, "it is node n1, and not n3");
    if (ok(transport_tls_connect(&transport, address, context, "rpc", "n1", &operation) == VIOS_OK,
           "%s", operation.error.message)) {
        is_int(put(transport, "hello\n", 6), 6);
        ok(transport_until(transport, "olleh\n"), "it answers");
        transport->operations->close(transport);
    }
    tls_context_free(context);
    kill(child, SIGTERM);
    is_int(waitpid(child, &status, 0), child);
    close(pipes[0]);
    close(pipes[1]);
    remove_files();
}

int main(void)
{
    signal(SIGPIPE, SIG_IGN);
    make_lab();
    RUN(who_leaves_out_something_is_refused);
    RUN(s_client_is_served);
    RUN(s_server_is_asked);
    rmdir(tap_folder());
    free_lab();
    return tap_done();
}
