/* methods.c - the rows of noun "alert". They only write and read records: the watchers of all nodes
 * see what was set with their next round. */
#include "alert/alert.h"
#include "alert/record.h"
#include "alert/watcher.h"
#include "base/clock.h"
#include "base/json.h"
#include "store/missing.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- alert.set --- */

/* The object must be there, for a name that is none is never crossed. */
static int check_object(struct store *store, const struct alert *alert, struct operation *operation)
{
    static const char *const PREFIXES[] = {"/pool/", "/node/", "/lpar/"};
    const char *noun = metric_object_name(alert->metric), *name = alert->object;
    char key[STORE_KEY_MAX], message[96];
    bool there = false;
    if (name[0] == '\0') {
        return VIOS_OK;
    }
    if (!noun) {
        return operation_fail(operation, VIOS_E_USAGE, "object", "leave it out",
                              "%s is the whole cluster's", alert->metric->name);
    }
    const char *prefix = PREFIXES[alert->metric->object];
    snprintf(key, sizeof key, "%s%s", prefix, name);
    int status = node_has_record(store, key, &there, operation);
    if (status != VIOS_OK || there) {
        return status;
    }
    snprintf(message, sizeof message, "there is no such %s", noun);
    return store_missing(store, prefix, noun, name, message, operation);
}

static int read_limits(const json_t *parameters, struct alert *alert, struct vios_error *error)
{
    const char *clear = json_get_text(parameters, "clear");
    char text[METRIC_TEXT_SIZE], hint[120];
    int status = metric_parse(alert->metric, json_get_text(parameters, "limit"), "limit",
                              &alert->limit, error);
    if (status != VIOS_OK) {
        return status;
    }
    alert->clear = metric_clear_of(alert->metric, alert->limit);
    status = clear ? metric_parse(alert->metric, clear, "clear", &alert->clear, error) : VIOS_OK;
    if (status == VIOS_OK && !metric_clear_fits(alert->metric, alert->limit, alert->clear)) {
        snprintf(hint, sizeof hint, "give at %s %s",
                 alert->metric->less_is_worse ? "least" : "most",
                 metric_format(alert->metric, alert->limit, text));
        return error_set(error, VIOS_E_USAGE, "clear", hint,
                         "%s is on the bad side of the limit: %s of %s is worse",
                         metric_format(alert->metric, alert->clear, text),
                         alert->metric->less_is_worse ? "less" : "more", alert->metric->name);
    }
    return status;
}

static int read_alert(struct call *call, const json_t *parameters, struct alert *alert,
                      struct vios_error *error)
{
    const char *name = json_get_text(parameters, "name");
    *alert = (struct alert){.metric = metric_need(json_get_text(parameters, "metric"), error)};
    if (!alert->metric) {
        return VIOS_E_USAGE;
    }
    snprintf(alert->name, sizeof alert->name, "%s", name ? name : alert->metric->name);
    snprintf(alert->object, sizeof alert->object, "%s", json_get_word(parameters, "object"));
    snprintf(alert->by, sizeof alert->by, "%s", call->actor);
    clock_format(clock_wall_ms(), alert->set);
    return read_limits(parameters, alert, error);
}

static int write_alert(struct store *store, const struct alert *alert, struct operation *operation)
{
    char key[STORE_KEY_MAX];
    char *json = alert_format(alert);
    if (!json) {
        return operation_no_memory(operation, NULL);
    }
    alert_key(alert->name, key);
    const struct store_change change = {.key = key, .json = json};
    int status = store_commit(store, NULL, 0, &change, 1, NULL, operation);
    free(json);
    return status;
}

static json_t *show_alert(const struct alert *alert)
{
    return json_pack("{s:s, s:s, s:s, s:o, s:o, s:s, s:s, s:s}", "name", alert->name, "metric",
                     alert->metric->name, "object", alert->object, "limit",
                     alert_number(alert->limit), "clear", alert_number(alert->clear), "unit",
                     metric_unit_name(alert->metric), "by", alert->by, "set", alert->set);
}

static int alert_set(struct call *call, const json_t *parameters, json_t **result,
                     struct operation *operation)
{
    struct alert alert;
    struct store *store = NULL;
    int status = read_alert(call, parameters, &alert, &operation->error);
    if (status == VIOS_OK) {
        status = node_store(call->node, &store, operation);
    }
    if (status != VIOS_OK) {
        return status;
    }
    status = check_object(store, &alert, operation);
    if (status == VIOS_OK) {
        status = write_alert(store, &alert, operation);
    }
    node_store_return(call->node, store);
    if (status == VIOS_OK) {
        *result = show_alert(&alert);
        json_object_set_new(*result, "worse",
                            json_string(alert.metric->less_is_worse ? "less" : "more"));
    }
    return status;
}

/* --- alert.unset --- */

/* The alert, and as many of its alarms as fit, whatever they say. */
static int delete_some(struct store *store, const char *key, bool with_alert,
                       const struct store_list *alarms, struct operation *operation)
{
    struct store_change changes[STORE_CHANGES_MAX];
    size_t count = 0;
    if (with_alert) {
        changes[count++] = (struct store_change){.key = key};
    }
    for (size_t i = 0; i < alarms->count && count < STORE_CHANGES_MAX; i++) {
        changes[count++] = (struct store_change){.key = alarms->values[i].key};
    }
    const struct store_compare exists = {.kind = STORE_EXISTS, .key = key};
    return store_commit(store, &exists, with_alert, changes, count, NULL, operation);
}

