/*
 * derive.c - see derive.h. A row of SOURCES for each kind of record; its function gets the record
 * before (NULL: it is new, or not known) and after (NULL: it is gone).
 */
#include "event/derive.h"

#include "base/json.h"
#include "base/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct derivation {
    json_t *known;  /* as derivation_known() */
    json_t *values; /* key: record; of those whose old value says something */
};

/* One change. */
struct change {
    struct derivation *derivation;
    const char *name; /* the key behind its prefix */
    const json_t *old, *new;
    bool is_new; /* this commit made it */
    int64_t wall_ms;
    json_t *events;
};

static void add(const struct change *change, const struct event *event)
{
    json_t *json;
    struct vios_error error;
    if (event_to_json(event, change->wall_ms, &json, &error) == VIOS_OK) {
        json_array_append_new(change->events, json);
    } else {
        log_error("event", "%s %s: %s", event->class, event->operation, error.message);
    }
}

static json_t *known(const struct change *change, const char *what)
{
    return json_object_get(change->derivation->known, what);
}

/* A text that may stand in an event: NULL for an empty one. */
static const char *state(const json_t *record, const char *key)
{
    const char *text = json_get_text(record, key);
    return text && text[0] && strlen(text) <= EVENT_STATE_MAX ? text : NULL;
}

static bool differs(const struct change *change, const char *key)
{
    const json_t *old = json_object_get(change->old, key);
    const json_t *new = json_object_get(change->new, key);
    return old && new ? !json_equal(old, new) : old != new;
}

/* --- nodes --- */

/* One that was apart since a split is back, or removed; with the last of them the cluster is whole
 * again. */
static void come_back(const struct change *change, const char *name)
{
    json_t *apart = known(change, "apart");
    size_t before = json_array_size(apart), i;
    for (i = before; i > 0; i--) {
        const char *one = json_string_value(json_array_get(apart, i - 1));
        if (one && strcmp(one, name) == 0) {
            json_array_remove(apart, i - 1);
        }
    }
    if (before > 0 && json_array_size(apart) == 0) {
        const struct event event = {.class = "cluster",
                                    .object = "cluster",
                                    .operation = "merged",
                                    .old_state = "split",
                                    .new_state = "whole"};
        add(change, &event);
    }
}

static void node_record_changed(const struct change *change)
{
    struct event event = {.class = "node", .object = change->name};
    if (!change->new) {
        event.operation = "removed";
        json_object_del(known(change, "up"), change->name);
    } else if (change->is_new) {
        event.operation = "added";
    } else {
        return;
    }
    add(change, &event);
    if (!change->new) {
        come_back(change, change->name);
    }
}

static void alive_changed(const struct change *change)
{
    json_t *up = known(change, "up");
    int64_t incarnation = json_get_integer(change->new, "incarnation");
    if (!change->new || incarnation <= json_get_integer(up, change->name)) {
        return;
    }
    json_object_set_new(up, change->name, json_integer(incarnation));
    json_t *data = json_pack("{s:I}", "incarnation", (json_int_t)incarnation);
    const struct event event = {.class = "node",
                                .object = change->name,
                                .operation = "up",
                                .old_state = "down",
                                .new_state = "up",
                                .data = data};
    add(change, &event);
    json_decref(data);
    come_back(change, change->name);
}

/* "NODE/INCARNATION" */
static void fence_changed(const struct change *change)
{
    char name[NAME_MAX_LENGTH + 1];
    size_t length = strcspn(change->name, "/");
    if (!change->new || !change->is_new || length >= sizeof name ||
        strcmp(json_get_word(change->new, "state"), "closing") != 0) {
        return;
    }
    snprintf(name, length + 1, "%s", change->name);
    json_t *data = json_pack("{s:s, s:s}", "by", json_get_word(change->new, "by"), "why",
                             json_get_word(change->new, "why"));
    const struct event event = {.class = "node",
                                .object = name,
                                .operation = "down",
                                .old_state = "up",
                                .new_state = "down",
                                .data = data};
    add(change, &event);
    json_decref(data);
}

/* --- the cluster --- */

