/*
 * certificate.h - who a node is: its key, its certificate, and the reading of a peer's.
 *
 * A node's certificate says its name twice, as the subject's only part (CN=NAME) and as the only
 * alternative name (URI vios:node:NAME), and has a random serial of 16 bytes. The cluster knows
 * the serial that each node has now (/node/N), and no other is accepted: so a certificate needs no
 * revocation list. Keys are EC P-256, which every peer of TLS 1.3 takes.
 *
 * What is not exactly of this form is refused, whoever signed it.
 */
#ifndef NET_CERTIFICATE_H
#define NET_CERTIFICATE_H

#include "base/error.h"
#include "base/parse.h"
#include "net/crypto.h"

#include <stddef.h>
#include <stdint.h>

#define CERTIFICATE_PEM_MAX 8192     /* of a certificate, request or key; bytes */
#define CERTIFICATE_SERIAL_BYTES 16  /* the first is 0x40 to 0x7f: never negative, never short */
#define CERTIFICATE_SERIAL_SIZE 33   /* as lower-case hex, with its NUL */
#define CERTIFICATE_URI "vios:node:" /* and the name */

struct certificate_facts {
    char node[NAME_MAX_LENGTH + 1];
    char serial[CERTIFICATE_SERIAL_SIZE];
    char issuer[NAME_MAX_LENGTH + 1];    /* the cluster's name, as the CA says */
    int64_t not_before_ms, not_after_ms; /* wall clock */
};

/*
 * A new key, and a request to sign it (PKCS#10). The key is PEM (PKCS#8, not encrypted): let go of
 * it with crypto_forget(); free() the request.
 */
int certificate_request(const char *node, char **key_pem, char **request_pem,
                        struct vios_error *error);

/* Reads a node's certificate completely, as DER or as PEM text. VIOS_E_INVALID says what is odd.
 * It says nothing about who signed it, nor whether it is valid now. */
int certificate_read(const void *der, size_t size, struct certificate_facts *facts,
                     struct vios_error *error);
int certificate_parse(const char *pem, struct certificate_facts *facts, struct vios_error *error);

/* For core/net's own use: PEM, parsed (X509_free, EVP_PKEY_free), and the same of a parsed one.
 * NULL: it is none, or `passphrase` (may be NULL: not encrypted) is not the right one. */
struct x509_st;
struct evp_pkey_st;
struct x509_st *certificate_open(const char *pem);
struct evp_pkey_st *certificate_open_key(const char *pem, const char *passphrase);
int certificate_inspect(struct x509_st *certificate, struct certificate_facts *facts,
                        struct vios_error *error);

/* A certificate's SHA-256 over its DER, as lower-case hex: what join tokens carry of the CA's. */
int certificate_fingerprint(const char *pem, char fingerprint[DIGEST_TEXT_SIZE],
                            struct vios_error *error);

#endif
