/*
 * caller_words.h - what a caller and the primary say to each other: PROTOCOL.md, as lines.
 */
#ifndef EVENT_CALLER_WORDS_H
#define EVENT_CALLER_WORDS_H

#include "event/caller.h"
#include "event/record.h"

#define CALLER_LEVEL 1        /* of the protocol */
#define CALLER_BEAT_SIZE 40   /* of a heart-beat's line, with a NUL */
#define CALLER_SECRET_MAX 256 /* bytes of a token that is looked at at all */

enum caller_saying { CALLER_SAYS_HELLO, CALLER_SAYS_SEEN };

/* A line of a caller's. */
struct caller_said {
    enum caller_saying kind;
    char id[NAME_MAX_LENGTH + 1]; /* of a hello; these four */
    char token[CALLER_SECRET_MAX + 1];
    bool has_cursor;
    struct event_cursor cursor;
    int64_t seen; /* of a seen: a sequence number */
};

/* Validates all of a line without its newline. VIOS_E_INVALID. */
int caller_said_parse(const char *line, size_t size, struct caller_said *said,
                      struct vios_error *error);
/* Overwrites the token. */
void caller_said_forget(struct caller_said *said);

/* Lines, with a newline and a NUL behind them; free() each. NULL: no memory. */
char *caller_words_hello(const char *cluster, const char *node, int64_t epoch, int64_t restores,
                         int beat_ms);
char *caller_words_resync(const char *why, int64_t sequence);
char *caller_words_moved(const char *node, const char *address);
char *caller_words_error(const struct vios_error *error);

/* The line of the current state is the same for all but its end: see caller_words_state_end().
 * Takes over `state`. */
char *caller_words_state(json_t *state, int64_t as_of);
/* Returns its length. */
size_t caller_words_state_end(int64_t sequence, char text[CALLER_BEAT_SIZE]);
size_t caller_words_beat(int64_t sequence, char text[CALLER_BEAT_SIZE]);

#endif
