/* offline.c - see offline.h. */
#include "ffdc/offline.h"

#include "base/json.h"
#include "ffdc/bundle.h"
#include "ffdc/export.h"
#include "ffdc/reader.h"
#include "ffdc/timeline.h"
#include "ffdc/vault.h"
#include "ffdc/view.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RING_MAX ((size_t)64 << 20) /* of a flight recorder's lines */

struct offline {
    const struct offline_request *request;
    void (*say)(void *context, json_t *line);
    void *context;
    struct reader_places places;
    struct manifest *manifest; /* of the incident */
    bool manifest_known;
    struct timeline *timeline;
    int64_t count;
    struct vios_error error;
};

static void say(struct offline *offline, json_t *line)
{
    if (line) {
        offline->say(offline->context, line);
    }
}

static void progress(void *context, const char *text)
{
    say(context, json_pack("{s:s, s:s}", "say", "progress", "text", text));
}

static void say_item(struct offline *offline, json_t *item)
{
    say(offline, json_pack("{s:s, s:o}", "say", "item", "item", item));
    offline->count++;
}

static void set_places(struct offline *offline)
{
    const struct offline_request *request = offline->request;
    struct reader_places *places = &offline->places;
    if (request->dir) {
        snprintf(places->paths[places->count++], PATH_MAX, "%s", request->dir);
        return;
    }
    if (request->repository && request->repository[0]) {
        snprintf(places->paths[places->count++], PATH_MAX, "%s/" VAULT_FOLDER, request->repository);
    }
    snprintf(places->paths[places->count++], PATH_MAX, "%s/" VAULT_FOLDER, request->state_dir);
}

/* --- list and show --- */

static int compare_times(const void *one, const void *other)
{
    const json_t *const *left = one, *const *right = other;
    return strcmp(json_get_word(*left, "time"), json_get_word(*right, "time"));
}

struct listing {
    struct offline *offline;
    json_t *rows[READER_INCIDENTS_MAX];
    size_t count;
};

static void add_row(void *context, const struct manifest *manifest)
{
    struct listing *listing = context;
    if (listing->count < READER_INCIDENTS_MAX && manifest->state != MANIFEST_DELETING) {
        listing->rows[listing->count++] = view_row(manifest);
    }
}

static void tell_bad(void *context, const char *correlator, const struct vios_error *why)
{
    struct listing *listing = context;
    char text[600];
    snprintf(text, sizeof text, "incident %s is left out: %s", correlator, why->message);
    progress(listing->offline, text);
}

static int list(struct offline *offline)
{
    struct listing *listing = calloc(1, sizeof *listing);
    if (!listing) {
        return error_no_memory(&offline->error, NULL);
    }
    listing->offline = offline;
    reader_each_incident(&offline->places, add_row, tell_bad, listing);
    if (listing->count > 0) {
        qsort(listing->rows, listing->count, sizeof *listing->rows, compare_times);
    }
    for (size_t i = 0; i < listing->count; i++) {
        say_item(offline, listing->rows[i]);
    }
    free(listing);
    say(offline, json_pack("{s:s, s:I}", "say", "result", "count", (json_int_t)offline->count));
    return VIOS_OK;
}

static int show(struct offline *offline)
{
    int status = reader_manifest(&offline->places, offline->request->correlator, offline->manifest,
                                 &offline->error);
    json_t *shown = status == VIOS_OK ? view_incident(offline->manifest) : NULL;
    if (shown) {
        json_object_set_new(shown, "say", json_string("result"));
        say(offline, shown);
    }
    return status;
}

/* --- timeline --- */

static void tell_damage(struct offline *offline, const char *node, const char *why)
{
    char text[600];
    snprintf(text, sizeof text, "node %s: its bundle is damaged: %s", node, why);
    progress(offline, text);
}

static bool is_ring(const char *name)
{
    return strcmp(name, "recorder.jsonl") == 0 || strcmp(name, "crashed-recorder.jsonl") == 0;
}

static int add_ring(struct offline *offline, struct bundle_reader *reader,
                    const struct bundle_member *member, const char *node, struct vios_error *why)
{
    char *text = NULL, note[400];
    size_t size, bad = 0;
    const struct manifest_node *entry =
        offline->manifest_known ? manifest_find(offline->manifest, node) : NULL;
    int status = bundle_take(reader, member, RING_MAX, &text, &size, why);
    if (status == VIOS_OK) {
        status = timeline_add(offline->timeline, node, entry ? entry->clock_offset_ms : 0,
                              entry ? entry->epoch : 0, text, &bad, why);
    }
    if (bad > 0) {
        snprintf(note, sizeof note, "node %s: %zu lines of %s are none", node, bad, member->name);
        progress(offline, note);
    }
    free(text);
    return status;
}

static void add_bundle(void *context, const char *node, int fd)
{
    struct offline *offline = context;
    struct bundle_reader *reader = NULL;
    struct bundle_member member;
    struct vios_error why = {0};
    int status = bundle_open(&reader, fd, &why);
    while (status >= 0 && (status = bundle_next(reader, &member, &why)) == 1) {
        if (is_ring(member.name)) {
            status = add_ring(offline, reader, &member, node, &why);
        }
    }
    if (status < 0) {
        tell_damage(offline, node, why.message);
    }
    bundle_close(reader);
}

