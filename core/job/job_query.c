/*
 * job_query.c - looking on and stepping in, by way of the records alone: so it is the same for
 * a job of this daemon, of another node, and one that ended yesterday.
 */
#include "job/job_engine.h"

#include "base/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CANCEL_PAUSE_MS 2
#define PRUNE_AT_ONCE 60 /* two changes each */

static int no_job(const char *id, struct operation *operation)
{
    char object[JOB_ID_SIZE + 16];
    snprintf(object, sizeof object, "job \"%.40s\"", id);
    return operation_fail(operation, VIOS_E_NOT_FOUND, object, "see \"vios job list\"",
                          "no such job");
}

/* `*revision` (may be NULL) is that of the record. */
static int read_record(struct store *store, const char *id, struct job_record *record,
                       int64_t *revision, struct operation *operation)
{
    char key[JOB_KEY_SIZE];
    struct store_value value;
    memset(record, 0, sizeof *record);
    if (job_record_number(id) < 0 || strlen(id) >= JOB_ID_SIZE) {
        return no_job(id, operation);
    }
    int status = store_get(store, job_record_key(id, key), &value, operation);
    if (status == VIOS_E_NOT_FOUND) {
        return no_job(id, operation);
    }
    if (status == VIOS_OK) {
        status = job_record_decode(&value, record, &operation->error);
    }
    if (revision) {
        *revision = value.revision;
    }
    store_value_clear(&value);
    return status;
}

/* What the waiting caller gets. */
static int outcome(const struct job_record *record, json_t **result, struct operation *operation)
{
    if (record->state == JOB_DONE) {
        *result = record->result ? json_deep_copy(record->result) : json_object();
        return *result ? VIOS_OK : operation_no_memory(operation, "jobs");
    }
    operation->error = record->error;
    if (operation->error.code == VIOS_OK) {
        operation_fail(operation, VIOS_E_SYSTEM, record->object, NULL, "job %s failed", record->id);
    }
    return operation->error.code;
}

/* What the caller gets who does not wait any more. */
static int given_up(const struct job_record *record, const char *id, struct operation *operation)
{
    char hint[2 * JOB_ID_SIZE + 48];
    if (record->cancel || record->state == JOB_UNDOING) {
        snprintf(hint, sizeof hint, "vios job wait %s", id);
        return operation_fail(operation, VIOS_E_CANCELLED, NULL, hint, "job %s is being undone",
                              id);
    }
    snprintf(hint, sizeof hint, "vios job wait %s, vios job cancel %s", id, id);
    return operation_fail(operation, VIOS_E_CANCELLED, NULL, hint, "job %s goes on", id);
}

/* One look at the record: VIOS_OK with *finished, or a failure. Tells of progress. */
static int look(struct store *store, const char *id, struct job_record *record,
                void (*progress)(void *context, const json_t *progress), void *context,
                bool *finished, struct operation *operation)
{
    int status = read_record(store, id, record, NULL, operation);
    *finished = status == VIOS_OK && job_record_finished(record);
    if (status == VIOS_OK && progress && record->progress) {
        progress(context, record->progress);
    }
    return status;
}

static int snapshot_revision(struct store *store, int64_t *revision, struct operation *operation)
{
    struct store_list none;
    int status = store_list(store, "/job-number", &none, revision, operation);
    store_list_clear(&none);
    return status;
}

/* Blocks until there was a change to the record; true also when history was lost. */
static int next_change(struct store_watch *watch, const char *key, struct operation *operation)
{
    for (;;) {
        struct store_change_list changes;
        bool ours = false;
        int status = store_watch_next(watch, &changes, operation);
        for (size_t i = 0; i < changes.count; i++) {
            ours |= strcmp(changes.values[i].key, key) == 0; /* j-1 is a prefix of j-10 */
        }
        store_change_list_clear(&changes);
        if (status != VIOS_OK || ours) {
            return status;
        }
    }
}

