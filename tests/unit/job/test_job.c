/* Proves: jobs run, fail, undo, cancel, wait, queue, survive crashes, change owners, and never
 * run twice, with every outcome that a write of their record can have. */
#include "base/clock.h"
#include "base/file.h"
#include "base/parse.h"
#include "job/job.h"
#include "tests/job_crash.h"
#include "tests/tap.h"

#include <dirent.h>
#include <fcntl.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <sys/stat.h>

#define PATIENCE_MS 20000

static char world[160]; /* a folder with the store and the files that steps make */
static char address[256];

static const char *fresh(void)
{
    static int number;
    snprintf(world, sizeof world, "%s/%d", tap_folder(), ++number);
    mkdir(world, 0700);
    snprintf(address, sizeof address, "sqlite:%s/vios.db", world);
    struct store *store;
    struct operation operation;
    operation_start(&operation, PATIENCE_MS, NULL);
    if (store_open(&store, address, true, &operation) != VIOS_OK) {
        printf("# %s\n", operation.error.message);
        exit(1);
    }
    store_close(store);
    return address;
}

static struct operation patience(void)
{
    struct operation operation;
    operation_start(&operation, PATIENCE_MS, NULL);
    return operation;
}

/* The steps: each makes a file and removes it again. */
static int touch(const char *name)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s", world, name);
    int fd = open(path, O_CREAT | O_WRONLY, 0600);
    close(fd);
    return fd < 0 ? VIOS_E_IO : VIOS_OK;
}

static int untouch(const char *name)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s", world, name);
    unlink(path);
    return VIOS_OK;
}

static bool there(const char *name)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s", world, name);
    return access(path, F_OK) == 0;
}

static int run_one(struct job *job)
{
    json_object_set_new(job->data, "one", json_string("kept"));
    return touch("one");
}

static int undo_one(struct job *job)
{
    (void)job;
    return untouch("one");
}

static int run_two(struct job *job)
{
    const char *kept = json_string_value(json_object_get(job->data, "one"));
    if (!kept || strcmp(kept, "kept") != 0) {
        return error_set(&job->operation.error, VIOS_E_CORRUPT, job->object, NULL, "data lost");
    }
    return touch("two");
}

static int undo_two(struct job *job)
{
    (void)job;
    return untouch("two");
}

static int run_three(struct job *job)
{
    json_decref(job->result);
    job->result = json_pack("{s:s}", "made", "three");
    return touch("three");
}

static int run_failing(struct job *job)
{
    return error_set(&job->operation.error, VIOS_E_NO_SPACE, "pool \"p0\"", "remove LUs",
                     "there is no room");
}

static const struct job_step GOOD_STEPS[] = {
    {"one", run_one, undo_one}, {"two", run_two, undo_two}, {"three", run_three, NULL}};
static const struct job_kind GOOD = {"test.good", GOOD_STEPS, 3, 1};

static const struct job_step BAD_STEPS[] = {
    {"one", run_one, undo_one}, {"two", run_two, undo_two}, {"fail", run_failing, NULL}};
static const struct job_kind BAD = {"test.bad", BAD_STEPS, 3, 3};

/* Steps whose behaviour a test sets. */
static sem_t entered, released;
static atomic_int tries, fails_left, runs;

static int run_blocking(struct job *job)
{
    sem_post(&entered);
    int status = operation_wait(&job->operation, -1, 0); /* until the cancel */
    return status;
}

static int run_gate(struct job *job)
{
    (void)job;
    atomic_fetch_add(&runs, 1);
    sem_post(&entered);
    sem_wait(&released);
    return VIOS_OK;
}

static int run_flaky(struct job *job)
{
    atomic_fetch_add(&tries, 1);
    if (atomic_fetch_sub(&fails_left, 1) > 0) {
        return error_set(&job->operation.error, VIOS_E_UNKNOWN, NULL, NULL, "who knows");
    }
    return VIOS_OK;
}

static int run_progress(struct job *job)
{
    job_progress(job, 3, 9, "bytes");
    return VIOS_OK;
}

static int run_large(struct job *job)
{
    json_object_set_new(job->data, "large", json_sprintf("%070000d", 1));
    return touch("one");
}

