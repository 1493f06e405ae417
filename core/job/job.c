/*
 * job.c - the engine: its threads and its queue.
 *
 * Worker threads are made when a job finds none idle, up to JOBS_RUNNING_MAX; each has its own
 * connection to the store. A job comes in by job_submit() or jobs_adopt(), is in the list of
 * live ones until its thread is through with it, and is never in it twice.
 */
#include "job/job_engine.h"

#include "base/log.h"
#include "base/thread.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

_Static_assert(offsetof(struct job_entry, job) == 0, "job_progress() finds the entry by it");

bool jobs_stopping(struct jobs *jobs)
{
    return cancel_triggered(jobs->stop);
}

static int open_store(struct jobs *jobs, struct store **store, struct operation *operation)
{
    int status = store_open(store, jobs->address, false, operation);
    if (status == VIOS_OK) {
        store_set_guard(*store, &jobs->guard);
    }
    return status;
}

void jobs_set_guard(struct jobs *jobs, const struct store_guard *guard)
{
    jobs->guard = *guard;
}

int jobs_store_take(struct jobs *jobs, struct store **store, struct operation *operation)
{
    *store = NULL;
    pthread_mutex_lock(&jobs->lock);
    if (jobs->spare_count > 0) {
        *store = jobs->spare[--jobs->spare_count];
    }
    pthread_mutex_unlock(&jobs->lock);
    return *store ? VIOS_OK : open_store(jobs, store, operation);
}

void jobs_store_give(struct jobs *jobs, struct store *store)
{
    if (!store) {
        return;
    }
    pthread_mutex_lock(&jobs->lock);
    if (jobs->spare_count < JOBS_SPARE_STORES) {
        jobs->spare[jobs->spare_count++] = store;
        store = NULL;
    }
    pthread_mutex_unlock(&jobs->lock);
    store_close(store);
}

const struct job_kind *jobs_find_kind(const struct jobs *jobs, const char *name)
{
    for (size_t i = 0; i < jobs->kind_count; i++) {
        if (strcmp(jobs->kinds[i]->name, name) == 0) {
            return jobs->kinds[i];
        }
    }
    return NULL;
}

static void entry_free(struct job_entry *entry)
{
    if (entry) {
        cancel_free(entry->cancel);
        json_decref(entry->job.data);
        json_decref(entry->job.result);
        job_record_clear(&entry->record);
        free(entry);
    }
}

/* Takes over the record. NULL without memory. */
static struct job_entry *entry_new(struct jobs *jobs, const struct job_kind *kind,
                                   struct job_record *record, int64_t revision)
{
    struct job_entry *entry = calloc(1, sizeof *entry);
    struct cancel *cancel = cancel_new();
    if (!entry || !cancel) {
        free(entry);
        cancel_free(cancel);
        job_record_clear(record);
        return NULL;
    }
    entry->jobs = jobs;
    entry->cancel = cancel;
    entry->record = *record;
    memset(record, 0, sizeof *record);
    entry->revision = revision;
    entry->landed = entry->record.writes;
    entry->in_doubt = entry->record.state == JOB_RUNNING &&
                      entry->record.step == kind->commit_point &&
                      entry->record.writes > JOB_FIRST_WRITE;
    state_machine_start(&entry->machine, entry->record.id, job_state_rows, JOB_STATES,
                        (int)entry->record.state, NULL);
    entry->job.kind = kind;
    snprintf(entry->job.id, sizeof entry->job.id, "%s", entry->record.id);
    entry->job.object = entry->record.object;
    entry->job.data = entry->record.data ? json_deep_copy(entry->record.data) : json_object();
    entry->job.result = json_deep_copy(entry->record.result);
    entry->job.context = jobs->context;
    return entry;
}

static void unlink_live(struct jobs *jobs, struct job_entry *entry)
{
    pthread_mutex_lock(&jobs->lock);
    struct job_entry **place = &jobs->live;
    while (*place != entry) {
        place = &(*place)->next_live;
    }
    *place = entry->next_live;
    pthread_mutex_unlock(&jobs->lock);
}

static struct job_entry *next_queued(struct jobs *jobs)
{
    pthread_mutex_lock(&jobs->lock);
    jobs->idle_count++;
    while (!jobs->queue && !jobs_stopping(jobs)) {
        pthread_cond_wait(&jobs->work, &jobs->lock);
    }
    jobs->idle_count--;
    struct job_entry *entry = jobs->queue;
    if (entry) {
        jobs->queue = entry->next_queued;
        jobs->queued_count--;
        if (!jobs->queue) {
            jobs->queue_end = &jobs->queue;
        }
    }
    pthread_mutex_unlock(&jobs->lock);
    return entry;
}

/* Until there is a connection, or the engine stops. */
static struct store *open_for_worker(struct jobs *jobs)
{
    struct store *store = NULL;
    while (!jobs_stopping(jobs)) {
        struct operation operation;
        operation_start(&operation, JOB_WRITE_MS, jobs->stop);
        if (open_store(jobs, &store, &operation) == VIOS_OK) {
            return store;
        }
        log_warning("job", "opening the store: %s", operation.error.message);
        operation_start(&operation, OPERATION_NO_DEADLINE, jobs->stop);
        operation_sleep(&operation, JOB_PAUSE_MIN_MS * 20);
    }
    return NULL;
}

