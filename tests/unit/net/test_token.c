/* test_token.c - join tokens: there and back, cut off, mistyped, and what the cluster keeps. */
#include "net/token.h"
#include "tests/tap.h"

static struct token sample(void)
{
    struct token token = {.expires_ms = 1767225600000, .address_count = 2};
    memset(token.fingerprint, 'a', 64);
    snprintf(token.addresses[0], TOKEN_ADDRESS_SIZE, "tcp:192.0.2.1:7440");
    snprintf(token.addresses[1], TOKEN_ADDRESS_SIZE, "tcp:[2001:db8::1]:7440");
    is_int(token_make(&token, NULL), VIOS_OK);
    return token;
}

static void a_token_is_read_back(void)
{
    char text[TOKEN_TEXT_SIZE], again[TOKEN_TEXT_SIZE];
    struct token token = sample(), read = {0};
    is_int(token_format(&token, text, NULL), VIOS_OK);
    ok(strncmp(text, "vios1.", 6) == 0, "%s", text);
    is_int(strspn(text + 6, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"),
           strlen(text) - 6);
    is_int(token_parse(text, &read, NULL), VIOS_OK);
    is_text(read.fingerprint, token.fingerprint);
    is_text(read.id, token.id);
    ok(memcmp(read.secret, token.secret, TOKEN_SECRET_BYTES) == 0, "secret");
    is_int(read.expires_ms, token.expires_ms);
    is_int(read.address_count, 2);
    is_text(read.addresses[1], "tcp:[2001:db8::1]:7440");
    is_int(token_format(&read, again, NULL), VIOS_OK);
    is_text(again, text);
}

static void the_longest_token_fits(void)
{
    char text[TOKEN_TEXT_SIZE];
    struct token token = sample(), read;
    token.address_count = TOKEN_ADDRESSES_MAX;
    for (size_t i = 0; i < TOKEN_ADDRESSES_MAX; i++) {
        snprintf(token.addresses[i], TOKEN_ADDRESS_SIZE,
                 "tcp:[2001:0db8:1111:2222:3333:4444:5555:666%zu]:65535", i);
    }
    is_int(token_format(&token, text, NULL), VIOS_OK);
    is_int(token_parse(text, &read, NULL), VIOS_OK);
    is_text(read.addresses[7], token.addresses[7]);
}

static void every_cut_and_every_slip_is_seen(void)
{
    char text[TOKEN_TEXT_SIZE], other[TOKEN_TEXT_SIZE];
    struct token token = sample(), read = {.id = "untouched"};
    struct vios_error error = {0};
    is_int(token_format(&token, text, NULL), VIOS_OK);
    size_t length = strlen(text);
    for (size_t i = 0; i < length; i++) {
        snprintf(other, sizeof other, "%.*s", (int)i, text);
        ok(token_parse(other, &read, &error) == VIOS_E_USAGE, "cut off after %zu", i);
        ok(strstr(error.hint, "copy it whole") != NULL, "%s", error.hint);
        memcpy(other, text, length + 1);
        other[i] = text[i] == 'A' ? 'B' : 'A';
        ok(token_parse(other, &read, &error) == VIOS_E_USAGE, "mistyped at %zu", i);
        other[i] = '+';
        ok(token_parse(other, &read, &error) == VIOS_E_USAGE, "bad character at %zu", i);
    }
    is_text(read.id, "untouched");
    is_int(token_parse(text + 1, &read, &error), VIOS_E_USAGE);
    is_text(error.message, "this is no join token");
    is_int(token_parse("vios2.AAAA", &read, &error), VIOS_E_USAGE);
    ok(strstr(error.message, "of another release") != NULL, "%s", error.message);
    is_int(token_parse("vios1.AAAA", &read, &error), VIOS_E_USAGE);
    is_text(error.message, "it is cut off");
    snprintf(other, sizeof other, "%s\n", text);
    is_int(token_parse(other, &read, &error), VIOS_E_USAGE);
}

static void only_good_members_are_formatted(void)
{
    char text[TOKEN_TEXT_SIZE];
    for (int i = 0; i < 7; i++) {
        struct token token = sample();
        switch (i) {
        case 0:
            token.fingerprint[63] = 0;
            break;
        case 1:
            token.fingerprint[0] = 'A';
            break;
        case 2:
            token.id[3] = 'g';
            break;
        case 3:
            token.address_count = 0;
            break;
        case 4:
            token.address_count = TOKEN_ADDRESSES_MAX + 1;
            break;
        case 5:
            snprintf(token.addresses[1], TOKEN_ADDRESS_SIZE, "unix:/run/x.sock");
            break;
        default:
            token.expires_ms = 1;
        }
        is_int(token_format(&token, text, NULL), VIOS_E_INVALID);
    }
}

static void the_cluster_keeps_a_hash(void)
{
    char hash[DIGEST_TEXT_SIZE];
    struct token token = sample(), other = sample();
    is_int(token_hash(&token, hash, NULL), VIOS_OK);
    is_int(strspn(hash, "0123456789abcdef"), 64);
    ok(token_matches(&token, hash), "the right one");
    ok(!token_matches(&other, hash), "another one");
    memcpy(other.secret, token.secret, sizeof other.secret);
    ok(!token_matches(&other, hash), "the secret under another id");
    ok(!token_matches(&token, ""), "no hash");
    token.secret[31] ^= 1;
    ok(!token_matches(&token, hash), "a bit in the secret");
    token_forget(&other);
    for (size_t i = 0; i < sizeof other.secret; i++) {
        is_int(other.secret[i], 0);
    }
}

int main(void)
{
    RUN(a_token_is_read_back);
    RUN(the_longest_token_fits);
    RUN(every_cut_and_every_slip_is_seen);
    RUN(only_good_members_are_formatted);
    RUN(the_cluster_keeps_a_hash);
    return tap_done();
}
