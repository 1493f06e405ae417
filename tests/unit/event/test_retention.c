/* test_retention.c - old events go by their count and by their age, and no others; nobody but the
 * primary deletes records; a file without a record goes when nobody will go on with it. */
#include "event/retention.h"
#include "tests/unit/event/world.h"

#define NOW_MS 1764158400000
#define FULL (RETENTION_EVENTS / PAYLOAD_EVENTS_MAX) /* whole records that are kept for sure */

/* `count` records of 128 events, the i-th committed `step_ms` after the one before, the last at
 * NOW_MS. */
static struct event_index *index_of(size_t count, int64_t step_ms)
{
    struct event_index *index = event_index_new();
    for (size_t i = 0; i < count; i++) {
        const struct event_record record = {.revision = 1 + (int64_t)i,
                                            .node = "n1",
                                            .count = PAYLOAD_EVENTS_MAX,
                                            .wall_ms = NOW_MS - (int64_t)(count - 1 - i) * step_ms};
        is_int(event_index_add(index, &record, NULL), VIOS_OK);
    }
    return index;
}

static void few_and_young_ones_stay(void)
{
    struct event_index *index = index_of(FULL, 1);
    is_int(retention_choose(index, NOW_MS), 0);
    event_index_drop(index, 200);
    is_int(retention_choose(index, NOW_MS), 200);
    event_index_free(index);
    index = index_of(0, 0);
    is_int(retention_choose(index, NOW_MS), 0);
    event_index_free(index);
}

/* Not one by one, but when there are RETENTION_SLACK of them. */
static void too_many_go(void)
{
    struct event_index *index = index_of(FULL + 8, 1);
    is_int(event_index_events(index), 100992);
    is_int(retention_choose(index, NOW_MS), 0);
    event_index_free(index);
    index = index_of(FULL + 9, 1);
    int64_t dropped = retention_choose(index, NOW_MS);
    is_int(dropped, event_sequence(9, PAYLOAD_EVENTS_MAX - 1));
    event_index_drop(index, dropped);
    ok(event_index_events(index) <= RETENTION_EVENTS, "%zu are left", event_index_events(index));
    is_int(retention_choose(index, NOW_MS), dropped);
    event_index_free(index);
}

static void old_ones_go(void)
{
    struct event_index *index = index_of(10, 86400000);
    is_int(retention_choose(index, NOW_MS), event_sequence(2, PAYLOAD_EVENTS_MAX - 1));
    is_int(retention_choose(index, NOW_MS + 1), event_sequence(3, PAYLOAD_EVENTS_MAX - 1));
    is_int(retention_choose(index, NOW_MS - 20 * 86400000LL), 0);
    is_int(retention_choose(index, NOW_MS + 100 * 86400000LL),
           event_sequence(10, PAYLOAD_EVENTS_MAX - 1));
    event_index_free(index);
}

/* --- removing --- */

static bool is_there(const char *producer, const char *name)
{
    return access(file_path(producer, name), F_OK) == 0;
}

static int64_t primary_revision(void)
{
    struct operation operation;
    struct store_value value = {0};
    struct store *store = open_store(&operation);
    is_int(store_get(store, "/primary", &value, &operation), VIOS_OK);
    int64_t revision = value.revision;
    store_value_clear(&value);
    node_store_return(&node, store);
    return revision;
}

static int remove_to(int64_t dropped, int64_t revision, struct vios_error *error)
{
    struct operation operation;
    struct store *store = open_store(&operation);
    int status = retention_remove(&node, store, dropped, revision, &operation);
    *error = operation.error;
    node_store_return(&node, store);
    return status;
}

static void what_is_dropped_is_removed(void)
{
    char names[6][PAYLOAD_NAME_SIZE];
    int64_t revisions[6];
    struct vios_error error = {0};
    world_new();
    for (size_t i = 0; i < 6; i++) {
        revisions[i] = make_committed(i % 2 ? "n2" : "n1", 2, names[i]);
    }
    is_int(unlink(file_path("n2", names[1])), 0);      /* somebody was here before */
    int64_t dropped = event_sequence(revisions[3], 0); /* one of its two */
    ok(remove_to(dropped, primary_revision(), &error) == VIOS_OK, "%s", error.message);
    is_int(count_records(), 3);
    for (size_t i = 0; i < 6; i++) {
        ok(is_there(i % 2 ? "n2" : "n1", names[i]) == (i > 2), "file %zu", i);
    }
    ok(remove_to(dropped, primary_revision(), &error) == VIOS_OK, "again: %s", error.message);
    is_int(count_records(), 3);
    json_t *seen = world_events();
    is_int(json_array_size(seen), 6);
    json_decref(seen);
}

/* More than fit into one commit. */
static void many_are_removed(void)
{
    struct vios_error error = {0};
    world_new();
    for (size_t i = 0; i < STORE_CHANGES_MAX + 5; i++) {
        struct payload payload = {.incarnation = 1};
        payload_name(&payload);
        make_record("n1", payload.name, 1, 0);
    }
    ok(remove_to(INT64_MAX, primary_revision(), &error) == VIOS_OK, "%s", error.message);
    is_int(count_records(), 0);
}

