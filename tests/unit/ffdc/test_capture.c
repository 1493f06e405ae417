/* Proves: a failure that is signalled a thousand times is one incident with one bundle, and counted
 * a thousand times; what cannot reach the repository or the VIOS DB waits on the node, and comes
 * late; old incidents go with their files; a daemon that did not end by itself is noticed, and the
 * recorder of the first crash is kept. */
#include "base/clock.h"
#include "base/file.h"
#include "ffdc/collectors.h"
#include "ffdc/crash.h"
#include "ffdc/ffdc_private.h"
#include "ffdc/incident.h"
#include "tests/node_world.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>

#define UUID "99999999-2222-4333-8444-555555555555"
#define PATIENCE_MS 30000

static char state_dir[160], repository[160];
static atomic_bool db_is_away;
static struct manifest manifest;

static int read_one(const char *correlator)
{
    struct operation operation;
    int64_t revision;
    struct store *store = open_store(&operation);
    int status = incident_read(store, correlator, &manifest, &revision, &operation);
    node_store_return(&node, store);
    return status;
}

static bool is_late_part(void)
{
    return manifest.node_count == 1 && manifest.nodes[0].state == PART_LATE;
}

static bool is_counted(void)
{
    return manifest.count == 1000 && manifest.state == MANIFEST_DONE;
}

/* Until the record of the incident is as wanted. */
static void await(const char *correlator, bool (*wanted)(void))
{
    int64_t end_ms = clock_now_ms() + PATIENCE_MS;
    bool good = false;
    while (!good && clock_now_ms() < end_ms) {
        struct timespec nap = {.tv_nsec = 20 * 1000000L};
        nanosleep(&nap, NULL);
        good = read_one(correlator) == VIOS_OK && wanted();
    }
    ok(good, "incident %s becomes what is wanted", correlator);
}

static bool has(const char *folder, const char *path)
{
    char whole[512];
    struct stat info;
    snprintf(whole, sizeof whole, "%s/ffdc/%s", folder, path);
    return stat(whole, &info) == 0;
}

/* Until it is there, or is not any more. */
static void await_file(const char *folder, const char *path, bool there)
{
    int64_t end_ms = clock_now_ms() + PATIENCE_MS;
    while (has(folder, path) != there && clock_now_ms() < end_ms) {
        struct timespec nap = {.tv_nsec = 20 * 1000000L};
        nanosleep(&nap, NULL);
    }
    ok(has(folder, path) == there, "%s is %sthere", path, there ? "" : "not ");
}

static int count_in(const char *folder)
{
    char path[256];
    int count = 0;
    struct dirent *entry;
    snprintf(path, sizeof path, "%s/ffdc", folder);
    DIR *opened = opendir(path);
    while (opened && (entry = readdir(opened)) != NULL) {
        count += entry->d_name[0] != '.';
    }
    if (opened) {
        closedir(opened);
    }
    return count;
}

static void a_thousand_of_the_same_are_one(void)
{
    char path[300], file[MANIFEST_FILE_SIZE];
    const struct ffdc_signal signal = {.trigger = "it failed",
                                       .component = "test",
                                       .signature = "it failed in test",
                                       .priority = PRIORITY_HIGH};
    for (int i = 0; i < 1000; i++) {
        ffdc_signal(&node, &signal);
    }
    await("1", is_counted);
    is_int(manifest.node_count, 1);
    is_int(manifest.nodes[0].state, PART_OK);
    is_int(read_one("2"), VIOS_E_NOT_FOUND);
    is_int(count_in(repository), 1);
    is_int(count_in(state_dir), 0);
    snprintf(path, sizeof path, "1/n1/%s", manifest_file(&manifest, file));
    ok(has(repository, path), "the bundle is there");
    await_file(repository, "1/" MANIFEST_NAME, true);
}

static void move_away(const char *path)
{
    char away[300];
    snprintf(away, sizeof away, "%s.away", path);
    is_int(rename(path, away), 0);
}

static void move_back(const char *path)
{
    char away[300];
    snprintf(away, sizeof away, "%s.away", path);
    is_int(rename(away, path), 0);
}

static void no_progress(struct call *call, const char *job, int64_t done, int64_t total,
                        const char *unit)
{
    (void)call, (void)job, (void)done, (void)total, (void)unit;
}

static void capture(const char *signature)
{
    const struct call_operations operations = {.progress = no_progress};
    struct call call = {.node = &node, .actor = "test", .operations = &operations};
    struct ffdc_wanted wanted = {.trigger = "test", .component = "test", .count = 1};
    struct operation operation;
    bool repeated;
    snprintf(wanted.signature, sizeof wanted.signature, "%s", signature);
    operation_start(&operation, OPERATION_NO_DEADLINE, NULL);
    is_int(capture_run(node.ffdc, &wanted, &call, &manifest, &repeated, &operation), VIOS_OK);
    is_int(repeated, false);
}

