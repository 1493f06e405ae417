/* utf8.h - where the characters of a text end. */
#ifndef BASE_UTF8_H
#define BASE_UTF8_H

#include <stddef.h>

/* How many bytes the character at `text` has, 1 to 4; 0 when it is none: a byte that begins none, a
 * character that is cut, overlong, a surrogate or beyond U+10FFFF, and the NUL. Control characters
 * are characters. */
size_t utf8_length(const char *text);

#endif
