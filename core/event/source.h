/*
 * source.h - the events of the cluster in the order of their numbers, as any node can read them:
 * the records below /event/ as they are committed, and the payload file of each.
 *
 * Events that cannot be had (retrieve.h) are a gap, which the reader is told of: nothing is ever
 * skipped in silence. Of one thread; all calls block.
 */
#ifndef EVENT_SOURCE_H
#define EVENT_SOURCE_H

#include "event/payload.h"
#include "event/record.h"
#include "node/node.h"

struct event_source;

/* What comes next: the events of one file; or, `gap` set, events up to `sequence` that cannot be
 * had, and why. */
struct event_batch {
    struct event_record record;
    struct payload payload; /* payload_clear() it */
    size_t first;           /* of its events: those before were asked to be left out */
    bool gap, damaged;
    int64_t sequence;
    char why[400];
};

/*
 * Events whose numbers are above `after`; when some of these are not kept any more the first batch
 * is a gap. EVENT_SOURCE_NOW: only those that come from now on. EVENT_SOURCE_RECENT: the last
 * SOURCE_RECENT_FILES files of them too.
 */
#define EVENT_SOURCE_NOW INT64_MAX
#define EVENT_SOURCE_RECENT (-1)
#define SOURCE_RECENT_FILES 512
int event_source_open(struct event_source **source, struct node *node, int64_t after,
                      struct operation *operation);
void event_source_close(struct event_source *source);

/* Waits for the next batch. VIOS_E_TIMEOUT, VIOS_E_CANCELLED, or the VIOS DB's failure: call again,
 * nothing is missed. */
int event_source_next(struct event_source *source, struct event_batch *batch,
                      struct operation *operation);

/* Whether another batch is there without waiting for a commit. */
bool event_source_waits(const struct event_source *source);

/* The number behind which the next batch begins. */
int64_t event_source_after(const struct event_source *source);

/* The restores of the VIOS DB, as it was opened. */
int64_t event_source_restores(const struct event_source *source);

#endif