static int wait_with(struct store *store, const char *id,
                     void (*progress)(void *context, const json_t *progress), void *context,
                     json_t **result, struct operation *operation)
{
    char key[JOB_KEY_SIZE];
    struct job_record record = {0};
    struct store_watch *watch = NULL;
    int64_t revision = 0;
    bool finished = false;
    int status = snapshot_revision(store, &revision, operation);
    if (status == VIOS_OK) { /* the revision first: what changes from here on is seen */
        status = look(store, id, &record, progress, context, &finished, operation);
    }
    if (status == VIOS_OK && !finished) {
        status = store_watch_open(&watch, store, job_record_key(id, key), revision, operation);
    }
    while (status == VIOS_OK && !finished) {
        status = next_change(watch, key, operation);
        if (status == VIOS_OK) {
            job_record_clear(&record);
            status = look(store, id, &record, progress, context, &finished, operation);
        }
    }
    if (status == VIOS_OK) {
        status = outcome(&record, result, operation);
    } else if (cancel_triggered(operation->cancel)) {
        status = given_up(&record, id, operation);
    }
    store_watch_close(watch);
    job_record_clear(&record);
    return status;
}

int job_wait(struct jobs *jobs, const char *id,
             void (*progress)(void *context, const json_t *progress), void *context,
             json_t **result, struct operation *operation)
{
    struct store *store;
    *result = NULL;
    int status = jobs_store_take(jobs, &store, operation);
    if (status != VIOS_OK) {
        static const struct job_record unread;
        return cancel_triggered(operation->cancel) ? given_up(&unread, id, operation) : status;
    }
    do { /* a wait that outlives the history begins anew */
        status = wait_with(store, id, progress, context, result, operation);
    } while (status == VIOS_E_COMPACTED);
    jobs_store_give(jobs, store);
    return status;
}

/* VIOS_OK with *asked when the record says so already. */
static int may_cancel(struct jobs *jobs, const struct job_record *record, bool *asked,
                      struct operation *operation)
{
    *asked = record->state == JOB_UNDOING || record->cancel;
    if (job_record_finished(record)) {
        return operation_fail(operation, VIOS_E_CONFLICT, record->object, NULL, "job %s has ended",
                              record->id);
    }
    const struct job_kind *kind = jobs_find_kind(jobs, record->kind);
    if (kind && record->step > kind->commit_point) {
        return operation_fail(operation, VIOS_E_CONFLICT, record->object, "wait for its end",
                              "job %s is past the point of no return", record->id);
    }
    return VIOS_OK;
}

/* Asks in the record: whoever runs the job finds it at his next write. */
static int ask(struct jobs *jobs, struct store *store, const char *id, struct operation *operation)
{
    struct job_record record;
    int64_t revision = 0;
    bool asked = false;
    char key[JOB_KEY_SIZE];
    int status = read_record(store, id, &record, &revision, operation);
    if (status == VIOS_OK) {
        status = may_cancel(jobs, &record, &asked, operation);
    }
    if (status == VIOS_OK && !asked) {
        record.cancel = true;
        char *json = job_record_encode(&record);
        struct store_compare compare = {STORE_REVISION_IS, job_record_key(id, key), revision};
        struct store_change change = {key, json};
        status = json ? store_commit(store, &compare, 1, &change, 1, NULL, operation)
                      : operation_no_memory(operation, key);
        free(json);
        if (status == VIOS_E_CONFLICT || status == VIOS_E_UNKNOWN) {
            status = VIOS_E_STALE; /* look again */
        }
    }
    job_record_clear(&record);
    return status;
}

int job_cancel(struct jobs *jobs, const char *id, struct operation *operation)
{
    struct store *store;
    int status = jobs_store_take(jobs, &store, operation);
    if (status != VIOS_OK) {
        return status;
    }
    while ((status = ask(jobs, store, id, operation)) == VIOS_E_STALE) {
        status = operation_sleep(operation, CANCEL_PAUSE_MS);
        if (status != VIOS_OK) {
            break;
        }
    }
    if (status == VIOS_OK) {
        jobs_cancel_live(jobs, id);
    }
    jobs_store_give(jobs, store);
    return status;
}

