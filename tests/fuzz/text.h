/* text.h - for fuzz targets of what takes texts: the input with an end. */
#ifndef TESTS_FUZZ_TEXT_H
#define TESTS_FUZZ_TEXT_H

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* A copy as a string, to the first NUL if there is one; the caller's. Not strndup(3): the
 * sanitizer's strict string checks read beyond an input that has no end. */
static inline char *text_of(const void *data, size_t size)
{
    char *text = malloc(size + 1);
    assert(text);
    memcpy(text, data, size);
    text[size] = '\0';
    return text;
}

#endif
