/* seal.c - see seal.h. */
#include "hibernation/seal.h"

#include "net/crypto.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>

#define SEALED_SIZE offsetof(struct hibernation_wire_trailer, seal)
#define INFO_SIZE 64

static int derive(const struct hibernation_key *key, const char *use, const char *file,
                  uint8_t out[HIBERNATION_KEY_SIZE], struct vios_error *error)
{
    char info[INFO_SIZE];
    int length = snprintf(info, sizeof info, "%s %s", use, file);
    struct crypto_derivation derivation = {
        .key = key->bytes,
        .key_size = sizeof key->bytes,
        .salt = HIBERNATION_SALT,
        .salt_size = sizeof HIBERNATION_SALT - 1,
        .info = info,
        .info_size = (size_t)length,
    };
    return crypto_derive(&derivation, out, HIBERNATION_KEY_SIZE, error);
}

int hibernation_seal_make(struct hibernation_seal *seal, const struct hibernation_key *key,
                          const char *file, struct vios_error *error)
{
    int status = derive(key, "seal", file, seal->seal_key, error);
    if (status == VIOS_OK) {
        status = derive(key, "data", file, seal->data_key, error);
    }
    return status;
}

void hibernation_seal_forget(struct hibernation_seal *seal)
{
    OPENSSL_cleanse(seal, sizeof *seal);
}

int hibernation_seal_compute(const struct hibernation_seal *seal,
                             const struct hibernation_wire_header *header,
                             const struct hibernation_wire_trailer *trailer,
                             uint8_t out[HIBERNATION_DIGEST_SIZE], struct vios_error *error)
{
    uint8_t sealed[sizeof *header + SEALED_SIZE];
    size_t size = 0;
    memcpy(sealed, header, sizeof *header);
    memcpy(sealed + sizeof *header, trailer, SEALED_SIZE);
    if (!EVP_Q_mac(NULL, "HMAC", NULL, "SHA256", NULL, seal->seal_key, sizeof seal->seal_key,
                   sealed, sizeof sealed, out, HIBERNATION_DIGEST_SIZE, &size) ||
        size != HIBERNATION_DIGEST_SIZE) {
        return crypto_fail(error, VIOS_E_SYSTEM, NULL, "cannot make a seal");
    }
    return VIOS_OK;
}

bool hibernation_seal_fits(const struct hibernation_seal *seal,
                           const struct hibernation_wire_header *header,
                           const struct hibernation_wire_trailer *trailer)
{
    uint8_t right[HIBERNATION_DIGEST_SIZE];
    return hibernation_seal_compute(seal, header, trailer, right, NULL) == VIOS_OK &&
           CRYPTO_memcmp(right, trailer->seal, sizeof right) == 0;
}
