/*
 * plan.c - see plan.h. First the numbers, of all contents; then each record of the backup is kept,
 * changed or left out, as its row in KINDS says; then come those that are made.
 */
#include "restore/plan.h"

#include "base/clock.h"
#include "base/json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct making {
    struct restore_plan *plan;
    struct restore_numbers numbers;
    size_t capacity;
    int64_t wall_ms;
    char now[CLOCK_TEXT_SIZE];
    bool failed; /* no memory */
};

/* --- the list --- */

static void append(struct making *making, const char *key, json_t *record)
{
    struct store_list *list = &making->plan->list;
    if (list->count == making->capacity) {
        size_t capacity = making->capacity ? 2 * making->capacity : 64;
        struct store_value *values = reallocarray(list->values, capacity, sizeof *values);
        making->failed = making->failed || !values;
        list->values = values ? values : list->values;
        making->capacity = values ? capacity : making->capacity;
    }
    struct store_value value = {.key = strdup(key),
                                .json = record ? json_dumps(record, JSON_COMPACT) : NULL,
                                .revision = making->plan->revision,
                                .created = making->plan->revision};
    json_decref(record);
    if (making->failed || !value.key || !value.json) {
        making->failed = true;
        store_value_clear(&value);
        return;
    }
    list->values[list->count++] = value;
}

static int by_key(const void *a, const void *b)
{
    return strcmp(((const struct store_value *)a)->key, ((const struct store_value *)b)->key);
}

static void set(struct making *making, json_t *record, const char *member, json_t *value)
{
    making->failed = json_object_set_new(record, member, value) != 0 || making->failed;
}

static void note(struct making *making, json_t *array, const char *name)
{
    making->failed = json_array_append_new(array, json_string(name)) != 0 || making->failed;
}

static bool is_text(const json_t *record, const char *member, const char *text)
{
    const char *value = json_get_text(record, member);
    return value && strcmp(value, text) == 0;
}

/* --- records of the backup; false: left out --- */

static bool leave_out(struct making *making, const char *name, json_t *record)
{
    (void)making;
    (void)name;
    (void)record;
    return false;
}

static bool cluster(struct making *making, const char *name, json_t *record)
{
    if (name[0] == '\0') {
        set(making, record, "restores", json_integer(making->plan->restores));
    }
    return true;
}

static bool node(struct making *making, const char *name, json_t *record)
{
    (void)record;
    note(making, making->plan->nodes, name);
    return true;
}

static int64_t raise(const struct making *making, int64_t seen, int64_t step)
{
    return seen + step > making->wall_ms ? seen + step : making->wall_ms;
}

static int64_t raised(const struct making *making, const json_t *map, const char *name)
{
    return raise(making, json_get_integer(map, name), RESTORE_STEP);
}

/* A job that held it has failed, and who ran it may have been anywhere since. */
static bool lpar(struct making *making, const char *name, json_t *record)
{
    if (is_text(record, "wanted", "running")) {
        note(making, making->plan->start, name);
    } else if (is_text(record, "wanted", "hibernated")) {
        set(making, record, "wanted", json_string("stopped"));
    }
    set(making, record, "generation",
        json_integer(raised(making, making->numbers.generations, name)));
    set(making, record, "owner", json_null());
    set(making, record, "job", json_null());
    json_object_del(record, "taken"); /* whoever had its disks is fenced, as its owner is */
    return true;
}

/* What is whole is nobody's; what was being made or deleted stays as the job left it. */
static bool held(struct making *making, const char *name, json_t *record)
{
    (void)making;
    (void)name;
    if (is_text(record, "state", "ready")) {
        json_object_del(record, "job");
    }
    return true;
}

/* One below its LPAR's, so that the device begins anew with that (paging/device.c). */
static bool paging(struct making *making, const char *name, json_t *record)
{
    size_t index;
    json_t *region;
    set(making, record, "generation",
        json_integer(raised(making, making->numbers.generations, name) - 1));
    json_array_foreach(json_object_get(record, "regions"), index, region)
    {
        set(making, region, "number", json_integer(raised(making, making->numbers.regions, name)));
    }
    return true;
}

/* The record stays, for it names the file that is to be removed. */
static bool hibernation(struct making *making, const char *name, json_t *record)
{
    note(making, making->plan->hibernations, name);
    set(making, record, "state", json_string("Invalid"));
    return true;
}

