/*
 * tls_context.c - who we are: a certificate, its key, and the authority.
 *
 * An SSL_CTX is made for each identity and never changed; a new identity replaces it, and the
 * connections that were made with the old one keep that.
 */
#include "net/certificate.h"
#include "net/tls_internal.h"

#include <openssl/x509v3.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

struct tls_context {
    tls_allowed *allowed;
    void *allowed_context;
    bool joining;
    uint8_t fingerprint[DIGEST_SIZE];
    pthread_mutex_t lock; /* of what follows */
    SSL_CTX *ssl_context; /* NULL: no identity yet */
};

/* --- settings that every connection has --- */

static bool set_up(SSL_CTX *made)
{
    X509_VERIFY_PARAM *checks = SSL_CTX_get0_param(made);
    SSL_CTX_set_options(made, SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
    SSL_CTX_set_mode(made, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                               SSL_MODE_RELEASE_BUFFERS | SSL_MODE_NO_AUTO_CHAIN);
    SSL_CTX_set_session_cache_mode(made, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_read_ahead(made, 1); /* a record's head and body in one read */
    SSL_CTX_set_verify(made, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    SSL_CTX_set_cert_verify_callback(made, tls_verify, NULL);
    X509_VERIFY_PARAM_set_depth(checks, 1); /* and its pathlen says: nobody in between */
    return SSL_CTX_set_min_proto_version(made, TLS1_3_VERSION) &&
           SSL_CTX_set_max_proto_version(made, TLS1_3_VERSION) &&
           SSL_CTX_set_num_tickets(made, 0) && SSL_CTX_set1_groups_list(made, "X25519:P-256") &&
           X509_VERIFY_PARAM_set_flags(checks, X509_V_FLAG_X509_STRICT);
}

static SSL_CTX *new_ssl_context(struct vios_error *error)
{
    SSL_CTX *made = SSL_CTX_new(TLS_method());
    if (!made || !set_up(made)) {
        SSL_CTX_free(made);
        crypto_fail(error, VIOS_E_SYSTEM, "TLS", "cannot set it up");
        return NULL;
    }
    return made;
}

/* --- an identity --- */

struct parts {
    X509 *certificate, *authority;
    EVP_PKEY *key;
};

static int invalid(struct vios_error *error, const char *what)
{
    return crypto_fail(error, VIOS_E_INVALID, "identity", what);
}

static int check_parts(const struct parts *parts, struct vios_error *error)
{
    struct certificate_facts facts;
    if (!parts->certificate || !parts->authority || !parts->key) {
        return invalid(error, "its certificate, key or authority is malformed");
    }
    if (!X509_check_ca(parts->authority)) {
        return invalid(error, "its authority is none");
    }
    if (!X509_check_private_key(parts->certificate, parts->key)) {
        return invalid(error, "its key is not that of its certificate");
    }
    EVP_PKEY *signer = X509_get0_pubkey(parts->authority);
    if (!signer || X509_verify(parts->certificate, signer) != 1) {
        return invalid(error, "its certificate is not of its authority");
    }
    return certificate_inspect(parts->certificate, &facts, error);
}

/* The authority's certificate goes along, so that who joins can find it by its fingerprint. */
static bool use_parts(SSL_CTX *made, const struct parts *parts)
{
    return X509_STORE_add_cert(SSL_CTX_get_cert_store(made), parts->authority) &&
           SSL_CTX_use_certificate(made, parts->certificate) &&
           SSL_CTX_use_PrivateKey(made, parts->key) &&
           SSL_CTX_add1_chain_cert(made, parts->authority);
}

/* A server's choice among the protocols that a client names. */
static int choose_protocol(SSL *ssl, const unsigned char **chosen, unsigned char *chosen_size,
                           const unsigned char *offered, unsigned size, void *unused)
{
    (void)unused;
    const struct tls *tls = SSL_get_app_data(ssl);
    for (const char *const *one = tls->protocols; one && *one; one++) {
        size_t length = strlen(*one);
        for (unsigned at = 0; at < size; at += 1u + offered[at]) {
            if (offered[at] != length || at + 1 + length > size ||
                memcmp(offered + at + 1, *one, length) != 0) {
                continue;
            }
            *chosen = offered + at + 1;
            *chosen_size = offered[at];
            if (strcmp(*one, TLS_JOIN) == 0 || strcmp(*one, TLS_EVENT) == 0) { /* it has none */
                SSL_set_verify(ssl, SSL_VERIFY_NONE, NULL);
            }
            return SSL_TLSEXT_ERR_OK;
        }
    }
    return SSL_TLSEXT_ERR_ALERT_FATAL;
}

static SSL_CTX *make_ssl_context(const struct parts *parts, struct vios_error *error)
{
    SSL_CTX *made = new_ssl_context(error);
    if (made && !use_parts(made, parts)) {
        crypto_fail(error, VIOS_E_INVALID, "identity", "it cannot be used");
        SSL_CTX_free(made);
        made = NULL;
    }
    if (made) {
        SSL_CTX_set_alpn_select_cb(made, choose_protocol, NULL);
    }
    return made;
}

int tls_context_set(struct tls_context *context, const struct tls_identity *identity,
                    struct vios_error *error)
{
    if (context->joining) {
        return error_set(error, VIOS_E_USAGE, "identity", NULL, "a node that joins has none");
    }
    struct parts parts = {.certificate = certificate_open(identity->certificate),
                          .authority = certificate_open(identity->authority),
                          .key = certificate_open_key(identity->key, NULL)};
    struct vios_error here = {0};
    int status = check_parts(&parts, &here);
    SSL_CTX *made = status == VIOS_OK ? make_ssl_context(&parts, &here) : NULL;
    if (made) {
        pthread_mutex_lock(&context->lock);
        SSL_CTX *old = context->ssl_context;
        context->ssl_context = made;
        pthread_mutex_unlock(&context->lock);
        SSL_CTX_free(old);
    } else if (error) {
        *error = here;
    }
    X509_free(parts.certificate);
    X509_free(parts.authority);
    EVP_PKEY_free(parts.key);
    return made ? VIOS_OK : here.code;
}

/* --- the context --- */

int tls_context_new(struct tls_context **out, tls_allowed *allowed, void *allowed_context,
                    struct vios_error *error)
{
    struct tls_context *context = calloc(1, sizeof *context);
    if (!context) {
        return error_set(error, VIOS_E_NO_SPACE, NULL, NULL, "no memory for TLS");
    }
    context->allowed = allowed;
    context->allowed_context = allowed_context;
    pthread_mutex_init(&context->lock, NULL);
    *out = context;
    return VIOS_OK;
}

int tls_context_new_joining(struct tls_context **out, const char *fingerprint,
                            struct vios_error *error)
{
    uint8_t digest[DIGEST_SIZE];
    *out = NULL;
    if (!crypto_unhex(fingerprint, digest, sizeof digest)) {
        return error_set(error, VIOS_E_INVALID, "fingerprint", NULL,
                         "it is no SHA-256 in lower-case hex");
    }
    struct tls_context *context = NULL;
    int status = tls_context_new(&context, NULL, NULL, error);
    if (status != VIOS_OK) {
        return status;
    }
    context->joining = true;
    memcpy(context->fingerprint, digest, sizeof digest);
    context->ssl_context = new_ssl_context(error);
    if (!context->ssl_context) {
        tls_context_free(context);
        return VIOS_E_SYSTEM;
    }
    *out = context;
    return VIOS_OK;
}

void tls_context_free(struct tls_context *context)
{
    if (context) {
        SSL_CTX_free(context->ssl_context);
        pthread_mutex_destroy(&context->lock);
        free(context);
    }
}

bool tls_context_ready(struct tls_context *context)
{
    pthread_mutex_lock(&context->lock);
    bool ready = context->ssl_context != NULL;
    pthread_mutex_unlock(&context->lock);
    return ready;
}

int tls_context_allowed(struct tls_context *context, const char *node, const char *serial,
                        struct vios_error *error)
{
    return context->allowed ? context->allowed(context->allowed_context, node, serial, error)
                            : VIOS_OK;
}

const uint8_t *tls_context_fingerprint(const struct tls_context *context)
{
    return context->joining ? context->fingerprint : NULL;
}

SSL *tls_context_open(struct tls_context *context, struct vios_error *error)
{
    pthread_mutex_lock(&context->lock);
    SSL_CTX *made = context->ssl_context;
    SSL *ssl = made ? SSL_new(made) : NULL;
    pthread_mutex_unlock(&context->lock);
    if (!made) {
        error_set(error, VIOS_E_LOCKED, "TLS", NULL, "this node has no certificate yet");
    } else if (!ssl) {
        crypto_fail(error, VIOS_E_NO_SPACE, "TLS", "cannot begin a connection");
    }
    return ssl;
}
