/* test_remove.c - the end of an LPAR and of its LUs, refused, done, and after a crash anywhere. */
#include "lpar/create.h"
#include "lpar/remove.h"
#include "storage/lu_store.h"

#include "base/file.h"
#include "base/log.h"
#include "lpar/spec.h"
#include "tests/job_crash.h"
#include "tests/tap.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static struct node node = {.name = "n1", .cluster = "c", .incarnation = 1};
static struct operation operation;
static char world[96], address[128], uuid[UUID_TEXT_SIZE];
static struct lu root, data;

static void write_file(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");
    if (!file || fputs(text, file) < 0 || fclose(file) != 0) {
        exit(1);
    }
}

static char *file_of(const struct lu *lu, int generation, char path[256])
{
    snprintf(path, 256, "%s/pools/p1/lu/%s.%d", world, lu->udid, generation);
    return path;
}

static bool is_there(const struct lu *lu, int generation)
{
    char path[256];
    return access(file_of(lu, generation, path), F_OK) == 0;
}

static void make_pool(struct store *store)
{
    static const char *const folders[] = {"", "/pools", "/pools/p1", "/pools/p1/lu"};
    char path[256], text[256], key[STORE_KEY_MAX];
    struct pool pool = {.name = "p1"};
    uuid_make(pool.uuid);
    for (int i = 0; i < 4; i++) {
        snprintf(path, sizeof path, "%s%s", world, folders[i]);
        mkdir(path, 0755);
    }
    snprintf(path, sizeof path, "%s/pools/p1/" POOL_MARKER, world);
    snprintf(text, sizeof text, "{\"v\":1,\"cluster\":\"c\",\"pool\":\"p1\",\"uuid\":\"%s\"}",
             pool.uuid);
    write_file(path, text);
    char *json = pool_format(&pool);
    struct store_change change = {pool_key("p1", key), json};
    is_int(store_commit(store, NULL, 0, &change, 1, NULL, &operation), VIOS_OK);
    free(json);
}

static void make_lu(struct store *store, const char *name, struct lu *lu)
{
    char path[256], udid[UUID_TEXT_SIZE];
    uuid_make(udid);
    lu_begin(lu, udid, name, "p1", 4096, false);
    snprintf(lu->job, sizeof lu->job, "j-0");
    is_int(lu_reserve(store, lu, &operation), VIOS_OK);
    is_int(lu_publish(store, lu->udid, "j-0", &operation), VIOS_OK);
    write_file(file_of(lu, 0, path), "x");
    write_file(file_of(lu, 1, path), "y");
}

static void make_lpar(struct store *store)
{
    static struct lpar lpar;
    struct lpar_lus found;
    json_t *parameters = json_pack("{s:s, s:I, s:[s, s]}", "name", "g", "memory",
                                   (json_int_t)(16 << 20), "disk", "root", "data");
    is_int(lpar_lus_find(store, parameters, &found, &operation), VIOS_OK);
    is_int(spec_build(parameters, found.lus, found.count, &lpar, &operation.error), VIOS_OK);
    is_int(lpar_create_commit(store, &lpar, found.lus, found.values, found.count, NULL, &operation),
           VIOS_OK);
    snprintf(uuid, sizeof uuid, "%s", lpar.uuid);
    lpar_lus_clear(&found);
    json_decref(parameters);
}

static const char *make_world(void)
{
    static int count;
    struct store *store;
    snprintf(world, sizeof world, "%s/w%d", tap_folder(), count++);
    snprintf(address, sizeof address, "sqlite:%s/db", world);
    mkdir(world, 0755);
    operation_start(&operation, 10000, NULL);
    is_int(config_set(node.config, "repository", world, &operation.error), VIOS_OK);
    is_int(store_open(&store, address, true, &operation), VIOS_OK);
    make_pool(store);
    make_lu(store, "root", &root);
    make_lu(store, "data", &data);
    make_lpar(store);
    struct store_change paging = {"/paging/g", "{\"v\":1}"};
    is_int(store_commit(store, NULL, 0, &paging, 1, NULL, &operation), VIOS_OK);
    store_close(store);
    return address;
}

static struct store *open_store(void)
{
    struct store *store = NULL;
    operation_start(&operation, 20000, NULL);
    is_int(store_open(&store, address, false, &operation), VIOS_OK);
    return store;
}

static json_t *job_data(bool disks)
{
    return json_pack("{s:s, s:s, s:b}", "name", "g", "uuid", uuid, "disks", disks);
}

static int run(bool disks, json_t **result)
{
    struct jobs *jobs;
    char id[JOB_ID_SIZE];
    const struct job_kind *kind = &lpar_remove_job;
    operation_start(&operation, 20000, NULL);
    is_int(jobs_start(&jobs, address, "n1", 1, &kind, 1, &node, &operation.error), VIOS_OK);
    is_int(job_submit(jobs, kind, "lpar \"g\"", job_data(disks), NULL, id, &operation), VIOS_OK);
    int status = job_wait(jobs, id, NULL, NULL, result, &operation);
    jobs_stop(jobs);
    return status;
}

static bool has(struct store *store, const char *key)
{
    struct store_value value = {0};
    bool there = store_get(store, key, &value, &operation) == VIOS_OK;
    store_value_clear(&value);
    return there;
}

