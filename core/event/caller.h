/*
 * caller.h - /caller/ID: who is registered for events (MISSION §3.2), and how far it has come.
 *
 *     {"v":1,"id":"billing","filter":{...},"token":"SHA-256 of the token","registered":"2026-...",
 *      "by":"uid:0","restores":0,"seen":1234}
 *
 * It is in the VIOS DB so that the next primary serves the same callers. "seen" is what the caller
 * said last that it has seen; it is written at most once in CALLER_SAVE_MS, so a caller that does
 * not keep its own cursor may be sent again what it has seen, under the same numbers.
 */
#ifndef EVENT_CALLER_H
#define EVENT_CALLER_H

#include "event/filter.h"
#include "event/record.h"
#include "net/crypto.h"

#define CALLER_PREFIX "/caller/"
#define CALLER_SAVE_MS 1000
#define CALLER_TOKEN_BYTES 24 /* random ones */
#define CALLER_TOKEN_SIZE 49  /* of the token's text, lower-case hex, with its NUL */
#define CALLER_KEY_SIZE 80
#define CALLER_BY_SIZE 160

struct caller {
    char id[NAME_MAX_LENGTH + 1]; /* a name as of a node */
    struct event_filter filter;
    char token_hash[DIGEST_TEXT_SIZE];
    char registered[32];
    char by[CALLER_BY_SIZE];
    struct event_cursor seen; /* sequence 0: it has not said anything yet */
    int64_t revision;         /* of the record */
};

void caller_key(const char *id, char key[CALLER_KEY_SIZE]);

/* Validates all of it. VIOS_E_CORRUPT, and `*caller` is empty. */
int caller_parse(const struct store_value *value, struct caller *caller, struct vios_error *error);
/* free() it; NULL: no memory. */
char *caller_format(const struct caller *caller);
void caller_clear(struct caller *caller);

/* Registers `id`, whose token is put into `token`; "by" is who asks. VIOS_E_EXISTS when there is
 * one. Takes over the filter. */
int caller_register(struct store *store, const char *id, struct event_filter *filter,
                    const char *by, char token[CALLER_TOKEN_SIZE], struct operation *operation);

/* VIOS_E_NOT_FOUND. */
int caller_unregister(struct store *store, const char *id, struct operation *operation);

/* Whether `token` is the caller's, in the same time for any; NULL: of nobody, and false. */
bool caller_token_matches(const struct caller *caller, const char *token);

#endif
