/*
 * payload.h - message payload files (MISSION §3.3): what a producer saw, in the order in which it
 * saw it, in the repository's events/NODE/INCARNATION-UUID.
 *
 * A line of JSON each: first the header, then 1 to PAYLOAD_EVENTS_MAX events. The header is
 *
 *     {"v":1,"cluster":"lab","node":"n1","incarnation":4,"epoch":7,"derived":0,"name":"4-UUID",
 *      "count":2,"digest":"SHA-256 of this line with an empty digest, and all lines behind it"}
 *
 * and an event, of at most EVENT_LINE_MAX bytes,
 *
 *     {"time":"2026-11-26T12:00:00.000Z","class":"node","object":"n2","operation":"down",
 *      "old":"up","new":"down","correlator":"17","data":{...}}
 *
 * with the last four where there is something to say. The sequence number is not in the file: it
 * is known only once the file's name is committed (record.h). The epoch is the last one that the
 * producer had seen, and is for information only.
 *
 * A file is whole or it is nothing: payload_parse() takes only what payload_format() makes.
 */
#ifndef EVENT_PAYLOAD_H
#define EVENT_PAYLOAD_H

#include "base/error.h"
#include "base/parse.h"

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#define PAYLOAD_EVENTS_MAX 128 /* a sequence number has 7 bits for the index within the commit */
#define PAYLOAD_NAME_SIZE 64   /* of "INCARNATION-UUID", with its NUL */
#define PAYLOAD_HEADER_MAX 1024
#define EVENT_LINE_MAX 8192           /* with its newline */
#define PAYLOAD_SIZE_MAX (256 * 1024) /* of a file; who batches stops before */
#define EVENT_WORD_MAX 31             /* of a class or an operation: [a-z0-9_] */
#define EVENT_OBJECT_MAX 255          /* bytes */
#define EVENT_STATE_MAX 63

/* What happened, as whoever sees it says it; texts are only looked at during the call. */
struct event {
    const char *class;      /* "node", "primary", "lpar"; see vios.1 for all */
    const char *object;     /* the name of what it happened to */
    const char *operation;  /* "down", "created" */
    const char *old_state;  /* NULL: not known, or none */
    const char *new_state;  /* likewise */
    const char *correlator; /* of the incident (FFDC) it belongs to; NULL: none */
    const json_t *data;     /* an object with more about it; NULL: none */
};

/* The event as a line's object, the caller's; VIOS_E_USAGE says what of it is not of its form. */
int event_to_json(const struct event *event, int64_t wall_ms, json_t **json,
                  struct vios_error *error);

/* Whether this object is one; else VIOS_E_CORRUPT. */
int event_check(const json_t *json, struct vios_error *error);

struct payload {
    char cluster[NAME_MAX_LENGTH + 1], node[NAME_MAX_LENGTH + 1];
    int64_t incarnation, epoch;
    int64_t
        derived; /* made of the VIOS DB's changes up to this revision (derive.h); 0: seen here */
    char name[PAYLOAD_NAME_SIZE]; /* of the file */
    json_t *events[PAYLOAD_EVENTS_MAX];
    size_t count;
};

/* A new name for a file of this incarnation, in payload->name. */
void payload_name(struct payload *payload);

/* Whether it is the name of a payload file; `*incarnation` (may be NULL) is in it. */
bool payload_name_is_valid(const char *name, int64_t *incarnation);

/* The file's bytes; free() `*text`. */
int payload_format(const struct payload *payload, char **text, size_t *size,
                   struct vios_error *error);

/* Validates all of it. VIOS_E_CORRUPT says what is wrong, and `*payload` is empty. The text need
 * not end with a NUL. */
int payload_parse(const char *text, size_t size, struct payload *payload, struct vios_error *error);

/* Lets go of the events. */
void payload_clear(struct payload *payload);

#endif
