/*
 * test_takeover.c - taking an LPAR from a fenced node, against a store and, where root may mount
 * it, an XFS that clones; crashes at every step. On an ext4, which does not, time has to pass.
 */
#include "lpar/takeover.h"

#include "base/clock.h"
#include "base/log.h"
#include "storage/lu_file.h"
#include "tests/job_crash.h"
#include "tests/unit/lpar/world.h"

#define UDID "11111111-2222-4333-8444-555555555555"
#define LPAR                                                                                       \
    "{\"v\":1,\"uuid\":\"99999999-2222-4333-8444-555555555555\",\"name\":\"g\",\"generation\":7,"  \
    "\"wanted\":\"running\",%s,\"spec\":{\"machine\":\"pc\",\"accel\":\"tcg\","                    \
    "\"cpu\":\"qemu64\",\"cpus\":1,\"memory_bytes\":16777216,\"boot\":{},\"nics\":[],\"disks\":"   \
    "[{\"id\":\"disk0\",\"slot\":4,%s,\"serial\":\"s\",\"read_only\":false}],"                     \
    "\"serial_console\":true,\"autostart\":false}}"
#define OF_N2 "\"owner\":{\"node\":\"n2\",\"incarnation\":3}"
#define HELD OF_N2 ",\"job\":\"j-9\""
#define ON_LU "\"lu\":\"" UDID "\""

/* --- a world: a store, a repository, one LPAR --- */

static json_t *get(const char *key)
{
    struct operation operation;
    struct store *store = open_store(&operation);
    json_t *record = NULL;
    int64_t revision;
    is_int(node_record(store, key, &record, &revision, &operation), VIOS_OK);
    node_store_return(&node, store);
    return record;
}

static void put_lpar(const char *owner, const char *disk)
{
    char json[1024];
    snprintf(json, sizeof json, LPAR, owner, disk);
    put("/lpar/g", json);
}

static void put_job(const char *kind, int incarnation)
{
    char json[256];
    snprintf(json, sizeof json,
             "{\"v\":1,\"kind\":\"%s\",\"node\":\"n2\",\"incarnation\":%d,\"state\":\"running\"}",
             kind, incarnation);
    put("/job/j-9", json);
}

static void path_of(const char *name, char path[320])
{
    snprintf(path, 320, "%s/lu/%s", pool_folder, name);
}

static const char *world(void)
{
    char path[320];
    world_new();
    path_of("", path);
    mkdir(path, 0700);
    path_of(UDID ".2", path);
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    is_int(write(fd, "contents", 8), 8);
    close(fd);
    put("/lu/" UDID,
        "{\"v\":1,\"name\":\"d\",\"pool\":\"p1\",\"size_bytes\":4096,\"state\":\"ready\","
        "\"file\":\"" UDID ".2\"}");
    put("/fence/n2/3", "{\"v\":1,\"state\":\"free\"}");
    put_lpar(OF_N2, ON_LU);
    return address;
}

static json_t *job_data(void)
{
    return json_pack("{s:s, s:i}", "name", "g", "generation", 7);
}

static int take_over(struct operation *operation)
{
    return run_job(&lpar_takeover_job, job_data(), NULL, operation);
}

static void is_taken(const char *where, int status)
{
    char path[320], contents[16] = "";
    json_t *lpar = get("/lpar/g"), *lu = get("/lu/" UDID);
    (void)status;
    ok(json_is_null(json_object_get(lpar, "owner")), "%s: it is somebody's", where);
    ok(json_is_null(json_object_get(lpar, "job")), "%s: a job holds it", where);
    ok(!json_object_get(lpar, "taken"), "%s: it is not finished", where);
    is_int(json_integer_value(json_object_get(lpar, "generation")), 8);
    is_text(json_string_value(json_object_get(lpar, "wanted")), "stopped");
    is_text(json_string_value(json_object_get(lu, "file")), UDID ".8");
    is_text(json_string_value(json_array_get(json_object_get(lu, "dead"), 0)), UDID ".2");
    is_int((long long)json_array_size(json_object_get(lu, "dead")), 1);
    path_of(UDID ".8", path);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    is_int(read(fd, contents, 8), 8);
    is_text(contents, "contents");
    close(fd);
    unlink(path);
    json_decref(lpar);
    json_decref(lu);
}

/* --- tests --- */

static bool have_grace; /* the pool is on a file system that does not clone */

static void the_disk_has_a_new_file(void)
{
    struct operation operation;
    if (!have_clones) {
        SKIP("no XFS on a loop mount: not root, or no mkfs.xfs");
    }
    world();
    ok(take_over(&operation) == VIOS_OK, "%s", operation.error.message);
    is_taken("once", VIOS_OK);
}

