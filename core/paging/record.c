/* record.c - /paging/NAME: parse, check as a whole, write. */
#include "paging/record.h"

#include "base/json.h"

#include <stdio.h>
#include <string.h>

static const char *const POLICIES[] = {"mirror", "single", "disk"};
static const size_t POLICY_COUNT = sizeof POLICIES / sizeof POLICIES[0];

char *paging_record_key(const char *lpar, char key[PAGING_KEY_SIZE])
{
    snprintf(key, PAGING_KEY_SIZE, "/paging/%s", lpar);
    return key;
}

char *paging_run_key(const char *lpar, char key[PAGING_KEY_SIZE])
{
    snprintf(key, PAGING_KEY_SIZE, "/paging-run/%s", lpar);
    return key;
}

const char *paging_policy_name(enum paging_policy policy)
{
    return POLICIES[policy];
}

int paging_policy_parse(const char *text, enum paging_policy *policy, struct vios_error *error)
{
    for (size_t i = 0; i < POLICY_COUNT; i++) {
        if (strcmp(text, POLICIES[i]) == 0) {
            *policy = (enum paging_policy)i;
            return VIOS_OK;
        }
    }
    return error_set(error, VIOS_E_USAGE, NULL, "give mirror, single or disk",
                     "no paging policy \"%s\"", text);
}

size_t paging_policy_replicas(enum paging_policy policy)
{
    return policy == PAGING_MIRROR ? 2 : policy == PAGING_SINGLE ? 1 : 0;
}

int paging_region_find(const struct paging_region *region, const char *node)
{
    for (size_t i = 0; i < region->replica_count; i++) {
        if (strcmp(region->replicas[i], node) == 0) {
            return (int)i;
        }
    }
    return -1;
}

/* Copies a text member that must fit; `what` is its name. */
static int copy_text(char *to, size_t size, const char *from, const char *what,
                     struct vios_error *error)
{
    if (strlen(from) >= size) {
        return error_set(error, VIOS_E_CORRUPT, NULL, NULL, "\"%s\" is longer than %zu", what,
                         size - 1);
    }
    memcpy(to, from, strlen(from) + 1);
    return VIOS_OK;
}

static int parse_replicas(const json_t *list, struct paging_region *region,
                          struct vios_error *error)
{
    size_t index;
    json_t *item;
    if (json_array_size(list) > PAGING_REPLICAS_MAX) {
        return error_set(error, VIOS_E_CORRUPT, NULL, NULL, "more than %d replicas",
                         PAGING_REPLICAS_MAX);
    }
    json_array_foreach(list, index, item)
    {
        const char *node = NULL;
        if (json_unpack(item, "{s:s}", "node", &node) < 0) {
            return error_set(error, VIOS_E_CORRUPT, NULL, NULL, "a replica without a node");
        }
        if (parse_name(node, "node", error) != VIOS_OK) {
            return VIOS_E_CORRUPT;
        }
        if (paging_region_find(region, node) >= 0) {
            return error_set(error, VIOS_E_CORRUPT, NULL, NULL, "node \"%s\" is there twice", node);
        }
        memcpy(region->replicas[region->replica_count++], node, strlen(node) + 1);
    }
    return VIOS_OK;
}

static int parse_region(json_t *json, size_t index, uint64_t offset, struct paging_record *record,
                        struct vios_error *error)
{
    struct paging_region *region = &record->regions[index];
    json_int_t number, at, size, position;
    json_t *replicas;
    json_error_t why;
    if (json_unpack_ex(json, &why, 0, "{s:I, s:I, s:I, s:I, s:o}", "index", &position, "number",
                       &number, "offset", &at, "size_bytes", &size, "replicas", &replicas) < 0) {
        return error_set(error, VIOS_E_CORRUPT, NULL, NULL, "region %zu: %s", index, why.text);
    }
    if (position != (json_int_t)index || number < 1 || at != (json_int_t)offset || size <= 0 ||
        size % PAGE_BYTES != 0 || (uint64_t)size > PAGING_REGION_BYTES ||
        !json_is_array(replicas)) {
        return error_set(error, VIOS_E_CORRUPT, NULL, NULL, "region %zu does not fit", index);
    }
    region->number = number;
    region->offset = offset;
    region->size_bytes = (uint64_t)size;
    int status = parse_replicas(replicas, region, error);
    if (status == VIOS_OK && region->replica_count != paging_policy_replicas(record->policy)) {
        return error_set(error, VIOS_E_CORRUPT, NULL, NULL,
                         "region %zu has %zu replicas, policy %s wants %zu", index,
                         region->replica_count, paging_policy_name(record->policy),
                         paging_policy_replicas(record->policy));
    }
    return status;
}

