/* index.c - see index.h. */
#include "event/index.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define ROOM_FIRST 256

struct event_index {
    pthread_mutex_t lock;
    struct event_record *records;
    size_t first, count, room; /* `first` are forgotten already */
    size_t events;
    int64_t dropped, restores;
};

struct event_index *event_index_new(void)
{
    struct event_index *index = calloc(1, sizeof *index);
    if (index) {
        pthread_mutex_init(&index->lock, NULL);
    }
    return index;
}

void event_index_free(struct event_index *index)
{
    if (index) {
        pthread_mutex_destroy(&index->lock);
        free(index->records);
        free(index);
    }
}

/* Under the lock. */
static int make_room(struct event_index *index, struct vios_error *error)
{
    if (index->first + index->count < index->room) {
        return VIOS_OK;
    }
    if (index->first > index->count) {
        memmove(index->records, index->records + index->first,
                index->count * sizeof *index->records);
        index->first = 0;
        return VIOS_OK;
    }
    size_t room = index->room > 0 ? 2 * index->room : ROOM_FIRST;
    void *more = realloc(index->records, room * sizeof *index->records);
    if (!more) {
        return error_no_memory(error, "events");
    }
    index->records = more;
    index->room = room;
    return VIOS_OK;
}

static int add(struct event_index *index, const struct event_record *record,
               struct vios_error *error)
{
    int64_t newest =
        index->count > 0 ? index->records[index->first + index->count - 1].revision : 0;
    if (event_record_last(record) <= index->dropped || record->revision <= newest) {
        return VIOS_OK;
    }
    int status = make_room(index, error);
    if (status == VIOS_OK) {
        index->records[index->first + index->count++] = *record;
        index->events += record->count;
    }
    return status;
}

int event_index_set(struct event_index *index, const struct event_record *records, size_t count,
                    int64_t dropped, struct vios_error *error)
{
    int status = VIOS_OK;
    pthread_mutex_lock(&index->lock);
    index->first = index->count = index->events = 0;
    index->dropped = dropped;
    for (size_t i = 0; status == VIOS_OK && i < count; i++) {
        status = add(index, &records[i], error);
    }
    pthread_mutex_unlock(&index->lock);
    return status;
}

int event_index_load(struct event_index *index, struct store *store, struct operation *operation)
{
    struct event_progress progress;
    struct event_record *records = NULL;
    size_t count = 0;
    int64_t restores = 0;
    int status = event_progress_read(store, &progress, operation);
    if (status == VIOS_OK) {
        status = event_restores(store, &restores, operation);
    }
    if (status == VIOS_OK) {
        status = event_records_list(store, &records, &count, NULL, operation);
    }
    if (status == VIOS_OK) {
        status = event_index_set(index, records, count, progress.dropped, &operation->error);
        pthread_mutex_lock(&index->lock);
        index->restores = restores;
        pthread_mutex_unlock(&index->lock);
    }
    event_progress_clear(&progress);
    free(records);
    return status;
}

int event_index_add(struct event_index *index, const struct event_record *record,
                    struct vios_error *error)
{
    pthread_mutex_lock(&index->lock);
    int status = add(index, record, error);
    pthread_mutex_unlock(&index->lock);
    return status;
}

/* Under the lock: how many of the first end at or before `sequence`. */
static size_t count_to(const struct event_index *index, int64_t sequence)
{
    size_t low = 0, high = index->count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (event_record_last(&index->records[index->first + middle]) <= sequence) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

bool event_index_after(struct event_index *index, int64_t sequence, struct event_record *record)
{
    pthread_mutex_lock(&index->lock);
    size_t at = count_to(index, sequence);
    bool found = at < index->count;
    if (found) {
        *record = index->records[index->first + at];
    }
    pthread_mutex_unlock(&index->lock);
    return found;
}

static int by_name(const void *one, const void *other)
{
    return strcmp(one, other);
}

int event_index_names(struct event_index *index, const char *node, struct event_names *names,
                      struct vios_error *error)
{
    *names = (struct event_names){0};
    pthread_mutex_lock(&index->lock);
    names->names = calloc(index->count + 1, sizeof *names->names);
    for (size_t i = 0; names->names && i < index->count; i++) {
        const struct event_record *record = &index->records[index->first + i];
        if (strcmp(record->node, node) == 0) {
            memcpy(names->names[names->count++], record->name, sizeof record->name);
        }
    }
    pthread_mutex_unlock(&index->lock);
    if (!names->names) {
        return error_no_memory(error, "events");
    }
    qsort(names->names, names->count, sizeof *names->names, by_name);
    return VIOS_OK;
}

bool event_names_has(const struct event_names *names, const char *name)
{
    return names->count > 0 &&
           bsearch(name, names->names, names->count, sizeof *names->names, by_name) != NULL;
}

void event_names_clear(struct event_names *names)
{
    free(names->names);
    *names = (struct event_names){0};
}

size_t event_index_events(struct event_index *index)
{
    pthread_mutex_lock(&index->lock);
    size_t events = index->events;
    pthread_mutex_unlock(&index->lock);
    return events;
}

void event_index_drop(struct event_index *index, int64_t sequence)
{
    pthread_mutex_lock(&index->lock);
    size_t gone = count_to(index, sequence);
    for (size_t i = 0; i < gone; i++) {
        index->events -= index->records[index->first + i].count;
    }
    index->first += gone;
    index->count -= gone;
    index->dropped = sequence > index->dropped ? sequence : index->dropped;
    pthread_mutex_unlock(&index->lock);
}

int64_t event_index_dropped(struct event_index *index)
{
    pthread_mutex_lock(&index->lock);
    int64_t dropped = index->dropped;
    pthread_mutex_unlock(&index->lock);
    return dropped;
}

int64_t event_index_restores(struct event_index *index)
{
    pthread_mutex_lock(&index->lock);
    int64_t restores = index->restores;
    pthread_mutex_unlock(&index->lock);
    return restores;
}
