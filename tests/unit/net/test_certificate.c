/* test_certificate.c - the authority, the certificates that it signs, and those that are refused.
 */
#include "base/file.h"
#include "net/certificate.h"
#include "tests/unit/net/identity.h"

#include <fcntl.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <sys/stat.h>

static void a_node_is_signed_and_read_back(void)
{
    struct authority *authority = make_authority("lab");
    struct test_node node = make_node(authority, "n-1.x_y");
    struct certificate_facts facts;
    struct vios_error error = {0};
    ok(certificate_parse(node.certificate, &facts, &error) == VIOS_OK, "%s", error.message);
    is_text(facts.node, "n-1.x_y");
    is_text(facts.issuer, "lab");
    is_text(facts.serial, node.serial);
    is_int(strspn(facts.serial, "0123456789abcdef"), 32);
    ok(facts.not_before_ms < facts.not_after_ms, "times");
    struct test_node other = make_node(authority, "n-1.x_y");
    ok(strcmp(node.serial, other.serial) != 0, "each serial is new");
    free_node(&node);
    free_node(&other);
    authority_free(authority);
}

static void the_signer_gives_the_name(void)
{
    struct authority *authority = make_authority("lab");
    struct test_node node = make_node(authority, "n1");
    struct certificate_facts facts;
    char serial[CERTIFICATE_SERIAL_SIZE], *pem;
    is_int(authority_sign(authority, node.request, "n2", &pem, serial, NULL), VIOS_OK);
    is_int(certificate_parse(pem, &facts, NULL), VIOS_OK);
    is_text(facts.node, "n2");
    free(pem);
    is_int(authority_sign(authority, node.request, "no/name", &pem, serial, NULL), VIOS_E_USAGE);
    ok(!pem, "nothing was signed");
    free_node(&node);
    authority_free(authority);
}

/* A request whose key or signature is changed. */
static void bad_requests_are_refused(void)
{
    struct authority *authority = make_authority("lab");
    struct test_node node = make_node(authority, "n1");
    struct vios_error error = {0};
    char serial[CERTIFICATE_SERIAL_SIZE], *pem;
    is_int(authority_sign(authority, "nothing", "n1", &pem, serial, &error), VIOS_E_INVALID);
    is_int(authority_sign(authority, node.key, "n1", &pem, serial, &error), VIOS_E_INVALID);
    BIO *bio = BIO_new_mem_buf(node.request, -1);
    X509_REQ *request = PEM_read_bio_X509_REQ(bio, NULL, NULL, NULL);
    BIO_free(bio);
    for (int i = 0; i < 2; i++) {
        char *data;
        EVP_PKEY *key = i == 0 ? EVP_EC_gen("P-256") : EVP_EC_gen("P-384");
        X509_REQ_set_pubkey(request, key);
        if (i == 1) {
            X509_REQ_sign(request, key, EVP_sha256());
        }
        BIO *out = BIO_new(BIO_s_mem());
        PEM_write_bio_X509_REQ(out, request);
        BIO_write(out, "", 1);
        BIO_get_mem_data(out, &data);
        is_int(authority_sign(authority, data, "n1", &pem, serial, &error), VIOS_E_INVALID);
        ok(strstr(error.message, i == 0 ? "not signed with its own key" : "not EC P-256") != NULL,
           "%s", error.message);
        BIO_free(out);
        EVP_PKEY_free(key);
    }
    X509_REQ_free(request);
    free_node(&node);
    authority_free(authority);
}

/* --- odd certificates, signed by a key of their own: reading does not look at signatures --- */

enum oddity {
    PLAIN,
    TWO_NAMES,
    NUL_IN_NAME,
    NO_CN,
    LONG_NAME,
    BAD_NAME,
    OTHER_URI,
    TWO_URIS,
    DNS_NAME,
    NO_SAN,
    SHORT_SERIAL,
    NEGATIVE_SERIAL,
    AUTHORITY,
    ONLY_CLIENT,
    UNKNOWN_CRITICAL,
    ODDITIES
};

static const char *const REASONS[ODDITIES] = {
    [TWO_NAMES] = "not exactly one part",
    [NUL_IN_NAME] = "its CN is no name",
    [NO_CN] = "is no CN",
    [LONG_NAME] = "its CN is no name",
    [BAD_NAME] = "its CN is no name",
    [OTHER_URI] = "not exactly its node's URI",
    [TWO_URIS] = "not exactly its node's URI",
    [DNS_NAME] = "not exactly its node's URI",
    [NO_SAN] = "not exactly its node's URI",
    [SHORT_SERIAL] = "not of 16 bytes",
    [NEGATIVE_SERIAL] = "not of 16 bytes",
    [AUTHORITY] = "of a certificate authority",
    [ONLY_CLIENT] = "not for both ends",
    [UNKNOWN_CRITICAL] = "malformed or unknown",
};