/* Done at its first try, and knows it only at its second. */
static int run_doubtful(struct job *job)
{
    if (there("one")) {
        return VIOS_OK;
    }
    touch("one");
    sem_post(&entered);
    sem_wait(&released);
    return error_set(&job->operation.error, VIOS_E_UNKNOWN, NULL, NULL, "who knows");
}

static const struct job_step DOUBT_STEPS[] = {{"doubt", run_doubtful, undo_one}};
static const struct job_kind DOUBT = {"test.doubt", DOUBT_STEPS, 1, 0};
static const struct job_step BLOCK_STEPS[] = {{"one", run_one, undo_one},
                                              {"block", run_blocking, NULL}};
static const struct job_kind BLOCK = {"test.block", BLOCK_STEPS, 2, 2};
static const struct job_step GATE_STEPS[] = {{"gate", run_gate, NULL}};
static const struct job_kind GATE = {"test.gate", GATE_STEPS, 1, 1};
static const struct job_step PAST_STEPS[] = {{"commit", run_one, undo_one},
                                             {"gate", run_gate, NULL}};
static const struct job_kind PAST = {"test.past", PAST_STEPS, 2, 0};
static const struct job_kind LOCAL = {"test.local", GATE_STEPS, 1, 1, .is_local = true};
static const struct job_step FLAKY_STEPS[] = {{"flaky", run_flaky, NULL},
                                              {"again", run_flaky, NULL}};
static const struct job_kind FLAKY = {"test.flaky", FLAKY_STEPS, 2, 0};
static const struct job_step STUBBORN_STEPS[] = {{"stubborn", run_one, run_flaky},
                                                 {"fail", run_failing, undo_one}};
static const struct job_kind STUBBORN = {"test.stubborn", STUBBORN_STEPS, 2, 2};
static const struct job_step PROGRESS_STEPS[] = {{"progress", run_progress, NULL},
                                                 {"gate", run_gate, NULL}};
static const struct job_kind PROGRESS = {"test.progress", PROGRESS_STEPS, 2, 2};
static const struct job_step LARGE_STEPS[] = {{"large", run_large, undo_one},
                                              {"two", run_three, NULL}};
static const struct job_kind LARGE = {"test.large", LARGE_STEPS, 2, 2};

static const struct job_kind *const KINDS[] = {&GOOD,     &BAD,      &BLOCK, &GATE,  &PAST, &FLAKY,
                                               &STUBBORN, &PROGRESS, &LARGE, &DOUBT, &LOCAL};

static struct jobs *start_on(const char *store, const char *node, int64_t incarnation)
{
    struct jobs *jobs;
    struct vios_error error;
    is_int(jobs_start(&jobs, store, node, incarnation, KINDS, sizeof KINDS / sizeof KINDS[0], NULL,
                      &error),
           VIOS_OK);
    return jobs;
}

static void submit(struct jobs *jobs, const struct job_kind *kind, char id[JOB_ID_SIZE])
{
    struct operation operation = patience();
    operation.actor = "uid:0";
    int status = job_submit(jobs, kind, "lpar \"web1\"", NULL, NULL, id, &operation);
    ok(status == VIOS_OK, "submit: %s", operation.error.message);
}

static int wait_for(struct jobs *jobs, const char *id, struct vios_error *error)
{
    json_t *result = NULL;
    struct operation operation = patience();
    int status = job_wait(jobs, id, NULL, NULL, &result, &operation);
    if (error) {
        *error = operation.error;
    }
    json_decref(result);
    return status;
}

static json_t *show(struct jobs *jobs, const char *id)
{
    json_t *job = NULL;
    struct operation operation = patience();
    int status = job_show(jobs, id, &job, &operation);
    ok(status == VIOS_OK, "show: %s", operation.error.message);
    return job;
}

static void is_state(struct jobs *jobs, const char *id, const char *state)
{
    json_t *job = show(jobs, id);
    is_text(json_string_value(json_object_get(job, "state")), state);
    json_decref(job);
}

/* A new world, in which a job of the kind is in the step that lets a test in. */
static struct jobs *begin(const struct job_kind *kind, char id[JOB_ID_SIZE])
{
    struct jobs *jobs = start_on(fresh(), "n1", 1);
    submit(jobs, kind, id);
    sem_wait(&entered);
    return jobs;
}

