/*
 * tls.c - the TLS transport. See tls.h.
 *
 * Small pieces are gathered into whole records of 16 KiB, so that a request's head and its page
 * leave as one. OpenSSL encrypts a record before it sends it. When the socket is full it must be
 * called again for the same record, so what was offered stays in `record`; the caller is told that
 * nothing was taken, and offers the same bytes again, perhaps cut otherwise. A connection that has
 * nothing to send has no `record`: there may be ten thousand of them.
 */
#include "net/tls_internal.h"

#include <assert.h>
#include <errno.h>
#include <openssl/err.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define LEFTOVERS_MAX 16 /* reads of what a refused peer still sent, before closing */

static struct tls *tls_of(const struct transport *transport)
{
    return (struct tls *)transport;
}

/* --- OpenSSL's view of the socket: as its own, but never raising SIGPIPE --- */

static int socket_write(BIO *bio, const char *data, int size)
{
    struct tls *tls = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    ssize_t sent = send(tls->transport.fd, data, (size_t)size, MSG_NOSIGNAL);
    if (sent < 0 && (errno == EAGAIN || errno == EINTR)) {
        BIO_set_retry_write(bio); /* EAGAIN also while connecting is under way */
    }
    return (int)sent;
}

static int socket_read(BIO *bio, char *data, int size)
{
    struct tls *tls = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    ssize_t got = recv(tls->transport.fd, data, (size_t)size, 0);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) {
        BIO_set_retry_read(bio);
    }
    tls->ended = got == 0;
    return (int)got;
}

static long socket_control(BIO *bio, int what, long number, void *pointer)
{
    (void)number;
    (void)pointer;
    const struct tls *tls = BIO_get_data(bio);
    return what == BIO_CTRL_FLUSH || (what == BIO_CTRL_EOF && tls->ended);
}

static int socket_create(BIO *bio)
{
    BIO_set_init(bio, 1);
    return 1;
}

static BIO_METHOD *socket_method;

static void make_socket_method(void)
{
    BIO_METHOD *made = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "vios socket");
    if (made && BIO_meth_set_write(made, socket_write) && BIO_meth_set_read(made, socket_read) &&
        BIO_meth_set_ctrl(made, socket_control) && BIO_meth_set_create(made, socket_create)) {
        socket_method = made; /* for the rest of the process */
    }
}

static bool use_socket(struct tls *tls)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, make_socket_method);
    BIO *bio = socket_method ? BIO_new(socket_method) : NULL;
    if (bio) {
        BIO_set_data(bio, tls);
        SSL_set_bio(tls->ssl, bio, bio);
    }
    return bio != NULL;
}

/* --- what went wrong --- */

/* An alert that the peer sent about us. */
static const char *refusal(int reason)
{
    switch (reason) {
    case SSL_R_SSLV3_ALERT_CERTIFICATE_REVOKED:
        return "it does not know, or no longer, this node's certificate";
    case SSL_R_SSLV3_ALERT_CERTIFICATE_EXPIRED:
        return "it says that this node's certificate is not valid now";
    case SSL_R_TLSV1_ALERT_UNKNOWN_CA:
        return "it is of another cluster, and refuses this node's certificate";
    case SSL_R_TLSV13_ALERT_CERTIFICATE_REQUIRED:
        return "it wants a certificate";
    case SSL_R_SSLV3_ALERT_BAD_CERTIFICATE:
    case SSL_R_SSLV3_ALERT_UNSUPPORTED_CERTIFICATE:
    case SSL_R_SSLV3_ALERT_CERTIFICATE_UNKNOWN:
    case SSL_R_SSLV3_ALERT_HANDSHAKE_FAILURE:
    case SSL_R_TLSV1_ALERT_ACCESS_DENIED:
        return "it refuses this node's certificate";
    case SSL_R_TLSV1_ALERT_NO_APPLICATION_PROTOCOL:
        return "it speaks none of our protocols on this port";
    default:
        return NULL;
    }
}