static void is_gone(bool disks)
{
    struct lu lu;
    struct store *store = open_store();
    ok(!has(store, "/lpar/g") && !has(store, "/paging/g"), "the LPAR is there");
    ok(has(store, "/lu-name/p1/root") == !disks, "the name of root");
    is_int(lu_load(store, data.udid, &lu, NULL, &operation), disks ? VIOS_E_NOT_FOUND : VIOS_OK);
    if (!disks) {
        is_text(lu.lpar, "");
        is_int(lu.state, LU_READY);
    }
    ok(is_there(&root, 0) == !disks && is_there(&root, 1) == !disks && is_there(&data, 0) == !disks,
       "its files");
    store_close(store);
}

static void is_as_before(void)
{
    struct lu lu;
    static struct lpar lpar;
    struct store *store = open_store();
    is_int(lpar_load(store, "g", &lpar, &operation), VIOS_OK);
    is_text(lpar.job, "");
    is_int(lu_load(store, root.udid, &lu, NULL, &operation), VIOS_OK);
    is_text(lu.lpar, "g");
    is_int(lu.state, LU_READY);
    ok(is_there(&root, 0) && is_there(&data, 0), "its files are gone");
    store_close(store);
}

static void frees_its_lus(void)
{
    json_t *result = NULL;
    make_world();
    is_int(run(false, &result), VIOS_OK);
    is_int(json_array_size(json_object_get(result, "lus")), 2);
    is_text(json_string_value(
                json_object_get(json_array_get(json_object_get(result, "lus"), 0), "name")),
            "root");
    json_decref(result);
    is_gone(false);
}

static void deletes_its_lus(void)
{
    json_t *result = NULL;
    make_world();
    is_int(run(true, &result), VIOS_OK);
    ok(json_is_true(json_object_get(result, "disks_removed")), "no word about its disks");
    json_decref(result);
    is_gone(true);
}

static void change_lpar(const char *owner, const char *job)
{
    static struct lpar lpar;
    struct store *store = open_store();
    is_int(lpar_load(store, "g", &lpar, &operation), VIOS_OK);
    snprintf(lpar.owner, sizeof lpar.owner, "%s", owner);
    snprintf(lpar.job, sizeof lpar.job, "%s", job);
    is_int(lpar_save(store, &lpar, &operation), VIOS_OK);
    store_close(store);
}

static void refuses_what_runs(void)
{
    json_t *result = NULL;
    make_world();
    change_lpar("n2", "");
    is_int(run(true, &result), VIOS_E_CONFLICT);
    is_text(operation.error.object, "lpar \"g\"");
    is_text(operation.error.message, "it runs on node \"n2\"");
    is_text(operation.error.hint, "stop it first: lpar stop g");
    change_lpar("", "");
    is_as_before();
}

static void refuses_a_locked_lu(void)
{
    struct lu lu;
    json_t *result = NULL;
    make_world();
    struct store *store = open_store();
    is_int(lu_hold(store, data.udid, "j-99", 0, &lu, &operation), VIOS_OK);
    is_int(run(false, &result), VIOS_E_LOCKED);
    is_text(operation.error.object, "lu \"data\"");
    is_text(operation.error.message, "job j-99 is at work on it");
    is_int(lu_release(store, data.udid, "j-99", &operation), VIOS_OK);
    store_close(store);
    is_as_before();
}

static void refuses_where_the_pool_is_not(void)
{
    char path[256];
    json_t *result = NULL;
    make_world();
    snprintf(path, sizeof path, "%s/pools/p1/" POOL_MARKER, world);
    unlink(path);
    is_int(run(true, &result), VIOS_E_INVALID);
    is_text(operation.error.object, "pool \"p1\"");
    ok(strstr(operation.error.message, "it is not mounted on this node") != NULL, "%s",
       operation.error.message);
    is_as_before();
    is_int(run(false, &result), VIOS_OK);
    json_decref(result);
    is_gone(false);
}

/* Its name may be used again while the job's last steps are still to come. */
static void another_of_its_name_is_spared(void)
{
    json_t *result = NULL;
    make_world();
    uuid_make(uuid);
    is_int(run(true, &result), VIOS_E_STALE);
    is_text(operation.error.message, "it is another one than a moment ago");
    is_as_before();
}

#ifdef VIOS_TEST_HOOKS
static json_t *data_with_disks(void)
{
    return job_data(true);
}

static json_t *data_without(void)
{
    return job_data(false);
}

static void check_gone(const char *where, int status)
{
    ok(status == VIOS_OK, "%s: %d", where, status);
    is_gone(true);
}

static void check_free(const char *where, int status)
{
    ok(status == VIOS_OK, "%s: %d", where, status);
    is_gone(false);
}

static void survives_a_crash(void)
{
    struct job_crash crash = {.kind = &lpar_remove_job,
                              .object = "lpar \"g\"",
                              .data = data_with_disks,
                              .context = &node,
                              .fresh = make_world,
                              .check = check_gone};
    job_crash_everywhere(&crash, false);
    crash.data = data_without;
    crash.check = check_free;
    job_crash_everywhere(&crash, false);
}
#endif

int main(void)
{
    log_configure(LOG_ERROR, false);
    node.config = config_new();
    RUN(frees_its_lus);
    RUN(deletes_its_lus);
    RUN(refuses_what_runs);
    RUN(refuses_a_locked_lu);
    RUN(refuses_where_the_pool_is_not);
    RUN(another_of_its_name_is_spared);
#ifdef VIOS_TEST_HOOKS
    RUN(survives_a_crash);
#endif
    config_free(node.config);
    file_remove_tree(tap_folder(), NULL);
    return tap_done();
}
