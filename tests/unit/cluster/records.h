/*
 * records.h - a store in memory, for tests of the agent: keys, values and revisions, and what a
 * request of an agent makes of them.
 */
#ifndef TESTS_CLUSTER_RECORDS_H
#define TESTS_CLUSTER_RECORDS_H

#include "cluster/agent.h"
#include "tests/tap.h"

#define ENTRIES_MAX 128

static struct {
    int64_t revision;
    struct store_value entries[ENTRIES_MAX]; /* by key */
    size_t count;
} records;

static size_t place_of(const char *key, bool *found)
{
    size_t place = 0;
    while (place < records.count && strcmp(records.entries[place].key, key) < 0) {
        place++;
    }
    *found = place < records.count && strcmp(records.entries[place].key, key) == 0;
    return place;
}

static int64_t revision_of(const char *key)
{
    bool found;
    size_t place = place_of(key, &found);
    return found ? records.entries[place].revision : 0;
}

/* NULL: it is not there. */
__attribute__((unused)) static const char *text_at(const char *key)
{
    bool found;
    size_t place = place_of(key, &found);
    return found ? records.entries[place].json : NULL;
}

/* One change, at the present revision; NULL deletes. */
static void change(const char *key, const char *json)
{
    bool found;
    size_t place = place_of(key, &found);
    struct store_value *entry = &records.entries[place];
    size_t behind = records.count - place;
    if (found) {
        free(entry->json);
    }
    if (json && !found) {
        if (records.count == ENTRIES_MAX) {
            printf("# %s is one record too many\n", key);
            abort();
        }
        memmove(entry + 1, entry, behind * sizeof *entry);
        *entry = (struct store_value){.key = strdup(key), .created = records.revision};
        records.count++;
    } else if (!json && found) {
        free(entry->key);
        memmove(entry, entry + 1, (behind - 1) * sizeof *entry);
        records.count--;
    }
    if (json) {
        entry->json = strdup(json);
        entry->revision = records.revision;
    }
}

/* As somebody else's commit. */
__attribute__((unused)) static void put(const char *key, const char *json)
{
    records.revision++;
    change(key, json);
}

static int commit(const struct agent_request *request, int64_t *revision)
{
    for (size_t i = 0; i < request->compare_count; i++) {
        const struct store_compare *compare = &request->compares[i];
        int64_t known = revision_of(compare->key);
        bool holds = compare->kind == STORE_ABSENT   ? known == 0
                     : compare->kind == STORE_EXISTS ? known != 0
                                                     : known == compare->revision;
        if (!holds) {
            return VIOS_E_CONFLICT;
        }
    }
    *revision = ++records.revision;
    for (size_t i = 0; i < request->change_count; i++) {
        change(request->changes[i].key, request->changes[i].json);
    }
    return VIOS_OK;
}

static void copy_entry(struct store_value *to, const struct store_value *from)
{
    *to = *from;
    to->key = strdup(from->key);
    to->json = strdup(from->json);
}

static void list(struct roster_listing *listing)
{
    for (size_t i = 0; i < ROSTER_PREFIXES; i++) {
        struct store_list *part = roster_listing_part(listing, i);
        part->values = calloc(ENTRIES_MAX, sizeof *part->values);
        for (size_t k = 0; k < records.count; k++) {
            if (strncmp(records.entries[k].key, roster_prefix(i), strlen(roster_prefix(i))) == 0) {
                copy_entry(&part->values[part->count++], &records.entries[k]);
            }
        }
    }
}

static int read_one(const char *key, struct store_value *value)
{
    bool found;
    size_t place = place_of(key, &found);
    if (found) {
        copy_entry(value, &records.entries[place]);
    }
    return found ? VIOS_OK : VIOS_E_NOT_FOUND;
}

/* A text in the record at `key`; good until the next call. */
__attribute__((unused)) static const char *field(const char *key, const char *name)
{
    static char text[256];
    json_t *record = text_at(key) ? json_loads(text_at(key), 0, NULL) : NULL;
    const char *found = json_string_value(json_object_get(record, name));
    snprintf(text, sizeof text, "%s", found ? found : "(none)");
    json_decref(record);
    return text;
}

#endif