static int set_why(struct tls *tls, int code, const char *what)
{
    ERR_clear_error();
    return error_set(&tls->why, code, tls->address, NULL, "%s", what);
}

static int protocol_failed(struct tls *tls)
{
    int reason = ERR_GET_REASON(ERR_peek_error());
    const char *refused = refusal(reason);
    if (refused) {
        return set_why(tls, VIOS_E_DENIED, refused);
    }
    switch (reason) {
    case SSL_R_UNEXPECTED_EOF_WHILE_READING:
        return set_why(tls, VIOS_E_IO,
                       tls->established ? "the connection was cut off"
                                        : "the connection was cut off during the handshake");
    case SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE:
        return set_why(tls, VIOS_E_DENIED, "it has no certificate");
    case SSL_R_HTTP_REQUEST:
    case SSL_R_HTTPS_PROXY_REQUEST:
    case SSL_R_WRONG_VERSION_NUMBER:
    case SSL_R_UNSUPPORTED_PROTOCOL:
    case SSL_R_TLSV1_ALERT_PROTOCOL_VERSION:
    case SSL_R_UNEXPECTED_MESSAGE:
    case SSL_R_PACKET_LENGTH_TOO_LONG:
    case SSL_R_BAD_RECORD_TYPE:
        return set_why(tls, VIOS_E_INVALID, "it does not speak TLS 1.3");
    case SSL_R_NO_APPLICATION_PROTOCOL:
        return set_why(tls, VIOS_E_DENIED, "it asks for a protocol that is not spoken here");
    default:
        return crypto_fail(&tls->why, VIOS_E_IO, tls->address, "TLS failed");
    }
}

/* After a call that returned `result` <= 0. VIOS_OK: it would block, and `wants` says on what
 * beside `usual`. */
static int failed(struct tls *tls, int result, uint32_t usual)
{
    int saved = errno;
    uint32_t needs = 0;
    switch (SSL_get_error(tls->ssl, result)) {
    case SSL_ERROR_WANT_READ:
        needs = EPOLLIN;
        break;
    case SSL_ERROR_WANT_WRITE:
        needs = EPOLLOUT;
        break;
    case SSL_ERROR_ZERO_RETURN:
        return set_why(tls, VIOS_E_UNREACHABLE, "it closed the connection");
    case SSL_ERROR_SYSCALL:
        return set_why(tls, VIOS_E_UNREACHABLE, saved ? strerror(saved) : "the connection is lost");
    default:
        if (tls->why.code != VIOS_OK) { /* tls_verify has said it better */
            ERR_clear_error();
            return tls->why.code;
        }
        return protocol_failed(tls);
    }
    tls->wants = needs == usual ? 0 : needs;
    return VIOS_OK;
}

/* --- the handshake --- */

/* The protocol is what both agreed on. */
static int agree(struct tls *tls)
{
    const unsigned char *name;
    unsigned size;
    SSL_get0_alpn_selected(tls->ssl, &name, &size);
    const char *const one[] = {tls->protocol, NULL};
    for (const char *const *mine = tls->server ? tls->protocols : one; *mine; mine++) {
        bool same = size == strlen(*mine) && memcmp(name, *mine, size) == 0;
        if (same || (size == 0 && strcmp(*mine, TLS_NBD) == 0)) {
            snprintf(tls->peer.protocol, sizeof tls->peer.protocol, "%s", *mine);
            return VIOS_OK;
        }
    }
    return set_why(tls, VIOS_E_DENIED,
                   size ? "it chose a protocol that was not offered" : "it names no protocol");
}

