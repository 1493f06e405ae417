/*
 * job_crash.h - runs a kind of job through the crash hook: for each step and each place the
 * process is killed there, started again under the same incarnation, and the job must end as
 * the kind says. Needs a build with VIOS_TEST_HOOKS. The same loop serves every kind.
 */
#ifndef TESTS_JOB_CRASH_H
#define TESTS_JOB_CRASH_H

#include "job/job.h"
#include "tests/tap.h"

#include <signal.h>
#include <sys/wait.h>

#define JOB_CRASH_ANY 1 /* however it ends */
#define JOB_CRASH_PATIENCE_MS 20000

struct job_crash {
    const struct job_kind *kind;
    const char *object;
    const char *id;             /* of the new job; NULL: "j-1", the first in a fresh store */
    json_t *(*data)(void);      /* of each new job; may be NULL */
    int status;                 /* with which the job must end: VIOS_OK, its error, or ANY */
    int64_t incarnation;        /* of the daemon that takes it up; 0: the same, 1 */
    void (*between)(void);      /* before that daemon starts; may be NULL */
    void *context;              /* for jobs_start */
    const char *(*fresh)(void); /* a new world; gives the address of its empty store */
    void (*check)(const char *where, int status); /* nothing half-done is left */
};

__attribute__((unused)) static struct jobs *
job_crash_start(const struct job_crash *crash, const char *address, int64_t incarnation)
{
    struct jobs *jobs;
    struct vios_error error;
    if (jobs_start(&jobs, address, "n1", incarnation, &crash->kind, 1, crash->context, &error) !=
        VIOS_OK) {
        printf("# %s\n", error.message);
        exit(1);
    }
    return jobs;
}

/* The child: dies at `where`, or leaves with 1 when that place was not passed. */
static void job_crash_child(const struct job_crash *crash, const char *address, const char *where)
{
    char id[JOB_ID_SIZE];
    struct operation operation;
    json_t *result = NULL;
    setenv("VIOS_CRASH_AT", where, 1);
    struct jobs *jobs = job_crash_start(crash, address, 1);
    operation_start(&operation, JOB_CRASH_PATIENCE_MS, NULL);
    int status = job_submit(jobs, crash->kind, crash->object, crash->data ? crash->data() : NULL,
                            NULL, id, &operation);
    if (status == VIOS_OK) {
        status = job_wait(jobs, id, NULL, NULL, &result, &operation);
    }
    printf("# %s: not passed, ended with %s: %s\n", where, error_name(status),
           operation.error.message);
    fflush(stdout);
    _exit(1);
}

/* True when the place was passed and the job came to its end after it. */
static bool job_crash_at(const struct job_crash *crash, const char *where)
{
    int status = 0;
    struct operation operation;
    json_t *result = NULL;
    const char *address = crash->fresh();
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        job_crash_child(crash, address, where);
    }
    waitpid(child, &status, 0);
    if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL) {
        return false;
    }
    if (crash->between) {
        crash->between();
    }
    int64_t incarnation = crash->incarnation ? crash->incarnation : 1;
    struct jobs *jobs = job_crash_start(crash, address, incarnation);
    operation_start(&operation, JOB_CRASH_PATIENCE_MS, NULL);
    status = jobs_adopt(jobs, &operation);
    ok(status == VIOS_OK, "%s: adopt: %s", where, operation.error.message);
    status = job_wait(jobs, crash->id ? crash->id : "j-1", NULL, NULL, &result, &operation);
    ok(status == crash->status || crash->status == JOB_CRASH_ANY, "%s: ended with %s: %s", where,
       error_name(status), operation.error.message);
    json_decref(result);
    jobs_stop(jobs);
    crash->check(where, status);
    return true;
}

/* Every step, every place. `undone`: the job is one that fails at its last step, so that the
 * places of its undo are passed too. */
__attribute__((unused)) static void job_crash_everywhere(const struct job_crash *crash, bool undone)
{
    static const char *const PLACES[] = {"before", "after", "undo-before", "undo-after"};
    const struct job_kind *kind = crash->kind;
    for (size_t step = 0; step < kind->count; step++) {
        for (size_t place = 0; place < (undone ? 4u : 2u); place++) {
            char where[256];
            bool last_fails = undone && step == kind->count - 1 && place == 1;
            snprintf(where, sizeof where, "%s:%s:%s", kind->name, kind->steps[step].name,
                     PLACES[place]);
            ok(job_crash_at(crash, where) != last_fails, "%s: was it passed?", where);
        }
    }
}

#endif
