/* test_record.c - the records that number the events: what is none is refused, they are listed in
 * the order of their numbers, and /events comes back as it was noted. */
#include "tests/unit/event/world.h"

#define UUID "00000000-1111-4222-8333-444444444444"

static void numbers_grow_with_the_revision(void)
{
    const struct event_record record = {.revision = 5, .count = 3};
    is_int(event_sequence(1, 0), 128);
    is_int(event_sequence(1, PAYLOAD_EVENTS_MAX - 1), 255);
    is_int(event_sequence(2, 0), 256);
    is_int(event_record_last(&record), 642);
}

static void a_record_comes_back(void)
{
    char key[EVENT_KEY_SIZE], longest[NAME_MAX_LENGTH + 1], *json = event_record_value(128);
    struct event_record record;
    int64_t before_ms = clock_wall_ms();
    memset(longest, 'n', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    event_record_key(longest, "9223372036854775807-" UUID, key);
    ok(store_key_is_valid(key), "%s", key);
    const struct store_value value = {.key = key, .json = json, .revision = 9, .created = 7};
    is_int(event_record_parse(&value, &record, NULL), VIOS_OK);
    is_text(record.node, longest);
    is_text(record.name, "9223372036854775807-" UUID);
    is_int(record.revision, 7);
    is_int(record.count, 128);
    ok(record.wall_ms > before_ms - 60000 && record.wall_ms <= clock_wall_ms(), "its time");
    free(json);
}

static void what_is_no_record_is_refused(void)
{
    static const char GOOD[] = "{\"v\":1,\"count\":1,\"wall_ms\":5}";
    static const struct {
        const char *key, *json;
    } WRONG[] = {
        {"/event/n1", GOOD},
        {"/event/", GOOD},
        {"/event//4-" UUID, GOOD},
        {"/event/n1/4", GOOD},
        {"/event/n1/4-" UUID "/x", GOOD},
        {"/event/n1/x/4-" UUID, GOOD},
        {"/event/-/4-" UUID, GOOD},
        {"/event/nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn/4-" UUID, GOOD},
        {"/event/n1/99999999999999999999999999999999999999-" UUID, GOOD},
        {"/event/n1/4-" UUID, "{\"v\":2,\"count\":1,\"wall_ms\":5}"},
        {"/event/n1/4-" UUID, "{\"count\":1,\"wall_ms\":5}"},
        {"/event/n1/4-" UUID, "{\"v\":1,\"count\":0,\"wall_ms\":5}"},
        {"/event/n1/4-" UUID, "{\"v\":1,\"count\":129,\"wall_ms\":5}"},
        {"/event/n1/4-" UUID, "{\"v\":1,\"wall_ms\":5}"},
        {"/event/n1/4-" UUID, "{\"v\":1,\"count\":1,\"wall_ms\":-1}"},
        {"/event/n1/4-" UUID, "{\"v\":1,\"count\":1}"},
        {"/event/n1/4-" UUID, "[]"},
        {"/event/n1/4-" UUID, "{"},
    };
    for (size_t i = 0; i < sizeof WRONG / sizeof WRONG[0]; i++) {
        char key[200], json[64];
        struct event_record record;
        struct vios_error error = {0};
        snprintf(key, sizeof key, "%s", WRONG[i].key);
        snprintf(json, sizeof json, "%s", WRONG[i].json);
        const struct store_value value = {.key = key, .json = json, .created = 1};
        ok(event_record_parse(&value, &record, &error) == VIOS_E_CORRUPT, "taken: %s %s", key,
           json);
        is_text(error.message, "it is no record of a payload file");
        is_text(error.hint, "run \"vios db check\"");
    }
}

/* Whatever their names are. What is no record is left out. */
static void they_are_listed_in_their_order(void)
{
    static const char *const PRODUCERS[] = {"n3", "n1", "n2", "n1", "a"};
    char names[5][PAYLOAD_NAME_SIZE];
    int64_t revisions[5], revision = 0;
    struct event_record *records;
    struct operation operation;
    size_t count;
    world_new();
    for (size_t i = 0; i < 5; i++) {
        struct payload payload = {.incarnation = 9 - (int64_t)i};
        payload_name(&payload);
        snprintf(names[i], sizeof names[i], "%s", payload.name);
        revisions[i] = make_record(PRODUCERS[i], names[i], i + 1, 0);
    }
    put("/event/n1/other", "{\"v\":1}");
    struct store *store = open_store(&operation);
    is_int(event_records_list(store, &records, &count, &revision, &operation), VIOS_OK);
    is_int(count, 5);
    is_int(revision, revisions[4] + 1);
    for (size_t i = 0; i < count; i++) {
        is_text(records[i].node, PRODUCERS[i]);
        is_text(records[i].name, names[i]);
        is_int(records[i].revision, revisions[i]);
        is_int(records[i].count, i + 1);
    }
    free(records);
    node_store_return(&node, store);
}

static void none_is_a_list_too(void)
{
    struct operation operation;
    struct event_record *records;
    size_t count = 5;
    world_new();
    struct store *store = open_store(&operation);
    is_int(event_records_list(store, &records, &count, NULL, &operation), VIOS_OK);
    is_int(count, 0);
    free(records);
    node_store_return(&node, store);
}

static void a_list_that_fails_says_so(void)
{
    struct operation operation;
    struct event_record *records;
    struct cancel *cancel = cancel_new();
    size_t count;
    struct store *store = open_store(&operation);
    cancel_trigger(cancel);
    operation_start(&operation, 10000, cancel);
    is_int(event_records_list(store, &records, &count, NULL, &operation), VIOS_E_CANCELLED);
    ok(!records && count == 0, "something is listed");
    node_store_return(&node, store);
    cancel_free(cancel);
}

/* --- /events --- */

static int read_progress(struct event_progress *progress, struct vios_error *error)
{
    struct operation operation;
    struct store *store = open_store(&operation);
    int status = event_progress_read(store, progress, &operation);
    node_store_return(&node, store);
    *error = operation.error;
    return status;
}

static void progress_comes_back(void)
{
    struct event_progress progress, next;
    struct vios_error error;
    world_new();
    is_int(read_progress(&progress, &error), VIOS_OK);
    ok(progress.revision == 0 && progress.derived == 0 && progress.dropped == 0 && !progress.known,
       "something is known already");
    progress.derived = 17;
    progress.dropped = 2048;
    progress.known = json_pack("{s:{s:i}, s:i}", "up", "n1", 4, "epoch", 7);
    char *text = event_progress_value(&progress);
    put(EVENTS_KEY, text);
    is_int(read_progress(&next, &error), VIOS_OK);
    is_int(next.derived, 17);
    is_int(next.dropped, 2048);
    ok(next.revision > 0, "no revision");
    is_int(json_get_integer(json_object_get(next.known, "up"), "n1"), 4);
    event_progress_clear(&next);
    event_progress_clear(&progress);
    event_progress_clear(&progress);
    free(text);
}

/* What was read is written on with other numbers: these count, not those that were read. */
static void progress_goes_on(void)
{
    struct event_progress progress;
    struct vios_error error;
    is_int(read_progress(&progress, &error), VIOS_OK);
    progress.derived = 18;
    char *text = event_progress_value(&progress);
    put(EVENTS_KEY, text);
    free(text);
    event_progress_clear(&progress);
    is_int(read_progress(&progress, &error), VIOS_OK);
    is_int(progress.derived, 18);
    is_int(progress.dropped, 2048);
    event_progress_clear(&progress);
}

static void corrupt_progress_is_refused(void)
{
    static const char *const WRONG[] = {"{\"v\":1}", "{\"v\":1,\"derived\":1}",
                                        "{\"v\":1,\"derived\":-1,\"dropped\":0}",
                                        "{\"v\":1,\"derived\":1,\"dropped\":\"0\"}"};
    for (size_t i = 0; i < sizeof WRONG / sizeof WRONG[0]; i++) {
        struct event_progress progress;
        struct vios_error error = {0};
        put(EVENTS_KEY, WRONG[i]);
        ok(read_progress(&progress, &error) == VIOS_E_CORRUPT, "taken: %s", WRONG[i]);
        is_text(error.message, "it does not say what became an event, and what is kept");
        is_text(error.object, EVENTS_KEY);
        event_progress_clear(&progress);
    }
}

static void restores_are_those_of_the_cluster(void)
{
    struct operation operation;
    int64_t restores = -1;
    world_new();
    struct store *store = open_store(&operation);
    is_int(event_restores(store, &restores, &operation), VIOS_OK);
    is_int(restores, 0);
    put("/cluster", "{\"v\":1,\"name\":\"c\",\"restores\":3}");
    is_int(event_restores(store, &restores, &operation), VIOS_OK);
    is_int(restores, 3);
    put("/cluster", NULL);
    is_int(event_restores(store, &restores, &operation), VIOS_E_NOT_FOUND);
    node_store_return(&node, store);
}

int main(void)
{
    RUN(numbers_grow_with_the_revision);
    RUN(a_record_comes_back);
    RUN(what_is_no_record_is_refused);
    RUN(they_are_listed_in_their_order);
    RUN(none_is_a_list_too);
    RUN(a_list_that_fails_says_so);
    RUN(progress_comes_back);
    RUN(progress_goes_on);
    RUN(corrupt_progress_is_refused);
    RUN(restores_are_those_of_the_cluster);
    world_end();
    return tap_done();
}