static int handshake(struct transport *transport, bool *done)
{
    struct tls *tls = tls_of(transport);
    *done = tls->established;
    if (tls->why.code != VIOS_OK || tls->established) {
        return tls->why.code;
    }
    if (!tls->address[0]) { /* it has none while connecting is under way */
        (void)transport_peer_address(transport->fd, tls->address, sizeof tls->address, NULL);
    }
    ERR_clear_error();
    errno = 0;
    int result = SSL_do_handshake(tls->ssl);
    if (result != 1) {
        return failed(tls, result, 0);
    }
    int status = agree(tls);
    if (status == VIOS_OK) {
        tls->wants = 0;
        tls->established = *done = true;
    }
    return status;
}

/* --- bytes --- */

static int tls_read(struct transport *transport, void *data, size_t size, size_t *done)
{
    struct tls *tls = tls_of(transport);
    bool ready;
    *done = 0;
    int status = handshake(transport, &ready);
    if (status != VIOS_OK || !ready) {
        return status;
    }
    ERR_clear_error();
    errno = 0;
    int result = SSL_read_ex(tls->ssl, data, size, done);
    tls->starved = result != 1;
    if (result == 1) {
        tls->wants = 0;
        return VIOS_OK;
    }
    *done = 0;
    return failed(tls, result, EPOLLIN);
}

/* Copies up to a record's bytes from behind the first `skip` of the parts. */
static size_t gather(uint8_t *record, const struct iovec *parts, int count, size_t skip)
{
    size_t size = 0;
    for (int i = 0; i < count && size < TLS_RECORD_SIZE; i++) {
        if (skip >= parts[i].iov_len) {
            skip -= parts[i].iov_len;
            continue;
        }
        size_t length = parts[i].iov_len - skip;
        length = length < TLS_RECORD_SIZE - size ? length : TLS_RECORD_SIZE - size;
        memcpy(record + size, (const uint8_t *)parts[i].iov_base + skip, length);
        size += length;
        skip = 0;
    }
    return size;
}

static void forget_record(struct tls *tls)
{
    if (tls->record) {
        OPENSSL_cleanse(tls->record, tls->filled);
        free(tls->record);
        tls->record = NULL;
        tls->filled = 0;
    }
}

static bool make_record(struct tls *tls)
{
    if (!tls->record && !(tls->record = malloc(TLS_RECORD_SIZE))) {
        set_why(tls, VIOS_E_NO_SPACE, "no memory for what is to be sent");
    }
    return tls->record != NULL;
}

/* The next record's bytes where they lie, when they lie in one of the parts as a whole. */
static const uint8_t *find_whole(const struct iovec *parts, int count, size_t skip, size_t size)
{
    for (int i = 0; i < count; i++) {
        if (skip < parts[i].iov_len) {
            bool whole = parts[i].iov_len - skip >= size;
            return whole ? (const uint8_t *)parts[i].iov_base + skip : NULL;
        }
        skip -= parts[i].iov_len;
    }
    return NULL;
}

/* Which bytes OpenSSL is given next: those that wait, or those from behind the first `done` of the
 * parts. NULL: no memory. */
static const uint8_t *next_record(struct tls *tls, const struct iovec *parts, int count,
                                  size_t done, size_t total)
{
    if (tls->offered > 0) {
        return tls->record;
    }
    size_t size = total - done < TLS_RECORD_SIZE ? total - done : TLS_RECORD_SIZE;
    const uint8_t *whole = find_whole(parts, count, done, size);
    if (!whole && make_record(tls)) {
        size = gather(tls->record, parts, count, done);
        tls->filled = size > tls->filled ? size : tls->filled;
        whole = tls->record;
    }
    tls->offered = whole ? size : 0;
    return whole;
}

/* OpenSSL has encrypted them, and will be called again: but the caller may offer fewer. */
static int keep(struct tls *tls, const uint8_t *data)
{
    if (data != tls->record) {
        if (!make_record(tls)) {
            return tls->why.code;
        }
        memcpy(tls->record, data, tls->offered);
        tls->filled = tls->offered;
    }
    return VIOS_OK;
}