static void extend(X509 *certificate, int kind, const char *value)
{
    X509V3_CTX context;
    X509V3_set_ctx_nodb(&context);
    X509V3_set_ctx(&context, certificate, certificate, NULL, NULL, 0);
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &context, kind, value);
    ok(extension && X509_add_ext(certificate, extension, -1), "extension %s", value);
    X509_EXTENSION_free(extension);
}

static void add_name(X509_NAME *name, int kind, const char *text, int length)
{
    ok(X509_NAME_add_entry_by_NID(name, kind, MBSTRING_UTF8, (const unsigned char *)text, length,
                                  -1, 0),
       "name");
}

static void name_oddly(X509_NAME *name, enum oddity oddity)
{
    char longest[65] = {0};
    memset(longest, 'n', 64);
    switch (oddity) {
    case NUL_IN_NAME:
        add_name(name, NID_commonName, "n1\0evil", 7);
        break;
    case NO_CN:
        add_name(name, NID_organizationName, "n1", -1);
        break;
    case LONG_NAME:
        add_name(name, NID_commonName, longest, -1);
        break;
    case BAD_NAME:
        add_name(name, NID_commonName, "../n1", -1);
        break;
    default:
        add_name(name, NID_commonName, "n1", -1);
        if (oddity == TWO_NAMES) {
            add_name(name, NID_commonName, "n2", -1);
        }
    }
}

static void extend_oddly(X509 *certificate, enum oddity oddity)
{
    const char *names = oddity == OTHER_URI  ? "URI:vios:node:n2"
                        : oddity == TWO_URIS ? "URI:vios:node:n1,URI:vios:node:n1"
                        : oddity == DNS_NAME ? "DNS:n1"
                                             : "URI:vios:node:n1";
    extend(certificate, NID_basic_constraints,
           oddity == AUTHORITY ? "critical,CA:TRUE" : "critical,CA:FALSE");
    extend(certificate, NID_key_usage, "critical,digitalSignature");
    extend(certificate, NID_ext_key_usage,
           oddity == ONLY_CLIENT ? "clientAuth" : "serverAuth,clientAuth");
    if (oddity != NO_SAN) {
        extend(certificate, NID_subject_alt_name, names);
    }
    if (oddity == UNKNOWN_CRITICAL) {
        ASN1_OBJECT *kind = OBJ_txt2obj("1.2.3.4", 1);
        ASN1_OCTET_STRING *value = ASN1_OCTET_STRING_new();
        ASN1_OCTET_STRING_set(value, (const unsigned char *)"\5\0", 2);
        X509_EXTENSION *extension = X509_EXTENSION_create_by_OBJ(NULL, kind, 1, value);
        ok(X509_add_ext(certificate, extension, -1), "extension");
        X509_EXTENSION_free(extension);
        ASN1_OCTET_STRING_free(value);
        ASN1_OBJECT_free(kind);
    }
}

static X509 *make_oddly(EVP_PKEY *key, enum oddity oddity)
{
    unsigned char serial[16] = {0x41, 1, 2, 3};
    X509 *certificate = X509_new();
    X509_NAME *issuer = X509_NAME_new();
    BIGNUM *number = BN_bin2bn(serial, oddity == SHORT_SERIAL ? 15 : 16, NULL);
    BN_set_negative(number, oddity == NEGATIVE_SERIAL);
    BN_to_ASN1_INTEGER(number, X509_get_serialNumber(certificate));
    BN_free(number);
    X509_set_version(certificate, X509_VERSION_3);
    name_oddly(X509_get_subject_name(certificate), oddity);
    add_name(issuer, NID_commonName, "lab", -1);
    X509_set_issuer_name(certificate, issuer);
    X509_NAME_free(issuer);
    X509_gmtime_adj(X509_getm_notBefore(certificate), 0);
    X509_gmtime_adj(X509_getm_notAfter(certificate), 60);
    X509_set_pubkey(certificate, key);
    extend_oddly(certificate, oddity);
    ok(X509_sign(certificate, key, EVP_sha256()) > 0, "sign");
    return certificate;
}

static void odd_certificates_are_refused(void)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    for (enum oddity oddity = PLAIN; oddity < ODDITIES; oddity++) {
        struct certificate_facts facts = {.node = "untouched"};
        struct vios_error error = {0};
        X509 *certificate = make_oddly(key, oddity);
        unsigned char *der = NULL;
        int size = i2d_X509(certificate, &der);
        int status = certificate_read(der, (size_t)size, &facts, &error);
        if (oddity == PLAIN) {
            is_int(status, VIOS_OK);
            is_int(certificate_read(der, (size_t)size - 1, &facts, NULL), VIOS_E_INVALID);
        } else {
            is_int(status, VIOS_E_INVALID);
            ok(strstr(error.message, REASONS[oddity]) != NULL, "%d: %s", (int)oddity,
               error.message);
            is_text(facts.node, "untouched");
        }
        OPENSSL_free(der);
        X509_free(certificate);
    }
    EVP_PKEY_free(key);
}

