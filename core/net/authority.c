/* authority.c - see authority.h. */
#include "net/authority.h"

#include "base/file.h"
#include "net/crypto.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/pkcs12.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define CLUSTER_URI "vios:cluster:" /* and the UUID */
#define DAY_S (24 * 60 * 60)
#define KDF_ROUNDS 600000 /* about a third of a second for each passphrase that is tried */

struct authority {
    EVP_PKEY *key;
    X509 *certificate;
    char *pem; /* of the certificate */
};

/* --- making certificates --- */

static bool add_extension(X509 *certificate, X509 *issuer, int kind, const char *value)
{
    X509V3_CTX context;
    X509V3_set_ctx_nodb(&context);
    X509V3_set_ctx(&context, issuer, certificate, NULL, NULL, 0);
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &context, kind, value);
    bool good = extension && X509_add_ext(certificate, extension, -1);
    X509_EXTENSION_free(extension);
    return good;
}

/* 16 bytes, the first 0x40 to 0x7f. */
static bool set_serial(X509 *certificate, char text[CERTIFICATE_SERIAL_SIZE])
{
    unsigned char bytes[CERTIFICATE_SERIAL_BYTES];
    if (crypto_random(bytes, sizeof bytes, NULL) != VIOS_OK) {
        return false;
    }
    bytes[0] = (unsigned char)((bytes[0] & 0x3f) | 0x40);
    crypto_hex(bytes, sizeof bytes, text);
    BIGNUM *number = BN_bin2bn(bytes, sizeof bytes, NULL);
    bool good = number && BN_to_ASN1_INTEGER(number, X509_get_serialNumber(certificate));
    BN_free(number);
    return good;
}

static bool set_name(X509 *certificate, const char *name)
{
    X509_NAME *subject = X509_get_subject_name(certificate);
    return subject && X509_NAME_add_entry_by_NID(subject, NID_commonName, MBSTRING_UTF8,
                                                 (const unsigned char *)name, -1, -1, 0);
}

/* A certificate without extensions and signature. */
static X509 *draft(const char *name, EVP_PKEY *key, int64_t from_s, int64_t until_s,
                   char serial[CERTIFICATE_SERIAL_SIZE])
{
    X509 *certificate = X509_new();
    time_t now = time(NULL);
    if (certificate && X509_set_version(certificate, X509_VERSION_3) &&
        set_serial(certificate, serial) && set_name(certificate, name) &&
        X509_set_pubkey(certificate, key) &&
        ASN1_TIME_set(X509_getm_notBefore(certificate), now + (time_t)from_s) &&
        ASN1_TIME_set(X509_getm_notAfter(certificate), now + (time_t)until_s)) {
        return certificate;
    }
    X509_free(certificate);
    return NULL;
}

static char *certificate_text(X509 *certificate)
{
    BIO *bio = BIO_new(BIO_s_mem());
    char *text = bio && PEM_write_bio_X509(bio, certificate) ? crypto_text(bio) : NULL;
    BIO_free(bio);
    return text;
}

/* --- the authority --- */

static X509 *self_sign(EVP_PKEY *key, const char *cluster, const char *uuid)
{
    char serial[CERTIFICATE_SERIAL_SIZE], uri[80];
    snprintf(uri, sizeof uri, "URI:" CLUSTER_URI "%s", uuid);
    X509 *made = draft(cluster, key, -(int64_t)AUTHORITY_CLOCK_DAYS * DAY_S,
                       (int64_t)AUTHORITY_DAYS * DAY_S, serial);
    if (made && X509_set_issuer_name(made, X509_get_subject_name(made)) &&
        add_extension(made, made, NID_basic_constraints, "critical,CA:TRUE,pathlen:0") &&
        add_extension(made, made, NID_key_usage, "critical,keyCertSign") &&
        add_extension(made, made, NID_subject_key_identifier, "hash") &&
        add_extension(made, made, NID_subject_alt_name, uri) &&
        X509_sign(made, key, EVP_sha256())) {
        return made;
    }
    X509_free(made);
    return NULL;
}

static int authority_new(struct authority **out, EVP_PKEY *key, X509 *certificate,
                         struct vios_error *error)
{
    struct authority *authority = calloc(1, sizeof *authority);
    char *pem = certificate ? certificate_text(certificate) : NULL;
    if (!authority || !pem || !key) {
        free(authority);
        free(pem);
        X509_free(certificate);
        EVP_PKEY_free(key);
        return crypto_fail(error, VIOS_E_SYSTEM, "certificate authority", "cannot make it");
    }
    *authority = (struct authority){.key = key, .certificate = certificate, .pem = pem};
    *out = authority;
    return VIOS_OK;
}

int authority_make(struct authority **authority, const char *cluster, const char *uuid,
                   struct vios_error *error)
{
    *authority = NULL;
    int status = parse_name(cluster, "cluster", error);
    if (status == VIOS_OK) {
        status = parse_uuid(uuid, error);
    }
    if (status != VIOS_OK) {
        return status;
    }
    EVP_PKEY *key = EVP_EC_gen("P-256");
    return authority_new(authority, key, key ? self_sign(key, cluster, uuid) : NULL, error);
}