/* Sends one record. *sent 0: the socket is full. */
static int send_record(struct tls *tls, const uint8_t *data, size_t *sent)
{
    *sent = 0;
    if (!data) {
        return tls->why.code;
    }
    ERR_clear_error();
    errno = 0;
    int result = SSL_write_ex(tls->ssl, data, tls->offered, sent);
    if (result != 1) {
        *sent = 0;
        int status = failed(tls, result, EPOLLOUT);
        return status == VIOS_OK ? keep(tls, data) : status;
    }
    assert(*sent == tls->offered); /* a record is sent whole, or kept */
    tls->offered = 0;
    tls->wants = 0;
    return VIOS_OK;
}

/* Bytes that have gone already, though the caller was not told of them. */
static void take_sent_ahead(struct tls *tls, size_t total, size_t *done)
{
    size_t known = tls->sent_ahead < total - *done ? tls->sent_ahead : total - *done;
    *done += known;
    tls->sent_ahead -= known;
}

static int tls_write(struct transport *transport, const struct iovec *parts, int count,
                     size_t *done)
{
    struct tls *tls = tls_of(transport);
    bool ready;
    size_t total = 0, sent = 1;
    *done = 0;
    for (int i = 0; i < count; i++) {
        total += parts[i].iov_len;
    }
    int status = handshake(transport, &ready);
    if (status != VIOS_OK || !ready) {
        return status;
    }
    take_sent_ahead(tls, total, done);
    while (status == VIOS_OK && *done < total && sent > 0) {
        status = send_record(tls, next_record(tls, parts, count, *done, total), &sent);
        tls->sent_ahead = sent;
        take_sent_ahead(tls, total, done);
    }
    if (tls->offered == 0) {
        forget_record(tls);
    }
    return *done > 0 ? VIOS_OK : status; /* a failure is said again by the next call */
}

static uint32_t tls_wants(const struct transport *transport)
{
    return tls_of(transport)->wants;
}

static bool tls_pending(const struct transport *transport)
{
    const struct tls *tls = tls_of(transport);
    return tls->established && !tls->starved && tls->why.code == VIOS_OK &&
           SSL_has_pending(tls->ssl);
}

static const struct transport_peer *tls_peer(const struct transport *transport)
{
    return tls_of(transport)->established ? &tls_of(transport)->peer : NULL;
}

static const struct vios_error *tls_why(const struct transport *transport)
{
    return &tls_of(transport)->why;
}

/* Closing a socket with bytes unread resets it, and the alert that says why would be lost. */
static void read_leftovers(int fd)
{
    char data[4096];
    (void)shutdown(fd, SHUT_WR);
    for (int i = 0; i < LEFTOVERS_MAX && recv(fd, data, sizeof data, MSG_DONTWAIT) > 0; i++) {
    }
}

static void tls_close(struct transport *transport)
{
    struct tls *tls = tls_of(transport);
    if (!tls) {
        return;
    }
    ERR_clear_error();
    if (tls->established && tls->why.code == VIOS_OK && tls->offered == 0) {
        (void)SSL_shutdown(tls->ssl); /* close_notify, if there is room for it */
    } else if (tls->why.code == VIOS_E_DENIED) {
        read_leftovers(transport->fd);
    }
    ERR_clear_error();
    SSL_free(tls->ssl);
    close(transport->fd);
    forget_record(tls);
    free(tls);
}

static const struct transport_operations TLS = {
    .read = tls_read,
    .write = tls_write,
    .wants = tls_wants,
    .pending = tls_pending,
    .close = tls_close,
    .handshake = handshake,
    .peer = tls_peer,
    .why = tls_why,
};

/* --- making --- */

