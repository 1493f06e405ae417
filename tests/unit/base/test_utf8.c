/* test_utf8.c - what is a character, and what only looks like one. */
#include "base/utf8.h"
#include "tests/tap.h"

static void characters_have_a_length(void)
{
    is_int(utf8_length("a"), 1);
    is_int(utf8_length("\x01"), 1);
    is_int(utf8_length("\xc3\xa9"), 2);
    is_int(utf8_length("\xe2\x82\xac and more"), 3);
    is_int(utf8_length("\xf0\x9f\x98\x80"), 4);
    is_int(utf8_length("\xf4\x8f\xbf\xbf"), 4);
}

static void what_is_none_has_no_length(void)
{
    static const char *const bad[] = {
        "",
        "\x80",
        "\xc3",
        "\xc3\x61",
        "\xe2\x82",
        "\xc0\xaf", /* overlong */
        "\xe0\x9f\xbf",
        "\xf0\x8f\xbf\xbf",
        "\xed\xa0\x80",     /* a surrogate */
        "\xf4\x90\x80\x80", /* beyond U+10FFFF */
        "\xff",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        ok(utf8_length(bad[i]) == 0, "row %zu has a length", i);
    }
}

int main(void)
{
    RUN(characters_have_a_length);
    RUN(what_is_none_has_no_length);
    return tap_done();
}
