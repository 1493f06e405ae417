/*
 * job_submit.c - how a job gets its record and its owner: submitted here, or adopted.
 *
 * Each commit that makes this node an owner compares that its own incarnation is not fenced.
 */
#include "job/job_engine.h"

#include "base/log.h"
#include "base/parse.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SUBMIT_PAUSE_MS 2
#define FENCE_KEY_SIZE 128

static void fence_key(const char *node, int64_t incarnation, char key[FENCE_KEY_SIZE])
{
    snprintf(key, FENCE_KEY_SIZE, "/fence/%s/%lld", node, (long long)incarnation);
}

/* The number for the next job, and the compare that keeps it ours. */
static int next_number(struct store *store, int64_t *number, struct store_compare *compare,
                       struct operation *operation)
{
    struct store_value value;
    json_int_t last = 0;
    *compare = (struct store_compare){STORE_ABSENT, "/job-number", 0};
    int status = store_get(store, "/job-number", &value, operation);
    if (status == VIOS_OK) {
        json_t *json = json_loads(value.json, 0, NULL);
        if (json_unpack(json, "{s:I}", "last", &last) != 0 || last < 0) {
            status = operation_fail(operation, VIOS_E_CORRUPT, "/job-number", NULL,
                                    "not the number of the last job");
        }
        json_decref(json);
        *compare = (struct store_compare){STORE_REVISION_IS, "/job-number", value.revision};
    }
    store_value_clear(&value);
    *number = last + 1;
    return status == VIOS_E_NOT_FOUND ? VIOS_OK : status;
}

/* Number, operation and record in one commit. */
static int write_new(struct jobs *jobs, struct store *store, struct job_record *record,
                     int64_t *revision, struct operation *operation)
{
    char keys[2][JOB_KEY_SIZE + UUID_TEXT_SIZE];
    char fence[FENCE_KEY_SIZE];
    char number_json[64];
    char job_json[96];
    int64_t number;
    struct store_compare compares[4];
    int status = next_number(store, &number, &compares[0], operation);
    if (status != VIOS_OK) {
        return status;
    }
    snprintf(record->id, sizeof record->id, "j-%lld", (long long)number);
    job_record_key(record->id, keys[0]);
    snprintf(keys[1], sizeof keys[1], "/job-operation/%s", record->operation);
    fence_key(jobs->node, jobs->incarnation, fence);
    compares[1] = (struct store_compare){STORE_ABSENT, keys[0], 0};
    compares[2] = (struct store_compare){STORE_ABSENT, keys[1], 0};
    compares[3] = (struct store_compare){STORE_ABSENT, fence, 0};
    snprintf(number_json, sizeof number_json, "{\"v\":1,\"last\":%lld}", (long long)number);
    snprintf(job_json, sizeof job_json, "{\"v\":1,\"job\":\"%s\"}", record->id);
    char *json = job_record_encode(record);
    if (!json) {
        return operation_no_memory(operation, "jobs");
    }
    struct store_change changes[] = {
        {"/job-number", number_json}, {keys[0], json}, {keys[1], job_json}};
    status = store_commit(store, compares, 4, changes, 3, revision, operation);
    free(json);
    if (status == VIOS_E_CONFLICT && strcmp(operation->error.object, fence) == 0) {
        return operation_fail(operation, VIOS_E_STALE, record->object, NULL,
                              "this node is fenced and may start no job");
    }
    return status;
}

/* The record of the job with this operation id. VIOS_E_NOT_FOUND: there is none yet. */
static int find_operation(struct store *store, const char *operation_id, struct job_record *record,
                          int64_t *revision, struct operation *operation)
{
    char key[JOB_KEY_SIZE + UUID_TEXT_SIZE];
    const char *id = NULL;
    struct store_value value;
    snprintf(key, sizeof key, "/job-operation/%s", operation_id);
    int status = store_get(store, key, &value, operation);
    if (status != VIOS_OK) {
        return status;
    }
    json_t *json = json_loads(value.json, 0, NULL);
    store_value_clear(&value);
    if (json_unpack(json, "{s:s}", "job", &id) != 0 || job_record_number(id) < 0) {
        json_decref(json);
        return operation_fail(operation, VIOS_E_CORRUPT, key, NULL, "does not name a job");
    }
    job_record_key(id, key);
    json_decref(json);
    status = store_get(store, key, &value, operation);
    if (status == VIOS_OK) {
        *revision = value.revision;
        status = job_record_decode(&value, record, &operation->error);
    }
    store_value_clear(&value);
    return status;
}

