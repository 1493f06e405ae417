/* plain.c - see plain.h. */
#include "ffdc/plain.h"

#include "base/utf8.h"

#include <stdbool.h>

char *plain_text(char *text)
{
    for (char *at = text; *at;) {
        size_t length = utf8_length(at);
        bool control = (unsigned char)*at < ' ' || *at == 0x7f;
        *at = length == 0 || control ? '?' : *at;
        at += length ? length : 1;
    }
    return text;
}
