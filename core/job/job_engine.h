/*
 * job_engine.h - what job.c (threads, queue), job_submit.c (owners), job_run.c (the steps of one
 * job) and job_query.c (looking on) share; internal to core/job.
 *
 * A `struct job_entry` is a job that this process runs. Its worker thread alone touches it,
 * but for what is marked atomic, and for the lists, which jobs.lock guards.
 */
#ifndef JOB_JOB_ENGINE_H
#define JOB_JOB_ENGINE_H

#include "job/job_record.h"

#include <pthread.h>
#include <stdatomic.h>

#define JOBS_SPARE_STORES 8 /* idle connections kept for callers */
#define JOB_WRITE_MS 10000  /* one try to write a record */
#define JOB_PAUSE_MIN_MS 50 /* between two tries of a step that must go on */
#define JOB_PAUSE_MAX_MS 30000
#define JOB_PROGRESS_MS 1000 /* between two records with progress */
#define JOB_FIRST_WRITE 1    /* "writes" of a record that no step was run under */
#define JOBS_PRUNE_EVERY 16  /* finished jobs between two looks for old ones */

struct job_entry {
    struct job job; /* first: what the steps are given */
    struct jobs *jobs;
    struct job_record record; /* as it was, or is about to be, written */
    int64_t revision;         /* of the record as last written or read */
    int64_t landed;           /* record.writes at that revision */
    struct cancel *cancel;    /* of the steps before the commit point */
    atomic_bool cancel_wanted;
    bool lost;     /* it has another owner now */
    bool in_doubt; /* the step at the commit point may have succeeded: it must be run, not undone */
    struct state_machine machine; /* its state is record.state */
    int64_t progress_written_ms;  /* clock_now_ms() */
    struct job_entry *next_live;  /* list of all, until it ends */
    struct job_entry *next_queued;
};

struct jobs {
    char *address; /* of the store */
    struct store_guard guard;
    char *node;
    int64_t incarnation;
    const struct job_kind *const *kinds;
    size_t kind_count;
    void *context;
    struct cancel *stop; /* triggered by jobs_stop */
    pthread_mutex_t lock;
    pthread_cond_t work; /* something was queued, or stop */
    struct job_entry *live;
    struct job_entry *queue, **queue_end;
    pthread_t threads[JOBS_RUNNING_MAX];
    size_t thread_count, idle_count, queued_count;
    struct store *spare[JOBS_SPARE_STORES];
    size_t spare_count;
};

/* A connection for the calling thread until it is given back. */
int jobs_store_take(struct jobs *jobs, struct store **store, struct operation *operation);
void jobs_store_give(struct jobs *jobs, struct store *store);

/* jobs_stop() was called. */
bool jobs_stopping(struct jobs *jobs);

/* The kind of this name, or NULL. */
const struct job_kind *jobs_find_kind(const struct jobs *jobs, const char *name);

/* Queues the job of a record that is ours in the store at `revision`, unless it is live already.
 * Takes over the record. A job of an unknown kind is logged and left alone. */
int jobs_take_up(struct jobs *jobs, struct job_record *record, int64_t revision,
                 struct operation *operation);

/* Runs the job on this thread until it ended, was lost, or the engine stops. */
void job_run(struct job_entry *entry);

/* Removes the oldest finished records beyond JOBS_KEPT; failures are left for the next time. */
void job_prune(struct jobs *jobs, struct store *store);

/* For the list of live jobs: asks the one with `id`, if it is here, to give up. */
void jobs_cancel_live(struct jobs *jobs, const char *id);

#endif