static void end(struct jobs *jobs, const char *id, int status)
{
    is_int(wait_for(jobs, id, NULL), status);
    jobs_stop(jobs);
}

static void runs_all_steps_and_gives_the_result(void)
{
    char id[JOB_ID_SIZE];
    json_t *result = NULL;
    struct operation operation = patience();
    struct jobs *jobs = start_on(fresh(), "n1", 1);
    submit(jobs, &GOOD, id);
    is_text(id, "j-1");
    is_int(job_wait(jobs, id, NULL, NULL, &result, &operation), VIOS_OK);
    is_text(json_string_value(json_object_get(result, "made")), "three");
    ok(there("one") && there("two") && there("three"), "all is done");
    json_decref(result);
    json_t *job = show(jobs, id);
    is_text(json_string_value(json_object_get(job, "actor")), "uid:0");
    is_text(json_string_value(json_object_get(job, "object")), "lpar \"web1\"");
    is_int(json_integer_value(json_object_get(job, "step")), 3);
    json_decref(job);
    jobs_stop(jobs);
}

static void undoes_what_fails(void)
{
    char id[JOB_ID_SIZE];
    struct vios_error error;
    struct jobs *jobs = start_on(fresh(), "n1", 1);
    submit(jobs, &BAD, id);
    is_int(wait_for(jobs, id, &error), VIOS_E_NO_SPACE);
    is_text(error.object, "pool \"p0\"");
    is_text(error.message, "there is no room");
    is_text(error.hint, "remove LUs");
    ok(!there("one") && !there("two"), "nothing is left");
    is_state(jobs, id, "failed");
    jobs_stop(jobs);
}

static void cancels_a_running_step(void)
{
    char id[JOB_ID_SIZE];
    struct operation operation = patience();
    struct jobs *jobs = begin(&BLOCK, id);
    ok(there("one"), "it runs");
    is_int(job_cancel(jobs, id, &operation), VIOS_OK);
    is_int(wait_for(jobs, id, NULL), VIOS_E_CANCELLED);
    ok(!there("one"), "undone");
    is_state(jobs, id, "cancelled");
    is_int(job_cancel(jobs, id, &operation), VIOS_E_CONFLICT);
    is_text(operation.error.message, "job j-1 has ended");
    is_int(job_cancel(jobs, "j-99", &operation), VIOS_E_NOT_FOUND);
    is_int(job_cancel(jobs, "../x", &operation), VIOS_E_NOT_FOUND);
    is_text(operation.error.object, "job \"../x\"");
    jobs_stop(jobs);
}

static void does_not_cancel_past_the_commit_point(void)
{
    char id[JOB_ID_SIZE];
    struct operation operation = patience();
    struct jobs *jobs = begin(&PAST, id);
    is_int(job_cancel(jobs, id, &operation), VIOS_E_CONFLICT);
    is_text(operation.error.message, "job j-1 is past the point of no return");
    sem_post(&released);
    is_int(wait_for(jobs, id, NULL), VIOS_OK);
    ok(there("one"), "done");
    jobs_stop(jobs);
}

/* What may be done already is not undone, whoever asks. */
static void a_cancel_waits_for_a_commit_in_doubt(void)
{
    char id[JOB_ID_SIZE];
    struct operation operation = patience();
    struct jobs *jobs = begin(&DOUBT, id);
    is_int(job_cancel(jobs, id, &operation), VIOS_OK);
    sem_post(&released);
    is_int(wait_for(jobs, id, NULL), VIOS_OK);
    ok(there("one"), "done");
    jobs_stop(jobs);
}

