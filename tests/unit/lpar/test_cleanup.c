/* test_cleanup.c - what hibernations of an LPAR left goes, and nothing else, after a crash
 * anywhere; what it could go on from stays, and so does all of one whose record is damaged. */
#include "lpar/cleanup.h"
#include "lpar/record.h"
#include "storage/repository.h"

#include "base/file.h"
#include "base/log.h"
#include "tests/job_crash.h"
#include "tests/node_world.h"
#include "tests/unit/lpar/least.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define CLUSTER "11111111-2222-4333-8444-555555555555"
#define CURRENT "g-7-0a1b2c3d"

static char world[128];
static const char *const LEFT[] = {"g-7-00000000", "g-123-ffffffff", ".g-7-0a1b2c3d.77.tmp"};
static const char *const OTHERS[] = {"g2-7-0a1b2c3d", "g-7-0a1b2c3g",   "g-7-0a1b2c3d0",
                                     "g--0a1b2c3d",   "g-7-8-0a1b2c3d", ".g-7-0a1b2c3dx.tmp"};
#define COUNT(list) (sizeof(list) / sizeof *(list))

static char *path_of(const char *file, char path[256])
{
    snprintf(path, 256, "%s/hibernation/%s", world, file);
    return path;
}

static bool is_there(const char *file)
{
    char path[256];
    return access(path_of(file, path), F_OK) == 0;
}

static void make(const char *file)
{
    char path[256];
    FILE *opened = fopen(path_of(file, path), "w");
    if (!opened || fclose(opened) != 0) {
        exit(1);
    }
}

static void put_lpar(enum lpar_wanted wanted)
{
    struct lpar lpar;
    least_lpar(&lpar, "g");
    lpar.generation = 7;
    lpar.wanted = wanted;
    char *json = lpar_format(&lpar);
    put("/lpar/g", json);
    free(json);
}

/* "g" is hibernated, of generation 7; its record says `generation`. */
static void put_saved(int generation)
{
    char json[400];
    snprintf(json, sizeof json,
             "{\"v\":1,\"generation\":%d,\"lu\":\"" CURRENT "\",\"content\":\"memory\","
             "\"size_bytes\":1,\"memory_bytes\":1,\"file\":\"" CLUSTER "\",\"node\":\"n1\","
             "\"time\":\"2026-01-01T00:00:00Z\",\"encrypted\":false}",
             generation);
    put("/hibernation/g", json);
}

static const char *fresh(void)
{
    static int count;
    char path[170], folder[256];
    snprintf(world, sizeof world, "%s/%d", tap_folder(), count++);
    mkdir(world, 0755);
    mkdir(path_of("", folder), 0755);
    snprintf(path, sizeof path, "%s/" REPOSITORY_MARKER, world);
    FILE *marker = fopen(path, "w");
    if (!marker || fputs("{\"v\":1,\"cluster\":\"c\",\"uuid\":\"" CLUSTER "\"}", marker) < 0 ||
        fclose(marker) != 0) {
        exit(1);
    }
    is_int(config_set(node.config, "repository", world, NULL), VIOS_OK);
    snprintf(path, sizeof path, "%s/db", world);
    make_store(path);
    put("/cluster", "{\"v\":1,\"name\":\"c\",\"uuid\":\"" CLUSTER "\"}");
    put_lpar(LPAR_HIBERNATED);
    put_saved(7);
    make(CURRENT);
    for (size_t i = 0; i < COUNT(LEFT); i++) {
        make(LEFT[i]);
    }
    for (size_t i = 0; i < COUNT(OTHERS); i++) {
        make(OTHERS[i]);
    }
    return address;
}

static json_t *job_data(void)
{
    return json_pack("{s:s}", "name", "g");
}

static bool has_record(void)
{
    bool has = false;
    struct operation operation;
    struct store *store = open_store(&operation);
    is_int(node_has_record(store, "/hibernation/g", &has, &operation), VIOS_OK);
    node_store_return(&node, store);
    return has;
}

