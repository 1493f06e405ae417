/* record.c - see record.h. */
#include "alert/record.h"

#include "base/json.h"

#include <stdio.h>
#include <string.h>

#define EXACT_MAX 1e15 /* up to here whole numbers are exact */
#define SCALE 1000.0   /* three digits behind the point, as people may give them */

json_t *alert_number(double value)
{
    if (value < EXACT_MAX / SCALE && value > -EXACT_MAX / SCALE) {
        value = (double)(int64_t)(value * SCALE + (value < 0 ? -0.5 : 0.5)) / SCALE;
    }
    bool whole = value > -EXACT_MAX && value < EXACT_MAX && value == (double)(int64_t)value;
    return whole ? json_integer((json_int_t)value) : json_real(value);
}

void alert_key(const char *name, char key[STORE_KEY_MAX])
{
    snprintf(key, STORE_KEY_MAX, "%s%.*s", ALERT_PREFIX, NAME_MAX_LENGTH, name);
}

void alarm_key(const struct alarm *alarm, char key[STORE_KEY_MAX])
{
    snprintf(key, STORE_KEY_MAX, "%s%s/%s%s%s", ALARM_PREFIX, alarm->name, alarm->scope,
             alarm->object[0] ? "/" : "", alarm->object);
}

/* --- /alert/ --- */

static bool read_value(const json_t *record, const char *key, const struct metric *metric,
                       double *value)
{
    const json_t *member = json_object_get(record, key);
    *value = json_number_value(member);
    return json_is_number(member) && metric_takes(metric, *value);
}

static bool is_object_of(const struct metric *metric, const char *object)
{
    return object[0] == '\0' ||
           (metric_object_name(metric) && parse_name(object, "object", NULL) == VIOS_OK);
}

/* What is wrong with it; NULL: nothing. */
static const char *read_alert(const json_t *record, struct alert *alert)
{
    int64_t version;
    if (!json_read_integer(record, "v", 1, 1, &version)) {
        return "it is of another release";
    }
    alert->metric = metric_find(json_get_text(record, "metric"));
    if (!alert->metric) {
        return "its metric is not known";
    }
    if (!json_read_text(record, "object", alert->object, sizeof alert->object) ||
        !is_object_of(alert->metric, alert->object)) {
        return "its object is none of its metric";
    }
    if (!read_value(record, "limit", alert->metric, &alert->limit) ||
        !read_value(record, "clear", alert->metric, &alert->clear) ||
        !metric_clear_fits(alert->metric, alert->limit, alert->clear)) {
        return "its limits are none of its metric";
    }
    if (!json_read_text(record, "by", alert->by, sizeof alert->by) ||
        !json_read_text(record, "set", alert->set, sizeof alert->set)) {
        return "by whom it is, and since when, is malformed";
    }
    return NULL;
}

int alert_parse(const struct store_value *value, struct alert *alert, struct vios_error *error)
{
    const char *name = value->key + strlen(ALERT_PREFIX);
    *alert = (struct alert){0};
    json_t *record = json_loads(value->json, JSON_REJECT_DUPLICATES, NULL);
    const char *wrong = strncmp(value->key, ALERT_PREFIX, strlen(ALERT_PREFIX)) != 0 ||
                                parse_name(name, "alert", NULL) != VIOS_OK
                            ? "its key has no name"
                        : json_is_object(record) ? read_alert(record, alert)
                                                 : "it is not a JSON object";
    json_decref(record);
    if (wrong) {
        *alert = (struct alert){0};
        return error_set(error, VIOS_E_CORRUPT, value->key, "set it anew, or unset it", "%s",
                         wrong);
    }
    snprintf(alert->name, sizeof alert->name, "%s", name);
    alert->revision = value->revision;
    return VIOS_OK;
}

char *alert_format(const struct alert *alert)
{
    return json_into_text(json_pack("{s:i, s:s, s:s, s:o, s:o, s:s, s:s}", "v", 1, "metric",
                                    alert->metric->name, "object", alert->object, "limit",
                                    alert_number(alert->limit), "clear", alert_number(alert->clear),
                                    "by", alert->by, "set", alert->set));
}