static bool job(struct making *making, const char *name, json_t *record)
{
    if (!is_text(record, "state", "running") && !is_text(record, "state", "undoing")) {
        return true;
    }
    const char *object = json_get_text(record, "object");
    note(making, making->plan->jobs, name);
    set(making, record, "state", json_string("failed"));
    set(making, record, "changed", json_string(making->now));
    set(making, record, "error",
        json_pack("{s:s, s:s, s:s, s:s}", "code", "cancelled", "object", object ? object : "",
                  "message",
                  "it had not ended when the VIOS DB was backed up, which was restored since",
                  "hint", "look what it left, and start it again"));
    return true;
}

static const struct {
    const char *prefix;
    bool (*change)(struct making *making, const char *name, json_t *record);
} KINDS[] = {
    {"/cluster", cluster},
    {"/node/", node},
    {"/lpar/", lpar},
    {"/lu/", held},
    {"/image/", held},
    {"/paging/", paging},
    {"/hibernation/", hibernation},
    {"/job/", job},
    {"/primary", leave_out}, /* these are made */
    {"/alive/", leave_out},
    {"/fence/", leave_out},
    {"/split/", leave_out},
    {"/job-number", leave_out},
    {"/incident-number", leave_out},
    {"/lpar-run/", leave_out}, /* these were true while somebody ran */
    {"/paging-run/", leave_out},
    {"/alarm/", leave_out},
    {"/lock/", leave_out},
    {"/migration/", leave_out},
    {"/token", leave_out}, /* it may have been used since */
    {"/event", leave_out}, /* their numbers were revisions of the lost one */
};

static void change_value(struct making *making, const struct store_value *value)
{
    json_t *record = json_loads(value->json, 0, NULL);
    bool keep = true;
    for (size_t i = 0; i < sizeof KINDS / sizeof KINDS[0]; i++) {
        const char *name = restore_key_behind(value->key, KINDS[i].prefix);
        if (name && keep) {
            keep = KINDS[i].change(making, name, record);
        }
    }
    if (keep) {
        append(making, value->key, record);
    } else {
        json_decref(record);
    }
}

/* --- records that are made --- */

static const json_t *find_record(const struct store_list *list, const char *key, json_t **record)
{
    *record = NULL;
    for (size_t i = 0; i < list->count && !*record; i++) {
        if (strcmp(list->values[i].key, key) == 0) {
            *record = json_loads(list->values[i].json, 0, NULL);
        }
    }
    return *record;
}

static void make_primary(struct making *making, const struct store_list *backup)
{
    json_t *before;
    json_t *history = json_object_get(find_record(backup, "/primary", &before), "history");
    append(making, "/primary",
           json_pack("{s:i, s:s, s:I, s:s, s:s, s:o}", "v", 1, "node", "", "epoch",
                     (json_int_t)making->plan->epoch, "state", "resigned", "to", "", "history",
                     json_is_array(history) ? json_incref(history) : json_array()));
    json_decref(before);
}

static void make_fence(struct making *making, const char *name)
{
    char key[STORE_KEY_MAX];
    snprintf(key, sizeof key, "/fence/%s", name);
    append(making, key,
           json_pack("{s:i, s:s, s:s, s:I, s:i, s:s}", "v", 1, "state", "free", "by", "db restore",
                     "epoch", (json_int_t)making->plan->epoch, "alive", 0, "why",
                     "the VIOS DB was restored"));
}

/* `start` 0 says that no daemon wrote it (daemon/boot.c). */
static void make_alive(struct making *making, const char *name, int64_t incarnation)
{
    char key[STORE_KEY_MAX], fence[STORE_KEY_MAX];
    snprintf(key, sizeof key, "/alive/%s", name);
    snprintf(fence, sizeof fence, "%s/%lld", name, (long long)incarnation);
    append(making, key,
           json_pack("{s:i, s:I, s:i, s:i, s:[], s:s, s:s}", "v", 1, "incarnation",
                     (json_int_t)incarnation, "start", 0, "n", 0, "row", "state", "down", "unfit",
                     "it has not run since the VIOS DB was restored"));
    make_fence(making, fence);
}

/* A node that joined after the backup must end its guests too before it joins again. */
static void make_nodes(struct making *making)
{
    const char *name;
    json_t *value;
    json_object_foreach(making->numbers.incarnations, name, value)
    {
        make_alive(making, name, raised(making, making->numbers.incarnations, name));
    }
    json_object_foreach(making->numbers.fences, name, value)
    {
        make_fence(making, name);
    }
}

