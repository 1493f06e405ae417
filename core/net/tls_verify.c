/*
 * tls_verify.c - who they are: the one place where a peer's certificate is looked at.
 *
 * It is called by OpenSSL within the handshake, instead of OpenSSL's own check, which it starts
 * with. The errors set at the end choose the alert that the peer gets.
 */
#include "net/certificate.h"
#include "net/tls_internal.h"

#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <string.h>

static int refuse(struct tls *tls, const char *what, const char *detail)
{
    return error_set(&tls->why, VIOS_E_DENIED, tls->address, NULL, "%s%s", what, detail);
}

/* Of what the server sent, the certificate with the fingerprint in our token. NULL: none. */
static X509 *find_authority(X509_STORE_CTX *store, const uint8_t *fingerprint)
{
    const STACK_OF(X509) *sent = X509_STORE_CTX_get0_untrusted(store);
    for (int i = 0; i < sk_X509_num(sent); i++) {
        unsigned char digest[EVP_MAX_MD_SIZE];
        unsigned size = 0;
        X509 *one = sk_X509_value(sent, i);
        if (X509_digest(one, EVP_sha256(), digest, &size) && size == DIGEST_SIZE &&
            memcmp(digest, fingerprint, DIGEST_SIZE) == 0) {
            return one;
        }
    }
    return NULL;
}

static int explain(struct tls *tls, int problem)
{
    switch (problem) {
    case X509_V_ERR_CERT_NOT_YET_VALID:
        return refuse(tls, "its certificate is not valid yet: compare the clocks", "");
    case X509_V_ERR_CERT_HAS_EXPIRED:
        return refuse(tls, "its certificate has expired", "");
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
    case X509_V_ERR_CERT_SIGNATURE_FAILURE:
        return refuse(tls, "its certificate is of another cluster", "");
    default:
        return refuse(tls, "its certificate is refused: ", X509_verify_cert_error_string(problem));
    }
}

/* The chain, up to the one authority that is trusted. */
static int check_chain(struct tls *tls, X509_STORE_CTX *store)
{
    const uint8_t *fingerprint = tls_context_fingerprint(tls->context);
    if (!fingerprint) {
        return X509_verify_cert(store) == 1 ? VIOS_OK
                                            : explain(tls, X509_STORE_CTX_get_error(store));
    }
    X509 *authority = find_authority(store, fingerprint);
    STACK_OF(X509) *trusted = authority ? sk_X509_new_null() : NULL;
    if (!trusted || !sk_X509_push(trusted, authority)) {
        sk_X509_free(trusted);
        X509_STORE_CTX_set_error(store, X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY);
        return refuse(tls, "it is not of the cluster that the join token is for", "");
    }
    X509_STORE_CTX_set0_trusted_stack(store, trusted);
    int good = X509_verify_cert(store) == 1;
    sk_X509_free(trusted);
    return good ? VIOS_OK : explain(tls, X509_STORE_CTX_get_error(store));
}

/* That the certificate is a node's, and of the right one. */
static int check_node(struct tls *tls, X509_STORE_CTX *store, struct certificate_facts *facts)
{
    struct vios_error odd = {0};
    X509 *certificate = X509_STORE_CTX_get0_cert(store);
    if (certificate_inspect(certificate, facts, &odd) != VIOS_OK) {
        X509_STORE_CTX_set_error(store, X509_V_ERR_CERT_REJECTED);
        return refuse(tls, "its certificate is no node's: ", odd.message);
    }
    if (tls->node[0] && strcmp(tls->node, facts->node) != 0) {
        X509_STORE_CTX_set_error(store, X509_V_ERR_CERT_REJECTED);
        return error_set(&tls->why, VIOS_E_DENIED, tls->address, NULL, "it is node %s, and not %s",
                         facts->node, tls->node);
    }
    return VIOS_OK;
}

static int check_allowed(struct tls *tls, X509_STORE_CTX *store,
                         const struct certificate_facts *facts)
{
    struct vios_error error = {0};
    if (tls_context_allowed(tls->context, facts->node, facts->serial, &error) == VIOS_OK) {
        return VIOS_OK;
    }
    X509_STORE_CTX_set_error(store, X509_V_ERR_CERT_REVOKED);
    return error_set(&tls->why, VIOS_E_DENIED, tls->address, error.hint, "%s",
                     error.message[0] ? error.message : "its certificate is not allowed");
}

int tls_verify(X509_STORE_CTX *store, void *unused)
{
    (void)unused;
    struct certificate_facts facts;
    SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
    struct tls *tls = SSL_get_app_data(ssl);
    int status = check_chain(tls, store);
    if (status == VIOS_OK) {
        status = check_node(tls, store, &facts);
    }
    if (status == VIOS_OK) {
        status = check_allowed(tls, store, &facts);
    }
    if (status != VIOS_OK) {
        return 0;
    }
    snprintf(tls->peer.node, sizeof tls->peer.node, "%s", facts.node);
    snprintf(tls->peer.serial, sizeof tls->peer.serial, "%s", facts.serial);
    X509_STORE_CTX_set_error(store, X509_V_OK);
    return 1;
}