/* Forward from the commit point on, and otherwise back, however often it takes. */
static void comes_to_an_end(void)
{
    static const struct {
        const struct job_kind *kind;
        int status;
        const char *message, *state;
        int tries; /* of the step that fails twice */
    } ENDS[] = {
        {&FLAKY, VIOS_OK, "", "done", 4},
        {&STUBBORN, VIOS_E_NO_SPACE, "there is no room", "failed", 3},
        {&LARGE, VIOS_E_INVALID, "the job's data does not fit into its record", "failed", 0},
    };
    for (size_t i = 0; i < sizeof ENDS / sizeof ENDS[0]; i++) {
        char id[JOB_ID_SIZE];
        struct vios_error error;
        struct jobs *jobs = start_on(fresh(), "n1", 1);
        atomic_store(&tries, 0);
        atomic_store(&fails_left, 2);
        submit(jobs, ENDS[i].kind, id);
        ok(wait_for(jobs, id, &error) == ENDS[i].status, "%s ends with %s", ENDS[i].kind->name,
           error_name(error.code));
        is_text(error.message, ENDS[i].message);
        is_state(jobs, id, ENDS[i].state);
        is_int(atomic_load(&tries), ENDS[i].tries);
        ok(!there("one") && !there("two"), "%s leaves something", ENDS[i].kind->name);
        jobs_stop(jobs);
    }
}

static void an_operation_runs_once(void)
{
    char uuid[UUID_TEXT_SIZE];
    char first[JOB_ID_SIZE];
    char second[JOB_ID_SIZE];
    struct operation operation = patience();
    struct jobs *jobs = start_on(fresh(), "n1", 1);
    uuid_make(uuid);
    atomic_store(&runs, 0);
    is_int(job_submit(jobs, &GATE, "x", NULL, uuid, first, &operation), VIOS_OK);
    sem_wait(&entered);
    is_int(job_submit(jobs, &GATE, "x", NULL, uuid, second, &operation), VIOS_OK);
    is_text(second, first);
    sem_post(&released);
    is_int(wait_for(jobs, first, NULL), VIOS_OK);
    is_int(job_submit(jobs, &GATE, "x", NULL, uuid, second, &operation), VIOS_OK);
    is_text(second, first);
    is_int(wait_for(jobs, second, NULL), VIOS_OK);
    is_int(atomic_load(&runs), 1);
    is_int(job_submit(jobs, &GOOD, "x", NULL, uuid, second, &operation), VIOS_E_INVALID);
    is_int(job_submit(jobs, &GOOD, "x", json_object(), "no uuid", second, &operation),
           VIOS_E_USAGE);
    jobs_stop(jobs);
}

static void more_than_the_limit_wait_in_order(void)
{
    enum { MORE = JOBS_RUNNING_MAX + 3 };
    char ids[MORE][JOB_ID_SIZE];
    struct jobs *jobs = start_on(fresh(), "n1", 1);
    atomic_store(&runs, 0);
    for (int i = 0; i < MORE; i++) {
        submit(jobs, &GATE, ids[i]);
    }
    for (int i = 0; i < JOBS_RUNNING_MAX; i++) {
        sem_wait(&entered);
    }
    is_int(atomic_load(&runs), JOBS_RUNNING_MAX);
    for (int i = 0; i < MORE; i++) {
        sem_post(&released);
    }
    for (int i = 0; i < MORE; i++) {
        is_int(wait_for(jobs, ids[i], NULL), VIOS_OK);
    }
    is_int(atomic_load(&runs), MORE);
    jobs_stop(jobs);
    while (sem_trywait(&entered) == 0) {
    }
}

static atomic_int progress_done;

static void on_progress(void *context, const json_t *progress)
{
    (void)context;
    atomic_store(&progress_done, (int)json_integer_value(json_object_get(progress, "done")));
    sem_post(&released);
}

static void tells_of_progress(void)
{
    char id[JOB_ID_SIZE];
    json_t *result = NULL;
    struct operation operation = patience();
    struct jobs *jobs = start_on(fresh(), "n1", 1);
    submit(jobs, &PROGRESS, id);
    is_int(job_wait(jobs, id, on_progress, NULL, &result, &operation), VIOS_OK);
    is_int(atomic_load(&progress_done), 3);
    json_decref(result);
    json_t *job = show(jobs, id);
    json_t *progress = json_object_get(job, "progress");
    is_int(json_integer_value(json_object_get(progress, "total")), 9);
    is_text(json_string_value(json_object_get(progress, "unit")), "bytes");
    json_decref(job);
    jobs_stop(jobs);
    while (sem_trywait(&released) == 0 || sem_trywait(&entered) == 0) {
    }
}

