/* fuzz_token.c - what somebody may type as a join token: refused, or it formats to the same text.
 * Bytes that are no text of a token are also taken as the body of one with a fitting checksum. */
#include "net/crypto.h"
#include "net/token.h"
#include "tests/fuzz/text.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void try_text(const char *text)
{
    struct token token;
    char again[TOKEN_TEXT_SIZE];
    if (token_parse(text, &token, NULL) == VIOS_OK) {
        assert(token.address_count >= 1 && token.address_count <= TOKEN_ADDRESSES_MAX);
        assert(token_format(&token, again, NULL) == VIOS_OK);
        assert(strcmp(again, text) == 0);
    }
}

/* So that the search gets behind the checksum. */
static void try_body(const uint8_t *data, size_t size)
{
    static const char ALPHABET[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    uint8_t body[700], digest[DIGEST_SIZE];
    char text[TOKEN_TEXT_SIZE] = TOKEN_PREFIX;
    size_t length = strlen(text), whole;
    if (size + 6 > sizeof body) {
        return;
    }
    memset(body, 0, sizeof body);
    memcpy(body, data, size);
    assert(crypto_digest(data, size, "", 0, digest, NULL) == VIOS_OK);
    memcpy(body + size, digest, 4);
    whole = ((size + 4) * 8 + 5) / 6;
    for (size_t i = 0; i < whole; i++) {
        size_t bit = 6 * i;
        unsigned two = (unsigned)body[bit / 8] << 8 | body[bit / 8 + 1];
        text[length++] = ALPHABET[two >> (10 - bit % 8) & 63];
    }
    text[length] = 0;
    try_text(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = text_of(data, size);
    assert(text);
    try_text(text);
    free(text);
    try_body(data, size);
    return 0;
}
