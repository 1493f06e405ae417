/* test_index.c - the index of what is kept: what comes behind a number, what was dropped, and that
 * only what is later than all others is taken. */
#include "event/index.h"
#include "tests/unit/event/world.h"

#define MANY 5000

/* The i-th of many: revision 10, 12, 14 ... with 1 to 7 events. */
static struct event_record record_of(size_t i)
{
    struct event_record record = {.revision = 10 + 2 * (int64_t)i, .count = 1 + i % 7};
    snprintf(record.node, sizeof record.node, "n%zu", i % 3);
    snprintf(record.name, sizeof record.name, "file-%zu", i);
    return record;
}

static struct event_index *index_of(size_t count)
{
    struct event_index *index = event_index_new();
    for (size_t i = 0; i < count; i++) {
        struct event_record record = record_of(i);
        is_int(event_index_add(index, &record, NULL), VIOS_OK);
    }
    return index;
}

/* What comes behind `sequence` is the i-th. */
static void is_after(struct event_index *index, int64_t sequence, size_t i)
{
    struct event_record found = {0}, want = record_of(i);
    bool any = event_index_after(index, sequence, &found);
    ok(any && strcmp(found.name, want.name) == 0, "behind %lld is %s, want %s", (long long)sequence,
       found.name, want.name);
}

static bool has(struct event_index *index, const char *of, const char *name)
{
    struct event_names names;
    is_int(event_index_names(index, of, &names, NULL), VIOS_OK);
    bool found = event_names_has(&names, name);
    event_names_clear(&names);
    return found;
}

static void an_empty_one_has_nothing(void)
{
    struct event_record record;
    struct event_index *index = event_index_new();
    ok(!event_index_after(index, 0, &record), "a record");
    ok(!has(index, "n0", "file-0"), "a name");
    is_int(event_index_events(index), 0);
    is_int(event_index_dropped(index), 0);
    is_int(event_index_restores(index), 0);
    event_index_drop(index, 5);
    is_int(event_index_dropped(index), 5);
    event_index_free(index);
    event_index_free(NULL);
}

static void what_comes_behind_a_number_is_found(void)
{
    struct event_record record;
    struct event_index *index = index_of(MANY);
    is_after(index, 0, 0);
    is_after(index, INT64_MIN, 0);
    for (size_t i = 0; i < MANY; i++) {
        struct event_record here = record_of(i);
        is_after(index, event_sequence(here.revision, 0) - 1, i);
        is_after(index, event_record_last(&here) - 1, i);
        if (i + 1 < MANY) {
            is_after(index, event_record_last(&here), i + 1);
            is_after(index, event_sequence(here.revision + 1, 0), i + 1);
        }
    }
    struct event_record last = record_of(MANY - 1);
    ok(!event_index_after(index, event_record_last(&last), &record), "one behind the last");
    ok(!event_index_after(index, INT64_MAX, &record), "one behind all");
    event_index_free(index);
}

static void names_are_of_their_producer(void)
{
    struct event_index *index = index_of(100);
    ok(has(index, "n0", "file-99"), "the last");
    ok(has(index, "n0", "file-0"), "the first");
    ok(!has(index, "n1", "file-0"), "of another node");
    ok(!has(index, "n0", "file-100"), "one that is not there");
    event_index_free(index);
}

static void events_are_counted(void)
{
    size_t events = 0;
    struct event_index *index = index_of(MANY);
    for (size_t i = 0; i < MANY; i++) {
        events += record_of(i).count;
    }
    is_int(event_index_events(index), events);
    for (size_t i = 0; i < 1000; i++) {
        events -= record_of(i).count;
    }
    struct event_record border = record_of(999);
    event_index_drop(index, event_record_last(&border));
    is_int(event_index_events(index), events);
    event_index_free(index);
}

static void what_is_dropped_is_forgotten(void)
{
    struct event_index *index = index_of(MANY);
    struct event_record border = record_of(2999), next = record_of(3000);
    event_index_drop(index, event_record_last(&border));
    is_int(event_index_dropped(index), event_record_last(&border));
    is_after(index, 0, 3000);
    ok(!has(index, border.node, border.name), "a dropped one");
    ok(has(index, next.node, next.name), "the first that is kept");
    event_index_drop(index, event_record_last(&border) - 1);
    is_int(event_index_dropped(index), event_record_last(&border));
    event_index_free(index);
}

