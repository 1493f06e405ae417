/* timeline.c - see timeline.h. */
#include "ffdc/timeline.h"

#include "base/json.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define GROWTH 4096
#define SKEW_MAX_MS (10 * 60 * 1000) /* between the two clocks of one boot */

struct timeline {
    struct timeline_entry *entries;
    size_t count, room;
};

struct timeline *timeline_new(void)
{
    return calloc(1, sizeof(struct timeline));
}

void timeline_free(struct timeline *timeline)
{
    if (timeline) {
        free(timeline->entries);
        free(timeline);
    }
}

static int make_room(struct timeline *timeline, struct vios_error *error)
{
    if (timeline->count < timeline->room) {
        return VIOS_OK;
    }
    if (timeline->count >= TIMELINE_ENTRIES_MAX) {
        return error_set(error, VIOS_E_NO_SPACE, "timeline", "look at fewer nodes",
                         "there are more than %d records", TIMELINE_ENTRIES_MAX);
    }
    size_t room = timeline->room + GROWTH;
    struct timeline_entry *more = realloc(timeline->entries, room * sizeof *more);
    if (!more) {
        return error_no_memory(error, "timeline");
    }
    timeline->entries = more;
    timeline->room = room;
    return VIOS_OK;
}

static bool read_line(const char *line, struct timeline_entry *entry)
{
    json_t *json = strlen(line) <= TIMELINE_LINE_MAX ? json_loads(line, 0, NULL) : NULL;
    bool good = json_read_integer(json, "sequence", 1, INT64_MAX, &entry->sequence) &&
                json_read_integer(json, "wall_ms", 0, INT64_MAX / 4, &entry->wall_ms) &&
                json_read_integer(json, "boot_ms", 0, INT64_MAX / 4, &entry->boot_ms) &&
                json_read_text(json, "part", entry->part, sizeof entry->part) &&
                json_read_text(json, "text", entry->text, sizeof entry->text);
    json_decref(json);
    return good;
}

/* "primary is n1, epoch 3", or "no primary, epoch 3". */
static bool tells_epoch(const struct timeline_entry *entry, int64_t *epoch)
{
    const char *at = strstr(entry->text, ", epoch ");
    bool told = strcmp(entry->part, "cluster") == 0 && at &&
                (strncmp(entry->text, "primary is ", 11) == 0 ||
                 strncmp(entry->text, "no primary", 10) == 0);
    return told && parse_integer(at + strlen(", epoch "), 0, INT64_MAX, epoch, NULL) == VIOS_OK;
}

static void set_epochs(struct timeline_entry *entries, size_t count, int64_t last)
{
    int64_t epoch = 0;
    bool any = false;
    for (size_t i = 0; i < count; i++) {
        any = tells_epoch(&entries[i], &epoch) || any;
        entries[i].epoch = epoch;
    }
    for (size_t i = 0; i < count && !any; i++) {
        entries[i].epoch = last;
    }
}

/* Two records that follow each other: on one boot both clocks say about the same. */
static bool is_same_boot(const struct timeline_entry *one, const struct timeline_entry *next)
{
    int64_t skew_ms = next->wall_ms - one->wall_ms - (next->boot_ms - one->boot_ms);
    return skew_ms <= SKEW_MAX_MS && skew_ms >= -SKEW_MAX_MS;
}

/* Backwards from the last, as far as its boot goes; `count` is not 0. */
static void set_times(struct timeline_entry *entries, size_t count, int64_t clock_offset_ms)
{
    const struct timeline_entry *last = &entries[count - 1];
    bool same_boot = true;
    for (size_t i = count; i-- > 0;) {
        struct timeline_entry *entry = &entries[i];
        same_boot = same_boot && (entry == last || is_same_boot(entry, entry + 1));
        entry->time_ms =
            (same_boot ? last->wall_ms - (last->boot_ms - entry->boot_ms) : entry->wall_ms) -
            clock_offset_ms;
    }
}

int timeline_add(struct timeline *timeline, const char *node, int64_t clock_offset_ms,
                 int64_t epoch, char *text, size_t *bad, struct vios_error *error)
{
    size_t first = timeline->count;
    char *line;
    int status = VIOS_OK;
    *bad = 0;
    while (status == VIOS_OK && (line = strsep(&text, "\n")) != NULL) {
        struct timeline_entry entry = {0};
        if (!line[0]) {
            continue;
        }
        if (!read_line(line, &entry)) {
            ++*bad;
            continue;
        }
        status = make_room(timeline, error);
        if (status == VIOS_OK) {
            snprintf(entry.node, sizeof entry.node, "%s", node);
            timeline->entries[timeline->count++] = entry;
        }
    }
    size_t added = timeline->count - first;
    if (added > 0) { /* else there may be no array at all */
        set_epochs(timeline->entries + first, added, epoch);
        set_times(timeline->entries + first, added, clock_offset_ms);
    }
    return status;
}

static int compare_numbers(int64_t one, int64_t other)
{
    return (one > other) - (one < other);
}

static int by_identity(const void *one, const void *other)
{
    const struct timeline_entry *left = one, *right = other;
    int order = strcmp(left->node, right->node);
    order = order ? order : compare_numbers(left->sequence, right->sequence);
    return order ? order : compare_numbers(left->wall_ms, right->wall_ms);
}

static int by_time(const void *one, const void *other)
{
    const struct timeline_entry *left = one, *right = other;
    int order = compare_numbers(left->time_ms, right->time_ms);
    return order ? order : by_identity(one, other);
}

const struct timeline_entry *timeline_sort(struct timeline *timeline, size_t *count)
{
    size_t kept = 0;
    if (timeline->count > 0) {
        qsort(timeline->entries, timeline->count, sizeof *timeline->entries, by_identity);
    }
    for (size_t i = 0; i < timeline->count; i++) {
        if (kept == 0 || by_identity(&timeline->entries[kept - 1], &timeline->entries[i]) != 0) {
            timeline->entries[kept++] = timeline->entries[i];
        }
    }
    timeline->count = kept;
    if (kept > 0) {
        qsort(timeline->entries, kept, sizeof *timeline->entries, by_time);
    }
    *count = kept;
    return timeline->entries;
}
