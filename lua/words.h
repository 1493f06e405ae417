/*
 * words.h - splits a command line into words, as a shell would: blanks separate, '…' is
 * literal, "…" knows \" and \\, a backslash outside of quotes takes the next byte as it is,
 * and # at the start of a word begins a comment. No expansion of any kind.
 */
#ifndef LUA_WORDS_H
#define LUA_WORDS_H

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>

#define WORDS_MAX 4096
#define WORDS_LINE_MAX (1024 * 1024)

/* Where a word stands in the line, quotes and all: `end` is behind it. */
struct word_span {
    size_t begin, end;
};

struct words {
    char *text;              /* the words, each with a NUL behind it; owned */
    size_t *at;              /* where each begins in `text`; owned */
    struct word_span *spans; /* of each; owned */
    size_t count;
    bool open;         /* the line ends within quotes or behind a backslash */
    bool in_word;      /* the line ends within the last word */
    size_t last_start; /* where the last word begins in the line; its size if in none */
};

/* VIOS_OK also for an open line. VIOS_E_USAGE: a NUL byte, or a limit. */
int words_split(struct words *words, const char *line, size_t size, struct vios_error *error);
void words_free(struct words *words);

#endif