static void elected(const struct change *change, const char *node, int64_t epoch)
{
    json_t *data = json_pack("{s:I}", "epoch", (json_int_t)epoch);
    const struct event event = {.class = "primary",
                                .object = node,
                                .operation = "elected",
                                .old_state = state(change->derivation->known, "primary"),
                                .new_state = node,
                                .data = data};
    add(change, &event);
    json_decref(data);
}

static void primary_changed(const struct change *change)
{
    json_t *all = change->derivation->known;
    const char *node = json_get_word(change->new, "node");
    const char *before = json_get_word(all, "primary");
    int64_t epoch = json_get_integer(change->new, "epoch");
    bool committed = strcmp(json_get_word(change->new, "state"), "committed") == 0;
    if (committed && node[0] && epoch > json_get_integer(all, "epoch")) {
        elected(change, node, epoch);
        json_object_set_new(all, "epoch", json_integer(epoch));
        json_object_set_new(all, "primary", json_string(node));
    } else if (!node[0] && before[0]) {
        const struct event event = {
            .class = "primary", .object = before, .operation = "resigned", .old_state = before};
        add(change, &event);
        json_object_set_new(all, "primary", json_string(""));
    }
}

static void split_changed(const struct change *change)
{
    size_t i;
    json_t *loser;
    if (!change->new || !change->is_new) {
        return;
    }
    json_t *apart = known(change, "apart");
    json_array_clear(apart);
    json_array_foreach(json_object_get(change->new, "losers"), i, loser)
    {
        json_array_append(apart, json_object_get(loser, "node"));
    }
    json_t *data = json_pack("{s:s, s:O?, s:O?, s:O?}", "split", change->name, "sides",
                             json_object_get(change->new, "sides"), "winner",
                             json_object_get(change->new, "winner"), "rule",
                             json_object_get(change->new, "rule"));
    const struct event event = {.class = "cluster",
                                .object = "cluster",
                                .operation = "split",
                                .old_state = "whole",
                                .new_state = "split",
                                .data = data};
    add(change, &event);
    json_decref(data);
}

/* --- LPARs and what they use --- */

static const char *owner_of(const json_t *lpar)
{
    return state(json_object_get(lpar, "owner"), "node");
}

static bool owner_differs(const struct change *change)
{
    const char *old = owner_of(change->old), *new = owner_of(change->new);
    return old && new &&strcmp(old, new) != 0;
}

static void lpar_changed(const struct change *change)
{
    const char *wanted = state(change->new, "wanted");
    struct event event = {.class = "lpar",
                          .object = change->name,
                          .old_state = state(change->old, "wanted"),
                          .new_state = wanted};
    if (!change->new || change->is_new) {
        event.operation = change->new ? "created" : "removed";
    } else if (!change->old) {
        event.operation = "changed";
    } else if (owner_differs(change)) {
        event.operation = "moved";
        event.old_state = owner_of(change->old);
        event.new_state = owner_of(change->new);
    } else if (wanted && strcmp(wanted, "running") == 0 && differs(change, "generation")) {
        event.operation = "started";
    } else if (differs(change, "wanted") && wanted) {
        event.operation = strcmp(wanted, "running") == 0 ? "started" : wanted;
    } else if (differs(change, "spec")) {
        event.operation = "changed";
    } else {
        return; /* who works on it is nobody's business */
    }
    add(change, &event);
}

/* What a guest does, as its node says; what is wanted of it is in the other record. */
static void lpar_run_changed(const struct change *change)
{
    const char *now = state(change->new, "state"), *before = state(change->old, "state");
    if (!now || strcmp(now, "panicked") != 0 || (before && strcmp(before, now) == 0)) {
        return;
    }
    json_t *data = json_pack("{s:s}", "node", json_get_word(change->new, "node"));
    const struct event event = {.class = "lpar",
                                .object = change->name,
                                .operation = "panicked",
                                .old_state = before,
                                .new_state = now,
                                .data = data};
    add(change, &event);
    json_decref(data);
}

static const char *name_of(const struct change *change)
{
    const char *name = state(change->new ? change->new : change->old, "name");
    return name ? name : change->name;
}

static bool was(const json_t *record, const char *what)
{
    return strcmp(json_get_word(record, "state"), what) == 0;
}

