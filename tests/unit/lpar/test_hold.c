/* test_hold.c - one job at a time changes an LPAR, whatever becomes of a write of its record. */
#include "lpar/hold.h"

#include "base/file.h"
#include "tests/tap.h"
#include "tests/unit/lpar/least.h"

#include <sys/stat.h>

static char address[256], faulty[300];
static struct operation operation;
static struct lpar lpar;
static int asked; /* how often a change was */

static void put(const char *key, const char *json)
{
    struct store *store;
    struct store_change change = {key, json};
    operation_start(&operation, 10000, NULL);
    is_int(store_open(&store, address, true, &operation), VIOS_OK);
    is_int(store_commit(store, NULL, 0, &change, 1, NULL, &operation), VIOS_OK);
    store_close(store);
}

/* A store with the LPAR "g", which `job` holds; "" nobody. */
static void fresh(const char *job)
{
    static int count;
    least_lpar(&lpar, "g");
    snprintf(lpar.job, sizeof lpar.job, "%s", job);
    char *json = lpar_format(&lpar);
    snprintf(address, sizeof address, "sqlite:%s/%d.db", tap_folder(), count++);
    put("/lpar/g", json);
    free(json);
    asked = 0;
}

/* The job j-1, whose store is at `where`; close_job(). */
static struct job open_job(const char *where)
{
    struct job job = {.id = "j-1"};
    operation_start(&job.operation, 10000, NULL);
    is_int(store_open(&job.store, where, false, &job.operation), VIOS_OK);
    return job;
}

static void close_job(struct job *job)
{
    store_close(job->store);
}

static void is_held_by(const char *job, enum lpar_wanted wanted)
{
    struct store *store;
    is_int(store_open(&store, address, false, &operation), VIOS_OK);
    is_int(lpar_load(store, "g", &lpar, &operation), VIOS_OK);
    is_text(lpar.job, job);
    is_int(lpar.wanted, wanted);
    store_close(store);
}

static int change(struct job *job, struct lpar *record)
{
    asked++;
    is_text(record->job, job->id);
    record->wanted = LPAR_RUNNING;
    return VIOS_OK;
}

/* With the code that a lost race has. */
static int refuse(struct job *job, struct lpar *record)
{
    (void)record;
    asked++;
    return operation_fail(&job->operation, VIOS_E_CONFLICT, "x", NULL, "not so");
}

static void set_stopped(const struct job *job, struct lpar *record)
{
    (void)job;
    record->wanted = LPAR_STOPPED;
}

static void is_claimed_once_and_released(void)
{
    fresh("");
    struct job job = open_job(address);
    is_int(lpar_job_load(&job, "g", &lpar), VIOS_E_STALE);
    is_text(job.operation.error.message, "somebody else has taken it over");
    is_int(lpar_job_claim(&job, "g", change, &lpar), VIOS_OK);
    is_int(lpar_job_claim(&job, "g", change, &lpar), VIOS_OK);
    is_int(asked, 1);
    is_held_by("j-1", LPAR_RUNNING);
    is_int(lpar_job_load(&job, "g", &lpar), VIOS_OK);
    is_int(lpar_job_release(&job, "g", set_stopped), VIOS_OK);
    is_held_by("", LPAR_STOPPED);
    close_job(&job);
}

static void a_refusal_changes_nothing(void)
{
    fresh("");
    struct job job = open_job(address);
    is_int(lpar_job_claim(&job, "g", refuse, &lpar), VIOS_E_CONFLICT);
    is_text(job.operation.error.message, "not so");
    is_int(asked, 1);
    is_held_by("", LPAR_STOPPED);
    is_int(lpar_job_claim(&job, "h", change, &lpar), VIOS_E_NOT_FOUND);
    is_int(asked, 1);
    close_job(&job);
}

static void another_job_is_left_alone(void)
{
    fresh("j-2");
    put("/job/j-2", "{\"v\":1,\"state\":\"undoing\"}");
    struct job job = open_job(address);
    is_int(lpar_job_claim(&job, "g", change, &lpar), VIOS_E_LOCKED);
    is_text(job.operation.error.message, "job j-2 is at work on it");
    is_text(job.operation.error.hint, "wait for it: job wait j-2");
    is_int(lpar_job_release(&job, "g", NULL), VIOS_OK);
    is_int(lpar_job_release(&job, "h", NULL), VIOS_OK); /* it was removed */
    is_held_by("j-2", LPAR_STOPPED);
    put("/job/j-2", "{\"v\":1,\"state\":\"failed\"}");
    is_int(lpar_job_claim(&job, "g", change, &lpar), VIOS_OK);
    is_held_by("j-1", LPAR_RUNNING);
    close_job(&job);
}

/* Of the n-th commit; those that may pass go through at the second try. */
static void a_write_of_any_outcome_is_resolved(void)
{
#ifdef VIOS_TEST_HOOKS
    static const char *const FAULTS[] = {"conflict", "unknown_done", "unknown_not_done"};
    for (size_t i = 0; i < 2 * sizeof FAULTS / sizeof FAULTS[0]; i++) {
        fresh("");
        snprintf(faulty, sizeof faulty, "faulty:commit.%zu=%s:%s", 1 + i % 2, FAULTS[i / 2],
                 address);
        struct job job = open_job(faulty);
        is_int(lpar_job_claim(&job, "g", change, &lpar), VIOS_OK);
        is_held_by("j-1", LPAR_RUNNING);
        is_int(lpar_job_release(&job, "g", set_stopped), VIOS_OK);
        is_held_by("", LPAR_STOPPED);
        close_job(&job);
    }
#else
    (void)faulty;
    SKIP("needs VARIANT=test");
#endif
}

/* `fence` NULL: there is none. */
static void works(const char *what, const char *kind, const char *state, const char *fence,
                  bool holds)
{
    char json[200];
    struct lpar_work work;
    fresh("j-5");
    snprintf(json, sizeof json,
             "{\"v\":1,\"kind\":\"%s\",\"node\":\"n2\",\"incarnation\":3,\"state\":\"%s\"}", kind,
             state);
    put("/job/j-5", json);
    if (fence) {
        snprintf(json, sizeof json, "{\"v\":1,\"state\":\"%s\"}", fence);
        put("/fence/n2/3", json);
    }
    struct job job = open_job(address);
    is_int(lpar_work(job.store, &lpar, &work, &operation), VIOS_OK);
    is_text(work.job, holds ? "j-5" : "");
    is_text(work.kind, holds ? kind : work.kind);
    is_text(work.node, holds ? "n2" : work.node);
    int status = lpar_check_lock(job.store, &lpar, NULL, &operation);
    ok(status == (holds ? VIOS_E_LOCKED : VIOS_OK), "%s: %s", what, error_name(status));
    close_job(&job);
}

static void what_is_at_work_is_told(void)
{
    works("it runs", "lpar.restart", "running", NULL, true);
    works("it is undone", "lpar.restart", "undoing", NULL, true);
    works("it is done", "lpar.restart", "done", NULL, false);
    works("its node is being fenced", "lpar.restart", "running", "closing", true);
    works("its node is fenced", "lpar.restart", "running", "free", false);
    works("its node is fenced, others go on", "lpar.remove", "running", "free", true);
}

int main(void)
{
    RUN(is_claimed_once_and_released);
    RUN(a_refusal_changes_nothing);
    RUN(another_job_is_left_alone);
    RUN(a_write_of_any_outcome_is_resolved);
    RUN(what_is_at_work_is_told);
    file_remove_tree(tap_folder(), NULL);
    return tap_done();
}
