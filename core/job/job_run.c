/*
 * job_run.c - one job from the step its record names to its end.
 *
 * The record is written by compare-and-set on its revision. When that fails or is unknown it
 * is read again: the owner and the count of writes tell whether ours landed, whether
 * somebody only asked for a cancel, or whether the job has another owner, in which case this
 * process drops it without another step.
 */
#include "job/job_engine.h"

#include "base/crash.h"
#include "base/json.h"
#include "base/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void crash_hook(const struct job_entry *entry, const char *where)
{
    crash_at("%s:%s:%s", entry->job.kind->name, entry->job.kind->steps[entry->record.step].name,
             where);
}

static bool may_undo(const struct job_entry *entry)
{
    return entry->record.step <= entry->job.kind->commit_point;
}

static bool wants_undo(const struct job_entry *entry)
{
    return may_undo(entry) && !entry->in_doubt &&
           (entry->record.cancel || atomic_load(&entry->cancel_wanted));
}

static struct operation write_operation(const struct job_entry *entry)
{
    struct operation operation;
    operation_start(&operation, JOB_WRITE_MS, entry->jobs->stop);
    return operation;
}

/* False when the engine stops; doubles the pause. */
static bool rest(const struct job_entry *entry, int64_t *pause_ms)
{
    struct operation operation;
    operation_start(&operation, OPERATION_NO_DEADLINE, entry->jobs->stop);
    int status = operation_sleep(&operation, *pause_ms);
    *pause_ms = *pause_ms * 2 > JOB_PAUSE_MAX_MS ? JOB_PAUSE_MAX_MS : *pause_ms * 2;
    return status == VIOS_OK;
}

static bool is_ours(const struct job_entry *entry, const struct job_record *found)
{
    return strcmp(found->node, entry->jobs->node) == 0 &&
           found->incarnation == entry->jobs->incarnation && found->writes >= entry->landed &&
           found->writes <= entry->record.writes;
}

/* Reads the record to learn what became of a write. VIOS_OK with *landed; VIOS_E_STALE: lost;
 * otherwise it could not be read. */
static int reconcile(struct job_entry *entry, bool *landed)
{
    char key[JOB_KEY_SIZE];
    struct store_value value;
    struct job_record found;
    struct operation operation = write_operation(entry);
    *landed = false;
    int status =
        store_get(entry->job.store, job_record_key(entry->job.id, key), &value, &operation);
    if (status == VIOS_E_NOT_FOUND) {
        entry->lost = true;
        return VIOS_E_STALE;
    }
    if (status != VIOS_OK) {
        return status; /* the next try runs into the same compare */
    }
    if (job_record_decode(&value, &found, NULL) == VIOS_OK && is_ours(entry, &found)) {
        *landed = found.writes == entry->record.writes;
        entry->revision = value.revision;
        entry->landed = found.writes;
        entry->record.cancel |= found.cancel;
    } else {
        entry->lost = true;
        status = VIOS_E_STALE;
    }
    job_record_clear(&found);
    store_value_clear(&value);
    return status;
}

/* One try. VIOS_OK, VIOS_E_STALE (lost), VIOS_E_INVALID (too large), or a reason to try again. */
static int try_write(struct job_entry *entry)
{
    char key[JOB_KEY_SIZE];
    bool landed = false;
    int64_t revision = 0;
    struct operation operation = write_operation(entry);
    clock_format(clock_wall_ms(), entry->record.changed);
    char *json = job_record_encode(&entry->record);
    if (!json) {
        return VIOS_E_NO_SPACE;
    }
    struct store_compare compare = {STORE_REVISION_IS, job_record_key(entry->job.id, key),
                                    entry->revision};
    struct store_change change = {key, json};
    int status = store_commit(entry->job.store, &compare, 1, &change, 1, &revision, &operation);
    free(json);
    if (status == VIOS_OK) {
        entry->revision = revision;
        entry->landed = entry->record.writes;
        return VIOS_OK;
    }
    if (status != VIOS_E_CONFLICT && status != VIOS_E_UNKNOWN) {
        return status;
    }
    int found = reconcile(entry, &landed);
    if (found != VIOS_OK) {
        return found;
    }
    return landed ? VIOS_OK : status;
}

/* Writes until it is known. VIOS_E_INVALID: it does not fit; VIOS_E_STALE: lost;
 * VIOS_E_CANCELLED: the engine stops. */
