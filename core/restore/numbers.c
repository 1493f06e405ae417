/* numbers.c - see numbers.h: one function for each kind of record that carries numbers. */
#include "restore/numbers.h"

#include "base/json.h"
#include "base/parse.h"

#include <stdio.h>
#include <string.h>

#define FENCE_NAME_SIZE (NAME_MAX_LENGTH + 32)

bool restore_numbers_start(struct restore_numbers *numbers)
{
    *numbers = (struct restore_numbers){.incarnations = json_object(),
                                        .fences = json_object(),
                                        .generations = json_object(),
                                        .regions = json_object()};
    return numbers->incarnations && numbers->fences && numbers->generations && numbers->regions;
}

void restore_numbers_clear(struct restore_numbers *numbers)
{
    json_decref(numbers->incarnations);
    json_decref(numbers->fences);
    json_decref(numbers->generations);
    json_decref(numbers->regions);
    memset(numbers, 0, sizeof *numbers);
}

const char *restore_key_behind(const char *key, const char *prefix)
{
    size_t length = strlen(prefix);
    return strncmp(key, prefix, length) == 0 ? key + length : NULL;
}

static int64_t number_of(const json_t *record, const char *name)
{
    int64_t number = json_get_integer(record, name);
    return number >= 0 && number <= RESTORE_NUMBER_MAX ? number : 0;
}

static void raise(int64_t *highest, int64_t number)
{
    *highest = number > *highest && number <= RESTORE_NUMBER_MAX ? number : *highest;
}

static void raise_of(json_t *map, const char *name, int64_t number)
{
    const json_t *before = json_object_get(map, name);
    if (!before || json_integer_value(before) < number) {
        json_object_set_new(map, name, json_integer(number));
    }
}

/* Somebody was, or is, this incarnation of the node. */
static void see(struct restore_numbers *numbers, const char *node, int64_t incarnation)
{
    char fence[FENCE_NAME_SIZE];
    if (!node || parse_name(node, "node", NULL) != VIOS_OK) {
        return;
    }
    raise_of(numbers->incarnations, node, incarnation);
    if (incarnation > 0) {
        snprintf(fence, sizeof fence, "%s/%lld", node, (long long)incarnation);
        json_object_set_new(numbers->fences, fence, json_true());
    }
}

/* {"node", "incarnation"}, as many records have it. */
static void see_owner(struct restore_numbers *numbers, const json_t *record)
{
    const char *node = json_get_text(record, "node");
    if (node && node[0]) {
        see(numbers, node, number_of(record, "incarnation"));
    }
}

static void add_cluster(struct restore_numbers *numbers, const char *name, const json_t *record)
{
    if (name[0] == '\0') {
        raise(&numbers->restores, number_of(record, "restores"));
    }
}

static void add_primary(struct restore_numbers *numbers, const char *name, const json_t *record)
{
    if (name[0] == '\0') {
        raise(&numbers->epoch, number_of(record, "epoch"));
        see_owner(numbers, record);
    }
}

static void add_node(struct restore_numbers *numbers, const char *name, const json_t *record)
{
    (void)record;
    see(numbers, name, 0);
}

static void add_alive(struct restore_numbers *numbers, const char *name, const json_t *record)
{
    see(numbers, name, number_of(record, "incarnation"));
}

/* "NODE/INCARNATION" */
static void add_fence(struct restore_numbers *numbers, const char *name, const json_t *record)
{
    char node[NAME_MAX_LENGTH + 1];
    size_t length = strcspn(name, "/");
    int64_t incarnation;
    if (length < sizeof node && name[length] == '/' &&
        parse_integer(name + length + 1, 1, RESTORE_NUMBER_MAX, &incarnation, NULL) == VIOS_OK) {
        snprintf(node, sizeof node, "%.*s", (int)length, name);
        see(numbers, node, incarnation);
    }
    raise(&numbers->epoch, number_of(record, "epoch"));
}

static void add_lpar(struct restore_numbers *numbers, const char *name, const json_t *record)
{
    raise_of(numbers->generations, name, number_of(record, "generation"));
    see_owner(numbers, json_object_get(record, "owner"));
}

static void add_paging(struct restore_numbers *numbers, const char *name, const json_t *record)
{
    size_t index;
    const json_t *region;
    raise_of(numbers->generations, name, number_of(record, "generation"));
    json_array_foreach(json_object_get(record, "regions"), index, region)
    {
        raise_of(numbers->regions, name, number_of(region, "number"));
    }
}

static void add_hibernation(struct restore_numbers *numbers, const char *name, const json_t *record)
{
    raise_of(numbers->generations, name, number_of(record, "generation"));
}

static void add_owned(struct restore_numbers *numbers, const char *name, const json_t *record)
{
    (void)name;
    see_owner(numbers, record);
}

static void add_job_number(struct restore_numbers *numbers, const char *name, const json_t *record)
{
    if (name[0] == '\0') {
        raise(&numbers->job, number_of(record, "last"));
    }
}

static void add_incident_number(struct restore_numbers *numbers, const char *name,
                                const json_t *record)
{
    if (!*name) {
        raise(&numbers->incident, number_of(record, "last"));
    }
}

static void add_job(struct restore_numbers *numbers, const char *name, const json_t *record)
{
    int64_t number;
    const char *digits = restore_key_behind(name, "j-");
    if (digits && parse_integer(digits, 1, RESTORE_NUMBER_MAX, &number, NULL) == VIOS_OK) {
        raise(&numbers->job, number);
    }
    see_owner(numbers, record);
}

static void add_split(struct restore_numbers *numbers, const char *name, const json_t *record)
{
    int64_t number;
    size_t index;
    const json_t *loser;
    if (parse_integer(name, 1, RESTORE_NUMBER_MAX, &number, NULL) == VIOS_OK) {
        raise(&numbers->split, number);
    }
    json_array_foreach(json_object_get(record, "losers"), index, loser)
    {
        see_owner(numbers, loser);
    }
}

static const struct {
    const char *prefix;
    void (*add)(struct restore_numbers *numbers, const char *name, const json_t *record);
} KINDS[] = {
    {"/cluster", add_cluster},
    {"/primary", add_primary},
    {"/node/", add_node},
    {"/alive/", add_alive},
    {"/fence/", add_fence},
    {"/lpar/", add_lpar},
    {"/lpar-run/", add_owned},
    {"/paging/", add_paging},
    {"/hibernation/", add_hibernation},
    {"/job-number", add_job_number},
    {"/job/", add_job},
    {"/split/", add_split},
    {"/incident-number", add_incident_number},
};

static void add_value(struct restore_numbers *numbers, const struct store_value *value)
{
    raise(&numbers->revision, value->revision);
    if (!store_key_is_valid(value->key)) {
        return;
    }
    json_t *record = json_loads(value->json, 0, NULL);
    for (size_t i = 0; i < sizeof KINDS / sizeof KINDS[0]; i++) {
        const char *name = restore_key_behind(value->key, KINDS[i].prefix);
        if (name) {
            KINDS[i].add(numbers, name, record);
        }
    }
    json_decref(record);
}

void restore_numbers_add(struct restore_numbers *numbers, const struct store_list *list,
                         int64_t revision)
{
    raise(&numbers->revision, revision);
    for (size_t i = 0; i < list->count; i++) {
        add_value(numbers, &list->values[i]);
    }
}