static int parse_regions(const json_t *list, struct paging_record *record, struct vios_error *error)
{
    uint64_t offset = 0;
    size_t index;
    json_t *item;
    if (json_array_size(list) == 0 || json_array_size(list) > PAGING_REGIONS_MAX) {
        return error_set(error, VIOS_E_CORRUPT, NULL, NULL, "%zu regions", json_array_size(list));
    }
    json_array_foreach(list, index, item)
    {
        int status = parse_region(item, index, offset, record, error);
        if (status != VIOS_OK) {
            return status;
        }
        offset += record->regions[index].size_bytes;
        record->region_count++;
    }
    if (offset != record->size_bytes) {
        return error_set(error, VIOS_E_CORRUPT, NULL, NULL,
                         "the regions cover %llu bytes, the device has %llu",
                         (unsigned long long)offset, (unsigned long long)record->size_bytes);
    }
    return VIOS_OK;
}

static int take_names(struct paging_record *record, const char *lpar, const char *uuid,
                      const char *host, const char *disk, const char *created,
                      struct vios_error *error)
{
    if (parse_name(lpar, "LPAR", error) != VIOS_OK || parse_uuid(uuid, error) != VIOS_OK ||
        parse_name(host, "node", error) != VIOS_OK) {
        return VIOS_E_CORRUPT;
    }
    memcpy(record->lpar, lpar, strlen(lpar) + 1);
    memcpy(record->uuid, uuid, strlen(uuid) + 1);
    memcpy(record->host, host, strlen(host) + 1);
    int status = copy_text(record->disk, sizeof record->disk, disk, "disk", error);
    if (status != VIOS_OK) {
        return status;
    }
    return copy_text(record->created, sizeof record->created, created, "created", error);
}

/* Absent in a record of before: every QEMU was of the record's generation then. */
static int parse_plan(const json_t *root, struct paging_record *record, struct vios_error *error)
{
    struct paging_plan *plan = &record->plan;
    const json_t *start = json_object_get(root, "start"), *json = json_object_get(root, "plan");
    const char *job = json_get_word(json, "job"), *node = json_get_word(json, "node");
    const char *target = json_get_word(json, "target");
    record->start = start ? json_integer_value(start) : record->generation;
    if (record->start < 0 || record->start > record->generation) {
        return error_set(error, VIOS_E_CORRUPT, NULL, NULL, "its start is none of its generations");
    }
    if (!json) {
        return VIOS_OK;
    }
    plan->generation = json_get_integer(json, "generation");
    plan->start = json_get_integer(json, "start");
    if (!job[0] || parse_name(node, "node", NULL) != VIOS_OK || plan->start < 0 ||
        plan->start > plan->generation ||
        (target[0] && parse_name(target, "node", NULL) != VIOS_OK)) {
        return error_set(error, VIOS_E_CORRUPT, NULL, NULL, "its plan is none");
    }
    snprintf(plan->target, sizeof plan->target, "%s", target);
    int status = copy_text(plan->job, sizeof plan->job, job, "plan", error);
    return status == VIOS_OK ? copy_text(plan->node, sizeof plan->node, node, "plan", error)
                             : status;
}

static int parse_members(json_t *root, struct paging_record *record, struct vios_error *error)
{
    const char *lpar, *uuid, *host, *policy, *created = "", *job = "";
    json_int_t size, version, generation;
    json_t *regions, *disk = NULL;
    json_error_t why;
    if (json_unpack_ex(root, &why, 0, "{s:I, s:s, s:s, s:I, s:s, s:s, s:I, s?o, s:o, s?s, s?s}",
                       "v", &version, "lpar", &lpar, "uuid", &uuid, "generation", &generation,
                       "host", &host, "policy", &policy, "size_bytes", &size, "disk", &disk,
                       "regions", &regions, "job", &job, "created", &created) < 0) {
        return error_set(error, VIOS_E_CORRUPT, NULL, NULL, "%s", why.text);
    }
    if (version != 1 || generation < 0 || size <= 0 || (uint64_t)size > PAGING_DEVICE_BYTES_MAX ||
        !json_is_array(regions)) {
        return error_set(error, VIOS_E_CORRUPT, NULL, NULL, "version or size out of range");
    }
    const char *path = json_is_string(disk) ? json_string_value(disk) : "";
    if (paging_policy_parse(policy, &record->policy, error) != VIOS_OK ||
        take_names(record, lpar, uuid, host, path, created, error) != VIOS_OK ||
        copy_text(record->job, sizeof record->job, job, "job", error) != VIOS_OK) {
        return VIOS_E_CORRUPT;
    }
    record->size_bytes = (uint64_t)size;
    record->generation = generation;
    if ((record->policy == PAGING_DISK) != (record->disk[0] == '/')) {
        return error_set(error, VIOS_E_CORRUPT, NULL, NULL, "policy %s with disk \"%.100s\"",
                         policy, record->disk);
    }
    int status = parse_plan(root, record, error);
    return status == VIOS_OK ? parse_regions(regions, record, error) : status;
}