/* LUs, images and pools are made, ready, and deleted: they are there while they are ready. */
static const char *object_operation(const struct change *change)
{
    if (!change->new) {
        return was(change->old, "making") ? NULL : "removed";
    }
    if (!was(change->new, "ready")) {
        return NULL;
    }
    if (change->is_new || was(change->old, "making")) {
        return "created";
    }
    if (!change->old) {
        return "changed";
    }
    return differs(change, "size_bytes") ? "resized"
           : differs(change, "name")     ? "renamed"
           : differs(change, "lpar")     ? "mapped"
                                         : NULL;
}

static void object_changed(const struct change *change, const char *class)
{
    const char *operation = object_operation(change);
    bool renamed = operation && strcmp(operation, "renamed") == 0;
    const struct event event = {.class = class,
                                .object = name_of(change),
                                .operation = operation,
                                .old_state = renamed ? state(change->old, "name") : NULL,
                                .new_state = renamed ? state(change->new, "name") : NULL};
    if (operation) {
        add(change, &event);
    }
}

static void lu_changed(const struct change *change)
{
    object_changed(change, "lu");
}

static void image_changed(const struct change *change)
{
    object_changed(change, "image");
}

static void pool_changed(const struct change *change)
{
    object_changed(change, "pool");
}

static void paging_changed(const struct change *change)
{
    struct event event = {.class = "paging", .object = change->name};
    if (change->is_new || !change->new) {
        event.operation = change->new ? "created" : "removed";
        add(change, &event);
    }
}

/* Captured once its record says done; how often its failure was seen again is no event. */
static void incident_changed(const struct change *change)
{
    json_t *data;
    if (!was(change->new, "done") || was(change->old, "done")) {
        return;
    }
    data = json_pack("{s:s, s:s}", "trigger", json_get_word(change->new, "trigger"), "component",
                     json_get_word(change->new, "component"));
    const struct event event = {.class = "ffdc",
                                .object = change->name,
                                .operation = "captured",
                                .correlator = change->name,
                                .data = data};
    add(change, &event);
    json_decref(data);
}

/* "NAME/NODE", "NAME/NODE/OBJECT"; "-" is no node: the value is the whole cluster's. It is there
 * while the threshold is crossed. */
static void alarm_changed(const struct change *change)
{
    char name[NAME_MAX_LENGTH + 1], node[NAME_MAX_LENGTH + 1];
    const json_t *record = change->new ? change->new : change->old;
    const char *behind = strchr(change->name, '/');
    size_t length = behind ? (size_t)(behind - change->name) : sizeof name;
    size_t node_length = behind ? strcspn(behind + 1, "/") : sizeof node;
    if ((change->new && !change->is_new) || length >= sizeof name || node_length >= sizeof node) {
        return;
    }
    snprintf(name, length + 1, "%s", change->name);
    snprintf(node, node_length + 1, "%s", behind + 1);
    const char *object = behind[1 + node_length] == '/' ? behind + 2 + node_length : NULL;
    json_t *data =
        json_pack("{s:s*, s:s*, s:O*, s:O*, s:O*}", "node", strcmp(node, "-") == 0 ? NULL : node,
                  "object", object, "metric", json_object_get(record, "metric"), "value",
                  json_object_get(change->new, "value"), "limit", json_object_get(record, "limit"));
    const struct event event = {.class = "threshold",
                                .object = name,
                                .operation = change->new ? "raised" : "cleared",
                                .old_state = change->new ? "ok" : "raised",
                                .new_state = change->new ? "raised" : "ok",
                                .data = data};
    add(change, &event);
    json_decref(data);
}

/* --- the table --- */

static const struct source {
    const char *prefix;
    bool keeps; /* the old value says something */
    void (*changed)(const struct change *change);
} SOURCES[] = {
    {"/node/", false, node_record_changed}, {"/alive/", false, alive_changed},
    {"/fence/", false, fence_changed},      {"/primary", false, primary_changed},
    {"/split/", false, split_changed},      {"/lpar/", true, lpar_changed},
    {"/lpar-run/", true, lpar_run_changed}, {"/lu/", true, lu_changed},
    {"/image/", true, image_changed},       {"/pool/", true, pool_changed},
    {"/paging/", false, paging_changed},    {"/incident/", true, incident_changed},
    {"/alarm/", true, alarm_changed},
};
#define SOURCE_COUNT (sizeof SOURCES / sizeof SOURCES[0])