void authority_free(struct authority *authority)
{
    if (authority) {
        EVP_PKEY_free(authority->key);
        X509_free(authority->certificate);
        free(authority->pem);
        free(authority);
    }
}

const char *authority_certificate(const struct authority *authority)
{
    return authority->pem;
}

/* --- its key --- */

int authority_save_key(const struct authority *authority, int directory_fd, const char *name,
                       struct vios_error *error)
{
    char *data;
    BIO *bio = BIO_new(BIO_s_secmem());
    int status = VIOS_OK;
    if (!bio || !PEM_write_bio_PrivateKey(bio, authority->key, NULL, NULL, 0, NULL, NULL)) {
        status = crypto_fail(error, VIOS_E_SYSTEM, name, "cannot write the key");
    } else {
        long size = BIO_get_mem_data(bio, &data);
        status = file_replace(directory_fd, name, data, (size_t)size, 0600, error);
    }
    BIO_free(bio);
    return status;
}

static int check_passphrase(const char *passphrase, struct vios_error *error)
{
    size_t length = strnlen(passphrase, AUTHORITY_PASSPHRASE_MAX + 1);
    if (length >= AUTHORITY_PASSPHRASE_MIN && length <= AUTHORITY_PASSPHRASE_MAX) {
        return VIOS_OK;
    }
    return error_set(error, VIOS_E_USAGE, "passphrase", "a few words that nobody guesses",
                     "it has %zu bytes; %d to %d are allowed", length, AUTHORITY_PASSPHRASE_MIN,
                     AUTHORITY_PASSPHRASE_MAX);
}

/* The key as PKCS#8, encrypted. OpenSSL's own default is 2048 rounds. */
static X509_SIG *encrypt(EVP_PKEY *key, const char *passphrase)
{
    PKCS8_PRIV_KEY_INFO *info = EVP_PKEY2PKCS8(key);
    X509_ALGOR *scheme =
        PKCS5_pbe2_set_iv(EVP_aes_256_cbc(), KDF_ROUNDS, NULL, 0, NULL, NID_hmacWithSHA256);
    X509_SIG *encrypted = NULL;
    if (info && scheme) {
        encrypted = PKCS8_set0_pbe(passphrase, (int)strlen(passphrase), info, scheme);
    }
    if (!encrypted) { /* otherwise it owns the scheme */
        X509_ALGOR_free(scheme);
    }
    PKCS8_PRIV_KEY_INFO_free(info);
    return encrypted;
}

int authority_encrypt(const struct authority *authority, const char *passphrase, char **pem,
                      struct vios_error *error)
{
    *pem = NULL;
    int status = check_passphrase(passphrase, error);
    if (status != VIOS_OK) {
        return status;
    }
    X509_SIG *encrypted = encrypt(authority->key, passphrase);
    BIO *bio = BIO_new(BIO_s_mem());
    if (encrypted && bio && PEM_write_bio_PKCS8(bio, encrypted)) {
        *pem = crypto_text(bio);
    }
    if (!*pem) {
        status =
            crypto_fail(error, VIOS_E_SYSTEM, "certificate authority", "cannot encrypt its key");
    }
    BIO_free(bio);
    X509_SIG_free(encrypted);
    return status;
}

/* The UUID behind the only URI of the certificate. */
static bool read_uuid(const X509 *certificate, char uuid[UUID_TEXT_SIZE])
{
    static const char PREFIX[] = CLUSTER_URI;
    size_t prefix = sizeof PREFIX - 1;
    GENERAL_NAMES *names = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
    const GENERAL_NAME *name =
        sk_GENERAL_NAME_num(names) == 1 ? sk_GENERAL_NAME_value(names, 0) : NULL;
    bool good =
        name && name->type == GEN_URI &&
        ASN1_STRING_length(name->d.uniformResourceIdentifier) == (int)(prefix + UUID_TEXT_SIZE - 1);
    if (good) {
        const char *uri = (const char *)ASN1_STRING_get0_data(name->d.uniformResourceIdentifier);
        good = memcmp(uri, PREFIX, prefix) == 0;
        memcpy(uuid, uri + prefix, UUID_TEXT_SIZE - 1);
        uuid[UUID_TEXT_SIZE - 1] = 0;
    }
    GENERAL_NAMES_free(names);
    return good && parse_uuid(uuid, NULL) == VIOS_OK;
}

int authority_names(const char *certificate_pem, char cluster[NAME_MAX_LENGTH + 1],
                    char uuid[UUID_TEXT_SIZE], struct vios_error *error)
{
    X509 *certificate = certificate_open(certificate_pem);
    int length = certificate
                     ? X509_NAME_get_text_by_NID(X509_get_subject_name(certificate), NID_commonName,
                                                 cluster, NAME_MAX_LENGTH + 1)
                     : -1;
    bool good = length > 0 && strlen(cluster) == (size_t)length && X509_check_ca(certificate) &&
                parse_name(cluster, "cluster", NULL) == VIOS_OK && read_uuid(certificate, uuid);
    X509_free(certificate);
    return good ? VIOS_OK
                : crypto_fail(error, VIOS_E_INVALID, "certificate authority",
                              "its certificate is malformed, or not that of a cluster");
}