int paging_record_parse(const char *json, struct paging_record *record, struct vios_error *error)
{
    json_error_t why;
    struct vios_error inner = {0};
    memset(record, 0, sizeof *record);
    json_t *root = json_loads(json, JSON_REJECT_DUPLICATES, &why);
    int status = root ? parse_members(root, record, &inner)
                      : error_set(&inner, VIOS_E_CORRUPT, NULL, NULL, "%s", why.text);
    if (status != VIOS_OK) {
        char object[96];
        snprintf(object, sizeof object, "paging \"%s\"", record->lpar);
        status = error_set(error, VIOS_E_CORRUPT, object, "run \"vios db check\"",
                           "damaged record: %.300s", inner.message);
    }
    json_decref(root);
    return status;
}

static json_t *format_replicas(const struct paging_region *region, paging_address address,
                               void *context)
{
    json_t *list = json_array();
    for (size_t i = 0; i < region->replica_count; i++) {
        json_t *replica = json_pack("{s:s}", "node", region->replicas[i]);
        if (address) {
            char text[PAGING_PATH_SIZE];
            const char *where = address(context, region->replicas[i], text, sizeof text);
            json_object_set_new(replica, "address", json_string(where ? where : ""));
        }
        json_array_append_new(list, replica);
    }
    return list;
}

json_t *paging_record_regions(const struct paging_record *record, paging_address address,
                              void *context)
{
    json_t *list = json_array();
    for (size_t i = 0; i < record->region_count; i++) {
        const struct paging_region *region = &record->regions[i];
        json_array_append_new(list, json_pack("{s:i, s:I, s:I, s:I, s:o}", "index", (int)i,
                                              "number", (json_int_t)region->number, "offset",
                                              (json_int_t)region->offset, "size_bytes",
                                              (json_int_t)region->size_bytes, "replicas",
                                              format_replicas(region, address, context)));
    }
    return list;
}

char *paging_record_format(const struct paging_record *record)
{
    const struct paging_plan *plan = &record->plan;
    json_t *root = json_pack(
        "{s:i, s:s, s:s, s:I, s:I, s:s, s:I, s:s, s:o, s:o, s:s, s:s}", "v", 1, "lpar",
        record->lpar, "uuid", record->uuid, "generation", (json_int_t)record->generation, "start",
        (json_int_t)record->start, "host", record->host, "size_bytes",
        (json_int_t)record->size_bytes, "policy", paging_policy_name(record->policy), "disk",
        record->disk[0] ? json_string(record->disk) : json_null(), "regions",
        paging_record_regions(record, NULL, NULL), "job", record->job, "created", record->created);
    if (plan->job[0]) {
        json_object_set_new(root, "plan",
                            json_pack("{s:s, s:s, s:I, s:I}", "job", plan->job, "node", plan->node,
                                      "generation", (json_int_t)plan->generation, "start",
                                      (json_int_t)plan->start));
        if (plan->target[0]) {
            json_object_set_new(json_object_get(root, "plan"), "target", json_string(plan->target));
        }
    }
    return json_into_text(root);
}

json_t *paging_record_grants(const struct paging_record *record, const char *node)
{
    json_t *list = json_array();
    for (size_t i = 0; i < record->region_count; i++) {
        const struct paging_region *region = &record->regions[i];
        if (paging_region_find(region, node) >= 0) {
            json_array_append_new(list, json_pack("{s:i, s:I, s:I}", "index", (int)i, "number",
                                                  (json_int_t)region->number, "size_bytes",
                                                  (json_int_t)region->size_bytes));
        }
    }
    return list;
}