static void is_free(const char *where)
{
    struct lpar lpar;
    struct operation operation;
    struct store *store = open_store(&operation);
    is_int(lpar_load(store, "g", &lpar, &operation), VIOS_OK);
    node_store_return(&node, store);
    ok(!lpar.job[0], "%s: a job holds it", where);
}

/* `kept`: what it could go on from is there; else that went, with its record. */
static void check_all(const char *where, bool left, bool kept)
{
    for (size_t i = 0; i < COUNT(LEFT); i++) {
        ok(is_there(LEFT[i]) == left, "%s: %s", where, LEFT[i]);
    }
    for (size_t i = 0; i < COUNT(OTHERS); i++) {
        ok(is_there(OTHERS[i]), "%s: %s is gone", where, OTHERS[i]);
    }
    ok(is_there(CURRENT) == kept, "%s: its file", where);
    ok(has_record() == kept, "%s: its record", where);
    is_free(where);
}

static void is_clean(const char *where, int status)
{
    (void)status;
    check_all(where, false, true);
}

static int run(json_t **result)
{
    struct operation operation;
    return run_job(&lpar_cleanup_job, job_data(), result, &operation);
}

static void what_is_left_goes(void)
{
    json_t *result = NULL;
    fresh();
    is_int(run(&result), VIOS_OK);
    is_clean("once", VIOS_OK);
    is_int((long long)json_array_size(json_object_get(result, "removed")), COUNT(LEFT));
    json_decref(result);
    is_int(run(&result), VIOS_OK);
    is_clean("twice", VIOS_OK);
    is_int((long long)json_array_size(json_object_get(result, "removed")), 0);
    json_decref(result);
}

static void what_is_void_goes_with_its_record(void)
{
    fresh();
    put_saved(6);
    is_int(run(NULL), VIOS_OK);
    check_all("older", false, false);
    fresh();
    put_lpar(LPAR_STOPPED);
    is_int(run(NULL), VIOS_OK);
    check_all("stopped", false, false);
    fresh();
    put_lpar(LPAR_STOPPED);
    put("/hibernation/g", "{\"v\":1}");
    is_int(run(NULL), VIOS_OK);
    check_all("damaged, and of no use", false, false);
}

static void a_damaged_record_protects_all_files(void)
{
    fresh();
    put("/hibernation/g", "{\"v\":1}");
    is_int(run(NULL), VIOS_E_CORRUPT);
    check_all("damaged", true, true);
}

static void what_cannot_be_removed_is_told_and_kept(void)
{
    char path[256];
    struct operation operation;
    fresh();
    put_lpar(LPAR_STOPPED);
    unlink(path_of(CURRENT, path));
    mkdir(path, 0755);
    ok(run_job(&lpar_cleanup_job, job_data(), NULL, &operation) < 0, "it is no file");
    is_text(operation.error.object, CURRENT);
    check_all("a folder", false, true);
    rmdir(path);
}

static void it_survives_every_crash(void)
{
#ifdef VIOS_TEST_HOOKS
    struct job_crash crash = {.kind = &lpar_cleanup_job,
                              .object = "lpar \"g\"",
                              .data = job_data,
                              .status = VIOS_OK,
                              .context = &node,
                              .fresh = fresh,
                              .check = is_clean};
    job_crash_everywhere(&crash, false);
#else
    SKIP("needs VARIANT=test");
#endif
}

int main(void)
{
    node.config = config_new();
    RUN(what_is_left_goes);
    RUN(what_is_void_goes_with_its_record);
    RUN(a_damaged_record_protects_all_files);
    RUN(what_cannot_be_removed_is_told_and_kept);
    RUN(it_survives_every_crash);
    store_pool_free(node.stores);
    config_free(node.config);
    file_remove_tree(tap_folder(), NULL);
    return tap_done();
}