static void only_the_primary_removes(void)
{
    char name[PAYLOAD_NAME_SIZE];
    struct vios_error error = {0};
    world_new();
    make_committed("n1", 1, name);
    int64_t revision = primary_revision();
    put("/primary", "{\"v\":1,\"node\":\"n2\",\"epoch\":2,\"state\":\"committed\"}");
    is_int(remove_to(INT64_MAX, revision, &error), VIOS_E_CONFLICT);
    is_int(count_records(), 1);
    is_int(remove_to(0, revision, &error), VIOS_OK); /* there is nothing to remove */
}

static void a_file_that_cannot_be_removed_keeps_its_record(void)
{
    char name[PAYLOAD_NAME_SIZE];
    struct vios_error error = {0};
    world_new();
    make_committed("n1", 1, name);
    is_int(unlink(file_path("n1", name)), 0);
    is_int(mkdir(file_path("n1", name), 0700), 0);
    ok(remove_to(INT64_MAX, primary_revision(), &error) != VIOS_OK, "it is removed");
    ok(strstr(error.message, "cannot remove") != NULL, "%s", error.message);
    is_int(count_records(), 1);
}

/* --- orphans --- */

static void make_old(const char *producer, const char *name, int64_t age_ms)
{
    const time_t then = (time_t)((clock_wall_ms() - age_ms) / 1000);
    const struct timespec times[2] = {{.tv_sec = then}, {.tv_sec = then}};
    is_int(utimensat(AT_FDCWD, file_path(producer, name), times, 0), 0);
}

static void make_other(const char *name, int64_t age_ms)
{
    close(open(file_path("n1", name), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
    make_old("n1", name, age_ms);
}

static void only_old_orphans_of_ended_incarnations_go(void)
{
    char gone[PAYLOAD_NAME_SIZE], young[PAYLOAD_NAME_SIZE], present[PAYLOAD_NAME_SIZE],
        later[PAYLOAD_NAME_SIZE], committed[PAYLOAD_NAME_SIZE], unknown[PAYLOAD_NAME_SIZE];
    struct operation operation;
    world_new();
    make_file("n1", 3, 1, 0, gone);
    make_old("n1", gone, RETENTION_ORPHAN_MS + 60000);
    make_file("n1", 3, 1, 0, young);
    make_old("n1", young, RETENTION_ORPHAN_MS - 600000);
    make_file("n1", 4, 1, 0, present);
    make_old("n1", present, 10 * RETENTION_ORPHAN_MS);
    make_file("n1", 5, 1, 0, later);
    make_old("n1", later, 10 * RETENTION_ORPHAN_MS);
    make_committed("n1", 1, committed); /* incarnation 1 */
    make_old("n1", committed, 10 * RETENTION_ORPHAN_MS);
    make_file("n7", 1, 1, 0, unknown);
    make_old("n7", unknown, 10 * RETENTION_ORPHAN_MS);
    make_other("note.txt", 10 * RETENTION_ORPHAN_MS);
    make_other("3-x.damaged", RETENTION_AGE_MS + 60000);
    make_other("4-x.damaged", RETENTION_AGE_MS - 600000);
    make_other(".3-x.1.0.tmp", RETENTION_ORPHAN_MS + 60000);
    make_other(".4-x.1.0.tmp", RETENTION_ORPHAN_MS - 600000);
    json_t *up = json_pack("{s:i, s:i}", "n1", 4, "n2", 9);
    struct event_index *index = event_index_new();
    struct store *store = open_store(&operation);
    is_int(event_index_load(index, store, &operation), VIOS_OK);
    node_store_return(&node, store);
    ok(retention_sweep(&node, index, up, clock_wall_ms(), &operation) == VIOS_OK, "%s",
       operation.error.message);
    ok(!is_there("n1", gone), "an old orphan");
    ok(is_there("n1", young), "a young orphan");
    ok(is_there("n1", present), "one of the present incarnation");
    ok(is_there("n1", later), "one of a later incarnation");
    ok(is_there("n1", committed), "one with a record");
    ok(!is_there("n7", unknown), "one of a node that is no member any more");
    ok(is_there("n1", "note.txt"), "what is no payload file");
    ok(!is_there("n1", "3-x.damaged"), "a damaged one, long ago");
    ok(is_there("n1", "4-x.damaged"), "a damaged one");
    ok(!is_there("n1", ".3-x.1.0.tmp"), "what was never finished");
    ok(is_there("n1", ".4-x.1.0.tmp"), "what is being written");
    event_index_free(index);
    json_decref(up);
}

int main(void)
{
    RUN(few_and_young_ones_stay);
    RUN(too_many_go);
    RUN(old_ones_go);
    RUN(what_is_dropped_is_removed);
    RUN(many_are_removed);
    RUN(only_the_primary_removes);
    RUN(a_file_that_cannot_be_removed_keeps_its_record);
    RUN(only_old_orphans_of_ended_incarnations_go);
    world_end();
    return tap_done();
}
