/* test_lu_jobs.c - making, cloning and removing LUs: killed at each step, refused, and undone; and
 * that what is published lies on the disk. */
/* limit: 90 */
#include "storage/lu_guest.h"
#include "tests/synced.h"
#include "tests/unit/storage/jobs_world.h"

#include <fcntl.h>

#define UDID "11111111-2222-4333-8444-555555555555"
#define SOURCE "22222222-2222-4333-8444-555555555555"
#define SIZE (1 << 20)

static json_t *create_data(void)
{
    return json_pack("{s:s, s:s, s:s, s:i, s:b}", "udid", UDID, "name", "web", "pool", "p1",
                     "size_bytes", SIZE, "thick", 0);
}

static json_t *clone_data(void)
{
    json_t *data = create_data();
    json_object_set_new(data, "source", json_string(SOURCE));
    return data;
}

static json_t *remove_data(void)
{
    return json_pack("{s:s, s:s}", "udid", SOURCE, "name", "old");
}

/* A ready LU "old", of the LPAR (""), with 'x' on it. */
static void put_source(const char *lpar)
{
    struct lu lu;
    lu_begin(&lu, SOURCE, "old", "p1", SIZE, false);
    snprintf(lu.file, sizeof lu.file, SOURCE ".3");
    snprintf(lu.lpar, sizeof lu.lpar, "%s", lpar);
    lu.state = LU_READY;
    int fd = put_lu(&lu);
    is_int(pwrite(fd, "x", 1, SIZE / 2), 1);
    close(fd);
}

static const char *make_source_world(void)
{
    make_pool_world();
    put_source("");
    return address;
}

static int load(const char *udid, struct lu *lu)
{
    struct operation operation;
    struct store *store = open_store(&operation);
    int status = lu_load(store, udid, lu, NULL, &operation);
    node_store_return(&node, store);
    return status;
}

static void check_ready(const char *where, const char *udid)
{
    struct lu lu = {.job = "none"};
    ok(load(udid, &lu) == VIOS_OK && lu.state == LU_READY, "%s: not ready", where);
    is_text(lu.job, "");
}

static void check_made(const char *where, int status)
{
    (void)status;
    check_ready(where, UDID);
    ok(count_files("pools/p1/lu") == 1, "%s: %d files", where, count_files("pools/p1/lu"));
}

static void check_none(const char *where, int status)
{
    (void)status;
    ok(count_keys("/lu/") == 0 && count_keys("/lu-name/") == 0, "%s: a record", where);
    ok(count_files("pools/p1/lu") == 0, "%s: %d files", where, count_files("pools/p1/lu"));
}

