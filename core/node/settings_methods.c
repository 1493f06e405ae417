/*
 * settings_methods.c - cluster.set: what holds for the whole cluster, in /cluster.
 *
 * A setting is a row: its key, how its words are checked, and where it goes. The agents read the
 * record with their listings (cluster/partition.c, cluster/requirement.c); ffdc reads it itself.
 * So what is long has a record of its own, and /cluster only says since when it is set.
 */
#include "base/parse.h"
#include "node/driver.h"
#include "node/job_methods.h"
#include "node/method.h"
#include "node/node.h"
#include "node/place_function.h"

#include "base/clock.h"
#include "base/json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SPLIT_TIME_MAX_MS (60 * 60 * 1000)

struct setting {
    const char *key;
    /* The words as the value that the record has; NULL: the error says why not. */
    json_t *(*read)(struct node *node, const char *words, struct operation *operation);
    const char *record;                /* of its own; NULL: it has none */
    char *(*format)(const char *text); /* what is in that; null as a value: it is removed */
};

static json_t *read_split_time(struct node *node, const char *words, struct operation *operation)
{
    int64_t time_ms;
    (void)node;
    if (parse_duration(words, &time_ms, &operation->error) != VIOS_OK) {
        return NULL;
    }
    if (time_ms > SPLIT_TIME_MAX_MS) {
        operation_fail(operation, VIOS_E_USAGE, "split_time", "give 0s to 1h",
                       "%s is longer than an hour", words);
        return NULL;
    }
    return json_integer(time_ms);
}

static json_t *read_quota(struct node *node, const char *words, struct operation *operation)
{
    uint64_t bytes;
    (void)node;
    return parse_size(words, &bytes, &operation->error) == VIOS_OK ? json_integer((json_int_t)bytes)
                                                                   : NULL;
}

static json_t *read_age(struct node *node, const char *words, struct operation *operation)
{
    int64_t age_ms;
    (void)node;
    return parse_duration(words, &age_ms, &operation->error) == VIOS_OK ? json_integer(age_ms)
                                                                        : NULL;
}

/* The lowest level of all members, and whose it is. */
static int64_t lowest_level(struct node *node, char name[NAME_MAX_LENGTH + 1])
{
    int64_t now_ms, lowest = INT64_MAX;
    size_t count;
    const struct roster *roster = agent_roster(driver_lock(node->driver, &now_ms));
    const uint16_t *present = roster_present(roster, &count);
    for (size_t i = 0; i < count; i++) {
        const struct roster_member *member = roster_member(roster, present[i]);
        if (member->level < lowest) {
            lowest = member->level;
            snprintf(name, NAME_MAX_LENGTH + 1, "%s", member->name);
        }
    }
    driver_unlock(node->driver);
    return lowest;
}

static json_t *read_level(struct node *node, const char *words, struct operation *operation)
{
    char name[NAME_MAX_LENGTH + 1] = "";
    int64_t level;
    if (parse_integer(words, 0, INT32_MAX, &level, &operation->error) != VIOS_OK) {
        return NULL;
    }
    if (level > lowest_level(node, name)) {
        operation_fail(operation, VIOS_E_INVALID, "level", "upgrade its software first",
                       "node \"%s\" has a lower one", name);
        return NULL;
    }
    return json_integer(level);
}

static json_t *read_switch(struct node *node, const char *words, struct operation *operation)
{
    bool on = strcmp(words, "on") == 0;
    (void)node;
    if (!on && strcmp(words, "off") != 0) {
        operation_fail(operation, VIOS_E_USAGE, "maintenance", "give on or off",
                       "\"%.40s\" is neither on nor off", words);
        return NULL;
    }
    return json_boolean(on);
}

static json_t *read_placement(struct node *node, const char *words, struct operation *operation)
{
    if (strcmp(words, "off") == 0) {
        return json_null();
    }
    return place_function_check(node, words, operation) == VIOS_OK ? json_string(words) : NULL;
}

static const struct setting SETTINGS[] = {
    {"split_time", read_split_time},
    {"level", read_level},
    {"ffdc_quota", read_quota}, /* what these two do: ffdc/prune.c */
    {"ffdc_age", read_age},
    {"maintenance", read_switch}, /* migration/mover.c */
    {"placement", read_placement, PLACE_FUNCTION_KEY, place_function_format}, /* lpar/place.c */
};
#define SETTING_COUNT (sizeof SETTINGS / sizeof SETTINGS[0])

static const struct setting *find_setting(const char *key, struct operation *operation)
{
    const char *names[SETTING_COUNT];
    char hint[160];
    for (size_t i = 0; i < SETTING_COUNT; i++) {
        if (strcmp(SETTINGS[i].key, key) == 0) {
            return &SETTINGS[i];
        }
        names[i] = SETTINGS[i].key;
    }
    parse_hint(key, names, SETTING_COUNT, "see \"help cluster set\"", hint, sizeof hint);
    operation_fail(operation, VIOS_E_NOT_FOUND, NULL, hint, "the cluster has no setting \"%.60s\"",
                   key);
    return NULL;
}

/* What /cluster says of it. */
static void note_setting(json_t *cluster, const struct setting *setting, json_t *value)
{
    char now[CLOCK_TEXT_SIZE];
    if (!setting->record) {
        json_object_set(cluster, setting->key, value);
    } else if (json_is_null(value)) {
        json_object_del(cluster, setting->key);
    } else {
        json_object_set_new(cluster, setting->key, json_string(clock_format(clock_wall_ms(), now)));
    }
}

static int commit_setting(struct store *store, const struct setting *setting, json_t *value,
                          struct operation *operation)
{
    json_t *cluster = NULL;
    int64_t revision;
    int status = node_record(store, "/cluster", &cluster, &revision, operation);
    if (status != VIOS_OK) {
        return status;
    }
    note_setting(cluster, setting, value);
    bool is_kept = setting->record && !json_is_null(value);
    char *text = json_into_text(cluster);
    char *own = is_kept ? setting->format(json_string_value(value)) : NULL;
    struct store_compare compare = {
        .kind = STORE_REVISION_IS, .key = "/cluster", .revision = revision};
    struct store_change changes[] = {{.key = "/cluster", .json = text},
                                     {.key = setting->record, .json = own}};
    status = text && (own || !is_kept) ? store_commit(store, &compare, 1, changes,
                                                      setting->record ? 2 : 1, NULL, operation)
                                       : operation_no_memory(operation, NULL);
    free(text);
    free(own);
    return status;
}

static int cluster_set(struct call *call, const json_t *parameters, json_t **result,
                       struct operation *operation)
{
    const char *key = json_get_text(parameters, "key");
    const char *words = json_get_text(parameters, "value");
    const struct setting *setting = find_setting(key, operation);
    json_t *value = setting ? setting->read(call->node, words, operation) : NULL;
    struct store *store = NULL;
    if (!value) {
        return operation->error.code;
    }
    int status = node_store(call->node, &store, operation);
    if (status == VIOS_OK) {
        status = commit_setting(store, setting, value, operation);
        node_store_return(call->node, store);
    }
    if (status == VIOS_OK) {
        *result = json_pack("{s:s, s:O}", "key", key, "value", value);
    }
    json_decref(value);
    return status;
}

static const struct method METHODS[] = {
    {"cluster.set", "key:text value:text", ROLE_ADMIN, METHOD_CHANGES, cluster_set},
};

const struct method_group settings_methods = {METHODS, sizeof METHODS / sizeof METHODS[0]};
