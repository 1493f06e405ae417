/*
 * authority.h - the cluster's certificate authority: a self-signed P-256 certificate named after
 * the cluster, whose key signs nodes' certificates and nothing else.
 *
 * The key stays in one file, 0600, on the node that made it. A copy encrypted with a passphrase
 * goes into the DB, so that another node can take its place.
 */
#ifndef NET_AUTHORITY_H
#define NET_AUTHORITY_H

#include "net/certificate.h"

#define AUTHORITY_PASSPHRASE_MIN 8 /* bytes */
#define AUTHORITY_PASSPHRASE_MAX 1024
#define AUTHORITY_DAYS (30 * 365)
#define AUTHORITY_NODE_DAYS (10 * 365) /* an old one leaves the allow-list: nobody waits for it */
#define AUTHORITY_CLOCK_DAYS 1         /* a node's clock may be behind by so much */

struct authority;

/* A new one; `uuid` of the cluster is in its certificate too (URI vios:cluster:UUID). */
int authority_make(struct authority **authority, const char *cluster, const char *uuid,
                   struct vios_error *error);

/* From its certificate and key in PEM, which must fit together. With a passphrase the key is what
 * authority_encrypt gave: VIOS_E_DENIED when it is not the right one. */
int authority_load(struct authority **authority, const char *certificate_pem, const char *key_pem,
                   const char *passphrase, struct vios_error *error);

/* What an authority's certificate says: the cluster's name and UUID. */
int authority_names(const char *certificate_pem, char cluster[NAME_MAX_LENGTH + 1],
                    char uuid[UUID_TEXT_SIZE], struct vios_error *error);

/* Wipes the key. NULL is fine. */
void authority_free(struct authority *authority);

/* PEM; owned by the authority. */
const char *authority_certificate(const struct authority *authority);

/* The key durably as the file `name`, mode 0600, not encrypted. */
int authority_save_key(const struct authority *authority, int directory_fd, const char *name,
                       struct vios_error *error);

/* The key as PEM, PKCS#8 encrypted with the passphrase (PBES2: PBKDF2, AES-256). free() it. */
int authority_encrypt(const struct authority *authority, const char *passphrase, char **pem,
                      struct vios_error *error);

/*
 * Signs a node's request: its key, but this `node`, whatever name the request has. The certificate
 * is PEM, free() it; it is valid for AUTHORITY_NODE_DAYS. The serial is new and random.
 */
int authority_sign(const struct authority *authority, const char *request_pem, const char *node,
                   char **certificate_pem, char serial[CERTIFICATE_SERIAL_SIZE],
                   struct vios_error *error);

/* authority_sign with a validity from and until so many seconds from now: for tests. */
int authority_sign_valid(const struct authority *authority, const char *request_pem,
                         const char *node, int64_t from_s, int64_t until_s, char **certificate_pem,
                         char serial[CERTIFICATE_SERIAL_SIZE], struct vios_error *error);

#endif