static void lists_jobs_in_order(void)
{
    char id[JOB_ID_SIZE];
    json_t *list = NULL;
    struct operation operation = patience();
    struct jobs *jobs = start_on(fresh(), "n1", 1);
    for (int i = 0; i < 11; i++) {
        submit(jobs, &GOOD, id);
        is_int(wait_for(jobs, id, NULL), VIOS_OK);
    }
    is_int(job_list(jobs, &list, &operation), VIOS_OK);
    is_int(json_array_size(list), 11);
    is_text(json_string_value(json_object_get(json_array_get(list, 1), "id")), "j-2");
    is_text(json_string_value(json_object_get(json_array_get(list, 10), "id")), "j-11");
    is_text(json_string_value(json_object_get(json_array_get(list, 0), "node")), "n1");
    json_decref(list);
    jobs_stop(jobs);
}

static void a_stop_leaves_the_job_to_the_next_daemon(void)
{
    char id[JOB_ID_SIZE];
    struct operation operation = patience();
    struct jobs *jobs = begin(&BLOCK, id);
    jobs_stop(jobs);
    ok(there("one"), "nothing was undone");
    jobs = start_on(address, "n1", 1);
    is_state(jobs, id, "running");
    is_int(jobs_adopt(jobs, &operation), VIOS_OK);
    is_int(jobs_adopt(jobs, &operation), VIOS_OK);
    sem_wait(&entered);
    is_int(job_cancel(jobs, id, &operation), VIOS_OK);
    end(jobs, id, VIOS_E_CANCELLED);
}

static void put(const char *key, const char *json)
{
    struct store *store;
    struct operation operation = patience();
    struct store_change change = {key, json};
    is_int(store_open(&store, address, false, &operation), VIOS_OK);
    is_int(store_commit(store, NULL, 0, &change, 1, NULL, &operation), VIOS_OK);
    store_close(store);
}

/* From a free fence only, and not what only its own node can do. The old owner then does no more.
 */
static void a_survivor_adopts_what_is_fenced(void)
{
    char id[JOB_ID_SIZE], local[JOB_ID_SIZE];
    struct operation operation = patience();
    struct jobs *old = begin(&PAST, id);
    struct jobs *survivor = start_on(address, "n2", 5);
    submit(old, &LOCAL, local);
    sem_wait(&entered);
    is_int(jobs_adopt_fenced(survivor, &operation), VIOS_OK);
    put("/fence/n1/1", "{\"v\":1,\"state\":\"closing\"}");
    is_int(jobs_adopt_fenced(survivor, &operation), VIOS_OK);
    ok(sem_trywait(&entered) != 0, "it takes what is not free");
    put("/fence/n1/1", "{\"v\":1,\"state\":\"free\"}");
    is_int(jobs_adopt_fenced(survivor, &operation), VIOS_OK);
    sem_wait(&entered); /* the survivor runs the step again */
    for (int i = 0; i < 3; i++) {
        sem_post(&released);
    }
    is_int(wait_for(survivor, id, NULL), VIOS_OK);
    json_t *job = show(survivor, id);
    is_text(json_string_value(json_object_get(job, "node")), "n2");
    is_int(json_integer_value(json_object_get(job, "incarnation")), 5);
    json_decref(job);
    job = show(survivor, local);
    is_text(json_string_value(json_object_get(job, "node")), "n1");
    json_decref(job);
    is_int(job_submit(old, &GOOD, "x", NULL, NULL, id, &operation), VIOS_E_STALE);
    is_text(operation.error.message, "this node is fenced and may start no job");
    jobs_stop(old);
    jobs_stop(survivor);
    while (sem_trywait(&released) == 0) {
    }
}

static void a_later_incarnation_takes_up_its_own(void)
{
    char id[JOB_ID_SIZE];
    struct operation operation = patience();
    struct jobs *jobs = begin(&BLOCK, id);
    jobs_stop(jobs);
    jobs = start_on(address, "n1", 2);
    is_int(jobs_adopt(jobs, &operation), VIOS_OK);
    sem_wait(&entered);
    is_int(job_cancel(jobs, id, &operation), VIOS_OK);
    end(jobs, id, VIOS_E_CANCELLED);
}