int authority_load(struct authority **authority, const char *certificate_pem, const char *key_pem,
                   const char *passphrase, struct vios_error *error)
{
    *authority = NULL;
    X509 *certificate = certificate_open(certificate_pem);
    if (!certificate || !X509_check_ca(certificate)) {
        X509_free(certificate);
        return crypto_fail(error, VIOS_E_INVALID, "certificate authority",
                           "its certificate is malformed, or not that of an authority");
    }
    EVP_PKEY *key = certificate_open_key(key_pem, passphrase);
    if (!key || !X509_check_private_key(certificate, key)) {
        int code = key || !passphrase ? VIOS_E_INVALID : VIOS_E_DENIED;
        const char *why = key          ? "its key is not that of its certificate"
                          : passphrase ? "the passphrase is not the one its key was encrypted with"
                                       : "its key is malformed";
        EVP_PKEY_free(key);
        X509_free(certificate);
        return crypto_fail(error, code, "certificate authority", why);
    }
    return authority_new(authority, key, certificate, error);
}

/* --- signing --- */

/* The request's key, when the request is signed with it and it is of the kind we use. */
static EVP_PKEY *request_key(const char *pem, struct vios_error *error)
{
    char group[32] = "";
    size_t size = strnlen(pem, CERTIFICATE_PEM_MAX + 1);
    BIO *bio = size <= CERTIFICATE_PEM_MAX ? BIO_new_mem_buf(pem, (int)size) : NULL;
    X509_REQ *request = bio ? PEM_read_bio_X509_REQ(bio, NULL, NULL, NULL) : NULL;
    EVP_PKEY *key = request ? X509_REQ_get_pubkey(request) : NULL;
    BIO_free(bio);
    if (!key || X509_REQ_verify(request, key) != 1) {
        crypto_fail(error, VIOS_E_INVALID, "certificate request",
                    "it is malformed, or not signed with its own key");
    } else if (!EVP_PKEY_is_a(key, "EC") ||
               !EVP_PKEY_get_group_name(key, group, sizeof group, NULL) ||
               strcmp(group, "prime256v1") != 0) {
        crypto_fail(error, VIOS_E_INVALID, "certificate request", "its key is not EC P-256");
    } else {
        X509_REQ_free(request);
        return key;
    }
    EVP_PKEY_free(key);
    X509_REQ_free(request);
    return NULL;
}

static bool complete(const struct authority *authority, X509 *certificate, const char *node)
{
    char uri[sizeof "URI:" CERTIFICATE_URI + NAME_MAX_LENGTH];
    X509 *issuer = authority->certificate;
    snprintf(uri, sizeof uri, "URI:" CERTIFICATE_URI "%s", node);
    return X509_set_issuer_name(certificate, X509_get_subject_name(issuer)) &&
           add_extension(certificate, issuer, NID_basic_constraints, "critical,CA:FALSE") &&
           add_extension(certificate, issuer, NID_key_usage, "critical,digitalSignature") &&
           add_extension(certificate, issuer, NID_ext_key_usage, "serverAuth,clientAuth") &&
           add_extension(certificate, issuer, NID_subject_alt_name, uri) &&
           add_extension(certificate, issuer, NID_subject_key_identifier, "hash") &&
           add_extension(certificate, issuer, NID_authority_key_identifier, "keyid:always") &&
           X509_sign(certificate, authority->key, EVP_sha256());
}

int authority_sign_valid(const struct authority *authority, const char *request_pem,
                         const char *node, int64_t from_s, int64_t until_s, char **certificate_pem,
                         char serial[CERTIFICATE_SERIAL_SIZE], struct vios_error *error)
{
    *certificate_pem = NULL;
    int status = parse_name(node, "node", error);
    if (status != VIOS_OK) {
        return status;
    }
    EVP_PKEY *key = request_key(request_pem, error);
    if (!key) {
        return VIOS_E_INVALID;
    }
    X509 *certificate = draft(node, key, from_s, until_s, serial);
    if (certificate && complete(authority, certificate, node)) {
        *certificate_pem = certificate_text(certificate);
    }
    if (!*certificate_pem) {
        status = crypto_fail(error, VIOS_E_SYSTEM, node, "cannot sign a certificate");
    }
    X509_free(certificate);
    EVP_PKEY_free(key);
    return status;
}

int authority_sign(const struct authority *authority, const char *request_pem, const char *node,
                   char **certificate_pem, char serial[CERTIFICATE_SERIAL_SIZE],
                   struct vios_error *error)
{
    return authority_sign_valid(
        authority, request_pem, node, -(int64_t)AUTHORITY_CLOCK_DAYS * DAY_S,
        (int64_t)AUTHORITY_NODE_DAYS * DAY_S, certificate_pem, serial, error);
}
