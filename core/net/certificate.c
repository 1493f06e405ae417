/*
 * certificate.c - see certificate.h.
 *
 * The reading is strict on purpose: one form, made by authority.c, and everything else refused.
 * Two names, a NUL in a name, a certificate authority in a node's place: whatever another reader of
 * X.509 might understand differently never gets as far as the allow-list.
 */
#include "net/certificate.h"

#include "net/crypto.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

_Static_assert(CERTIFICATE_SERIAL_SIZE == 2 * CERTIFICATE_SERIAL_BYTES + 1, "two digits a byte");

/* --- making --- */

static X509_REQ *make_request(EVP_PKEY *key, const char *node)
{
    X509_REQ *request = X509_REQ_new();
    X509_NAME *name = request ? X509_REQ_get_subject_name(request) : NULL;
    if (name && X509_REQ_set_version(request, X509_REQ_VERSION_1) &&
        X509_NAME_add_entry_by_NID(name, NID_commonName, MBSTRING_UTF8, (const unsigned char *)node,
                                   -1, -1, 0) &&
        X509_REQ_set_pubkey(request, key) && X509_REQ_sign(request, key, EVP_sha256())) {
        return request;
    }
    X509_REQ_free(request);
    return NULL;
}

int certificate_request(const char *node, char **key_pem, char **request_pem,
                        struct vios_error *error)
{
    *key_pem = *request_pem = NULL;
    int status = parse_name(node, "node", error);
    if (status != VIOS_OK) {
        return status;
    }
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509_REQ *request = key ? make_request(key, node) : NULL;
    BIO *key_bio = BIO_new(BIO_s_secmem()), *request_bio = BIO_new(BIO_s_mem());
    if (request && key_bio && request_bio &&
        PEM_write_bio_PrivateKey(key_bio, key, NULL, NULL, 0, NULL, NULL) &&
        PEM_write_bio_X509_REQ(request_bio, request)) {
        *key_pem = crypto_text(key_bio);
        *request_pem = crypto_text(request_bio);
    }
    if (!*key_pem || !*request_pem) {
        crypto_forget(*key_pem);
        free(*request_pem);
        *key_pem = *request_pem = NULL;
        status = crypto_fail(error, VIOS_E_SYSTEM, node, "cannot make a key");
    }
    BIO_free(key_bio);
    BIO_free(request_bio);
    X509_REQ_free(request);
    EVP_PKEY_free(key);
    return status;
}

/* --- reading --- */

static int odd(struct vios_error *error, const char *what)
{
    return error_set(error, VIOS_E_INVALID, "certificate", NULL, "%s", what);
}

/* The name's only part, which is a CN of ours. */
static int only_common_name(const X509_NAME *name, char text[NAME_MAX_LENGTH + 1],
                            struct vios_error *error)
{
    if (!name || X509_NAME_entry_count(name) != 1) {
        return odd(error, "a name in it has not exactly one part");
    }
    const X509_NAME_ENTRY *entry = X509_NAME_get_entry(name, 0);
    const ASN1_STRING *value = X509_NAME_ENTRY_get_data(entry);
    if (OBJ_obj2nid(X509_NAME_ENTRY_get_object(entry)) != NID_commonName) {
        return odd(error, "a name in it is no CN");
    }
    int type = ASN1_STRING_type(value), length = ASN1_STRING_length(value);
    if ((type != V_ASN1_UTF8STRING && type != V_ASN1_PRINTABLESTRING) || length < 1 ||
        length > NAME_MAX_LENGTH || memchr(ASN1_STRING_get0_data(value), 0, (size_t)length)) {
        return odd(error, "its CN is no name");
    }
    memcpy(text, ASN1_STRING_get0_data(value), (size_t)length);
    text[length] = 0;
    return parse_name(text, "node", NULL) == VIOS_OK ? VIOS_OK : odd(error, "its CN is no name");
}

/* Whether the only alternative name is the URI of this node. */
static int only_uri(const X509 *certificate, const char *node, struct vios_error *error)
{
    static const char PREFIX[] = CERTIFICATE_URI;
    size_t prefix = sizeof PREFIX - 1, length = strlen(node);
    int critical;
    GENERAL_NAMES *names = X509_get_ext_d2i(certificate, NID_subject_alt_name, &critical, NULL);
    const GENERAL_NAME *name =
        sk_GENERAL_NAME_num(names) == 1 ? sk_GENERAL_NAME_value(names, 0) : NULL;
    bool good = name && name->type == GEN_URI;
    if (good) {
        const ASN1_IA5STRING *uri = name->d.uniformResourceIdentifier;
        const unsigned char *data = ASN1_STRING_get0_data(uri);
        good = (size_t)ASN1_STRING_length(uri) == prefix + length &&
               memcmp(data, PREFIX, prefix) == 0 && memcmp(data + prefix, node, length) == 0;
    }
    GENERAL_NAMES_free(names);
    return good ? VIOS_OK : odd(error, "its alternative name is not exactly its node's URI");
}

static int read_serial(const X509 *certificate, char text[CERTIFICATE_SERIAL_SIZE],
                       struct vios_error *error)
{
    const ASN1_INTEGER *serial = X509_get0_serialNumber(certificate);
    const unsigned char *data = ASN1_STRING_get0_data(serial);
    if (ASN1_STRING_type(serial) != V_ASN1_INTEGER ||
        ASN1_STRING_length(serial) != CERTIFICATE_SERIAL_BYTES || data[0] < 0x40 ||
        data[0] > 0x7f) {
        return odd(error, "its serial is not of 16 bytes");
    }
    crypto_hex(data, CERTIFICATE_SERIAL_BYTES, text);
    return VIOS_OK;
}

