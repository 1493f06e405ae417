/* check.c - whether a content of the VIOS DB is whole, record by record: see plan.h. */
#include "restore/plan.h"

#include "base/json.h"

#include <string.h>

static int bad(const char *key, const char *what, struct vios_error *error)
{
    return error_set(error, VIOS_E_CORRUPT, key, "use another backup", "its record has a bad %s",
                     what);
}

static bool is_number(const json_t *value)
{
    return json_is_integer(value) && json_integer_value(value) >= 0 &&
           json_integer_value(value) <= RESTORE_NUMBER_MAX;
}

/* Members that the plan changes: they must be numbers, or not needed and absent. */
static const struct {
    const char *prefix;
    const char *member;
    bool needed;
} NUMBERS[] = {
    {"/cluster", "restores", false},  {"/primary", "epoch", true},
    {"/alive/", "incarnation", true}, {"/lpar/", "generation", true},
    {"/paging/", "generation", true}, {"/hibernation/", "generation", true},
    {"/job-number", "last", true},    {"/incident-number", "last", true},
};

static int check_numbers(const char *key, const json_t *record, struct vios_error *error)
{
    for (size_t i = 0; i < sizeof NUMBERS / sizeof NUMBERS[0]; i++) {
        const json_t *value = json_object_get(record, NUMBERS[i].member);
        if (restore_key_behind(key, NUMBERS[i].prefix) && (value || NUMBERS[i].needed) &&
            !is_number(value)) {
            return bad(key, NUMBERS[i].member, error);
        }
    }
    return VIOS_OK;
}

static int check_regions(const char *key, const json_t *record, struct vios_error *error)
{
    const json_t *regions = json_object_get(record, "regions");
    size_t index;
    const json_t *region;
    if (!restore_key_behind(key, "/paging/")) {
        return VIOS_OK;
    }
    json_array_foreach(regions, index, region)
    {
        if (!is_number(json_object_get(region, "number"))) {
            return bad(key, "region", error);
        }
    }
    return json_is_array(regions) ? VIOS_OK : bad(key, "regions", error);
}

static int check_record(const char *key, const json_t *record, struct vios_error *error)
{
    const json_t *version = json_object_get(record, "v");
    if (!json_is_object(record)) {
        return error_set(error, VIOS_E_CORRUPT, key, "use another backup",
                         "its record is not a JSON object");
    }
    if (!json_is_integer(version) || json_integer_value(version) < 1) {
        return bad(key, "schema number", error);
    }
    if (json_integer_value(version) > RESTORE_SCHEMA_MAX) {
        return error_set(error, VIOS_E_INVALID, key, "use a newer vios",
                         "its record has schema %lld, this vios knows %d",
                         (long long)json_integer_value(version), RESTORE_SCHEMA_MAX);
    }
    int status = check_numbers(key, record, error);
    return status == VIOS_OK ? check_regions(key, record, error) : status;
}

int restore_check(const struct store_list *list, struct vios_error *error)
{
    bool cluster = false;
    for (size_t i = 0; i < list->count; i++) {
        const struct store_value *value = &list->values[i];
        if (!store_key_is_valid(value->key) || strlen(value->json) > STORE_VALUE_MAX) {
            return error_set(error, VIOS_E_CORRUPT, "backup", "use another backup",
                             "record %zu has a bad key, or is too long", i + 1);
        }
        json_t *record = json_loads(value->json, JSON_REJECT_DUPLICATES, NULL);
        int status = check_record(value->key, record, error);
        const char *name = json_get_text(record, "name");
        cluster = cluster || (strcmp(value->key, "/cluster") == 0 && name && name[0]);
        json_decref(record);
        if (status != VIOS_OK) {
            return status;
        }
    }
    return cluster ? VIOS_OK
                   : error_set(error, VIOS_E_INVALID, "/cluster", "use another backup",
                               "there is no cluster in it");
}
