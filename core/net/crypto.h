/* crypto.h - small things that every user of OpenSSL here needs. */
#ifndef NET_CRYPTO_H
#define NET_CRYPTO_H

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DIGEST_SIZE 32      /* SHA-256 */
#define DIGEST_TEXT_SIZE 65 /* as lower-case hex, with its NUL */

/* error_set with OpenSSL's own reason behind `what`; forgets what OpenSSL remembered. */
int crypto_fail(struct vios_error *error, int code, const char *object, const char *what);

/* Lower-case hex of `size` bytes: 2 * size characters and a NUL. */
void crypto_hex(const void *data, size_t size, char *text);
/* The inverse. False when `text` is not lower-case hex of exactly `size` bytes. */
bool crypto_unhex(const char *text, uint8_t *data, size_t size);

/* SHA-256 over two pieces; the second may be empty. */
int crypto_digest(const void *one, size_t one_size, const void *two, size_t two_size,
                  uint8_t digest[DIGEST_SIZE], struct vios_error *error);

/* HKDF-SHA256: a key of `size` bytes for one purpose, which salt and info say, from another key. */
struct crypto_derivation {
    const void *key, *salt, *info;
    size_t key_size, salt_size, info_size;
};
int crypto_derive(const struct crypto_derivation *derivation, void *out, size_t size,
                  struct vios_error *error);

int crypto_random(void *data, size_t size, struct vios_error *error);

/* What was written to a BIO in memory, as a text; free() it. NULL: nothing, or no memory. */
struct bio_st;
char *crypto_text(struct bio_st *bio);

/* Overwrites a text that holds a secret, then frees it. NULL is fine. */
void crypto_forget(char *text);

#endif
