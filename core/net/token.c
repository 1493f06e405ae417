/*
 * token.c - see token.h. The bytes of a token:
 *
 *     32 fingerprint | 8 id | 32 secret | 8 expires (s, big endian) | 1 count
 *     count times: 1 length | address
 *     4 checksum: the first bytes of the SHA-256 over all before it
 */
#include "net/token.h"

#include "net/crypto.h"
#include "net/transport.h"

#include <endian.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <string.h>

#define CHECKSUM_BYTES 4
#define HEAD_BYTES (DIGEST_SIZE + TOKEN_ID_BYTES + TOKEN_SECRET_BYTES + 8 + 1)
#define BODY_MAX (HEAD_BYTES + TOKEN_ADDRESSES_MAX * TOKEN_ADDRESS_SIZE + CHECKSUM_BYTES)
#define EXPIRES_MAX_S (INT64_MAX / 1000)

_Static_assert(sizeof TOKEN_PREFIX + (BODY_MAX + 2) / 3 * 4 <= TOKEN_TEXT_SIZE, "it fits");

static const char ALPHABET[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/* --- base64url without padding --- */

static void encode(const uint8_t *data, size_t size, char *text)
{
    uint32_t bits = 0;
    unsigned count = 0;
    for (size_t i = 0; i < size; i++) {
        bits = bits << 8 | data[i];
        for (count += 8; count >= 6; count -= 6) {
            *text++ = ALPHABET[bits >> (count - 6) & 63];
        }
    }
    if (count > 0) {
        *text++ = ALPHABET[bits << (6 - count) & 63];
    }
    *text = 0;
}

/* False: a character that is none of them, too much, or bits set behind the last byte. */
static bool decode(const char *text, uint8_t *data, size_t limit, size_t *size)
{
    uint32_t bits = 0;
    unsigned count = 0;
    *size = 0;
    for (; *text; text++) {
        const char *digit = strchr(ALPHABET, *text);
        if (!digit) {
            return false;
        }
        bits = bits << 6 | (uint32_t)(digit - ALPHABET);
        count += 6;
        if (count >= 8) {
            if (*size == limit) {
                return false;
            }
            count -= 8;
            data[(*size)++] = (uint8_t)(bits >> count);
        }
    }
    return count < 6 && (bits & ((1u << count) - 1)) == 0;
}

/* --- small things --- */

static int add_checksum(uint8_t *body, size_t *size, struct vios_error *error)
{
    uint8_t digest[DIGEST_SIZE];
    int status = crypto_digest(body, *size, "", 0, digest, error);
    memcpy(body + *size, digest, CHECKSUM_BYTES);
    *size += CHECKSUM_BYTES;
    return status;
}

static bool good_address(const char *address)
{
    return strncmp(address, "tcp:", 4) == 0 && transport_address_check(address, NULL) == VIOS_OK;
}

/* --- making --- */

int token_make(struct token *token, struct vios_error *error)
{
    uint8_t id[TOKEN_ID_BYTES];
    int status = crypto_random(id, sizeof id, error);
    if (status == VIOS_OK) {
        crypto_hex(id, sizeof id, token->id);
        status = crypto_random(token->secret, sizeof token->secret, error);
    }
    return status;
}

static int invalid(struct vios_error *error, const char *what)
{
    return error_set(error, VIOS_E_INVALID, "join token", NULL, "%s", what);
}

static int pack_head(const struct token *token, uint8_t *body, size_t *size,
                     struct vios_error *error)
{
    if (!crypto_unhex(token->fingerprint, body, DIGEST_SIZE) ||
        !crypto_unhex(token->id, body + DIGEST_SIZE, TOKEN_ID_BYTES)) {
        return invalid(error, "its fingerprint or id is no hex text of the right length");
    }
    if (token->expires_ms < 0 || token->expires_ms % 1000 != 0 || token->address_count < 1 ||
        token->address_count > TOKEN_ADDRESSES_MAX) {
        return invalid(error, "its time or number of addresses is out of range");
    }
    uint8_t *at = body + DIGEST_SIZE + TOKEN_ID_BYTES;
    uint64_t expires = htobe64((uint64_t)(token->expires_ms / 1000));
    memcpy(at, token->secret, TOKEN_SECRET_BYTES);
    memcpy(at + TOKEN_SECRET_BYTES, &expires, sizeof expires);
    at[TOKEN_SECRET_BYTES + 8] = (uint8_t)token->address_count;
    *size = HEAD_BYTES;
    return VIOS_OK;
}

int token_format(const struct token *token, char text[TOKEN_TEXT_SIZE], struct vios_error *error)
{
    uint8_t body[BODY_MAX];
    size_t size = 0;
    int status = pack_head(token, body, &size, error);
    for (size_t i = 0; status == VIOS_OK && i < token->address_count; i++) {
        size_t length = strnlen(token->addresses[i], TOKEN_ADDRESS_SIZE);
        if (length == TOKEN_ADDRESS_SIZE || !good_address(token->addresses[i])) {
            status = invalid(error, "an address in it is not tcp:HOST:PORT");
            break;
        }
        body[size++] = (uint8_t)length;
        memcpy(body + size, token->addresses[i], length);
        size += length;
    }
    if (status == VIOS_OK) {
        status = add_checksum(body, &size, error);
    }
    if (status == VIOS_OK) {
        memcpy(text, TOKEN_PREFIX, sizeof TOKEN_PREFIX - 1);
        encode(body, size, text + sizeof TOKEN_PREFIX - 1);
    }
    OPENSSL_cleanse(body, sizeof body);
    return status;
}

/* --- parsing --- */

static int wrong(struct vios_error *error, const char *what)
{
    return error_set(error, VIOS_E_USAGE, "join token",
                     "copy it whole, from \"vios1.\" to its end, or make another: \"node token\"",
                     "%s", what);
}

/* The decoded bytes without their checksum, which fits. */
static int open_text(const char *text, uint8_t *body, size_t *size, struct vios_error *error)
{
    uint8_t digest[DIGEST_SIZE];
    if (strncmp(text, "vios", 4) != 0) {
        return wrong(error, "this is no join token");
    }
    if (strncmp(text, TOKEN_PREFIX, sizeof TOKEN_PREFIX - 1) != 0) {
        return wrong(error, "it is cut off at its start, or of another release");
    }
    if (!decode(text + sizeof TOKEN_PREFIX - 1, body, BODY_MAX, size)) {
        return wrong(error, "it is mistyped: it has a character, or a length, that no token has");
    }
    if (*size < HEAD_BYTES + CHECKSUM_BYTES) {
        return wrong(error, "it is cut off");
    }
    *size -= CHECKSUM_BYTES;
    int status = crypto_digest(body, *size, "", 0, digest, error);
    if (status == VIOS_OK && memcmp(digest, body + *size, CHECKSUM_BYTES) != 0) {
        status = wrong(error, "its checksum does not fit: it is cut off or mistyped");
    }
    return status;
}

static bool unpack_addresses(const uint8_t *at, const uint8_t *end, struct token *token)
{
    for (size_t i = 0; i < token->address_count; i++) {
        size_t length = at < end ? *at++ : 0;
        if (length == 0 || length >= TOKEN_ADDRESS_SIZE || length > (size_t)(end - at) ||
            memchr(at, 0, length)) {
            return false;
        }
        memcpy(token->addresses[i], at, length);
        token->addresses[i][length] = 0;
        at += length;
        if (!good_address(token->addresses[i])) {
            return false;
        }
    }
    return at == end;
}

/* The checksum fits, so what is wrong here was made so. */
static int unpack(const uint8_t *body, size_t size, struct token *token, struct vios_error *error)
{
    uint64_t expires;
    const uint8_t *at = body + DIGEST_SIZE + TOKEN_ID_BYTES;
    crypto_hex(body, DIGEST_SIZE, token->fingerprint);
    crypto_hex(body + DIGEST_SIZE, TOKEN_ID_BYTES, token->id);
    memcpy(token->secret, at, TOKEN_SECRET_BYTES);
    memcpy(&expires, at + TOKEN_SECRET_BYTES, sizeof expires);
    expires = be64toh(expires);
    token->address_count = at[TOKEN_SECRET_BYTES + 8];
    if (expires > EXPIRES_MAX_S || token->address_count < 1 ||
        token->address_count > TOKEN_ADDRESSES_MAX ||
        !unpack_addresses(body + HEAD_BYTES, body + size, token)) {
        return wrong(error, "what it says is malformed");
    }
    token->expires_ms = (int64_t)expires * 1000;
    return VIOS_OK;
}

int token_parse(const char *text, struct token *token, struct vios_error *error)
{
    uint8_t body[BODY_MAX];
    size_t size = 0;
    struct token found = {0};
    int status = open_text(text, body, &size, error);
    if (status == VIOS_OK) {
        status = unpack(body, size, &found, error);
    }
    if (status == VIOS_OK) {
        *token = found;
    }
    token_forget(&found);
    OPENSSL_cleanse(body, sizeof body);
    return status;
}

/* --- the cluster's side --- */

int token_hash(const struct token *token, char hash[DIGEST_TEXT_SIZE], struct vios_error *error)
{
    uint8_t digest[DIGEST_SIZE];
    int status = crypto_digest(token->id, TOKEN_ID_SIZE - 1, token->secret, TOKEN_SECRET_BYTES,
                               digest, error);
    if (status == VIOS_OK) {
        crypto_hex(digest, sizeof digest, hash);
    }
    return status;
}

bool token_matches(const struct token *token, const char *hash)
{
    char mine[DIGEST_TEXT_SIZE];
    return token_hash(token, mine, NULL) == VIOS_OK && strlen(hash) == DIGEST_TEXT_SIZE - 1 &&
           CRYPTO_memcmp(mine, hash, DIGEST_TEXT_SIZE - 1) == 0;
}

void token_forget(struct token *token)
{
    OPENSSL_cleanse(token->secret, sizeof token->secret);
}
