/* retention.c - see retention.h. */
#include "event/retention.h"

#include "base/json.h"
#include "base/log.h"
#include "event/event_file.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int64_t retention_choose(struct event_index *index, int64_t wall_ms)
{
    struct event_record record;
    size_t events = event_index_events(index);
    size_t surplus = events > RETENTION_EVENTS + RETENTION_SLACK ? events - RETENTION_EVENTS : 0;
    int64_t dropped = event_index_dropped(index);
    while (event_index_after(index, dropped, &record) &&
           (surplus > 0 || wall_ms - record.wall_ms > RETENTION_AGE_MS)) {
        dropped = event_record_last(&record);
        surplus = surplus > record.count ? surplus - record.count : 0;
    }
    return dropped;
}

/* Deletes the records of `records`, at most STORE_CHANGES_MAX. */
static int forget(struct store *store, const struct event_record *records, size_t count,
                  int64_t revision, struct operation *operation)
{
    char keys[STORE_CHANGES_MAX][EVENT_KEY_SIZE];
    struct store_change changes[STORE_CHANGES_MAX];
    const struct store_compare primary = {
        .kind = STORE_REVISION_IS, .key = "/primary", .revision = revision};
    for (size_t i = 0; i < count; i++) {
        event_record_key(records[i].node, records[i].name, keys[i]);
        changes[i] = (struct store_change){.key = keys[i]};
    }
    return store_commit(store, &primary, 1, changes, count, NULL, operation);
}

int retention_remove(struct node *node, struct store *store, int64_t dropped, int64_t revision,
                     struct operation *operation)
{
    struct event_record *records;
    size_t count, old = 0;
    int status = event_records_list(store, &records, &count, NULL, operation);
    while (status == VIOS_OK && old < count && event_record_last(&records[old]) <= dropped) {
        status = event_file_remove(node, records[old].node, records[old].name, &operation->error);
        old++;
    }
    for (size_t i = 0; status == VIOS_OK && i < old; i += STORE_CHANGES_MAX) {
        size_t most = old - i < STORE_CHANGES_MAX ? old - i : STORE_CHANGES_MAX;
        status = forget(store, &records[i], most, revision, operation);
    }
    free(records);
    return status;
}

/* --- orphans --- */

struct sweep {
    struct node *node;
    struct event_index *index;
    const char *producer;
    int64_t incarnation, wall_ms;
};

static int look_at_file(void *context, const char *name, struct vios_error *error)
{
    const struct sweep *sweep = context;
    char path[PATH_MAX];
    struct stat found;
    int64_t incarnation;
    if (!payload_name_is_valid(name, &incarnation) || incarnation >= sweep->incarnation ||
        event_index_has(sweep->index, sweep->producer, name) ||
        event_file_path(sweep->node, sweep->producer, name, path, error) != VIOS_OK ||
        stat(path, &found) != 0 ||
        sweep->wall_ms - (int64_t)found.st_mtim.tv_sec * 1000 < RETENTION_ORPHAN_MS) {
        return VIOS_OK;
    }
    log_notice("event", "%s was never committed, and its incarnation is over: it is removed", name);
    return event_file_remove(sweep->node, sweep->producer, name, error);
}

int retention_sweep(struct node *node, struct event_index *index, const json_t *up, int64_t wall_ms,
                    struct operation *operation)
{
    const char *name;
    json_t *incarnation;
    int status = VIOS_OK;
    json_object_foreach((json_t *)up, name, incarnation)
    {
        struct sweep sweep = {.node = node,
                              .index = index,
                              .producer = name,
                              .incarnation = json_integer_value(incarnation),
                              .wall_ms = wall_ms};
        status = event_file_each(node, name, look_at_file, &sweep, &operation->error);
        if (status != VIOS_OK) {
            return status;
        }
    }
    return status;
}