static json_t *row_of(struct offline *offline, const struct timeline_entry *entry)
{
    char time[CLOCK_TEXT_SIZE], wall[CLOCK_TEXT_SIZE];
    const struct manifest_node *node =
        offline->manifest_known ? manifest_find(offline->manifest, entry->node) : NULL;
    return json_pack("{s:s, s:s, s:I, s:s, s:s, s:I, s:s, s:I}", "time",
                     clock_format(entry->time_ms, time), "node", entry->node, "epoch",
                     (json_int_t)entry->epoch, "part", entry->part, "text", entry->text, "sequence",
                     (json_int_t)entry->sequence, "wall", clock_format(entry->wall_ms, wall),
                     "clock_offset_ms", (json_int_t)(node ? node->clock_offset_ms : 0));
}

static void tell_missing(struct offline *offline)
{
    for (size_t i = 0; offline->manifest_known && i < offline->manifest->node_count; i++) {
        const struct manifest_node *node = &offline->manifest->nodes[i];
        char text[300];
        if (node->state == PART_MISSING) {
            snprintf(text, sizeof text, "node %s is missing: %s", node->node, node->why);
            progress(offline, text);
        }
    }
}

static int timeline(struct offline *offline)
{
    const char *correlator = offline->request->correlator;
    size_t count = 0;
    offline->manifest_known = reader_manifest(&offline->places, correlator, offline->manifest,
                                              &offline->error) == VIOS_OK;
    offline->timeline = timeline_new();
    if (!offline->timeline) {
        return error_no_memory(&offline->error, NULL);
    }
    size_t bundles = reader_each_bundle(&offline->places, correlator, add_bundle, offline);
    if (!offline->manifest_known && bundles == 0) {
        return offline->error.code;
    }
    if (!offline->manifest_known) {
        progress(offline, offline->error.message);
    }
    tell_missing(offline);
    const struct timeline_entry *entries = timeline_sort(offline->timeline, &count);
    for (size_t i = 0; i < count; i++) {
        say_item(offline, row_of(offline, &entries[i]));
    }
    say(offline, json_pack("{s:s, s:I}", "say", "result", "count", (json_int_t)count));
    return VIOS_OK;
}

/* --- export --- */

static int export(struct offline *offline)
{
    struct export_result result;
    const struct offline_request *request = offline->request;
    if (!request->to) {
        return error_set(&offline->error, VIOS_E_USAGE, NULL, "give --to FILE", "no file is given");
    }
    int status = export_run(&offline->places, request->correlator, request->to, request->redact,
                            progress, offline, &result, &offline->error);
    if (status == VIOS_OK) {
        say(offline,
            json_pack("{s:s, s:s, s:b, s:I, s:I, s:I, s:I}", "say", "result", "file", request->to,
                      "redacted", (int)request->redact, "files", (json_int_t)result.files,
                      "left_out", (json_int_t)result.left_out, "damaged",
                      (json_int_t)result.damaged, "size_bytes", (json_int_t)result.size_bytes));
    }
    return status;
}

/* --- what is asked for --- */

static const struct {
    const char *verb;
    int (*run)(struct offline *offline);
    bool correlator;
} VERBS[] = {
    {"list", list, false},
    {"show", show, true},
    {"timeline", timeline, true},
    {"export", export, true},
};

static int run(struct offline *offline)
{
    const struct offline_request *request = offline->request;
    for (size_t i = 0; i < sizeof VERBS / sizeof VERBS[0]; i++) {
        if (strcmp(request->verb, VERBS[i].verb) != 0) {
            continue;
        }
        const char *correlator = request->correlator ? request->correlator : "";
        int status =
            VERBS[i].correlator ? manifest_check_correlator(correlator, &offline->error) : VIOS_OK;
        return status == VIOS_OK ? VERBS[i].run(offline) : status;
    }
    return error_set(&offline->error, VIOS_E_USAGE, NULL, "give list, show, timeline or export",
                     "\"%.40s\" is nothing that ffdc does without a daemon", request->verb);
}

int offline_run(const struct offline_request *request, void (*say_to)(void *context, json_t *line),
                void *context)
{
    struct offline offline = {.request = request, .say = say_to, .context = context};
    offline.manifest = calloc(1, sizeof *offline.manifest);
    set_places(&offline);
    int status = offline.manifest ? run(&offline) : error_no_memory(&offline.error, NULL);
    if (status != VIOS_OK) {
        const struct vios_error *error = &offline.error;
        say(&offline, json_pack("{s:s, s:{s:s, s:s, s:s, s:s}}", "say", "error", "error", "code",
                                error_name(error->code), "object", error->object, "message",
                                error->message, "hint", error->hint));
    }
    timeline_free(offline.timeline);
    free(offline.manifest);
    return status;
}
