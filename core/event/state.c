/* state.c - see state.h. */
#include "event/state.h"

#include "base/json.h"
#include "event/record.h"
#include "node/members.h"

#include <stdlib.h>
#include <string.h>

static json_t *lpar(const char *name, const json_t *record)
{
    return json_pack("{s:s, s:s, s:s, s:I}", "name", name, "state", json_get_word(record, "wanted"),
                     "node", json_get_word(json_object_get(record, "owner"), "node"), "generation",
                     (json_int_t)json_get_integer(record, "generation"));
}

static bool is_ready(const json_t *record)
{
    return strcmp(json_get_word(record, "state"), "ready") == 0;
}

static json_t *pool(const char *name, const json_t *record)
{
    return is_ready(record) ? json_pack("{s:s}", "name", name) : NULL;
}

static json_t *lu(const char *name, const json_t *record)
{
    (void)name;
    return is_ready(record) ? json_pack("{s:s, s:s, s:I}", "name", json_get_word(record, "name"),
                                        "pool", json_get_word(record, "pool"), "size_bytes",
                                        (json_int_t)json_get_integer(record, "size_bytes"))
                            : NULL;
}

static json_t *image(const char *name, const json_t *record)
{
    (void)name;
    return is_ready(record) ? json_pack("{s:s, s:s}", "name", json_get_word(record, "name"), "pool",
                                        json_get_word(record, "pool"))
                            : NULL;
}

static json_t *alarm(const char *name, const json_t *record)
{
    return json_pack("{s:s, s:s, s:s}", "name", name, "metric", json_get_word(record, "metric"),
                     "since", json_get_word(record, "since"));
}

static const struct part_of_state {
    const char *prefix, *member;
    json_t *(*shown)(const char *name, const json_t *record);
} PARTS[] = {{"/lpar/", "lpars", lpar},
             {"/pool/", "pools", pool},
             {"/lu/", "lus", lu},
             {"/image/", "images", image},
             {"/alarm/", "alarms", alarm}};
#define PART_COUNT (sizeof PARTS / sizeof PARTS[0])

static json_t *show_list(const struct part_of_state *part, const struct store_list *list)
{
    json_t *all = json_array();
    for (size_t i = 0; i < list->count; i++) {
        json_t *record = json_loads(list->values[i].json, JSON_REJECT_DUPLICATES, NULL);
        json_t *shown = part->shown(list->values[i].key + strlen(part->prefix), record);
        if (shown) {
            json_array_append_new(all, shown);
        }
        json_decref(record);
    }
    return all;
}

static int add_objects(struct store *store, json_t *state, int64_t *sequence,
                       struct operation *operation)
{
    const char *prefixes[PART_COUNT];
    struct store_list lists[PART_COUNT];
    int64_t revision;
    for (size_t i = 0; i < PART_COUNT; i++) {
        prefixes[i] = PARTS[i].prefix;
    }
    int status = store_list_many(store, prefixes, PART_COUNT, lists, &revision, operation);
    if (status != VIOS_OK) {
        return status;
    }
    *sequence = event_sequence(revision, PAYLOAD_EVENTS_MAX - 1);
    for (size_t i = 0; i < PART_COUNT; i++) {
        json_object_set_new(state, PARTS[i].member, show_list(&PARTS[i], &lists[i]));
        store_list_clear(&lists[i]);
    }
    return VIOS_OK;
}

static int add_cluster(struct node *node, struct store *store, json_t *state,
                       struct operation *operation)
{
    json_t *primary = NULL;
    struct member *members = NULL;
    size_t count = 0;
    int status = node_record(store, "/primary", &primary, NULL, operation);
    if (status == VIOS_OK && node_members(node, &members, &count) != VIOS_OK) {
        status = operation_no_memory(operation, "events");
    }
    json_t *nodes = json_array();
    for (size_t i = 0; i < count; i++) {
        json_array_append_new(nodes, json_pack("{s:s, s:s}", "name", members[i].name, "state",
                                               member_state_name(members[i].state)));
    }
    json_object_set_new(state, "cluster", json_string(node->cluster));
    json_object_set_new(state, "primary", json_string(json_get_word(primary, "node")));
    json_object_set_new(state, "epoch", json_integer(json_get_integer(primary, "epoch")));
    json_object_set_new(state, "nodes", nodes);
    free(members);
    json_decref(primary);
    return status;
}

int event_state(struct node *node, json_t **state, int64_t *sequence, struct operation *operation)
{
    struct store *store;
    *state = NULL;
    int status = node_store(node, &store, operation);
    if (status != VIOS_OK) {
        return status;
    }
    json_t *made = json_object();
    status = made ? add_objects(store, made, sequence, operation)
                  : operation_no_memory(operation, "events");
    if (status == VIOS_OK) {
        status = add_cluster(node, store, made, operation);
    }
    node_store_return(node, store);
    if (status == VIOS_OK) {
        *state = made;
    } else {
        json_decref(made);
    }
    return status;
}
