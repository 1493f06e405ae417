/*
 * record.h - /event/NODE/INCARNATION-UUID: the commit that makes the events of one payload file
 * (payload.h) happen, and gives them their numbers; and /events, what is known of all of them.
 *
 * The sequence number of an event is the revision at which its file's name was committed, times
 * 128, plus its index in the file. So it only grows, also from one producer and one primary to the
 * next, and two events never have the same. A cursor is the count of restores of the VIOS DB
 * (/cluster) and a sequence number, for a restored DB counts its revisions on from another place.
 */
#ifndef EVENT_RECORD_H
#define EVENT_RECORD_H

#include "event/payload.h"
#include "store/store.h"

#include <stdbool.h>
#include <stdint.h>

#define EVENT_PREFIX "/event/"
#define EVENTS_KEY "/events"
#define EVENT_KEY_SIZE 160

/* A place in the row of all events: what was seen up to, and with, `sequence`. */
struct event_cursor {
    int64_t restores, sequence;
};

/* A payload file whose name is committed. */
struct event_record {
    int64_t revision; /* of the commit */
    char node[NAME_MAX_LENGTH + 1];
    char name[PAYLOAD_NAME_SIZE];
    size_t count;    /* of the events in it */
    int64_t wall_ms; /* when it was committed, by its producer's clock */
};

/* /events: {"v":1,"derived":R,"dropped":S} and what derive.h needs to know. */
struct event_progress {
    int64_t derived;  /* changes of the VIOS DB up to this revision have become events (derive.h) */
    int64_t dropped;  /* events up to this sequence number are not kept any more */
    int64_t revision; /* of the record; 0: there is none yet */
    json_t *known;    /* derivation_known(); NULL: there is none yet */
};

int64_t event_sequence(int64_t revision, size_t index);

void event_record_key(const char *node, const char *name, char key[EVENT_KEY_SIZE]);

/* The value of a record that is committed now; free() it, NULL: no memory. */
char *event_record_value(size_t count);

/* The number of the last event in it. */
int64_t event_record_last(const struct event_record *record);

/* Of what was listed or watched below EVENT_PREFIX. VIOS_E_CORRUPT when it is no such record. */
int event_record_parse(const struct store_value *value, struct event_record *record,
                       struct vios_error *error);

/* All of them, in the order of their sequence numbers, and the revision of the listing. Those that
 * are not of their form are left out, with a line in the log. free() `*records`. */
int event_records_list(struct store *store, struct event_record **records, size_t *count,
                       int64_t *revision, struct operation *operation);

/* Zeroes, when there is none. Clear it in any case. */
int event_progress_read(struct store *store, struct event_progress *progress,
                        struct operation *operation);
void event_progress_clear(struct event_progress *progress);

/* free() it; NULL: no memory. */
char *event_progress_value(const struct event_progress *progress);

/* How often the VIOS DB was restored: the other half of a cursor. */
int event_restores(struct store *store, int64_t *restores, struct operation *operation);

#endif