/* The record asks for a cancel, as another node's job_cancel() leaves it. */
static void a_cancel_by_another_node_is_seen(void)
{
    char id[JOB_ID_SIZE];
    struct operation operation = patience();
    struct jobs *jobs = start_on(fresh(), "n1", 1);
    struct jobs *other = start_on(address, "n2", 1);
    submit(jobs, &GATE, id);
    sem_wait(&entered);
    is_int(job_cancel(other, id, &operation), VIOS_OK);
    is_int(job_cancel(other, id, &operation), VIOS_OK);
    sem_post(&released);
    is_int(wait_for(other, id, NULL), VIOS_OK); /* its only step was done: too late */
    jobs_stop(jobs);
    jobs_stop(other);
}

/* Who does not wait any more is told what becomes of the job. */
static void is_left(struct jobs *jobs, const char *id, const char *message, const char *hint)
{
    json_t *result = NULL;
    struct operation operation;
    struct cancel *cancel = cancel_new();
    cancel_trigger(cancel);
    operation_start(&operation, OPERATION_NO_DEADLINE, cancel);
    is_int(job_wait(jobs, id, NULL, NULL, &result, &operation), VIOS_E_CANCELLED);
    is_text(operation.error.message, message);
    is_text(operation.error.hint, hint);
    cancel_free(cancel);
}

static void waiting_ends_alone(void)
{
    char id[JOB_ID_SIZE];
    json_t *result = NULL;
    struct operation operation;
    struct jobs *jobs = begin(&GATE, id);
    operation_start(&operation, 20, NULL);
    is_int(job_wait(jobs, id, NULL, NULL, &result, &operation), VIOS_E_TIMEOUT);
    is_state(jobs, id, "running");
    is_left(jobs, id, "job j-1 goes on", "vios job wait j-1, vios job cancel j-1");
    sem_post(&released);
    is_int(wait_for(jobs, id, NULL), VIOS_OK);
    is_int(wait_for(jobs, "j-77", NULL), VIOS_E_NOT_FOUND);
    jobs_stop(jobs);
}

static size_t jobs_there(struct jobs *jobs)
{
    json_t *list = NULL;
    struct operation operation = patience();
    is_int(job_list(jobs, &list, &operation), VIOS_OK);
    size_t count = json_array_size(list);
    json_decref(list);
    return count;
}

static void old_jobs_are_forgotten(void)
{
    enum { TOTAL = JOBS_KEPT + 40 };
    char uuid[UUID_TEXT_SIZE];
    char first[JOB_ID_SIZE];
    char id[JOB_ID_SIZE];
    struct operation operation = patience();
    struct jobs *jobs = start_on(fresh(), "n1", 1);
    uuid_make(uuid);
    is_int(job_submit(jobs, &GOOD, "x", NULL, uuid, first, &operation), VIOS_OK);
    /* They are removed now and then, in passing; a busy machine may leave it to a later time. */
    for (int i = 1; i < TOTAL || (i < 2 * TOTAL && jobs_there(jobs) > JOBS_KEPT + 16); i++) {
        submit(jobs, &GOOD, id);
        if (wait_for(jobs, id, NULL) != VIOS_OK) {
            break;
        }
    }
    size_t kept = jobs_there(jobs);
    ok(kept >= JOBS_KEPT && kept <= JOBS_KEPT + 16, "%zu kept", kept);
    is_int(wait_for(jobs, first, NULL), VIOS_E_NOT_FOUND);
    is_int(job_submit(jobs, &GOOD, "x", NULL, uuid, id, &operation), VIOS_OK);
    ok(strcmp(id, first) != 0, "its operation id is forgotten too");
    end(jobs, id, VIOS_OK);
}

static void all_is_done(const char *where, int status)
{
    (void)status;
    ok(there("one") && there("two") && there("three"), "%s: all is done", where);
}

static void nothing_is_left(const char *where, int status)
{
    (void)status;
    ok(!there("one") && !there("two"), "%s: nothing is left", where);
}

#ifdef VIOS_TEST_HOOKS
static void a_crash_at_any_step_goes_on(void)
{
    struct job_crash crash = {
        .kind = &GOOD, .object = "x", .fresh = fresh, .check = all_is_done, .status = VIOS_OK};
    job_crash_everywhere(&crash, false);
}

