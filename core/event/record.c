/* record.c - see record.h. */
#include "event/record.h"

#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "node/node.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int64_t event_sequence(int64_t revision, size_t index)
{
    assert(index < PAYLOAD_EVENTS_MAX);
    return revision * PAYLOAD_EVENTS_MAX + (int64_t)index;
}

void event_record_key(const char *node, const char *name, char key[EVENT_KEY_SIZE])
{
    snprintf(key, EVENT_KEY_SIZE, EVENT_PREFIX "%s/%s", node, name);
}

char *event_record_value(size_t count)
{
    return json_into_text(json_pack("{s:i, s:I, s:I}", "v", 1, "count", (json_int_t)count,
                                    "wall_ms", (json_int_t)clock_wall_ms()));
}

int64_t event_record_last(const struct event_record *record)
{
    return event_sequence(record->revision, record->count - 1);
}

/* "NODE/INCARNATION-UUID" */
static bool read_key(const char *key, struct event_record *record)
{
    const char *slash = strchr(key, '/');
    size_t length = slash ? (size_t)(slash - key) : 0;
    if (length == 0 || length > NAME_MAX_LENGTH || strlen(slash + 1) >= sizeof record->name) {
        return false;
    }
    memcpy(record->node, key, length);
    record->node[length] = '\0';
    snprintf(record->name, sizeof record->name, "%s", slash + 1);
    return parse_name(record->node, "node", NULL) == VIOS_OK &&
           payload_name_is_valid(record->name, NULL);
}

int event_record_parse(const struct store_value *value, struct event_record *record,
                       struct vios_error *error)
{
    int64_t count = 0, version;
    *record = (struct event_record){.revision = value->created};
    json_t *json = json_loads(value->json, JSON_REJECT_DUPLICATES, NULL);
    bool good = read_key(value->key + strlen(EVENT_PREFIX), record) &&
                json_read_integer(json, "v", 1, 1, &version) &&
                json_read_integer(json, "count", 1, PAYLOAD_EVENTS_MAX, &count) &&
                json_read_integer(json, "wall_ms", 0, INT64_MAX, &record->wall_ms);
    json_decref(json);
    record->count = (size_t)count;
    return good ? VIOS_OK
                : error_set(error, VIOS_E_CORRUPT, value->key, "run \"vios db check\"",
                            "it is no record of a payload file");
}

static int by_revision(const void *one, const void *other)
{
    const struct event_record *a = one, *b = other;
    return a->revision < b->revision ? -1 : a->revision > b->revision;
}

int event_records_list(struct store *store, struct event_record **records, size_t *count,
                       int64_t *revision, struct operation *operation)
{
    struct store_list list;
    struct vios_error error;
    *records = NULL;
    *count = 0;
    int status = store_list(store, EVENT_PREFIX, &list, revision, operation);
    if (status != VIOS_OK) {
        return status;
    }
    *records = calloc(list.count + 1, sizeof **records);
    for (size_t i = 0; *records && i < list.count; i++) {
        if (event_record_parse(&list.values[i], &(*records)[*count], &error) == VIOS_OK) {
            ++*count;
        } else {
            log_error("event", "%s: %s", list.values[i].key, error.message);
        }
    }
    store_list_clear(&list);
    if (!*records) {
        return operation_no_memory(operation, "events");
    }
    qsort(*records, *count, sizeof **records, by_revision);
    return VIOS_OK;
}

int event_progress_read(struct store *store, struct event_progress *progress,
                        struct operation *operation)
{
    *progress = (struct event_progress){0};
    int status = node_record(store, EVENTS_KEY, &progress->known, &progress->revision, operation);
    if (status == VIOS_E_NOT_FOUND) {
        return VIOS_OK;
    }
    if (status == VIOS_OK &&
        (!json_read_integer(progress->known, "derived", 0, INT64_MAX, &progress->derived) ||
         !json_read_integer(progress->known, "dropped", 0, INT64_MAX, &progress->dropped))) {
        status = operation_fail(operation, VIOS_E_CORRUPT, EVENTS_KEY, "run \"vios db check\"",
                                "it does not say what became an event, and what is kept");
    }
    return status;
}

void event_progress_clear(struct event_progress *progress)
{
    json_decref(progress->known);
    progress->known = NULL;
}

char *event_progress_value(const struct event_progress *progress)
{
    json_t *record = json_pack("{s:i, s:I, s:I}", "v", 1, "derived", (json_int_t)progress->derived,
                               "dropped", (json_int_t)progress->dropped);
    if (record && progress->known) {
        json_object_update_missing(record, progress->known);
    }
    return json_into_text(record);
}

int event_restores(struct store *store, int64_t *restores, struct operation *operation)
{
    json_t *cluster = NULL;
    *restores = 0;
    int status = node_record(store, "/cluster", &cluster, NULL, operation);
    if (status == VIOS_OK) {
        *restores = json_get_integer(cluster, "restores");
        json_decref(cluster);
    }
    return status;
}