static int write_record(struct job_entry *entry)
{
    int64_t pause_ms = JOB_PAUSE_MIN_MS;
    entry->record.writes++;
    for (;;) {
        int status = try_write(entry);
        if (status == VIOS_OK || status == VIOS_E_STALE || status == VIOS_E_INVALID) {
            return status;
        }
        if (status != VIOS_E_CONFLICT) {
            log_warning("job", "%s: writing its record: %s", entry->job.id, error_name(status));
            if (!rest(entry, &pause_ms)) {
                return VIOS_E_CANCELLED;
            }
        }
        if (jobs_stopping(entry->jobs)) {
            return VIOS_E_CANCELLED;
        }
    }
}

static void replace(json_t **place, json_t *value)
{
    json_decref(*place);
    *place = value;
}

/* Writes the record with what the steps have gathered; the old data stays where that is too
 * large to be kept. */
static int write_boundary(struct job_entry *entry)
{
    json_t *data = entry->record.data;
    json_t *result = entry->record.result;
    entry->record.data = json_deep_copy(entry->job.data);
    entry->record.result = json_deep_copy(entry->job.result);
    int status = write_record(entry);
    if (status == VIOS_E_INVALID) {
        replace(&entry->record.data, data);
        replace(&entry->record.result, result);
        return status;
    }
    json_decref(data);
    json_decref(result);
    return status;
}

static void note_error(struct job_entry *entry, int status)
{
    const struct vios_error *error = &entry->job.operation.error;
    if (error->code == status && error->message[0]) {
        entry->record.error = *error;
    } else {
        error_set(&entry->record.error, status, entry->record.object, NULL, "step \"%s\" failed",
                  entry->job.kind->steps[entry->record.step].name);
    }
}

static void move(struct job_entry *entry, enum job_state state, const char *reason)
{
    state_machine_move(&entry->machine, (int)state, reason);
    entry->record.state = state;
}

static void begin_undo(struct job_entry *entry)
{
    move(entry, JOB_UNDOING, entry->record.error.message);
}

static void begin_cancel(struct job_entry *entry)
{
    error_set(&entry->record.error, VIOS_E_CANCELLED, entry->record.object, NULL,
              "job %s was cancelled", entry->job.id);
    entry->record.cancel = true;
    begin_undo(entry);
}

static int call_step(struct job_entry *entry, int (*function)(struct job *), bool cancellable)
{
    operation_start(&entry->job.operation, OPERATION_NO_DEADLINE,
                    cancellable ? entry->cancel : entry->jobs->stop);
    entry->job.operation.actor = entry->record.actor;
    return function(&entry->job);
}

/* What a failed step leads to: false when the job must be left as it is. */
static bool after_failure(struct job_entry *entry, int status, int64_t *pause_ms)
{
    const struct job_kind *kind = entry->job.kind;
    if (entry->lost || jobs_stopping(entry->jobs)) {
        return false;
    }
    note_error(entry, status);
    entry->in_doubt = entry->record.step == kind->commit_point && status == VIOS_E_UNKNOWN;
    if (may_undo(entry) && !entry->in_doubt) {
        if (status == VIOS_E_CANCELLED && wants_undo(entry)) {
            begin_cancel(entry);
        } else {
            begin_undo(entry);
        }
        return true;
    }
    log_warning("job", "%s: step %s: %s: trying again", entry->job.id,
                kind->steps[entry->record.step].name, entry->record.error.message);
    return rest(entry, pause_ms);
}

/* The record before a step; false when the job must be left. */
static bool prepare_step(struct job_entry *entry)
{
    int status = write_boundary(entry);
    if (status == VIOS_E_INVALID && may_undo(entry)) {
        error_set(&entry->record.error, VIOS_E_INVALID, entry->record.object, NULL,
                  "the job's data does not fit into its record");
        begin_undo(entry);
        return true;
    }
    if (status == VIOS_E_INVALID) {
        log_error("job", "%s: its data does not fit into its record; going on without",
                  entry->job.id);
        return true;
    }
    return status == VIOS_OK;
}

