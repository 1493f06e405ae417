/* caller_words.c - see caller_words.h. */
#include "event/caller_words.h"

#include "base/json.h"

#include <inttypes.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- what a caller says --- */

/* What is wrong with it; NULL: nothing. */
static const char *read_cursor(const json_t *hello, struct caller_said *said)
{
    const json_t *cursor = json_object_get(hello, "cursor");
    if (!cursor || json_is_null(cursor)) {
        return NULL;
    }
    said->has_cursor = true;
    if (!json_read_integer(cursor, "restores", 0, INT64_MAX, &said->cursor.restores) ||
        !json_read_integer(cursor, "seq", 0, INT64_MAX, &said->cursor.sequence)) {
        return "its cursor is not {\"restores\":NUMBER,\"seq\":NUMBER}";
    }
    return NULL;
}

static const char *read_hello(const json_t *hello, struct caller_said *said)
{
    int64_t level;
    said->kind = CALLER_SAYS_HELLO;
    if (!json_read_integer(hello, "hello", 1, INT64_MAX, &level)) {
        return "\"hello\" is not the number of a level";
    }
    if (!json_read_text(hello, "caller", said->id, sizeof said->id) ||
        parse_name(said->id, "caller", NULL) != VIOS_OK) {
        return "\"caller\" is not an id";
    }
    if (!json_read_text(hello, "token", said->token, sizeof said->token) || !said->token[0]) {
        return "\"token\" is not a token";
    }
    return read_cursor(hello, said);
}

static const char *read_said(const json_t *line, struct caller_said *said)
{
    if (json_object_get(line, "hello")) {
        return read_hello(line, said);
    }
    if (json_object_get(line, "seen")) {
        said->kind = CALLER_SAYS_SEEN;
        return json_read_integer(line, "seen", 0, INT64_MAX, &said->seen)
                   ? NULL
                   : "\"seen\" is not a sequence number";
    }
    return "the line says neither \"hello\" nor \"seen\"";
}

int caller_said_parse(const char *line, size_t size, struct caller_said *said,
                      struct vios_error *error)
{
    *said = (struct caller_said){0};
    json_t *json = json_loadb(line, size, JSON_REJECT_DUPLICATES, NULL);
    const char *wrong = json_is_object(json) ? read_said(json, said) : "the line is no JSON object";
    json_decref(json);
    if (wrong) {
        caller_said_forget(said);
        *said = (struct caller_said){0};
        return error_set(error, VIOS_E_INVALID, "caller", "see core/event/PROTOCOL.md", "%s",
                         wrong);
    }
    return VIOS_OK;
}

void caller_said_forget(struct caller_said *said)
{
    OPENSSL_cleanse(said->token, sizeof said->token);
}

/* --- what it is told --- */

/* Takes over the object. */
static char *line_of(json_t *json)
{
    char *text = json_into_text(json);
    size_t size = text ? strlen(text) : 0;
    char *line = text ? malloc(size + 2) : NULL;
    if (line) {
        memcpy(line, text, size);
        memcpy(line + size, "\n", 2);
    }
    free(text);
    return line;
}

char *caller_words_hello(const char *cluster, const char *node, int64_t epoch, int64_t restores,
                         int beat_ms)
{
    return line_of(json_pack("{s:i, s:s, s:s, s:I, s:I, s:i}", "hello", CALLER_LEVEL, "cluster",
                             cluster, "node", node, "epoch", (json_int_t)epoch, "restores",
                             (json_int_t)restores, "beat_ms", beat_ms));
}

char *caller_words_resync(const char *why, int64_t sequence)
{
    return line_of(json_pack("{s:{s:s, s:I}}", "resync", "why", why, "seq", (json_int_t)sequence));
}

char *caller_words_moved(const char *node, const char *address)
{
    return line_of(json_pack("{s:{s:s, s:s}}", "moved", "node", node, "address", address));
}

char *caller_words_error(const struct vios_error *error)
{
    return line_of(json_pack("{s:{s:s, s:s, s:s}}", "error", "code", error_name(error->code),
                             "message", error->message, "hint", error->hint));
}

char *caller_words_state(json_t *state, int64_t as_of)
{
    char *text = json_into_text(state);
    size_t size = text ? strlen(text) + 64 : 0;
    char *line = text ? malloc(size) : NULL;
    if (line) {
        snprintf(line, size, "{\"state\":%s,\"as_of\":%" PRId64, text, as_of);
    }
    free(text);
    return line;
}

size_t caller_words_state_end(int64_t sequence, char text[CALLER_BEAT_SIZE])
{
    return (size_t)snprintf(text, CALLER_BEAT_SIZE, ",\"seq\":%" PRId64 "}\n", sequence);
}

size_t caller_words_beat(int64_t sequence, char text[CALLER_BEAT_SIZE])
{
    return (size_t)snprintf(text, CALLER_BEAT_SIZE, "{\"beat\":%" PRId64 "}\n", sequence);
}