static int tls_new(struct tls **out, int fd, struct tls_context *context, struct vios_error *error)
{
    struct transport *plain; /* makes the socket what it must be */
    int status = transport_plain(&plain, fd, error);
    if (status != VIOS_OK) {
        return status;
    }
    fd = transport_detach(plain);
    struct tls *tls = calloc(1, sizeof *tls);
    struct vios_error here = {0};
    if (!tls) {
        error_set(&here, VIOS_E_NO_SPACE, NULL, NULL, "no memory for a connection");
    } else if ((tls->ssl = tls_context_open(context, &here)) && !use_socket(tls)) {
        crypto_fail(&here, VIOS_E_NO_SPACE, "TLS", "cannot begin a connection");
    }
    if (here.code != VIOS_OK) {
        if (tls) {
            SSL_free(tls->ssl);
        }
        free(tls);
        close(fd);
        if (error) {
            *error = here;
        }
        return here.code;
    }
    tls->transport = (struct transport){.operations = &TLS, .fd = fd};
    tls->context = context;
    SSL_set_app_data(tls->ssl, tls);
    *out = tls;
    return VIOS_OK;
}

int transport_tls_server(struct transport **transport, int fd, struct tls_context *context,
                         const char *const *protocols, struct vios_error *error)
{
    struct tls *tls;
    assert(!tls_context_fingerprint(context));
    int status = tls_new(&tls, fd, context, error);
    if (status != VIOS_OK) {
        return status;
    }
    tls->server = true;
    tls->protocols = protocols;
    tls->wants = EPOLLIN;
    SSL_set_accept_state(tls->ssl);
    *transport = &tls->transport;
    return VIOS_OK;
}

int transport_tls_client(struct transport **transport, int fd, struct tls_context *context,
                         const char *protocol, const char *node, struct vios_error *error)
{
    struct tls *tls;
    unsigned char offered[1 + sizeof tls->protocol];
    size_t length = strlen(protocol);
    assert(length < sizeof tls->protocol);
    /* Who has no certificate may only join, and who has one need not. */
    assert((tls_context_fingerprint(context) != NULL) == (strcmp(protocol, TLS_JOIN) == 0));
    int status = tls_new(&tls, fd, context, error);
    if (status != VIOS_OK) {
        return status;
    }
    snprintf(tls->protocol, sizeof tls->protocol, "%s", protocol);
    snprintf(tls->node, sizeof tls->node, "%s", node ? node : "");
    offered[0] = (unsigned char)length;
    memcpy(offered + 1, protocol, length);
    tls->wants = EPOLLOUT;
    SSL_set_connect_state(tls->ssl);
    if (SSL_set_alpn_protos(tls->ssl, offered, (unsigned)length + 1) != 0) {
        tls_close(&tls->transport);
        return crypto_fail(error, VIOS_E_NO_SPACE, "TLS", "cannot name the protocol");
    }
    *transport = &tls->transport;
    return VIOS_OK;
}

static int finish_handshake(struct transport *transport, struct operation *operation)
{
    bool done = false;
    int status = VIOS_OK;
    for (;;) {
        status = transport_handshake(transport, &done);
        if (status != VIOS_OK) {
            return transport_why(transport, status, &operation->error);
        }
        if (done) {
            return VIOS_OK;
        }
        bool output = transport->operations->wants(transport) & EPOLLOUT;
        status = operation_wait(operation, transport->fd, output ? POLLOUT : POLLIN);
        if (status != VIOS_OK) {
            return status;
        }
    }
}

int transport_tls_connect(struct transport **out, const char *address, struct tls_context *context,
                          const char *protocol, const char *node, struct operation *operation)
{
    struct transport *transport;
    int fd = transport_connect(address, operation);
    if (fd < 0) {
        return fd;
    }
    int status = transport_tls_client(&transport, fd, context, protocol, node, &operation->error);
    if (status != VIOS_OK) {
        return status;
    }
    status = finish_handshake(transport, operation);
    if (status != VIOS_OK) {
        transport->operations->close(transport);
        return status;
    }
    *out = transport;
    return VIOS_OK;
}
