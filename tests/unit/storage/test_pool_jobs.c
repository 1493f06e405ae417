/* test_pool_jobs.c - making and removing pools: killed at each step, refused, and undone. */
/* limit: 60 */
#include "tests/unit/storage/jobs_world.h"

static json_t *create_data(void)
{
    return json_pack("{s:s, s:s, s:i}", "name", "p1", "uuid", POOL_UUID, "overcommit", 200);
}

static json_t *remove_data(void)
{
    return json_pack("{s:s}", "name", "p1");
}

static int load(struct pool *pool)
{
    struct operation operation;
    struct store *store = open_store(&operation);
    int status = pool_load(store, "p1", pool, &operation);
    node_store_return(&node, store);
    return status;
}

static void check_made(const char *where, int status)
{
    struct pool pool;
    struct vios_error error = {0};
    ok(status != VIOS_OK || load(&pool) == VIOS_OK, "%s: no record", where);
    ok(pool_check(&node, &pool, &error) == VIOS_OK, "%s: %s", where, error.message);
    is_text(pool.job, "");
    is_int(pool.overcommit, 200);
    is_int(count_files("pools/p1"), 3);
}

static void check_none(const char *where, int status)
{
    struct pool pool;
    (void)status;
    ok(load(&pool) == VIOS_E_NOT_FOUND && count_keys("/pool/") == 0, "%s: a record", where);
    ok(count_files("pools") == 0, "%s: %d files are left", where, count_files("pools"));
}

static void a_pool_is_made_whatever_happens(void)
{
    static const struct job_crash crash = {.kind = &pool_create_job,
                                           .object = "pool \"p1\"",
                                           .data = create_data,
                                           .context = &node,
                                           .fresh = make_world,
                                           .check = check_made};
    job_crash_everywhere(&crash, false);
}

/* The same steps, and one behind them that fails. */
static int fail(struct job *job)
{
    return operation_fail(&job->operation, VIOS_E_INVALID, job->object, NULL, "it must fail");
}

static struct job_step failing_steps[4];
static struct job_kind failing_kind;

/* The steps before the commit point, and one that fails. */
static void fail_at_last(const struct job_kind *kind)
{
    size_t count = kind->commit_point;
    memcpy(failing_steps, kind->steps, count * sizeof *failing_steps);
    failing_steps[count] = (struct job_step){"fail", fail, NULL};
    failing_kind =
        (struct job_kind){kind->name, failing_steps, count + 1, count + 1, .is_local = false};
}

static void a_failed_one_leaves_nothing(void)
{
    static const struct job_crash crash = {.kind = &failing_kind,
                                           .object = "pool \"p1\"",
                                           .data = create_data,
                                           .status = VIOS_E_INVALID,
                                           .context = &node,
                                           .fresh = make_world,
                                           .check = check_none};
    fail_at_last(&pool_create_job);
    job_crash_everywhere(&crash, true);
}

static void a_pool_is_removed_whatever_happens(void)
{
    static const struct job_crash crash = {.kind = &pool_remove_job,
                                           .object = "pool \"p1\"",
                                           .data = remove_data,
                                           .context = &node,
                                           .fresh = make_pool_world,
                                           .check = check_none};
    job_crash_everywhere(&crash, false);
}

static void check_there(const char *where, int status)
{
    struct pool pool = {.job = "none"};
    struct vios_error error = {0};
    (void)status;
    ok(load(&pool) == VIOS_OK, "%s: no record", where);
    ok(pool_check(&node, &pool, &error) == VIOS_OK, "%s: %s", where, error.message);
    is_text(pool.job, "");
    is_int(count_files("pools/p1"), 3);
}

static void one_whose_removal_failed_is_there_again(void)
{
    static const struct job_crash crash = {.kind = &failing_kind,
                                           .object = "pool \"p1\"",
                                           .data = remove_data,
                                           .status = VIOS_E_INVALID,
                                           .context = &node,
                                           .fresh = make_pool_world,
                                           .check = check_there};
    fail_at_last(&pool_remove_job);
    job_crash_everywhere(&crash, true);
}

static void one_with_an_lu_stays(void)
{
    struct operation operation;
    struct pool pool;
    json_t *result = NULL;
    make_pool_world();
    put("/lu/" CLUSTER_UUID, "{\"v\":1,\"name\":\"web\",\"pool\":\"p1\",\"file\":\"f\","
                             "\"size_bytes\":1048576,\"state\":\"making\"}");
    put("/image/" CLUSTER_UUID, "{\"v\":1,\"name\":\"deb\",\"pool\":\"p2\"}");
    is_int(run_job(&pool_remove_job, remove_data(), &result, &operation), VIOS_E_CONFLICT);
    is_text(operation.error.message, "it has 1 LU: \"web\"");
    is_int(load(&pool), VIOS_OK);
    is_text(pool.job, "");
    is_int(count_files("pools/p1"), 3);
    put("/lu/" CLUSTER_UUID, NULL);
    put("/image/" CLUSTER_UUID, "{\"v\":1,\"name\":\"deb\",\"pool\":\"p1\"}");
    is_int(run_job(&pool_remove_job, remove_data(), &result, &operation), VIOS_E_CONFLICT);
    is_text(operation.error.message, "it has 1 image: \"deb\"");
    is_text(operation.error.hint, "remove them first: image remove NAME");
}

static void a_folder_that_was_there_stays(void)
{
    struct operation operation;
    json_t *result = NULL;
    char path[160];
    make_world();
    snprintf(path, sizeof path, "%s/pools", world);
    mkdir(path, 0700);
    snprintf(path, sizeof path, "%s/pools/p1", world);
    mkdir(path, 0700);
    fail_at_last(&pool_create_job);
    is_int(run_job(&failing_kind, create_data(), &result, &operation), VIOS_E_INVALID);
    is_int(count_files("pools"), 1);
}

static void markers_are_read(void)
{
    static const struct {
        const char *text, *message; /* NULL: it is ours */
    } rows[] = {
        {"{\"v\":1,\"cluster\":\"c\",\"uuid\":\"" CLUSTER_UUID "\"}", NULL},
        {"{\"v\":1,\"cluster\":\"d\",\"uuid\":\"" POOL_UUID "\"}",
         "it is that of another cluster, \"d\" (" POOL_UUID ")"},
        {"{\"v\":2,\"cluster\":\"c\",\"uuid\":\"" CLUSTER_UUID "\"}", "its marker is damaged"},
        {"{\"v\":1,\"cluster\":\"../c\",\"uuid\":\"" CLUSTER_UUID "\"}", "its marker is damaged"},
        {"{\"v\":1,\"cluster\":\"c\"}", "its marker is damaged"},
        {"[]", "its marker is damaged"},
        {"", "its marker is damaged"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct vios_error error = {0};
        is_int(repository_check_marker(rows[i].text, CLUSTER_UUID, &error),
               rows[i].message ? VIOS_E_INVALID : VIOS_OK);
        is_text(error.message, rows[i].message ? rows[i].message : "");
    }
}

int main(void)
{
    RUN(a_pool_is_made_whatever_happens);
    RUN(a_failed_one_leaves_nothing);
    RUN(a_pool_is_removed_whatever_happens);
    RUN(one_whose_removal_failed_is_there_again);
    RUN(one_with_an_lu_stays);
    RUN(a_folder_that_was_there_stays);
    RUN(markers_are_read);
    end_world();
    return tap_done();
}
