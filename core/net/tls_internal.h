/* tls_internal.h - what the files of the TLS transport share: tls.c (the transport),
 * tls_context.c (who we are) and tls_verify.c (who they are). */
#ifndef NET_TLS_INTERNAL_H
#define NET_TLS_INTERNAL_H

#include "net/crypto.h"
#include "net/tls.h"

#include <openssl/ssl.h>

#define TLS_RECORD_SIZE 16384 /* bytes of one record */

struct tls {
    struct transport transport; /* first: the two are one pointer */
    SSL *ssl;
    struct tls_context *context;
    bool server, established, ended; /* ended: no byte comes from the socket any more */
    bool starved; /* what is inside is a part of a record: more must come first */
    uint32_t wants;
    const char *const *protocols; /* of a server */
    char protocol[16];            /* of a client */
    char node[64];                /* that a client expects; "": any */
    struct transport_peer peer;
    char address[96];      /* of the peer, for errors */
    struct vios_error why; /* code VIOS_OK: nothing failed */
    size_t offered;        /* bytes of `record` that OpenSSL has, but could not send yet */
    size_t sent_ahead;     /* that went out though the caller did not offer them again */
    uint8_t *record;       /* TLS_RECORD_SIZE while something is offered; else NULL */
    size_t filled;         /* bytes of it that were used */
};

/* --- tls_context.c --- */

/* A new SSL with today's identity; NULL: the error. */
SSL *tls_context_open(struct tls_context *context, struct vios_error *error);
/* The authority's fingerprint that a joining node trusts; NULL: not a joining one. */
const uint8_t *tls_context_fingerprint(const struct tls_context *context);

/* --- tls_verify.c --- */

/* Everything that a peer's certificate must be; on failure `why` of the transport says what not. */
int tls_verify(X509_STORE_CTX *store, void *unused);

#endif