static void a_crash_in_an_undo_goes_on(void)
{
    struct job_crash crash = {.kind = &BAD,
                              .object = "x",
                              .fresh = fresh,
                              .check = nothing_is_left,
                              .status = VIOS_E_NO_SPACE};
    job_crash_everywhere(&crash, true);
}

/* Killed behind the commit, then asked to undo: it must not. */
static void a_cancel_does_not_undo_an_adopted_commit(void)
{
    int status = 0;
    struct operation operation = patience();
    fresh();
    pid_t child = fork();
    if (child == 0) {
        char id[JOB_ID_SIZE];
        setenv("VIOS_CRASH_AT", "test.past:commit:after", 1);
        submit(start_on(address, "n1", 1), &PAST, id);
        pause();
    }
    waitpid(child, &status, 0);
    struct jobs *jobs = start_on(address, "n1", 1);
    is_int(job_cancel(jobs, "j-1", &operation), VIOS_OK);
    sem_post(&released);
    is_int(jobs_adopt(jobs, &operation), VIOS_OK);
    is_int(wait_for(jobs, "j-1", NULL), VIOS_OK);
    ok(there("one"), "done");
    sem_wait(&entered);
    jobs_stop(jobs);
}

/* Each write of a record, ending in each way. */
static void a_write_of_any_outcome_is_resolved(void)
{
    static const char *const FAULTS[] = {"conflict", "unknown_done", "unknown_not_done",
                                         "timeout",  "unreachable",  "delay"};
    for (int nth = 1; nth <= 5; nth++) {
        for (size_t fault = 0; fault < sizeof FAULTS / sizeof FAULTS[0]; fault++) {
            char id[JOB_ID_SIZE];
            char faulty[400];
            snprintf(faulty, sizeof faulty, "faulty:commit.%d=%s:%s", nth, FAULTS[fault], fresh());
            struct jobs *jobs = start_on(faulty, "n1", 1);
            struct operation operation = patience();
            int status = job_submit(jobs, &GOOD, "x", NULL, NULL, id, &operation);
            if (status == VIOS_OK) {
                json_t *result = NULL;
                struct jobs *onlooker = start_on(address, "n2", 1);
                status = job_wait(onlooker, id, NULL, NULL, &result, &operation);
                ok(status == VIOS_OK, "commit %d %s: %s", nth, FAULTS[fault],
                   operation.error.message);
                all_is_done(FAULTS[fault], status);
                json_decref(result);
                jobs_stop(onlooker);
            } else {
                is_int(nth, 1);
            }
            jobs_stop(jobs);
        }
    }
}
#else
static void a_crash_at_any_step_goes_on(void)
{
    (void)all_is_done;
    (void)nothing_is_left;
    SKIP("needs VARIANT=test");
}
#endif

int main(void)
{
    sem_init(&entered, 0, 0);
    sem_init(&released, 0, 0);
    RUN(runs_all_steps_and_gives_the_result);
    RUN(undoes_what_fails);
    RUN(cancels_a_running_step);
    RUN(does_not_cancel_past_the_commit_point);
    RUN(a_cancel_waits_for_a_commit_in_doubt);
    RUN(comes_to_an_end);
    RUN(an_operation_runs_once);
    RUN(more_than_the_limit_wait_in_order);
    RUN(tells_of_progress);
    RUN(lists_jobs_in_order);
    RUN(a_stop_leaves_the_job_to_the_next_daemon);
    RUN(a_survivor_adopts_what_is_fenced);
    RUN(a_later_incarnation_takes_up_its_own);
    RUN(a_cancel_by_another_node_is_seen);
    RUN(waiting_ends_alone);
    RUN(old_jobs_are_forgotten);
    RUN(a_crash_at_any_step_goes_on);
#ifdef VIOS_TEST_HOOKS
    RUN(a_crash_in_an_undo_goes_on);
    RUN(a_cancel_does_not_undo_an_adopted_commit);
    RUN(a_write_of_any_outcome_is_resolved);
#endif
    file_remove_tree(tap_folder(), NULL);
    return tap_done();
}