/* Gives its id, and sees to it that it runs if it is this node's. Takes over the record. */
static int reuse(struct jobs *jobs, const struct job_kind *kind, struct job_record *record,
                 int64_t revision, char id[JOB_ID_SIZE], struct operation *operation)
{
    int status = VIOS_OK;
    snprintf(id, JOB_ID_SIZE, "%s", record->id);
    if (strcmp(record->kind, kind->name) != 0) {
        status =
            operation_fail(operation, VIOS_E_INVALID, record->object, "use a new operation id",
                           "the operation id belongs to job %s, a %s", record->id, record->kind);
    } else if (!job_record_finished(record) && strcmp(record->node, jobs->node) == 0 &&
               record->incarnation == jobs->incarnation) {
        return jobs_take_up(jobs, record, revision, operation);
    }
    job_record_clear(record);
    return status;
}

static int fill_record(struct jobs *jobs, struct job_record *record, const struct job_kind *kind,
                       const char *object, json_t *data, const char *operation_id,
                       struct operation *operation)
{
    char uuid[UUID_TEXT_SIZE];
    if (operation_id && parse_uuid(operation_id, &operation->error) != VIOS_OK) {
        json_decref(data);
        return operation->error.code;
    }
    if (!operation_id) {
        uuid_make(uuid);
    }
    *record = (struct job_record){
        .kind = strdup(kind->name),
        .object = strdup(object),
        .operation = strdup(operation_id ? operation_id : uuid),
        .actor = operation->actor ? strdup(operation->actor) : NULL,
        .node = strdup(jobs->node),
        .incarnation = jobs->incarnation,
        .state = JOB_RUNNING,
        .writes = JOB_FIRST_WRITE,
        .data = data,
    };
    clock_format(clock_wall_ms(), record->created);
    clock_format(clock_wall_ms(), record->changed);
    if (!record->kind || !record->object || !record->operation || !record->node) {
        job_record_clear(record);
        return operation_no_memory(operation, "jobs");
    }
    return VIOS_OK;
}

/* Until the record is written, or found to be written already. Takes over the record. */
static int submit(struct jobs *jobs, struct store *store, const struct job_kind *kind,
                  struct job_record *record, char id[JOB_ID_SIZE], struct operation *operation)
{
    for (;;) {
        int64_t revision = 0;
        struct job_record found;
        int status = find_operation(store, record->operation, &found, &revision, operation);
        if (status == VIOS_OK) {
            job_record_clear(record);
            return reuse(jobs, kind, &found, revision, id, operation);
        }
        if (status == VIOS_E_NOT_FOUND) {
            status = write_new(jobs, store, record, &revision, operation);
        }
        if (status == VIOS_OK) {
            snprintf(id, JOB_ID_SIZE, "%s", record->id);
            return jobs_take_up(jobs, record, revision, operation);
        }
        if ((status != VIOS_E_CONFLICT && status != VIOS_E_UNKNOWN) ||
            (status = operation_sleep(operation, SUBMIT_PAUSE_MS)) != VIOS_OK) {
            job_record_clear(record);
            return status;
        }
    }
}

int job_submit(struct jobs *jobs, const struct job_kind *kind, const char *object, json_t *data,
               const char *operation_id, char id[JOB_ID_SIZE], struct operation *operation)
{
    struct job_record record;
    struct store *store;
    assert(jobs_find_kind(jobs, kind->name) == kind);
    id[0] = '\0';
    int status = fill_record(jobs, &record, kind, object, data, operation_id, operation);
    if (status != VIOS_OK) {
        return status;
    }
    status = jobs_store_take(jobs, &store, operation);
    if (status != VIOS_OK) {
        job_record_clear(&record);
        return status;
    }
    status = submit(jobs, store, kind, &record, id, operation);
    jobs_store_give(jobs, store);
    return status;
}

/* Makes this node the owner. VIOS_E_CONFLICT: somebody else was quicker. */
static int take_over(struct jobs *jobs, struct store *store, struct job_record *record,
                     int64_t *revision, const struct store_compare *fence,
                     struct operation *operation)
{
    char key[JOB_KEY_SIZE];
    char own_fence[FENCE_KEY_SIZE];
    fence_key(jobs->node, jobs->incarnation, own_fence);
    char *node = strdup(jobs->node);
    if (!node) {
        return operation_no_memory(operation, "jobs");
    }
    free(record->node);
    record->node = node;
    record->incarnation = jobs->incarnation;
    record->writes++;
    struct store_compare compares[] = {
        {STORE_REVISION_IS, job_record_key(record->id, key), *revision},
        {STORE_ABSENT, own_fence, 0},
        fence ? *fence : (struct store_compare){STORE_EXISTS, key, 0},
    };
    char *json = job_record_encode(record);
    struct store_change change = {key, json};
    int status = json ? store_commit(store, compares, 3, &change, 1, revision, operation)
                      : operation_no_memory(operation, key);
    free(json);
    return status;
}