static void make_records(struct making *making, const struct store_list *backup)
{
    make_primary(making, backup);
    make_nodes(making);
    if (making->numbers.job > 0) {
        json_int_t last = making->numbers.job + RESTORE_STEP;
        append(making, "/job-number", json_pack("{s:i, s:I}", "v", 1, "last", last));
    }
    if (making->numbers.incident > 0) { /* its folders in the repository are not used again */
        json_int_t last = making->numbers.incident + RESTORE_STEP;
        append(making, "/incident-number", json_pack("{s:i, s:I}", "v", 1, "last", last));
    }
    if (making->numbers.split > 0) {
        char key[STORE_KEY_MAX];
        int64_t next = making->numbers.split + RESTORE_STEP;
        snprintf(key, sizeof key, "/split/%lld", (long long)next);
        append(making, key,
               json_pack("{s:i, s:[], s:[], s:s, s:i}", "v", 1, "winners", "losers", "rule",
                         "restored", "allowed_ms", 0));
    }
}

/* As daemon/audit.c writes them. */
static void make_audit(struct making *making, const struct restore_act *act)
{
    char key[STORE_KEY_MAX];
    snprintf(key, sizeof key, "/audit/%013lld-restore", (long long)making->wall_ms);
    append(making, key,
           json_pack("{s:i, s:s, s:s, s:s, s:s, s:s, s:{}, s:s}", "v", 1, "time", making->now,
                     "actor", act->actor, "node", "", "method", "db.restore", "object", act->file,
                     "parameters", "outcome", "ok"));
}

/* --- the plan --- */

static int64_t highest_of(const json_t *map, int64_t highest)
{
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)map, name, value)
    {
        highest = json_integer_value(value) > highest ? json_integer_value(value) : highest;
    }
    return highest;
}

/* A number that cannot be raised would go backwards with the next restore. */
static int check_room(const struct restore_numbers *numbers, struct vios_error *error)
{
    const int64_t few[] = {numbers->epoch, numbers->job, numbers->split, numbers->restores};
    int64_t highest = highest_of(numbers->incarnations, 0);
    highest = highest_of(numbers->generations, highest);
    highest = highest_of(numbers->regions, highest);
    for (size_t i = 0; i < sizeof few / sizeof few[0]; i++) {
        highest = few[i] > highest ? few[i] : highest;
    }
    if (highest > RESTORE_NUMBER_MAX - RESTORE_STEP ||
        numbers->revision > RESTORE_NUMBER_MAX - RESTORE_REVISION_STEP) {
        return error_set(error, VIOS_E_INVALID, "VIOS DB", "use another backup",
                         "a number in it is too high to be raised");
    }
    return VIOS_OK;
}

static int start(struct making *making, const struct restore_content *contents, size_t count,
                 struct vios_error *error)
{
    struct restore_plan *plan = making->plan;
    memset(plan, 0, sizeof *plan);
    plan->nodes = json_array();
    plan->start = json_array();
    plan->hibernations = json_array();
    plan->jobs = json_array();
    if (!restore_numbers_start(&making->numbers) || !plan->nodes || !plan->start ||
        !plan->hibernations || !plan->jobs) {
        return error_no_memory(error, NULL);
    }
    for (size_t i = 0; i < count; i++) {
        restore_numbers_add(&making->numbers, contents[i].list, contents[i].revision);
    }
    int64_t wall_s = making->wall_ms / 1000;
    plan->revision = raise(making, making->numbers.revision, RESTORE_REVISION_STEP);
    plan->epoch = raise(making, making->numbers.epoch, RESTORE_STEP);
    plan->restores = making->numbers.restores + 1;
    plan->restores = plan->restores > wall_s ? plan->restores : wall_s;
    return check_room(&making->numbers, error);
}

int restore_plan_make(struct restore_plan *plan, const struct restore_content *contents,
                      size_t count, const struct restore_act *act, struct vios_error *error)
{
    struct making making = {.plan = plan};
    bool sane = act->wall_ms >= 0 && act->wall_ms <= RESTORE_NUMBER_MAX / 2;
    making.wall_ms = sane ? act->wall_ms : 0;
    clock_format(making.wall_ms, making.now);
    const struct store_list *backup = contents[0].list;
    int status = start(&making, contents, count, error);
    for (size_t i = 0; i < backup->count && status == VIOS_OK; i++) {
        change_value(&making, &backup->values[i]);
    }
    if (status == VIOS_OK) {
        make_records(&making, backup);
        make_audit(&making, act);
    }
    restore_numbers_clear(&making.numbers);
    if (making.failed && status == VIOS_OK) {
        status = error_no_memory(error, NULL);
    }
    if (plan->list.count > 1) {
        qsort(plan->list.values, plan->list.count, sizeof *plan->list.values, by_key);
    }
    return status;
}

void restore_plan_clear(struct restore_plan *plan)
{
    store_list_clear(&plan->list);
    json_decref(plan->nodes);
    json_decref(plan->start);
    json_decref(plan->hibernations);
    json_decref(plan->jobs);
    memset(plan, 0, sizeof *plan);
}