int job_show(struct jobs *jobs, const char *id, json_t **job, struct operation *operation)
{
    struct store *store;
    struct job_record record;
    *job = NULL;
    int status = jobs_store_take(jobs, &store, operation);
    if (status != VIOS_OK) {
        return status;
    }
    status = read_record(store, id, &record, NULL, operation);
    if (status == VIOS_OK) {
        *job = job_record_describe(&record, true);
        status = *job ? VIOS_OK : operation_no_memory(operation, "jobs");
    }
    job_record_clear(&record);
    jobs_store_give(jobs, store);
    return status;
}

static int by_number(const void *left, const void *right)
{
    const struct store_value *a = left;
    const struct store_value *b = right;
    long difference = job_record_number(a->key + 5) - job_record_number(b->key + 5);
    return difference < 0 ? -1 : difference > 0;
}

int job_list(struct jobs *jobs, json_t **list, struct operation *operation)
{
    struct store *store;
    struct store_list records;
    *list = NULL;
    int status = jobs_store_take(jobs, &store, operation);
    if (status != VIOS_OK) {
        return status;
    }
    status = store_list(store, "/job/", &records, NULL, operation);
    json_t *array = json_array();
    if (records.count > 0) {
        qsort(records.values, records.count, sizeof *records.values, by_number);
    }
    for (size_t i = 0; i < records.count && status == VIOS_OK; i++) {
        struct job_record record;
        if (job_record_decode(&records.values[i], &record, &operation->error) != VIOS_OK) {
            log_error("job", "%s: not the record of a job", records.values[i].key);
            continue; /* one bad record must not hide the others */
        }
        if (json_array_append_new(array, job_record_describe(&record, false)) != 0) {
            status = operation_no_memory(operation, "jobs");
        }
        job_record_clear(&record);
    }
    store_list_clear(&records);
    jobs_store_give(jobs, store);
    if (status != VIOS_OK) {
        json_decref(array);
        array = NULL;
    }
    *list = array;
    return status;
}

struct old_job {
    char job_key[JOB_KEY_SIZE];
    char operation_key[JOB_KEY_SIZE + 48];
    int64_t revision;
};

/* The finished ones beyond JOBS_KEPT, oldest first, at most PRUNE_AT_ONCE. */
static size_t find_old(struct store_list *records, struct old_job old[PRUNE_AT_ONCE])
{
    size_t finished = 0;
    size_t count = 0;
    for (size_t i = 0; i < records->count; i++) {
        struct job_record record;
        if (job_record_decode(&records->values[i], &record, NULL) != VIOS_OK) {
            continue;
        }
        bool over = job_record_finished(&record);
        if (over && count < PRUNE_AT_ONCE) {
            struct old_job *one = &old[count++];
            job_record_key(record.id, one->job_key);
            snprintf(one->operation_key, sizeof one->operation_key, "/job-operation/%.40s",
                     record.operation);
            one->revision = records->values[i].revision;
        }
        finished += over;
        job_record_clear(&record);
    }
    size_t excess = finished > JOBS_KEPT ? finished - JOBS_KEPT : 0;
    return excess < count ? excess : count;
}

void job_prune(struct jobs *jobs, struct store *store)
{
    struct old_job old[PRUNE_AT_ONCE];
    struct store_compare compares[PRUNE_AT_ONCE];
    struct store_change changes[2 * PRUNE_AT_ONCE];
    struct store_list records;
    struct operation operation;
    operation_start(&operation, JOB_WRITE_MS, jobs->stop);
    if (store_list(store, "/job/", &records, NULL, &operation) != VIOS_OK) {
        return;
    }
    if (records.count > 0) {
        qsort(records.values, records.count, sizeof *records.values, by_number);
    }
    size_t count = find_old(&records, old);
    store_list_clear(&records);
    for (size_t i = 0; i < count; i++) {
        compares[i] = (struct store_compare){STORE_REVISION_IS, old[i].job_key, old[i].revision};
        changes[2 * i] = (struct store_change){old[i].job_key, NULL};
        changes[2 * i + 1] = (struct store_change){old[i].operation_key, NULL};
    }
    if (count > 0) {
        store_commit(store, compares, count, changes, 2 * count, NULL, &operation);
    }
}