/* The fence that lets others in; VIOS_E_LOCKED while there is none, or it is still closing. */
static int free_fence(struct store *store, const char *key, struct store_compare *compare,
                      struct operation *operation)
{
    const char *state = NULL;
    struct store_value value;
    int status = store_get(store, key, &value, operation);
    if (status != VIOS_OK && status != VIOS_E_NOT_FOUND) {
        return status;
    }
    json_t *json = status == VIOS_OK ? json_loads(value.json, 0, NULL) : NULL;
    bool is_free = json_unpack(json, "{s:s}", "state", &state) == 0 && strcmp(state, "free") == 0;
    *compare = (struct store_compare){STORE_REVISION_IS, key, value.revision};
    json_decref(json);
    store_value_clear(&value);
    return is_free ? VIOS_OK
                   : operation_fail(operation, VIOS_E_LOCKED, key, "wait for its fence",
                                    "that incarnation is not fenced");
}

/* Takes the job of `record`, with its fence if it is another node's, and runs it. A CONFLICT is
 * left to the next call. Takes over the record. */
static int take(struct jobs *jobs, struct store *store, struct job_record *record, int64_t revision,
                const struct store_compare *fence, struct operation *operation)
{
    bool own = strcmp(record->node, jobs->node) == 0 && record->incarnation == jobs->incarnation;
    int status = own ? VIOS_OK : take_over(jobs, store, record, &revision, fence, operation);
    if (status != VIOS_OK) {
        job_record_clear(record);
        return status == VIOS_E_CONFLICT ? VIOS_OK : status;
    }
    log_notice("job", "%s: taken up at step %zu", record->id, record->step);
    return jobs_take_up(jobs, record, revision, operation);
}

/* A later incarnation on the same node knows that the earlier one is over. */
static int adopt_own(struct jobs *jobs, struct store *store, struct job_record *record,
                     int64_t revision, struct operation *operation)
{
    if (strcmp(record->node, jobs->node) != 0 || record->incarnation > jobs->incarnation) {
        job_record_clear(record);
        return VIOS_OK;
    }
    return take(jobs, store, record, revision, NULL, operation);
}

static int adopt_fenced(struct jobs *jobs, struct store *store, struct job_record *record,
                        int64_t revision, struct operation *operation)
{
    char key[FENCE_KEY_SIZE];
    struct store_compare fence;
    const struct job_kind *kind = jobs_find_kind(jobs, record->kind);
    int status = VIOS_E_LOCKED;
    if (strcmp(record->node, jobs->node) != 0 && kind && !kind->is_local) {
        fence_key(record->node, record->incarnation, key);
        status = free_fence(store, key, &fence, operation);
    }
    if (status != VIOS_OK) {
        job_record_clear(record);
        return status == VIOS_E_LOCKED ? VIOS_OK : status; /* it lives */
    }
    return take(jobs, store, record, revision, &fence, operation);
}

/* `adopt`, which takes over the record, is called for each job that has not ended. */
static int for_each_unfinished(struct jobs *jobs,
                               int (*adopt)(struct jobs *, struct store *, struct job_record *,
                                            int64_t revision, struct operation *),
                               struct operation *operation)
{
    struct store *store;
    struct store_list list;
    int status = jobs_store_take(jobs, &store, operation);
    if (status != VIOS_OK) {
        return status;
    }
    status = store_list(store, "/job/", &list, NULL, operation);
    for (size_t i = 0; i < list.count && status == VIOS_OK; i++) {
        struct job_record record;
        if (job_record_decode(&list.values[i], &record, &operation->error) != VIOS_OK) {
            if (adopt == adopt_own) { /* once: a survivor looks often */
                log_error("job", "%s: %s", list.values[i].key, operation->error.message);
            }
        } else if (job_record_finished(&record)) {
            job_record_clear(&record);
        } else {
            status = adopt(jobs, store, &record, list.values[i].revision, operation);
        }
    }
    store_list_clear(&list);
    jobs_store_give(jobs, store);
    return status;
}

int jobs_adopt(struct jobs *jobs, struct operation *operation)
{
    return for_each_unfinished(jobs, adopt_own, operation);
}

int jobs_adopt_fenced(struct jobs *jobs, struct operation *operation)
{
    return for_each_unfinished(jobs, adopt_fenced, operation);
}