/* Once the alert is gone no alarm of it is made; those that were made meanwhile are found in the
 * next look, or by their nodes. */
static int unset(struct store *store, const char *name, struct operation *operation)
{
    char key[STORE_KEY_MAX], prefix[STORE_KEY_MAX];
    bool with_alert = true;
    int status = VIOS_OK;
    alert_key(name, key);
    snprintf(prefix, sizeof prefix, ALARM_PREFIX "%s/", name);
    for (;;) {
        struct store_list alarms;
        status = store_list(store, prefix, &alarms, NULL, operation);
        if (status != VIOS_OK || (!with_alert && alarms.count == 0)) {
            return status;
        }
        status = delete_some(store, key, with_alert, &alarms, operation);
        store_list_clear(&alarms);
        if (status != VIOS_OK) {
            return status;
        }
        with_alert = false;
    }
}

static int alert_unset(struct call *call, const json_t *parameters, json_t **result,
                       struct operation *operation)
{
    struct store *store;
    const char *name = json_get_text(parameters, "name");
    int status = node_store(call->node, &store, operation);
    if (status != VIOS_OK) {
        return status;
    }
    status = unset(store, name, operation);
    if (status == VIOS_E_CONFLICT) {
        status = store_missing(store, ALERT_PREFIX, "alert", name, "no such threshold is set",
                               operation);
    }
    node_store_return(call->node, store);
    if (status == VIOS_OK) {
        *result = json_pack("{s:s}", "name", name);
    }
    return status;
}

/* --- alert.list --- */

static json_t *show_alarm(const struct alarm *alarm)
{
    json_t *shown =
        json_pack("{s:o, s:s}", "value", alert_number(alarm->value), "since", alarm->since);
    if (strcmp(alarm->scope, ALARM_SHARED) != 0) {
        json_object_set_new(shown, "node", json_string(alarm->scope));
    }
    if (alarm->object[0]) {
        json_object_set_new(shown, "object", json_string(alarm->object));
    }
    return shown;
}

static json_t *list_alarms(const char *name, const struct store_list *alarms)
{
    json_t *list = json_array();
    for (size_t i = 0; i < alarms->count; i++) {
        struct alarm alarm;
        if (alarm_parse(&alarms->values[i], &alarm, NULL) == VIOS_OK &&
            strcmp(alarm.name, name) == 0) {
            json_array_append_new(list, show_alarm(&alarm));
        }
    }
    return list;
}

/* A record that cannot be read is shown too, or nobody would know what to unset. */
static json_t *show_row(const struct store_value *value, const struct store_list *alarms)
{
    struct alert alert;
    const char *name = value->key + strlen(ALERT_PREFIX);
    bool good = alert_parse(value, &alert, NULL) == VIOS_OK;
    json_t *row = good ? show_alert(&alert) : json_pack("{s:s}", "name", name);
    json_t *raised = list_alarms(name, alarms);
    const char *state = !good ? "damaged" : json_array_size(raised) > 0 ? "raised" : "ok";
    json_object_set_new(row, "state", json_string(state));
    json_object_set_new(row, "raised", raised);
    return row;
}

static int alert_list(struct call *call, const json_t *parameters, json_t **result,
                      struct operation *operation)
{
    static const char *const PREFIXES[] = {ALERT_PREFIX, ALARM_PREFIX};
    struct store *store;
    struct store_list lists[2];
    (void)parameters;
    int status = node_store(call->node, &store, operation);
    if (status != VIOS_OK) {
        return status;
    }
    status = store_list_many(store, PREFIXES, 2, lists, NULL, operation);
    node_store_return(call->node, store);
    if (status != VIOS_OK) {
        return status;
    }
    *result = json_array();
    for (size_t i = 0; i < lists[0].count; i++) {
        json_array_append_new(*result, show_row(&lists[0].values[i], &lists[1]));
    }
    store_list_clear(&lists[0]);
    store_list_clear(&lists[1]);
    return VIOS_OK;
}

static const struct method METHODS[] = {
    {"alert.set", "metric:text limit:text clear:text? object:name? name:name?", ROLE_OPERATOR,
     METHOD_CHANGES, alert_set},
    {"alert.unset", "name:name", ROLE_OPERATOR, METHOD_CHANGES, alert_unset},
    {"alert.list", "", ROLE_VIEWER, 0, alert_list},
};

const struct method_group alert_methods = {METHODS, sizeof METHODS / sizeof METHODS[0]};

/* --- the part --- */

static int alert_start(struct node *node, struct vios_error *error)
{
    return watcher_start(&node->watcher, node, error);
}

static void alert_stop(struct node *node, bool stop_guests)
{
    (void)stop_guests;
    watcher_stop(node->watcher);
    node->watcher = NULL;
}

const struct part alert_part = {
    .name = "alert",
    .start = alert_start,
    .stop = alert_stop,
    .methods = &alert_methods,
};