static int check_use(X509 *certificate, struct vios_error *error)
{
    const uint32_t both = XKU_SSL_SERVER | XKU_SSL_CLIENT;
    uint32_t flags = X509_get_extension_flags(certificate);
    if (flags & (EXFLAG_INVALID | EXFLAG_CRITICAL)) {
        return odd(error, "it has extensions that are malformed or unknown");
    }
    if (X509_get_version(certificate) != X509_VERSION_3 || !(flags & EXFLAG_BCONS) ||
        (flags & (EXFLAG_CA | EXFLAG_SS)) || X509_check_ca(certificate)) {
        return odd(error, "it is not of a node but of a certificate authority");
    }
    if (!(flags & EXFLAG_XKUSAGE) || (X509_get_extended_key_usage(certificate) & both) != both ||
        !(flags & EXFLAG_KUSAGE) || !(X509_get_key_usage(certificate) & KU_DIGITAL_SIGNATURE)) {
        return odd(error, "it is not for both ends of a connection");
    }
    return VIOS_OK;
}

static int read_time(const ASN1_TIME *time, int64_t *ms, struct vios_error *error)
{
    struct tm parts;
    if (!time || !ASN1_TIME_to_tm(time, &parts)) {
        return odd(error, "its time of validity is malformed");
    }
    *ms = (int64_t)timegm(&parts) * 1000;
    return VIOS_OK;
}

int certificate_inspect(X509 *certificate, struct certificate_facts *facts,
                        struct vios_error *error)
{
    struct certificate_facts found = {0};
    int status = check_use(certificate, error);
    if (status == VIOS_OK) {
        status = only_common_name(X509_get_subject_name(certificate), found.node, error);
    }
    if (status == VIOS_OK) {
        status = only_uri(certificate, found.node, error);
    }
    if (status == VIOS_OK) {
        status = only_common_name(X509_get_issuer_name(certificate), found.issuer, error);
    }
    if (status == VIOS_OK) {
        status = read_serial(certificate, found.serial, error);
    }
    if (status == VIOS_OK) {
        status = read_time(X509_get0_notBefore(certificate), &found.not_before_ms, error);
    }
    if (status == VIOS_OK) {
        status = read_time(X509_get0_notAfter(certificate), &found.not_after_ms, error);
    }
    if (status == VIOS_OK) {
        *facts = found;
    }
    return status;
}

int certificate_read(const void *der, size_t size, struct certificate_facts *facts,
                     struct vios_error *error)
{
    const unsigned char *at = der;
    if (size == 0 || size > CERTIFICATE_PEM_MAX) {
        return odd(error, "its size is impossible");
    }
    X509 *certificate = d2i_X509(NULL, &at, (long)size);
    if (!certificate || at != (const unsigned char *)der + size) {
        X509_free(certificate);
        return crypto_fail(error, VIOS_E_INVALID, "certificate", "it is no certificate");
    }
    int status = certificate_inspect(certificate, facts, error);
    X509_free(certificate);
    return status;
}

static BIO *open_pem(const char *pem)
{
    size_t size = strnlen(pem, CERTIFICATE_PEM_MAX + 1);
    return size <= CERTIFICATE_PEM_MAX ? BIO_new_mem_buf(pem, (int)size) : NULL;
}

X509 *certificate_open(const char *pem)
{
    BIO *bio = open_pem(pem);
    X509 *certificate = bio ? PEM_read_bio_X509(bio, NULL, NULL, NULL) : NULL;
    BIO_free(bio);
    return certificate;
}

static int give_passphrase(char *buffer, int size, int writing, void *context)
{
    const char *passphrase = context;
    (void)writing;
    size_t length = passphrase ? strlen(passphrase) : 0;
    if (length == 0 || length > (size_t)size) {
        return -1; /* never asks on a terminal */
    }
    memcpy(buffer, passphrase, length);
    return (int)length;
}

EVP_PKEY *certificate_open_key(const char *pem, const char *passphrase)
{
    BIO *bio = open_pem(pem);
    EVP_PKEY *key =
        bio ? PEM_read_bio_PrivateKey(bio, NULL, give_passphrase, (void *)passphrase) : NULL;
    BIO_free(bio);
    return key;
}

static X509 *parse(const char *pem, struct vios_error *error)
{
    X509 *certificate = certificate_open(pem);
    if (!certificate) {
        crypto_fail(error, VIOS_E_INVALID, "certificate", "it is no certificate in PEM");
    }
    return certificate;
}

int certificate_parse(const char *pem, struct certificate_facts *facts, struct vios_error *error)
{
    X509 *certificate = parse(pem, error);
    int status = certificate ? certificate_inspect(certificate, facts, error) : VIOS_E_INVALID;
    X509_free(certificate);
    return status;
}

int certificate_fingerprint(const char *pem, char fingerprint[DIGEST_TEXT_SIZE],
                            struct vios_error *error)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned size = 0;
    X509 *certificate = parse(pem, error);
    if (!certificate) {
        return VIOS_E_INVALID;
    }
    int good = X509_digest(certificate, EVP_sha256(), digest, &size);
    X509_free(certificate);
    if (!good || size != DIGEST_SIZE) {
        return crypto_fail(error, VIOS_E_SYSTEM, "certificate", "cannot make its digest");
    }
    crypto_hex(digest, size, fingerprint);
    return VIOS_OK;
}