_Static_assert(SOURCE_COUNT <= STORE_PREFIXES_MAX, "they are listed at once");

size_t derivation_prefixes(const char *prefixes[STORE_PREFIXES_MAX])
{
    for (size_t i = 0; i < SOURCE_COUNT; i++) {
        prefixes[i] = SOURCES[i].prefix;
    }
    return SOURCE_COUNT;
}

static const struct source *source_of(const char *key)
{
    for (size_t i = 0; i < SOURCE_COUNT; i++) {
        if (strncmp(key, SOURCES[i].prefix, strlen(SOURCES[i].prefix)) == 0) {
            return &SOURCES[i];
        }
    }
    return NULL;
}

static json_t *record_of(const struct store_value *value)
{
    return value->json ? json_loads(value->json, JSON_REJECT_DUPLICATES, NULL) : NULL;
}

static void keep(struct derivation *derivation, const char *key, json_t *record)
{
    if (record) {
        json_object_set(derivation->values, key, record);
    } else {
        json_object_del(derivation->values, key);
    }
}

void derivation_learn(struct derivation *derivation, const struct store_value *value)
{
    const struct source *source = source_of(value->key);
    if (source && source->keeps) {
        json_t *record = record_of(value);
        keep(derivation, value->key, record);
        json_decref(record);
    }
}

void derivation_begin(struct derivation *derivation, const struct store_value *value)
{
    json_t *record = record_of(value), *all = derivation->known;
    if (strncmp(value->key, "/alive/", 7) == 0) {
        json_object_set_new(json_object_get(all, "up"), value->key + 7,
                            json_integer(json_get_integer(record, "incarnation")));
    } else if (strcmp(value->key, "/primary") == 0) {
        json_object_set_new(all, "primary", json_string(json_get_word(record, "node")));
        json_object_set_new(all, "epoch", json_integer(json_get_integer(record, "epoch")));
    }
    json_decref(record);
    derivation_learn(derivation, value);
}

void derivation_change(struct derivation *derivation, const struct store_value *value,
                       int64_t wall_ms, json_t *events)
{
    const struct source *source = source_of(value->key);
    if (!source) {
        return;
    }
    json_t *new = record_of(value);
    const struct change change = {
        .derivation = derivation,
        .name = value->key + strlen(source->prefix),
        .old = json_object_get(derivation->values, value->key),
        .new = new,
        .is_new = value->json && value->created == value->revision,
        .wall_ms = wall_ms,
        .events = events,
    };
    source->changed(&change);
    if (source->keeps) {
        keep(derivation, value->key, new);
    }
    json_decref(new);
}

/* --- life --- */

static json_t *member(const json_t *record, const char *key, json_t *otherwise)
{
    json_t *value = json_object_get(record, key);
    if (!value) {
        return otherwise;
    }
    json_decref(otherwise);
    return json_deep_copy(value);
}

int derivation_new(struct derivation **derivation, const json_t *known_before,
                   struct vios_error *error)
{
    struct derivation *made = calloc(1, sizeof *made);
    *derivation = made;
    if (!made) {
        return error_no_memory(error, "events");
    }
    made->values = json_object();
    made->known = json_pack("{s:o, s:o, s:o, s:o}", "up", member(known_before, "up", json_object()),
                            "apart", member(known_before, "apart", json_array()), "primary",
                            member(known_before, "primary", json_string("")), "epoch",
                            member(known_before, "epoch", json_integer(0)));
    bool good = json_is_object(json_object_get(made->known, "up")) &&
                json_is_array(json_object_get(made->known, "apart")) &&
                json_is_string(json_object_get(made->known, "primary")) &&
                json_is_integer(json_object_get(made->known, "epoch"));
    if (!made->values || !good) {
        derivation_free(made);
        *derivation = NULL;
        return error_set(error, VIOS_E_CORRUPT, "/events", "run \"vios db check\"",
                         "it does not say who was up, apart, or primary");
    }
    return VIOS_OK;
}

void derivation_free(struct derivation *derivation)
{
    if (derivation) {
        json_decref(derivation->known);
        json_decref(derivation->values);
        free(derivation);
    }
}

json_t *derivation_known(const struct derivation *derivation)
{
    return json_deep_copy(derivation->known);
}
