/* crypto.c - see crypto.h. */
#include "net/crypto.h"

#include <openssl/bio.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include <openssl/rand.h>
#include <stdlib.h>
#include <string.h>

int crypto_fail(struct vios_error *error, int code, const char *object, const char *what)
{
    unsigned long reason = ERR_peek_error(); /* the first is the cause */
    const char *text = reason ? ERR_reason_error_string(reason) : NULL;
    int status =
        error_set(error, code, object, NULL, "%s%s%s", what, text ? ": " : "", text ? text : "");
    ERR_clear_error();
    return status;
}

void crypto_hex(const void *data, size_t size, char *text)
{
    static const char DIGITS[] = "0123456789abcdef";
    const uint8_t *bytes = data;
    for (size_t i = 0; i < size; i++) {
        text[2 * i] = DIGITS[bytes[i] >> 4];
        text[2 * i + 1] = DIGITS[bytes[i] & 15];
    }
    text[2 * size] = 0;
}

static int digit_value(char digit)
{
    static const char DIGITS[] = "0123456789abcdef";
    const char *found = digit ? strchr(DIGITS, digit) : NULL;
    return found ? (int)(found - DIGITS) : -1;
}

bool crypto_unhex(const char *text, uint8_t *data, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        int high = digit_value(text[2 * i]);
        int low = high >= 0 ? digit_value(text[2 * i + 1]) : -1;
        if (low < 0) {
            return false;
        }
        data[i] = (uint8_t)(high << 4 | low);
    }
    return text[2 * size] == 0;
}

int crypto_digest(const void *one, size_t one_size, const void *two, size_t two_size,
                  uint8_t digest[DIGEST_SIZE], struct vios_error *error)
{
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    int good = context && EVP_DigestInit_ex(context, EVP_sha256(), NULL) &&
               EVP_DigestUpdate(context, one, one_size) &&
               EVP_DigestUpdate(context, two, two_size) &&
               EVP_DigestFinal_ex(context, digest, NULL);
    EVP_MD_CTX_free(context);
    return good ? VIOS_OK : crypto_fail(error, VIOS_E_SYSTEM, NULL, "cannot make a digest");
}

int crypto_derive(const struct crypto_derivation *derivation, void *out, size_t size,
                  struct vios_error *error)
{
    OSSL_PARAM parameters[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, (char *)"SHA256", 0),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, (void *)derivation->key,
                                          derivation->key_size),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SALT, (void *)derivation->salt,
                                          derivation->salt_size),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO, (void *)derivation->info,
                                          derivation->info_size),
        OSSL_PARAM_construct_end()};
    EVP_KDF *kdf = EVP_KDF_fetch(NULL, "HKDF", NULL);
    EVP_KDF_CTX *context = kdf ? EVP_KDF_CTX_new(kdf) : NULL;
    bool good = context && EVP_KDF_derive(context, out, size, parameters) == 1;
    EVP_KDF_CTX_free(context);
    EVP_KDF_free(kdf);
    return good ? VIOS_OK : crypto_fail(error, VIOS_E_SYSTEM, NULL, "cannot derive a key");
}

int crypto_random(void *data, size_t size, struct vios_error *error)
{
    return RAND_bytes(data, (int)size) == 1
               ? VIOS_OK
               : crypto_fail(error, VIOS_E_SYSTEM, NULL, "no random numbers");
}

char *crypto_text(BIO *bio)
{
    char *data;
    long size = BIO_get_mem_data(bio, &data);
    char *text = size > 0 ? malloc((size_t)size + 1) : NULL;
    if (text) {
        memcpy(text, data, (size_t)size);
        text[size] = 0;
    }
    return text;
}

void crypto_forget(char *text)
{
    if (text) {
        OPENSSL_cleanse(text, strlen(text));
        free(text);
    }
}
