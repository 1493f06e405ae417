/* utf8.c - by the table of RFC 3629. */
#include "base/utf8.h"

size_t utf8_length(const char *text)
{
    const unsigned char *at = (const unsigned char *)text;
    static const struct {
        unsigned char first, last, second_first, second_last, length;
    } rows[] = {
        {0x01, 0x7f, 0, 0, 1},       {0xc2, 0xdf, 0x80, 0xbf, 2}, {0xe0, 0xe0, 0xa0, 0xbf, 3},
        {0xe1, 0xec, 0x80, 0xbf, 3}, {0xed, 0xed, 0x80, 0x9f, 3}, {0xee, 0xef, 0x80, 0xbf, 3},
        {0xf0, 0xf0, 0x90, 0xbf, 4}, {0xf1, 0xf3, 0x80, 0xbf, 4}, {0xf4, 0xf4, 0x80, 0x8f, 4}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (at[0] >= rows[i].first && at[0] <= rows[i].last) {
            size_t good = 1;
            while (good < rows[i].length && at[good] >= (good == 1 ? rows[i].second_first : 0x80) &&
                   at[good] <= (good == 1 ? rows[i].second_last : 0xbf)) {
                good++;
            }
            return good == rows[i].length ? good : 0;
        }
    }
    return 0;
}