static void one_that_was_begun_goes_on(void)
{
    struct operation operation;
    if (!have_clones) {
        SKIP("no XFS on a loop mount: not root, or no mkfs.xfs");
    }
    world();
    char json[1024];
    snprintf(json, sizeof json, LPAR,
             "\"taken\":{\"node\":\"n2\",\"incarnation\":3},\"owner\":{\"node\":\"n1\","
             "\"incarnation\":1}",
             ON_LU);
    char *generation = strstr(json, "\"generation\":7");
    generation[strlen("\"generation\":")] = '8';
    put("/lpar/g", json);
    ok(take_over(&operation) == VIOS_OK, "%s", operation.error.message);
    is_taken("begun", VIOS_OK);
}

/* By a job that only its node, which is fenced, could go on with. */
static void a_hold_of_a_fenced_node_is_void(void)
{
    static const char *const KINDS[] = {"lpar.start",   "lpar.stop",    "lpar.hibernate",
                                        "lpar.restart", "lpar.migrate", "lpar.cleanup"};
    if (!have_clones) {
        SKIP("no XFS on a loop mount: not root, or no mkfs.xfs");
    }
    for (size_t i = 0; i < sizeof KINDS / sizeof *KINDS; i++) {
        struct operation operation;
        world();
        put_lpar(HELD, ON_LU);
        put_job(KINDS[i], 3);
        ok(take_over(&operation) == VIOS_OK, "%s: %s", KINDS[i], operation.error.message);
        is_taken(KINDS[i], VIOS_OK);
    }
}

static void it_survives_every_crash(void)
{
    if (!have_clones) {
        SKIP("no XFS on a loop mount: not root, or no mkfs.xfs");
    }
    struct job_crash crash = {.kind = &lpar_takeover_job,
                              .object = "lpar \"g\"",
                              .data = job_data,
                              .status = VIOS_OK,
                              .context = &node,
                              .fresh = world,
                              .check = is_taken};
    job_crash_everywhere(&crash, false);
}

static void the_old_owners_last_writes_are_waited_for(void)
{
    struct operation operation;
    if (!have_grace) {
        SKIP("no ext4 on a loop mount: not root, or no mkfs.ext4");
    }
    world();
    int64_t began_ms = clock_now_ms();
    ok(take_over(&operation) == VIOS_OK, "%s", operation.error.message);
    int64_t took_ms = clock_now_ms() - began_ms;
    ok(took_ms >= LU_GRACE_MS, "taken after %lld ms", (long long)took_ms);
    json_t *lu = get("/lu/" UDID);
    is_text(json_string_value(json_object_get(lu, "file")), UDID ".2");
    json_decref(lu);
}

static void refused(int code, const char *message)
{
    struct operation operation;
    is_int(take_over(&operation), code);
    is_text(operation.error.message, message);
}

static void what_is_refused(void)
{
    world();
    put("/fence/n2/3", "{\"v\":1,\"state\":\"closing\"}");
    refused(VIOS_E_LOCKED, "the time of node n2 is not over");
    put("/fence/n2/3", "{\"v\":1,\"state\":\"free\"}");
    put_lpar("\"owner\":null", ON_LU);
    refused(VIOS_E_CONFLICT, "it is nobody else's");
    put_lpar(OF_N2, "\"file\":\"/a\"");
    refused(VIOS_E_INVALID, "its disk disk0 is a file of one node");
    put_lpar(OF_N2, "\"lu\":\"22222222-2222-4333-8444-555555555555\"");
    refused(VIOS_E_NOT_FOUND, "there is no such LU");
    put_lpar(HELD, ON_LU);
    put_job("lpar.stop", 4); /* of the incarnation that came after */
    refused(VIOS_E_LOCKED, "job j-9 is at work on it");
    put_job("image.capture", 3); /* a survivor goes on with it */
    refused(VIOS_E_LOCKED, "job j-9 is at work on it");
    put_lpar(OF_N2, ON_LU);
    put("/fence/n1/1", "{\"v\":1,\"state\":\"closing\"}"); /* the new owner itself is fenced */
    struct operation operation;
    ok(take_over(&operation) != VIOS_OK, "a fenced node takes over");
    json_t *lpar = get("/lpar/g");
    is_int(json_integer_value(json_object_get(lpar, "generation")), 7);
    json_decref(lpar);
}

int main(void)
{
    log_configure(LOG_ERROR, false);
    world_begin();
    RUN(the_disk_has_a_new_file);
    RUN(one_that_was_begun_goes_on);
    RUN(a_hold_of_a_fenced_node_is_void);
    RUN(it_survives_every_crash);
    RUN(what_is_refused);
    have_grace = world_mount(LOOP_EXT4);
    RUN(the_old_owners_last_writes_are_waited_for);
    world_end();
    return tap_done();
}