/* --- /alarm/ --- */

/* The next part of the key, and what follows; NULL: it is no name. */
static const char *take_part(const char *at, char part[NAME_MAX_LENGTH + 1])
{
    size_t length = strcspn(at, "/");
    if (length == 0 || length > NAME_MAX_LENGTH) {
        return NULL;
    }
    memcpy(part, at, length);
    part[length] = '\0';
    if (strcmp(part, ALARM_SHARED) != 0 && parse_name(part, "name", NULL) != VIOS_OK) {
        return NULL;
    }
    return at + length;
}

static bool read_key(const char *key, struct alarm *alarm)
{
    const char *at = strncmp(key, ALARM_PREFIX, strlen(ALARM_PREFIX)) == 0
                         ? take_part(key + strlen(ALARM_PREFIX), alarm->name)
                         : NULL;
    at = at && *at == '/' ? take_part(at + 1, alarm->scope) : NULL;
    if (at && *at == '/') {
        at = take_part(at + 1, alarm->object);
    }
    return at && *at == '\0' && strcmp(alarm->name, ALARM_SHARED) != 0 &&
           strcmp(alarm->object, ALARM_SHARED) != 0;
}

int alarm_parse(const struct store_value *value, struct alarm *alarm, struct vios_error *error)
{
    *alarm = (struct alarm){0};
    if (!read_key(value->key, alarm)) {
        *alarm = (struct alarm){0};
        return error_set(error, VIOS_E_CORRUPT, value->key, "run \"vios db check\"",
                         "this is no key of an alarm");
    }
    json_t *record = json_loads(value->json, JSON_REJECT_DUPLICATES, NULL);
    if (!json_read_text(record, "metric", alarm->metric, sizeof alarm->metric) ||
        !metric_find(alarm->metric)) {
        alarm->metric[0] = '\0';
    }
    alarm->value = json_number_value(json_object_get(record, "value"));
    alarm->limit = json_number_value(json_object_get(record, "limit"));
    json_read_text(record, "since", alarm->since, sizeof alarm->since);
    alarm->revision = value->revision;
    json_decref(record);
    return VIOS_OK;
}

char *alarm_format(const struct alarm *alarm)
{
    return json_into_text(json_pack("{s:i, s:s, s:o, s:o, s:s}", "v", 1, "metric", alarm->metric,
                                    "value", alert_number(alarm->value), "limit",
                                    alert_number(alarm->limit), "since", alarm->since));
}

/* --- together --- */

void alarm_place(const struct alert *alert, const char *node, const char *object,
                 struct alarm *alarm)
{
    const char *scope = metric_is_shared(alert->metric) ? ALARM_SHARED : node;
    *alarm = (struct alarm){.limit = alert->limit};
    snprintf(alarm->name, sizeof alarm->name, "%s", alert->name);
    snprintf(alarm->scope, sizeof alarm->scope, "%s", scope);
    snprintf(alarm->metric, sizeof alarm->metric, "%s", alert->metric->name);
    if (alert->metric->object != METRIC_NODE) {
        snprintf(alarm->object, sizeof alarm->object, "%s", object);
    }
}

bool alert_covers(const struct alert *alert, const char *object)
{
    return alert->object[0] == '\0' || strcmp(alert->object, object) == 0;
}

bool alert_has(const struct alert *alert, const struct alarm *alarm)
{
    bool of_node = alert->metric->object == METRIC_NODE;
    bool named = alert->metric->object == METRIC_POOL || alert->metric->object == METRIC_LPAR;
    return strcmp(alert->name, alarm->name) == 0 &&
           strcmp(alert->metric->name, alarm->metric) == 0 &&
           (strcmp(alarm->scope, ALARM_SHARED) == 0) == metric_is_shared(alert->metric) &&
           (alarm->object[0] != '\0') == named &&
           alert_covers(alert, of_node ? alarm->scope : alarm->object);
}

struct threshold alert_threshold(const struct alert *alert)
{
    return (struct threshold){.limit = alert->limit,
                              .clear = alert->clear,
                              .less_is_worse = alert->metric->less_is_worse,
                              .samples = alert->metric->samples};
}
