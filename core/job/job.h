/*
 * job.h - multi-step work that survives its daemon (DESIGN "Jobs, RPC, threads").
 *
 * A job is a row of named steps, each with run and undo, both repeatable: a step may be run
 * again after a crash, and undone though it was never, half, or wholly run. The record
 * /job/ID is written before each step. Before the commit point a failure (or a cancel) undoes
 * the steps in reverse; from the commit point on the job only goes forward, and is tried
 * again when its node comes back. Steps are plain blocking C on the job's own thread.
 *
 * The step at the commit point is the one that must know: run again after a crash it has to
 * find out whether it already succeeded, and when it returns VIOS_E_UNKNOWN it is run again
 * until it knows. A step that fails behind the commit point, and an undo that fails, is tried
 * again with growing pauses; the record shows the error meanwhile.
 *
 * Keys: /job/j-N the record, /job-number the highest N, /job-operation/UUID the job of an
 * operation, all written in one commit. A record has one owner, {node, incarnation}; "writes"
 * counts its owner's writes, so that one of unknown outcome is found again. Of the finished
 * jobs the last JOBS_KEPT are kept.
 *
 * In a test build VIOS_CRASH_AT=kind:step:WHERE (base/crash.h)
 * kills the process (SIGKILL) at that place; WHERE is "before" (the record naming the step was
 * written, run() not called), "after" (run() returned VIOS_OK), "undo-before" or "undo-after".
 * tests/job_crash.h runs a kind through all of them.
 */
#ifndef JOB_JOB_H
#define JOB_JOB_H

#include "base/operation.h"
#include "store/store.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#define JOB_ID_SIZE 48
#define JOBS_RUNNING_MAX 32 /* threads; more wait in order */
#define JOBS_KEPT 200       /* finished records; the oldest are removed now and then */

struct jobs;
struct job;

struct job_step {
    const char *name;
    int (*run)(struct job *job);
    int (*undo)(struct job *job); /* NULL: nothing to undo */
};

struct job_kind {
    const char *name; /* "paging.create" */
    const struct job_step *steps;
    size_t count;
    size_t commit_point; /* index of the step whose success cannot be undone; count: none */
    bool is_local;       /* it works on its own node: no survivor goes on with it */
};

struct job {
    const struct job_kind *kind;
    char id[JOB_ID_SIZE];
    const char *object;         /* what it works on, for people: `lpar "web1"` */
    json_t *data;               /* state_data: an object; what it holds when a step returns is
                                   in the record before the next step begins */
    json_t *result;             /* what the caller gets; set by a step; NULL: {} */
    struct operation operation; /* its cancel and error; no deadline */
    struct store *store;        /* a connection of this job's own */
    void *context;              /* what jobs_start was given: the node */
};

/* `kinds` is all there are. `node` and `incarnation` go into the records. */
int jobs_start(struct jobs **jobs, const char *store_address, const char *node, int64_t incarnation,
               const struct job_kind *const *kinds, size_t kind_count, void *context,
               struct vios_error *error);

/* Of every connection of the jobs' from now on; before any job runs. */
void jobs_set_guard(struct jobs *jobs, const struct store_guard *guard);

/* Takes up this node's own unfinished jobs, of this incarnation and of those before. */
int jobs_adopt(struct jobs *jobs, struct operation *operation);

/* Takes up the unfinished jobs of all incarnations of other nodes whose fence is free (a survivor
 * adopts), but for local ones. */
int jobs_adopt_fenced(struct jobs *jobs, struct operation *operation);

/* Cancels the operations of running steps and waits for their threads; nothing is undone. The
 * records stay as they are, and the next daemon runs each from the step it was in. No other
 * call may be under way. NULL does nothing. */
void jobs_stop(struct jobs *jobs);

/*
 * Writes the record and starts it. `operation_id` (a UUID, may be NULL) makes a retry
 * idempotent: a job that has it already is returned instead of a new one; VIOS_E_INVALID when
 * that is of another kind. VIOS_E_STALE when this incarnation is fenced. Takes over `data`, which
 * may be NULL.
 */
int job_submit(struct jobs *jobs, const struct job_kind *kind, const char *object, json_t *data,
               const char *operation_id, char id[JOB_ID_SIZE], struct operation *operation);

/* Waits until it is done; `progress` (may be NULL) is called on this thread as it goes. On
 * VIOS_OK `*result` is the caller's. A failed job's error is returned as if it were ours.
 * Cancelling `operation` ends the waiting, not the job, which the error says and names. */
int job_wait(struct jobs *jobs, const char *id,
             void (*progress)(void *context, const json_t *progress), void *context,
             json_t **result, struct operation *operation);

/* Asks it to undo itself; VIOS_E_CONFLICT past its commit point or at its end. A job of another
 * node notices at its next step. job_wait() tells how it ended: it may have been done first. */
int job_cancel(struct jobs *jobs, const char *id, struct operation *operation);

/* All jobs, oldest first: an array of {id, kind, object, state, step, progress, node, error,
 * created, changed}. The caller's. */
int job_list(struct jobs *jobs, json_t **list, struct operation *operation);

/* One of them, with operation, actor, incarnation and result too. VIOS_E_NOT_FOUND. */
int job_show(struct jobs *jobs, const char *id, json_t **job, struct operation *operation);

/* From within a step that waits for others: an operation with the job's cancel that takes no longer
 * than `timeout_ms`, for the job itself has no deadline. */
void job_limit(const struct job *job, struct operation *operation, int64_t timeout_ms);

/* Returns `status`; when that is a failure, the error of `operation` is the job's. */
int job_keep(struct job *job, const struct operation *operation, int status);

/* Calls `once`, which reads and commits what it makes of that, for as long as store_try_again()
 * says so, and returns its last status. */
int job_commit(struct job *job, int (*once)(struct job *job));

/* A text member of the job's data; "" when there is none. */
const char *job_text(const struct job *job, const char *member);

/* From within a step, on its own thread: for `job list` and progress bars. total 0: not known.
 * Written once a second at most. */
void job_progress(struct job *job, int64_t done, int64_t total, const char *unit);

#endif