static char byte_of(const char *udid)
{
    char path[256], byte = 0;
    snprintf(path, sizeof path, "%s/pools/p1/lu/%s.0", world, udid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    is_int(pread(fd, &byte, 1, SIZE / 2), 1);
    close(fd);
    return byte;
}

static void check_cloned(const char *where, int status)
{
    (void)status;
    check_ready(where, UDID);
    check_ready(where, SOURCE);
    is_int(byte_of(UDID), 'x');
    ok(count_files("pools/p1/lu") == 2, "%s: %d files", where, count_files("pools/p1/lu"));
}

static void check_source_only(const char *where, int status)
{
    (void)status;
    check_ready(where, SOURCE);
    ok(count_keys("/lu/") == 1 && count_keys("/lu-name/") == 1, "%s: a record", where);
    ok(count_files("pools/p1/lu") == 1, "%s: %d files", where, count_files("pools/p1/lu"));
}

static void crash(const struct job_kind *kind, json_t *(*data)(void), int status,
                  const char *(*fresh)(void), void (*check)(const char *, int))
{
    const struct job_crash here = {.kind = kind,
                                   .object = "lu \"web\"",
                                   .data = data,
                                   .status = status,
                                   .context = &node,
                                   .fresh = fresh,
                                   .check = check};
    job_crash_everywhere(&here, status != VIOS_OK);
}

static void is_synced(const struct job_kind *kind, json_t *data)
{
    struct operation operation;
    json_t *result = NULL;
    char path[128];
    make_source_world();
    snprintf(path, sizeof path, "%.90s/pools/p1/lu", world);
    synced_begin(path);
    is_int(run_job(kind, data, &result, &operation), VIOS_OK);
    json_decref(result);
    const char *named = strstr(synced(), "temporary link:" UDID ".0 folder");
    ok(named != NULL, "%s: %s", kind->name, synced());
}

static void what_is_published_is_on_the_disk(void)
{
    is_synced(&lu_create_job, create_data());
    is_synced(&lu_clone_job, clone_data());
}

static void it_is_made_whatever_happens(void)
{
    crash(&lu_create_job, create_data, VIOS_OK, make_pool_world, check_made);
}

static void it_is_cloned_whatever_happens(void)
{
    crash(&lu_clone_job, clone_data, VIOS_OK, make_source_world, check_cloned);
}

static void it_is_removed_whatever_happens(void)
{
    crash(&lu_remove_job, remove_data, VIOS_OK, make_source_world, check_none);
}

static int fail(struct job *job)
{
    return operation_fail(&job->operation, VIOS_E_INVALID, job->object, NULL, "it must fail");
}

/* The steps before the commit point, and one that fails. */
static const struct job_kind *failing(const struct job_kind *kind)
{
    static struct job_step steps[8];
    static struct job_kind failing_kind;
    memcpy(steps, kind->steps, kind->commit_point * sizeof *steps);
    steps[kind->commit_point] = (struct job_step){"fail", fail, NULL};
    failing_kind = (struct job_kind){kind->name, steps, kind->commit_point + 1,
                                     kind->commit_point + 1, .is_local = false};
    return &failing_kind;
}

static void a_failed_one_leaves_nothing(void)
{
    crash(failing(&lu_create_job), create_data, VIOS_E_INVALID, make_pool_world, check_none);
}

static void a_failed_clone_leaves_its_source(void)
{
    crash(failing(&lu_clone_job), clone_data, VIOS_E_INVALID, make_source_world, check_source_only);
}

static int clone_from(const char *lpar, const char *record, struct operation *operation)
{
    json_t *result = NULL;
    make_pool_world();
    put_source(lpar);
    put("/lpar/g1", record);
    int status = run_job(&lu_clone_job, clone_data(), &result, operation);
    json_decref(result);
    return status;
}

static void a_running_guests_disk_is_not_cloned(void)
{
    struct operation operation;
    is_int(clone_from("g1", "{\"v\":1,\"owner\":{\"node\":\"n2\",\"incarnation\":3}}", &operation),
           VIOS_E_CONFLICT);
    is_text(operation.error.object, "lu \"old\"");
    is_text(operation.error.message, "lpar \"g1\" is running on it");
    check_source_only("a running guest's", 0);
    is_int(clone_from("g1", "{\"v\":1,\"owner\":null}", &operation), VIOS_OK);
    check_cloned("a stopped guest's", 0);
    is_int(clone_from("gone", "{\"v\":1}", &operation), VIOS_OK);
}

static int remove_of(const char *lpar, const char *image, struct operation *operation)
{
    char record[400];
    json_t *result = NULL;
    make_pool_world();
    snprintf(record, sizeof record,
             "{\"v\":1,\"name\":\"old\",\"pool\":\"p1\",\"file\":\"f\",\"size_bytes\":%d,"
             "\"state\":\"ready\",\"lpar\":\"%s\",\"image\":\"%s\"}",
             SIZE, lpar, image);
    put("/lu/" SOURCE, record);
    int status = run_job(&lu_remove_job, remove_data(), &result, operation);
    json_decref(result);
    return status;
}

static void what_is_used_is_not_removed(void)
{
    struct operation operation;
    is_int(remove_of("g1", "", &operation), VIOS_E_CONFLICT);
    is_text(operation.error.message, "it is a disk of lpar \"g1\"");
    is_text(operation.error.hint, "remove that first: lpar remove g1");
    check_ready("a disk", SOURCE);
    is_int(remove_of("", UDID, &operation), VIOS_E_CONFLICT);
    is_text(operation.error.message, "it is a file of an image");
    check_ready("an image's", SOURCE);
    is_int(remove_of("", "", &operation), VIOS_OK);
    make_pool_world(); /* somebody was faster */
    json_t *result = NULL;
    is_int(run_job(&lu_remove_job, remove_data(), &result, &operation), VIOS_OK);
    json_decref(result);
}

static void a_pool_that_is_not_mounted_takes_none(void)
{
    struct operation operation;
    json_t *result = NULL;
    char path[160];
    make_source_world();
    snprintf(path, sizeof path, "%s/pools/p1/pool.json", world);
    unlink(path);
    is_int(run_job(&lu_create_job, create_data(), &result, &operation), VIOS_E_INVALID);
    is_text(operation.error.object, "pool \"p1\"");
    ok(strstr(operation.error.message, "it is not mounted on this node") != NULL, "%s",
       operation.error.message);
    is_int(run_job(&lu_remove_job, remove_data(), &result, &operation), VIOS_E_INVALID);
    check_source_only("not mounted", 0);
}

/* --- larger --- */

static json_t *resize_data(void)
{
    return json_pack("{s:s, s:i}", "udid", SOURCE, "size_bytes", 2 * SIZE);
}

static off_t source_size(void)
{
    char path[256];
    struct stat status = {0};
    snprintf(path, sizeof path, "%s/pools/p1/lu/" SOURCE ".3", world);
    is_int(stat(path, &status), 0);
    return status.st_size;
}

static void check_size(const char *where, off_t size)
{
    struct lu lu = {.size_bytes = 0};
    check_source_only(where, 0);
    is_int(load(SOURCE, &lu), VIOS_OK);
    ok(lu.size_bytes == (uint64_t)size, "%s: the record has %llu", where,
       (unsigned long long)lu.size_bytes);
    ok(source_size() == size, "%s: the file has %lld", where, (long long)source_size());
}

static void check_larger(const char *where, int status)
{
    (void)status;
    check_size(where, 2 * SIZE);
}

static void check_as_before(const char *where, int status)
{
    (void)status;
    check_size(where, SIZE);
}

static void it_grows_whatever_happens(void)
{
    crash(&lu_resize_job, resize_data, VIOS_OK, make_source_world, check_larger);
}

static void one_that_failed_is_cut_back(void)
{
    crash(failing(&lu_resize_job), resize_data, VIOS_E_INVALID, make_source_world, check_as_before);
}

static int guest_fails;
static uint64_t guest_told;

static int resized(struct node *where, const char *lpar, const char *udid, uint64_t size_bytes,
                   bool *told, struct operation *operation)
{
    ok(where == &node && strcmp(lpar, "g1") == 0 && strcmp(udid, SOURCE) == 0, "%s %s", lpar, udid);
    guest_told = size_bytes;
    *told = !guest_fails;
    return guest_fails ? operation_fail(operation, guest_fails, "lpar \"g1\"", NULL, "it is deaf")
                       : VIOS_OK;
}

static void its_guest_is_told(void)
{
    static const struct lu_guest_operations guests = {resized};
    struct operation operation;
    json_t *result = NULL;
    for (int fails = 0; fails < 2; fails++) {
        make_pool_world();
        put_source("g1");
        node.lu_guests = &guests;
        guest_told = 0;
        guest_fails = fails ? VIOS_E_TIMEOUT : VIOS_OK;
        is_int(run_job(&lu_resize_job, resize_data(), &result, &operation), VIOS_OK);
        node.lu_guests = NULL;
        is_int((int)guest_told, 2 * SIZE);
        is_text(json_string_value(json_object_get(result, "guest")), fails ? "it is deaf" : "told");
        check_size("told", 2 * SIZE);
        json_decref(result);
    }
}

static void it_never_shrinks(void)
{
    struct operation operation;
    json_t *result = NULL;
    make_source_world();
    json_t *data = json_pack("{s:s, s:i}", "udid", SOURCE, "size_bytes", SIZE / 2);
    is_int(run_job(&lu_resize_job, data, &result, &operation), VIOS_E_INVALID);
    is_text(operation.error.object, "lu \"old\"");
    is_text(operation.error.message,
            "it has 1 MiB, and what a guest wrote at its end would be lost");
    check_size("not shrunk", SIZE);
}

int main(void)
{
    RUN(it_grows_whatever_happens);
    RUN(one_that_failed_is_cut_back);
    RUN(its_guest_is_told);
    RUN(it_never_shrinks);
    RUN(what_is_published_is_on_the_disk);
    RUN(it_is_made_whatever_happens);
    RUN(it_is_cloned_whatever_happens);
    RUN(it_is_removed_whatever_happens);
    RUN(a_failed_one_leaves_nothing);
    RUN(a_failed_clone_leaves_its_source);
    RUN(a_running_guests_disk_is_not_cloned);
    RUN(what_is_used_is_not_removed);
    RUN(a_pool_that_is_not_mounted_takes_none);
    end_world();
    return tap_done();
}