/* --- the authority's key --- */

static void the_key_is_kept_in_a_file_of_ours_only(void)
{
    struct authority *authority = make_authority("lab"), *again;
    struct vios_error error = {0};
    struct stat status;
    char *key;
    size_t size;
    int folder = open(tap_folder(), O_RDONLY | O_DIRECTORY);
    is_int(authority_save_key(authority, folder, "ca.key", &error), VIOS_OK);
    is_int(fstatat(folder, "ca.key", &status, 0), 0);
    is_int(status.st_mode & 07777, 0600);
    is_int(file_read(folder, "ca.key", CERTIFICATE_PEM_MAX, &key, &size, &error), VIOS_OK);
    is_int(authority_load(&again, authority_certificate(authority), key, NULL, &error), VIOS_OK);
    struct test_node node = make_node(again, "n1");
    free_node(&node);
    authority_free(again);
    struct authority *other = make_authority("other");
    is_int(authority_load(&again, authority_certificate(other), key, NULL, &error), VIOS_E_INVALID);
    ok(strstr(error.message, "its key is not that of") != NULL, "%s", error.message);
    is_int(authority_load(&again, "x", key, NULL, &error), VIOS_E_INVALID);
    is_int(authority_load(&again, authority_certificate(other), "x", NULL, &error), VIOS_E_INVALID);
    crypto_forget(key);
    authority_free(other);
    authority_free(authority);
    unlinkat(folder, "ca.key", 0);
    close(folder);
    rmdir(tap_folder());
}

static void a_passphrase_locks_the_copy(void)
{
    struct authority *authority = make_authority("lab"), *again;
    struct vios_error error = {0};
    const char *certificate = authority_certificate(authority);
    char *pem;
    is_int(authority_encrypt(authority, "short", &pem, &error), VIOS_E_USAGE);
    is_int(authority_encrypt(authority, "correct horse", &pem, &error), VIOS_OK);
    ok(strstr(pem, "BEGIN ENCRYPTED PRIVATE KEY") != NULL, "%.40s", pem);
    is_int(authority_load(&again, certificate, pem, "wrong horse", &error), VIOS_E_DENIED);
    ok(strstr(error.message, "the passphrase is not the one") != NULL, "%s", error.message);
    is_int(authority_load(&again, certificate, pem, NULL, &error), VIOS_E_INVALID);
    is_int(authority_load(&again, certificate, pem, "correct horse", &error), VIOS_OK);
    authority_free(again);
    free(pem);
    authority_free(authority);
}

static void fingerprints_tell_authorities_apart(void)
{
    char one[65], other[65];
    for (int i = 0; i < 2; i++) {
        struct authority *authority = make_authority("lab");
        is_int(certificate_fingerprint(authority_certificate(authority), i ? one : other, NULL),
               VIOS_OK);
        authority_free(authority);
    }
    ok(strcmp(one, other) != 0, "two of one name");
    is_int(strspn(one, "0123456789abcdef"), 64);
    is_int(certificate_fingerprint("nothing", one, NULL), VIOS_E_INVALID);
    struct authority *bad;
    is_int(authority_make(&bad, "no name", UUID_ONE, NULL), VIOS_E_USAGE);
    is_int(authority_make(&bad, "lab", "no uuid", NULL), VIOS_E_USAGE);
}

static void an_authority_says_which_cluster_it_is_of(void)
{
    static const char UUID[] = "11111111-2222-4333-8444-555555555555";
    struct vios_error error;
    struct authority *one;
    char cluster[NAME_MAX_LENGTH + 1], uuid[UUID_TEXT_SIZE], serial[CERTIFICATE_SERIAL_SIZE];
    char *key, *request, *certificate;
    is_int(authority_make(&one, "lab", UUID, &error), VIOS_OK);
    is_int(authority_names(authority_certificate(one), cluster, uuid, &error), VIOS_OK);
    is_text(cluster, "lab");
    is_text(uuid, UUID);
    is_int(certificate_request("n1", &key, &request, &error), VIOS_OK);
    is_int(authority_sign(one, request, "n1", &certificate, serial, &error), VIOS_OK);
    is_int(authority_names(certificate, cluster, uuid, &error), VIOS_E_INVALID);
    is_int(authority_names("nonsense", cluster, uuid, &error), VIOS_E_INVALID);
    crypto_forget(key);
    free(request);
    free(certificate);
    authority_free(one);
}

int main(void)
{
    RUN(a_node_is_signed_and_read_back);
    RUN(the_signer_gives_the_name);
    RUN(bad_requests_are_refused);
    RUN(odd_certificates_are_refused);
    RUN(the_key_is_kept_in_a_file_of_ours_only);
    RUN(a_passphrase_locks_the_copy);
    RUN(fingerprints_tell_authorities_apart);
    RUN(an_authority_says_which_cluster_it_is_of);
    return tap_done();
}