static void *worker(void *context)
{
    struct jobs *jobs = context;
    struct store *store = NULL;
    for (struct job_entry *entry; (entry = next_queued(jobs)) != NULL;) {
        if (!store) {
            store = open_for_worker(jobs);
        }
        if (store && !jobs_stopping(jobs)) {
            entry->job.store = store;
            job_run(entry);
        }
        if (entry->lost) {
            log_warning("job", "%s has another owner now", entry->job.id);
        }
        unlink_live(jobs, entry);
        entry_free(entry);
    }
    store_close(store);
    return NULL;
}

/* With the lock held. */
static void add_worker(struct jobs *jobs)
{
    if (jobs->queued_count <= jobs->idle_count || jobs->thread_count == JOBS_RUNNING_MAX) {
        return;
    }
    if (thread_start(&jobs->threads[jobs->thread_count], "job", worker, jobs) == 0) {
        jobs->thread_count++;
    } else {
        log_error("job", "no thread can be made; %zu are there", jobs->thread_count);
    }
}

/* Takes over the entry; a second one of the same job is dropped. */
static void enqueue(struct jobs *jobs, struct job_entry *entry)
{
    bool known = false;
    pthread_mutex_lock(&jobs->lock);
    for (struct job_entry *live = jobs->live; live; live = live->next_live) {
        known |= strcmp(live->job.id, entry->job.id) == 0;
    }
    if (!known) {
        entry->next_live = jobs->live;
        jobs->live = entry;
        *jobs->queue_end = entry;
        jobs->queue_end = &entry->next_queued;
        jobs->queued_count++;
        add_worker(jobs);
        pthread_cond_signal(&jobs->work);
    }
    pthread_mutex_unlock(&jobs->lock);
    if (known) {
        entry_free(entry);
    }
}

int jobs_take_up(struct jobs *jobs, struct job_record *record, int64_t revision,
                 struct operation *operation)
{
    const struct job_kind *kind = jobs_find_kind(jobs, record->kind);
    if (!kind || record->step > kind->count ||
        (record->state == JOB_UNDOING && record->step == kind->count)) {
        log_error("job", "%s: %s step %zu is not known here; left alone", record->id, record->kind,
                  record->step);
        job_record_clear(record);
        return VIOS_OK;
    }
    struct job_entry *entry = entry_new(jobs, kind, record, revision);
    if (!entry) {
        return operation_no_memory(operation, "jobs");
    }
    enqueue(jobs, entry);
    return VIOS_OK;
}

void jobs_cancel_live(struct jobs *jobs, const char *id)
{
    pthread_mutex_lock(&jobs->lock);
    for (struct job_entry *live = jobs->live; live; live = live->next_live) {
        if (strcmp(live->job.id, id) == 0) {
            atomic_store(&live->cancel_wanted, true);
            cancel_trigger(live->cancel);
        }
    }
    pthread_mutex_unlock(&jobs->lock);
}

int jobs_start(struct jobs **jobs, const char *store_address, const char *node, int64_t incarnation,
               const struct job_kind *const *kinds, size_t kind_count, void *context,
               struct vios_error *error)
{
    struct jobs *made = calloc(1, sizeof *made);
    *jobs = NULL;
    if (!made) {
        return error_no_memory(error, "jobs");
    }
    pthread_mutex_init(&made->lock, NULL);
    pthread_cond_init(&made->work, NULL);
    made->address = strdup(store_address);
    made->node = strdup(node);
    made->stop = cancel_new();
    made->incarnation = incarnation;
    made->kinds = kinds;
    made->kind_count = kind_count;
    made->context = context;
    made->queue_end = &made->queue;
    if (!made->address || !made->node || !made->stop) {
        jobs_stop(made);
        return error_no_memory(error, "jobs");
    }
    *jobs = made;
    return VIOS_OK;
}

static void stop_threads(struct jobs *jobs)
{
    cancel_trigger(jobs->stop);
    pthread_mutex_lock(&jobs->lock);
    for (struct job_entry *live = jobs->live; live; live = live->next_live) {
        cancel_trigger(live->cancel);
    }
    pthread_cond_broadcast(&jobs->work);
    pthread_mutex_unlock(&jobs->lock);
    for (size_t i = 0; i < jobs->thread_count; i++) {
        pthread_join(jobs->threads[i], NULL);
    }
}

void jobs_stop(struct jobs *jobs)
{
    if (!jobs) {
        return;
    }
    stop_threads(jobs);
    while (jobs->live) { /* queued, and no thread could be made for them */
        struct job_entry *entry = jobs->live;
        jobs->live = entry->next_live;
        entry_free(entry);
    }
    while (jobs->spare_count > 0) {
        store_close(jobs->spare[--jobs->spare_count]);
    }
    pthread_mutex_destroy(&jobs->lock);
    pthread_cond_destroy(&jobs->work);
    cancel_free(jobs->stop);
    free(jobs->address);
    free(jobs->node);
    free(jobs);
}
