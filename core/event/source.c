/* source.c - see source.h. */
#include "event/source.h"

#include "base/log.h"
#include "event/retrieve.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct event_source {
    struct node *node;
    struct store_watch *watch;
    struct event_record *records; /* committed, not given yet: a queue */
    size_t first, count, room;
    int64_t revision; /* of what is in the queue, or was */
    int64_t after, restores, dropped;
    bool gap;           /* to be told first */
    int64_t missing_ms; /* since when the first record's file is not there; 0: it was not looked */
};

/* --- what is committed --- */

static int enqueue(struct event_source *source, const struct event_record *record,
                   struct operation *operation)
{
    if (event_record_last(record) <= source->after ||
        event_record_last(record) <= source->dropped) {
        return VIOS_OK;
    }
    if (source->first + source->count == source->room) {
        if (source->first > 0) {
            memmove(source->records, source->records + source->first,
                    source->count * sizeof *source->records);
            source->first = 0;
        } else {
            size_t room = source->room > 0 ? 2 * source->room : 64;
            void *more = realloc(source->records, room * sizeof *source->records);
            if (!more) {
                return operation_no_memory(operation, "events");
            }
            source->records = more;
            source->room = room;
        }
    }
    source->records[source->first + source->count++] = *record;
    return VIOS_OK;
}

/* The number that `after` stands for. */
static void choose_after(struct event_source *source, const struct event_record *records,
                         size_t count)
{
    size_t left_out = source->after == EVENT_SOURCE_NOW ? count
                      : source->after == EVENT_SOURCE_RECENT
                          ? (count > SOURCE_RECENT_FILES ? count - SOURCE_RECENT_FILES : 0)
                          : 0;
    if (source->after == EVENT_SOURCE_NOW || source->after == EVENT_SOURCE_RECENT) {
        int64_t after = left_out > 0 ? event_record_last(&records[left_out - 1]) : 0;
        source->after = after > source->dropped ? after : source->dropped;
    }
}

/* Everything that is committed now and was not given yet; the watch goes on from there. */
static int list(struct event_source *source, struct store *store, struct operation *operation)
{
    struct event_progress progress = {0};
    struct event_record *records;
    size_t count;
    int64_t revision = 0;
    int status = event_records_list(store, &records, &count, &revision, operation);
    if (status == VIOS_OK) {
        status = event_progress_read(store, &progress, operation);
    }
    if (status == VIOS_OK) {
        source->dropped = progress.dropped;
        choose_after(source, records, count);
        source->gap = source->after < source->dropped;
        source->first = source->count = 0;
    }
    for (size_t i = 0; status == VIOS_OK && i < count; i++) {
        status = enqueue(source, &records[i], operation);
    }
    event_progress_clear(&progress);
    free(records);
    source->revision = revision;
    return status;
}

static int begin(struct event_source *source, struct operation *operation)
{
    struct store *store;
    int status = node_store(source->node, &store, operation);
    if (status != VIOS_OK) {
        return status;
    }
    status = event_restores(store, &source->restores, operation);
    if (status == VIOS_OK) {
        status = list(source, store, operation);
    }
    if (status == VIOS_OK) {
        status = store_watch_open(&source->watch, store, EVENT_PREFIX, source->revision, operation);
    }
    node_store_return(source->node, store);
    return status;
}

int event_source_open(struct event_source **source, struct node *node, int64_t after,
                      struct operation *operation)
{
    struct event_source *made = calloc(1, sizeof *made);
    *source = NULL;
    if (!made) {
        return operation_no_memory(operation, "events");
    }
    made->node = node;
    made->after = after;
    int status = begin(made, operation);
    if (status != VIOS_OK) {
        event_source_close(made);
        return status;
    }
    *source = made;
    return VIOS_OK;
}

void event_source_close(struct event_source *source)
{
    if (source) {
        store_watch_close(source->watch);
        free(source->records);
        free(source);
    }
}

/* Waits for commits. */
static int follow(struct event_source *source, struct operation *operation)
{
    struct store_change_list changes;
    struct event_record record;
    if (!source->watch) {
        return begin(source, operation);
    }
    int status = store_watch_next(source->watch, &changes, operation);
    if (status == VIOS_E_COMPACTED) {
        store_watch_close(source->watch);
        source->watch = NULL;
        return begin(source, operation);
    }
    if (status != VIOS_OK) {
        return status;
    }
    for (size_t i = 0; status == VIOS_OK && i < changes.count; i++) {
        const struct store_value *value = &changes.values[i];
        if (!value->json) {
            continue; /* it is not kept any more */
        }
        if (event_record_parse(value, &record, &operation->error) == VIOS_OK) {
            status = enqueue(source, &record, operation);
        } else {
            log_error("event", "%s: %s", value->key, operation->error.message);
        }
    }
    store_change_list_clear(&changes);
    return status;
}

/* --- batches --- */

static void give_gap(struct event_source *source, int64_t sequence, const char *why,
                     struct event_batch *batch)
{
    batch->gap = true;
    batch->sequence = sequence;
    snprintf(batch->why, sizeof batch->why, "%s", why);
    source->after = sequence;
}

static int give_first(struct event_source *source, struct event_batch *batch,
                      struct operation *operation)
{
    const struct event_record *record = &source->records[source->first];
    int status = retrieve(source->node, record, &source->missing_ms, &batch->payload, operation);
    if (status == VIOS_E_NOT_FOUND || status == VIOS_E_CORRUPT) {
        batch->record = *record;
        batch->damaged = status == VIOS_E_CORRUPT;
        give_gap(source, event_record_last(record), operation->error.message, batch);
    } else if (status != VIOS_OK) {
        return status;
    } else {
        batch->record = *record;
        batch->sequence = event_record_last(record);
        while (batch->first < record->count &&
               event_sequence(record->revision, batch->first) <= source->after) {
            batch->first++;
        }
        source->after = batch->sequence;
    }
    source->missing_ms = 0;
    source->first++;
    source->count--;
    return VIOS_OK;
}

int event_source_next(struct event_source *source, struct event_batch *batch,
                      struct operation *operation)
{
    int status = VIOS_OK;
    *batch = (struct event_batch){0};
    while (status == VIOS_OK && source->count == 0 && !source->gap) {
        status = follow(source, operation);
    }
    if (status == VIOS_OK && source->gap) {
        source->gap = false;
        give_gap(source, source->dropped, "older events are not kept any more", batch);
        return VIOS_OK;
    }
    return status == VIOS_OK ? give_first(source, batch, operation) : status;
}

bool event_source_waits(const struct event_source *source)
{
    return source->count > 0 || source->gap;
}

int64_t event_source_after(const struct event_source *source)
{
    return source->after;
}

int64_t event_source_restores(const struct event_source *source)
{
    return source->restores;
}