/* One of whose events only some are dropped is kept. */
static void a_part_of_a_record_is_kept(void)
{
    struct event_index *index = index_of(3);
    struct event_record record = record_of(1);
    is_int(record.count, 2);
    event_index_drop(index, event_sequence(record.revision, 0));
    is_after(index, event_index_dropped(index), 1);
    is_int(event_index_events(index), 5);
    event_index_free(index);
}

/* The room of those that are dropped is used again. */
static void it_goes_on_for_ever(void)
{
    struct event_index *index = event_index_new();
    for (size_t i = 0; i < 10 * MANY; i++) {
        struct event_record record = record_of(i);
        is_int(event_index_add(index, &record, NULL), VIOS_OK);
        if (i >= 600) {
            struct event_record old = record_of(i - 600);
            event_index_drop(index, event_record_last(&old));
            is_after(index, 0, i - 599);
        }
    }
    event_index_free(index);
}

static void what_is_not_later_is_left_out(void)
{
    struct event_index *index = index_of(10);
    size_t events = event_index_events(index);
    struct event_record early = record_of(4), again = record_of(9);
    early.revision--;
    is_int(event_index_add(index, &early, NULL), VIOS_OK);
    is_int(event_index_add(index, &again, NULL), VIOS_OK);
    is_int(event_index_events(index), events);
    event_index_drop(index, 1000000);
    struct event_record gone = record_of(11);
    is_int(event_index_add(index, &gone, NULL), VIOS_OK);
    is_int(event_index_events(index), 0);
    event_index_free(index);
}

static void set_forgets_all_others(void)
{
    struct event_index *index = index_of(MANY);
    const struct event_record records[] = {record_of(2), record_of(3), record_of(4)};
    is_int(event_index_set(index, records, 3, event_record_last(&records[0]), NULL), VIOS_OK);
    is_after(index, 0, 3);
    is_int(event_index_dropped(index), event_record_last(&records[0]));
    is_int(event_index_events(index), records[1].count + records[2].count);
    struct event_record next = record_of(5);
    is_int(event_index_add(index, &next, NULL), VIOS_OK);
    is_after(index, event_record_last(&records[2]), 5);
    event_index_free(index);
}

static void it_is_loaded_from_the_store(void)
{
    char names[3][PAYLOAD_NAME_SIZE], json[96];
    int64_t revisions[3];
    struct operation operation;
    struct event_record record;
    struct event_index *index = index_of(5);
    world_new();
    put("/cluster", "{\"v\":1,\"name\":\"c\",\"uuid\":\"" WORLD_UUID "\",\"restores\":2}");
    for (size_t i = 0; i < 3; i++) {
        revisions[i] = make_committed(i == 1 ? "n2" : "n1", 2, names[i]);
    }
    snprintf(json, sizeof json, "{\"v\":1,\"derived\":1,\"dropped\":%lld}",
             (long long)event_sequence(revisions[0], 1));
    put(EVENTS_KEY, json);
    struct store *store = open_store(&operation);
    ok(event_index_load(index, store, &operation) == VIOS_OK, "%s", operation.error.message);
    is_int(event_index_restores(index), 2);
    is_int(event_index_dropped(index), event_sequence(revisions[0], 1));
    is_int(event_index_events(index), 4);
    ok(event_index_after(index, 0, &record) && record.revision == revisions[1], "the second first");
    ok(has(index, "n2", names[1]), "its name");
    node_store_return(&node, store);
    event_index_free(index);
}

/* What was there stays. */
static void a_load_that_fails_says_so(void)
{
    struct operation operation;
    struct event_index *index = index_of(5);
    put(EVENTS_KEY, "{\"v\":1}");
    struct store *store = open_store(&operation);
    is_int(event_index_load(index, store, &operation), VIOS_E_CORRUPT);
    is_text(operation.error.object, EVENTS_KEY);
    is_after(index, 0, 0);
    node_store_return(&node, store);
    event_index_free(index);
}

int main(void)
{
    RUN(an_empty_one_has_nothing);
    RUN(what_comes_behind_a_number_is_found);
    RUN(names_are_of_their_producer);
    RUN(events_are_counted);
    RUN(what_is_dropped_is_forgotten);
    RUN(a_part_of_a_record_is_kept);
    RUN(it_goes_on_for_ever);
    RUN(what_is_not_later_is_left_out);
    RUN(set_forgets_all_others);
    RUN(it_is_loaded_from_the_store);
    RUN(a_load_that_fails_says_so);
    world_end();
    return tap_done();
}
