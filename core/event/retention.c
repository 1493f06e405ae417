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

/* --- what nobody needs --- */

struct sweep {
    struct node *node;
    struct event_index *index;
    const json_t *up;
    int64_t wall_ms;
    /* of the producer that is looked at: */
    const char *producer;
    int64_t incarnation; /* the present one; INT64_MAX: it is no member any more */
    struct event_names committed;
};

static bool ends_with(const char *name, const char *end)
{
    size_t length = strlen(name), end_length = strlen(end);
    return length > end_length && strcmp(name + length - end_length, end) == 0;
}

/* How old it must be to go; INT64_MAX: it stays. */
static int64_t age_to_go_ms(const struct sweep *sweep, const char *name)
{
    int64_t incarnation;
    if (payload_name_is_valid(name, &incarnation)) {
        bool is_orphan =
            incarnation < sweep->incarnation && !event_names_has(&sweep->committed, name);
        return is_orphan ? RETENTION_ORPHAN_MS : INT64_MAX;
    }
    if (ends_with(name, EVENT_FILE_DAMAGED)) {
        return RETENTION_AGE_MS;
    }
    bool is_unfinished = name[0] == '.' && ends_with(name, ".tmp"); /* its writer was killed */
    return is_unfinished ? RETENTION_ORPHAN_MS : INT64_MAX;
}

static int look_at_file(void *context, const char *name, struct vios_error *error)
{
    const struct sweep *sweep = context;
    char path[PATH_MAX];
    struct stat found;
    int64_t limit_ms = age_to_go_ms(sweep, name);
    if (limit_ms == INT64_MAX ||
        event_file_path(sweep->node, sweep->producer, name, path, error) != VIOS_OK ||
        lstat(path, &found) != 0 || !S_ISREG(found.st_mode) ||
        sweep->wall_ms - (int64_t)found.st_mtim.tv_sec * 1000 < limit_ms) {
        return VIOS_OK;
    }
    log_notice("event", "%s of %s belongs to no event: it is removed", name, sweep->producer);
    return event_file_remove(sweep->node, sweep->producer, name, error);
}

static int look_at_producer(void *context, const char *name, struct vios_error *error)
{
    struct sweep *sweep = context;
    const json_t *incarnation = json_object_get(sweep->up, name);
    if (parse_name(name, "node", NULL) != VIOS_OK) {
        return VIOS_OK;
    }
    sweep->producer = name;
    sweep->incarnation = incarnation ? json_integer_value(incarnation) : INT64_MAX;
    int status = event_index_names(sweep->index, name, &sweep->committed, error);
    if (status == VIOS_OK) {
        status = event_file_each(sweep->node, name, look_at_file, sweep, error);
    }
    event_names_clear(&sweep->committed);
    return status;
}

int retention_sweep(struct node *node, struct event_index *index, const json_t *up, int64_t wall_ms,
                    struct operation *operation)
{
    struct sweep sweep = {.node = node, .index = index, .up = up, .wall_ms = wall_ms};
    return event_file_each(node, NULL, look_at_producer, &sweep, &operation->error);
}