static void what_the_repository_does_not_take_comes_late(void)
{
    move_away(repository);
    capture("without the repository");
    is_text(manifest.correlator, "2");
    is_int(manifest.nodes[0].state, PART_MISSING);
    ok(strstr(manifest.nodes[0].why, "it waits on the node for the repository: ") != NULL, "%s",
       manifest.nodes[0].why);
    ok(has(state_dir, "2/n1"), "the bundle waits");
    move_back(repository);
    await("2", is_late_part);
    ok(strstr(manifest.nodes[0].why, "it waits on the node") != NULL, "it still says why");
    ok(has(repository, "2/n1"), "it is there");
    ok(!has(state_dir, "2"), "and waits no more");
}

static void what_the_db_does_not_take_is_written_later(void)
{
    char correlator[MANIFEST_CORRELATOR_SIZE];
    atomic_store(&db_is_away, true);
    capture("without the VIOS DB");
    memcpy(correlator, manifest.correlator, sizeof correlator);
    ok(correlator[0] == 'x', "%s is of its own making", correlator);
    is_int(manifest.nodes[0].state, PART_OK);
    ok(has(state_dir, correlator), "its manifest waits");
    atomic_store(&db_is_away, false);
    ffdc_poke(node.ffdc);
    await_file(state_dir, correlator, false);
    is_int(read_one(correlator), VIOS_OK);
    is_int(manifest.nodes[0].state, PART_OK);
}

/* As after a collector that ended the daemon, twice. */
static void a_part_is_tried_twice(void)
{
    struct manifest_node entry;
    struct operation operation;
    is_int(read_one("1"), VIOS_OK);
    snprintf(manifest.correlator, sizeof manifest.correlator, "50");
    char *text = manifest_format(&manifest); /* what has no record is dropped */
    put("/incident/50", text);
    free(text);
    is_int(mkdirat(node.ffdc->spool_fd, "50", 0700), 0);
    is_int(mkdirat(node.ffdc->spool_fd, "50/n1", 0700), 0);
    is_int(mkdirat(node.ffdc->spool_fd, "50/n1/.try0", 0700), 0);
    is_int(mkdirat(node.ffdc->spool_fd, "50/n1/.try1", 0700), 0);
    operation_start(&operation, PATIENCE_MS, NULL);
    part_make(node.ffdc, &manifest, false, &entry, &operation);
    is_int(entry.state, PART_MISSING);
    is_text(entry.why, "it could not be captured: 2 tries did not come to their end");
    is_int(unlinkat(node.ffdc->spool_fd, "50/n1/.try1", AT_REMOVEDIR), 0);
    part_make(node.ffdc, &manifest, false, &entry, &operation);
    ok(entry.state == PART_OK, "%s", entry.why);
    ok(!has(state_dir, "50"), "nothing is left of it");
}

/* Records of `count` incidents, numbered from `first` on, like the one read last. */
static void make_incidents(int first, int count)
{
    for (int i = 0; i < count; i++) {
        char key[64];
        snprintf(manifest.correlator, sizeof manifest.correlator, "%d", first + i);
        snprintf(key, sizeof key, "/incident/%d", first + i);
        clock_format(clock_wall_ms() + i, manifest.time);
        char *text = manifest_format(&manifest);
        put(key, text);
        free(text);
    }
}

static void the_oldest_go(void)
{
    struct operation operation;
    int removed = 0;
    is_int(read_one("1"), VIOS_OK);
    make_incidents(100, FFDC_INCIDENTS_MAX);
    operation_start(&operation, PATIENCE_MS, NULL);
    is_int(prune_run(node.ffdc, NULL, 0, &removed, &operation), VIOS_OK);
    is_int(removed, 4);
    is_int(read_one("1"), VIOS_E_NOT_FOUND);
    is_int(read_one("100"), VIOS_OK);
    ok(!has(repository, "1"), "its files are gone");
    is_int(prune_run(node.ffdc, "100", 0, &removed, &operation), VIOS_OK);
    is_int(read_one("100"), VIOS_E_NOT_FOUND);
    is_int(prune_run(node.ffdc, "100", 0, &removed, &operation), VIOS_E_NOT_FOUND);
    is_int(prune_run(node.ffdc, NULL, 1, &removed, &operation), VIOS_OK);
}

/* As `cluster set` writes it; "": nothing is set. */
static void set(const char *setting)
{
    char cluster[160];
    snprintf(cluster, sizeof cluster, "{\"v\":1,\"name\":\"c\",\"uuid\":\"" UUID "\"%s}", setting);
    put("/cluster", cluster);
}

