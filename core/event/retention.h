/*
 * retention.h - which events are kept: RETENTION_EVENTS of them, none older than RETENTION_AGE_MS.
 *
 * Old ones go in three steps, each of which may be repeated by the next primary: /events says up to
 * which number they are dropped; their files are removed; their records are deleted. So a file
 * without a record is never one that was dropped, but one whose producer ended before its commit:
 * it goes on with it (producer.c), unless its incarnation is over. Then the file is removed, once
 * it is RETENTION_ORPHAN_MS old; so is one that was not written to its end, and one that was put
 * aside because it is damaged is removed when it is RETENTION_AGE_MS old.
 */
#ifndef EVENT_RETENTION_H
#define EVENT_RETENTION_H

#include "event/index.h"
#include "node/node.h"

#define RETENTION_EVENTS 100000
#define RETENTION_AGE_MS (7 * 86400000LL)
#define RETENTION_SLACK 1000 /* more events than RETENTION_EVENTS, before some go */
#define RETENTION_ORPHAN_MS 3600000LL

/* Up to which number events are to be dropped, by their count and their age at `wall_ms`; what is
 * dropped already when none are. */
int64_t retention_choose(struct event_index *index, int64_t wall_ms);

/* The second and the third step, for all whose numbers are not above `dropped`. `revision` is that
 * of /primary. VIOS_E_CONFLICT: it has changed. */
int retention_remove(struct node *node, struct store *store, int64_t dropped, int64_t revision,
                     struct operation *operation);

/* Removes those; `up` says, for each member that was ever up, which incarnation is its present one.
 * The index has all records. */
int retention_sweep(struct node *node, struct event_index *index, const json_t *up, int64_t wall_ms,
                    struct operation *operation);

#endif
