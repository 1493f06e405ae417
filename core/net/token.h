/*
 * token.h - join tokens: what an administrator carries to a new node, once.
 *
 *     vios1.<base64url, no padding>
 *
 * It says which cluster (the fingerprint of its CA, so that the new node cannot be led to another
 * one), where to ask (addresses), and proves that one may (a random secret). The cluster keeps the
 * id and a hash of the secret, with the time at which it expires; the time in the token is only so
 * that the node can say so without asking. The last bytes are a checksum: a token that was cut off
 * or mistyped is told from one that the cluster does not know.
 */
#ifndef NET_TOKEN_H
#define NET_TOKEN_H

#include "net/crypto.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TOKEN_PREFIX "vios1."
#define TOKEN_ID_BYTES 8
#define TOKEN_ID_SIZE 17 /* as lower-case hex, with its NUL */
#define TOKEN_SECRET_BYTES 32
#define TOKEN_ADDRESSES_MAX 8
#define TOKEN_ADDRESS_SIZE 72 /* "tcp:HOST:PORT" as in transport.h, with its NUL */
#define TOKEN_TEXT_SIZE 1024  /* of any token, with its NUL */

struct token {
    char fingerprint[DIGEST_TEXT_SIZE]; /* of the CA's certificate, certificate_fingerprint() */
    char id[TOKEN_ID_SIZE];
    uint8_t secret[TOKEN_SECRET_BYTES];
    int64_t expires_ms; /* wall clock, whole seconds; for information only */
    char addresses[TOKEN_ADDRESSES_MAX][TOKEN_ADDRESS_SIZE];
    size_t address_count; /* 1 at least */
};

/* Fills in a new id and secret; the caller fills in the rest. */
int token_make(struct token *token, struct vios_error *error);

/* Its text. VIOS_E_INVALID when a member is not of its form. */
int token_format(const struct token *token, char text[TOKEN_TEXT_SIZE], struct vios_error *error);

/* Validates it completely. VIOS_E_USAGE says what is wrong with the text. */
int token_parse(const char *text, struct token *token, struct vios_error *error);

/* What the DB keeps: SHA-256 over the id and the secret. */
int token_hash(const struct token *token, char hash[DIGEST_TEXT_SIZE], struct vios_error *error);

/* Whether the token is the one of that hash, in the same time for any. */
bool token_matches(const struct token *token, const char *hash);

/* Overwrites the secret. */
void token_forget(struct token *token);

#endif