static void they_go_by_quota_and_age(void)
{
    struct operation operation;
    int removed = 0;
    manifest.nodes[0].size_bytes = 1000;
    make_incidents(300, 5);
    operation_start(&operation, PATIENCE_MS, NULL);
    set(",\"ffdc_quota\":2999");
    is_int(prune_run(node.ffdc, NULL, 0, &removed, &operation), VIOS_OK);
    is_int(removed, 3);
    is_int(read_one("302"), VIOS_E_NOT_FOUND);
    is_int(read_one("303"), VIOS_OK);
    set(",\"ffdc_quota\":0");
    is_int(prune_run(node.ffdc, NULL, 0, &removed, &operation), VIOS_OK);
    is_int(removed, 1);
    is_int(read_one("304"), VIOS_OK); /* the newest stays */
    snprintf(manifest.time, sizeof manifest.time, "2026-01-01T00:00:00.000Z");
    snprintf(manifest.correlator, sizeof manifest.correlator, "1");
    char *text = manifest_format(&manifest);
    put("/incident/1", text);
    free(text);
    set(",\"ffdc_age\":315360000000");
    is_int(prune_run(node.ffdc, NULL, 0, &removed, &operation), VIOS_OK);
    is_int(removed, 0);
    set("");
    is_int(prune_run(node.ffdc, NULL, 0, &removed, &operation), VIOS_OK);
    is_int(removed, 1);
    is_int(prune_run(node.ffdc, "304", 0, &removed, &operation), VIOS_OK);
}

static void a_crash_is_noticed(void)
{
    char signature[MANIFEST_SIGNATURE_SIZE], path[200];
    const char *trigger;
    struct recorder *recorder;
    struct vios_error error;
    snprintf(path, sizeof path, "%s/recorder", state_dir);
    is_int(crash_look(node.state_dir_fd, state_dir, &error), VIOS_OK);
    ok(!crash_signal(&node, signature, &trigger), "the first daemon finds nothing");
    is_int(recorder_open(&recorder, path, 16, &error), VIOS_OK);
    recorder_note(recorder, "first", "the last word");
    recorder_close(recorder);
    is_int(crash_look(node.state_dir_fd, state_dir, &error), VIOS_OK);
    ok(crash_signal(&node, signature, &trigger), "the next one does");
    is_text(trigger, "daemon crash");
    is_text(signature, "daemon crash on n1, last in first");
    is_int(recorder_open(&recorder, path, 16, &error), VIOS_OK);
    recorder_note(recorder, "second", "another crash");
    recorder_close(recorder);
    is_int(crash_look(node.state_dir_fd, state_dir, &error), VIOS_OK);
    ok(crash_signal(&node, signature, &trigger), "the first crash is still there");
    is_text(signature, "daemon crash on n1, last in first");
    unlinkat(node.state_dir_fd, COLLECTOR_CRASHED, 0);
    crash_end(node.state_dir_fd);
    is_int(crash_look(node.state_dir_fd, state_dir, &error), VIOS_OK);
    ok(!crash_signal(&node, signature, &trigger), "after a clean end there is nothing");
}

static int refuse(void *context, struct operation *operation)
{
    (void)context;
    return atomic_load(&db_is_away)
               ? operation_fail(operation, VIOS_E_UNREACHABLE, "VIOS DB", NULL, "it is away")
               : VIOS_OK;
}

int main(void)
{
    struct vios_error error;
    char path[160];
    snprintf(state_dir, sizeof state_dir, "%s/state", tap_folder());
    snprintf(repository, sizeof repository, "%s/repository", tap_folder());
    snprintf(path, sizeof path, "%s/vios.db", tap_folder());
    mkdir(state_dir, 0700);
    mkdir(repository, 0700);
    make_store(path);
    store_pool_guard(node.stores, &(struct store_guard){.check = refuse});
    set("");
    node.config = config_new();
    is_int(config_set(node.config, "repository", repository, NULL), VIOS_OK);
    node.state_dir = node.run_dir = state_dir;
    node.state_dir_fd = open(state_dir, O_RDONLY | O_DIRECTORY);
    is_int(ffdc_part.start(&node, &error), VIOS_OK);
    RUN(a_thousand_of_the_same_are_one);
    RUN(what_the_repository_does_not_take_comes_late);
    RUN(what_the_db_does_not_take_is_written_later);
    RUN(a_part_is_tried_twice);
    RUN(the_oldest_go);
    RUN(they_go_by_quota_and_age);
    ffdc_part.stop(&node, false);
    RUN(a_crash_is_noticed);
    close(node.state_dir_fd);
    store_pool_free(node.stores);
    config_free(node.config);
    file_remove_tree(tap_folder(), NULL);
    return tap_done();
}