/* Until all steps are done or it is to be undone; false when the job must be left. */
static bool run_steps(struct job_entry *entry)
{
    const struct job_kind *kind = entry->job.kind;
    int64_t pause_ms = JOB_PAUSE_MIN_MS;
    while (entry->record.state == JOB_RUNNING && entry->record.step < kind->count) {
        if (!wants_undo(entry) && !prepare_step(entry)) {
            return false;
        }
        if (entry->record.state != JOB_RUNNING) {
            break;
        }
        if (wants_undo(entry)) {
            begin_cancel(entry);
            break;
        }
        crash_hook(entry, "before");
        int status = call_step(entry, kind->steps[entry->record.step].run,
                               may_undo(entry) && !entry->in_doubt);
        if (status != VIOS_OK) {
            if (!after_failure(entry, status, &pause_ms)) {
                return false;
            }
            continue;
        }
        crash_hook(entry, "after");
        if (entry->lost) {
            return false;
        }
        entry->record.step++;
        entry->in_doubt = false;
        entry->record.error = (struct vios_error){0};
        pause_ms = JOB_PAUSE_MIN_MS;
    }
    return true;
}

/* From the step that failed back to the first; false when the job must be left. */
static bool undo_steps(struct job_entry *entry)
{
    int64_t pause_ms = JOB_PAUSE_MIN_MS;
    for (;;) {
        int (*undo)(struct job *) = entry->job.kind->steps[entry->record.step].undo;
        int status = write_boundary(entry);
        if (status != VIOS_OK && (status != VIOS_E_INVALID || write_record(entry) != VIOS_OK)) {
            return false;
        }
        crash_hook(entry, "undo-before");
        status = undo ? call_step(entry, undo, false) : VIOS_OK;
        if (entry->lost) {
            return false;
        }
        if (status != VIOS_OK) {
            log_warning("job", "%s: undo of step %s: %s: trying again", entry->job.id,
                        entry->job.kind->steps[entry->record.step].name,
                        entry->job.operation.error.message);
            if (!rest(entry, &pause_ms)) {
                return false;
            }
            continue;
        }
        crash_hook(entry, "undo-after");
        pause_ms = JOB_PAUSE_MIN_MS;
        if (entry->record.step == 0) {
            return true;
        }
        entry->record.step--;
    }
}

static void finish(struct job_entry *entry, enum job_state state)
{
    move(entry, state, "its steps are through");
    int status = write_boundary(entry);
    if (status == VIOS_E_INVALID) {
        log_error("job", "%s: its data or result does not fit into its record", entry->job.id);
        status = write_record(entry);
    }
    long number = job_record_number(entry->job.id);
    if (status == VIOS_OK && number % JOBS_PRUNE_EVERY == 0) {
        job_prune(entry->jobs, entry->job.store);
    }
}

void job_run(struct job_entry *entry)
{
    if (entry->record.state == JOB_RUNNING) {
        if (!run_steps(entry)) {
            return;
        }
        if (entry->record.state == JOB_RUNNING) {
            finish(entry, JOB_DONE);
            return;
        }
    }
    if (undo_steps(entry)) {
        bool cancelled = entry->record.cancel && entry->record.error.code == VIOS_E_CANCELLED;
        finish(entry, cancelled ? JOB_CANCELLED : JOB_FAILED);
    }
}

void job_limit(const struct job *job, struct operation *operation, int64_t timeout_ms)
{
    operation_start(operation, timeout_ms, job->operation.cancel);
}

int job_keep(struct job *job, const struct operation *operation, int status)
{
    if (status < 0) {
        job->operation.error = operation->error;
    }
    return status;
}

int job_commit(struct job *job, int (*once)(struct job *job))
{
    struct store_tries tries = {0};
    int status;
    do {
        status = once(job);
    } while (store_try_again(&tries, &status));
    return status;
}

void job_progress(struct job *job, int64_t done, int64_t total, const char *unit)
{
    struct job_entry *entry = (struct job_entry *)job;
    int64_t now_ms = clock_now_ms();
    replace(&entry->record.progress, json_pack("{s:I, s:I, s:s}", "done", (json_int_t)done, "total",
                                               (json_int_t)total, "unit", unit));
    if (entry->progress_written_ms && now_ms - entry->progress_written_ms < JOB_PROGRESS_MS) {
        return;
    }
    entry->progress_written_ms = now_ms;
    entry->record.writes++;
    if (try_write(entry) == VIOS_E_STALE) {
        cancel_trigger(entry->cancel); /* another node has it: give up */
    }
    if (wants_undo(entry)) {
        cancel_trigger(entry->cancel);
    }
}

const char *job_text(const struct job *job, const char *member)
{
    return json_get_word(job->data, member);
}
