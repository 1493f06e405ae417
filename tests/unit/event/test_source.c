/* test_source.c - events are read in the order of their numbers, from any number on; what cannot be
 * had is a gap that is told, and nothing is given twice or left out. */
#include "base/thread.h"
#include "event/source.h"
#include "node/others.h"
#include "tests/unit/event/world.h"

/* Stands in for the producer's daemon, which has this text of each file; NULL: it is down. */
static char *producer_has;

int others_ask(struct node *where, const char *name, const char *method, json_t *parameters,
               json_t **result, struct operation *operation)
{
    (void)where;
    is_text(method, "daemon.event_payload");
    is_text(name, "n1");
    json_decref(parameters);
    *result = producer_has ? json_pack("{s:s}", "text", producer_has) : NULL;
    return producer_has ? VIOS_OK
                        : operation_fail(operation, VIOS_E_UNREACHABLE, name, NULL, "it is down");
}

static struct event_source *open_source(int64_t after)
{
    struct operation operation;
    struct event_source *source = NULL;
    operation_start(&operation, WORLD_TIMEOUT_MS, NULL);
    ok(event_source_open(&source, &node, after, &operation) == VIOS_OK, "%s",
       operation.error.message);
    return source;
}

/* payload_clear() the batch. */
static int next(struct event_source *source, struct event_batch *batch)
{
    struct operation operation;
    operation_start(&operation, WORLD_TIMEOUT_MS, NULL);
    int status = event_source_next(source, batch, &operation);
    ok(status == VIOS_OK, "%s", operation.error.message);
    return status;
}

/* The next batch is this file, from its event `first` on. */
static void gives(struct event_source *source, const char *producer, const char *name,
                  int64_t revision, size_t first)
{
    struct event_batch batch;
    next(source, &batch);
    ok(!batch.gap, "a gap: %s", batch.why);
    is_text(batch.record.node, producer);
    is_text(batch.record.name, name);
    is_text(batch.payload.name, name);
    is_int(batch.record.revision, revision);
    is_int(batch.first, first);
    is_int(batch.sequence, event_record_last(&batch.record));
    is_int(event_source_after(source), batch.sequence);
    payload_clear(&batch.payload);
}

static void gives_gap(struct event_source *source, int64_t sequence, bool damaged, const char *why)
{
    struct event_batch batch;
    next(source, &batch);
    ok(batch.gap && batch.payload.count == 0, "no gap");
    ok(batch.damaged == damaged, "damaged: %d", batch.damaged);
    is_int(batch.sequence, sequence);
    is_int(event_source_after(source), sequence);
    ok(strstr(batch.why, why) != NULL, "why: %s", batch.why);
    payload_clear(&batch.payload);
}

/* Nothing comes for a moment. */
static void gives_nothing(struct event_source *source)
{
    struct operation operation;
    struct event_batch batch;
    ok(!event_source_waits(source), "something waits");
    operation_start(&operation, 50, NULL);
    is_int(event_source_next(source, &batch, &operation), VIOS_E_TIMEOUT);
    payload_clear(&batch.payload);
}

static char names[8][PAYLOAD_NAME_SIZE];
static int64_t revisions[8];
static const char *const PRODUCERS[] = {"n3", "n1", "n2", "n1", "a", "n1", "n2", "n1"};

/* A new world with `count` of them, each of 3 events. */
static void make_some(size_t count)
{
    world_new();
    for (size_t i = 0; i < count; i++) {
        revisions[i] = make_committed(PRODUCERS[i], 3, names[i]);
    }
}

static void give_from(struct event_source *source, size_t from, size_t to)
{
    for (size_t i = from; i < to; i++) {
        gives(source, PRODUCERS[i], names[i], revisions[i], 0);
    }
}

static void set_dropped(int64_t dropped)
{
    char json[96];
    snprintf(json, sizeof json, "{\"v\":1,\"derived\":1,\"dropped\":%lld}", (long long)dropped);
    put(EVENTS_KEY, json);
}

static void they_come_in_their_order(void)
{
    make_some(5);
    struct event_source *source = open_source(0);
    ok(event_source_waits(source), "nothing waits");
    give_from(source, 0, 5);
    gives_nothing(source);
    revisions[5] = make_committed(PRODUCERS[5], 3, names[5]);
    revisions[6] = make_committed(PRODUCERS[6], 3, names[6]);
    give_from(source, 5, 7);
    gives_nothing(source);
    event_source_close(source);
    event_source_close(NULL);
}

static void they_begin_behind_a_number(void)
{
    make_some(4);
    struct event_source *source = open_source(event_sequence(revisions[1], 2));
    give_from(source, 2, 4);
    event_source_close(source);
    source = open_source(event_sequence(revisions[1], 1));
    gives(source, PRODUCERS[1], names[1], revisions[1], 2);
    give_from(source, 2, 4);
    event_source_close(source);
    source = open_source(event_sequence(revisions[3], 2));
    gives_nothing(source);
    event_source_close(source);
}

static void now_leaves_out_what_is_there(void)
{
    make_some(4);
    struct event_source *source = open_source(EVENT_SOURCE_NOW);
    is_int(event_source_after(source), event_sequence(revisions[3], 2));
    gives_nothing(source);
    revisions[4] = make_committed(PRODUCERS[4], 3, names[4]);
    give_from(source, 4, 5);
    event_source_close(source);
    world_new();
    source = open_source(EVENT_SOURCE_NOW);
    is_int(event_source_after(source), 0);
    gives_nothing(source);
    event_source_close(source);
}

static void recent_ones_are_the_last(void)
{
    make_some(3);
    struct event_source *source = open_source(EVENT_SOURCE_RECENT);
    is_int(event_source_after(source), 0);
    give_from(source, 0, 3);
    event_source_close(source);
    for (size_t i = 0; i < SOURCE_RECENT_FILES - 1; i++) {
        struct payload payload = {.incarnation = 1};
        payload_name(&payload);
        make_record("n9", payload.name, 1, 0); /* its file is of no interest */
    }
    source = open_source(EVENT_SOURCE_RECENT);
    is_int(event_source_after(source), event_sequence(revisions[1], 2));
    gives(source, PRODUCERS[2], names[2], revisions[2], 0);
    event_source_close(source);
}

static void what_is_dropped_is_a_gap(void)
{
    make_some(4);
    int64_t dropped = event_sequence(revisions[1], 2);
    set_dropped(dropped);
    struct event_source *source = open_source(0);
    ok(event_source_waits(source), "nothing waits");
    gives_gap(source, dropped, false, "older events are not kept any more");
    give_from(source, 2, 4);
    gives_nothing(source);
    event_source_close(source);
    source = open_source(dropped);
    give_from(source, 2, 4);
    event_source_close(source);
    source = open_source(EVENT_SOURCE_RECENT); /* who asks for no number lost nothing */
    give_from(source, 2, 4);
    event_source_close(source);
}

static void a_damaged_file_is_a_gap(void)
{
    make_some(3);
    is_int(truncate(file_path(PRODUCERS[1], names[1]), 50), 0);
    struct event_source *source = open_source(0);
    give_from(source, 0, 1);
    struct event_batch batch;
    next(source, &batch);
    ok(batch.gap && batch.damaged, "no gap of a damaged one");
    is_text(batch.record.name, names[1]);
    is_int(batch.sequence, event_sequence(revisions[1], 2));
    is_text(batch.why, "its first line is no header");
    payload_clear(&batch.payload);
    give_from(source, 2, 3);
    event_source_close(source);
}

/* Of another node's folder, or with another count than its record says. */
static void a_file_of_another_place_is_a_gap(void)
{
    char other[PAYLOAD_NAME_SIZE], path[PATH_MAX];
    world_new();
    make_file("n1", 1, 2, 0, other);
    revisions[0] = make_record("n1", other, 3, 0);
    make_file("n2", 1, 1, 0, names[1]);
    snprintf(path, sizeof path, "%s", file_path("n2", names[1]));
    is_int(rename(path, file_path("n1", names[1])), 0);
    revisions[1] = make_record("n1", names[1], 1, 0);
    struct event_source *source = open_source(0);
    gives_gap(source, event_sequence(revisions[0], 2), true,
              "it has another count of events than its record");
    gives_gap(source, event_sequence(revisions[1], 0), true,
              "it is of another cluster, node or name than its place says");
    event_source_close(source);
}

static void *appear_later(void *argument)
{
    struct operation operation;
    operation_start(&operation, WORLD_TIMEOUT_MS, NULL);
    operation_sleep(&operation, 200);
    is_int(rename(argument, file_path(PRODUCERS[0], names[0])), 0);
    return NULL;
}

/* What cannot be read here is asked for there; also that is looked at. */
static void its_producer_is_asked(void)
{
    char *path;
    size_t size;
    struct payload payload;
    world_new();
    make_payload(&payload, "n1", 1, 3);
    is_int(payload_format(&payload, &producer_has, &size, NULL), VIOS_OK);
    revisions[0] = make_record("n1", payload.name, 3, 0);
    struct event_source *source = open_source(0);
    gives(source, "n1", payload.name, revisions[0], 0);
    revisions[1] = make_committed("n1", 3, names[1]);
    path = strdup(file_path("n1", names[1]));
    is_int(truncate(path, 20), 0);
    gives_gap(source, event_sequence(revisions[1], 2), true, "its first line is no header");
    event_source_close(source);
    payload_clear(&payload);
    free(producer_has);
    producer_has = NULL;
    free(path);
}

/* As where the folder is cached. A call that ends before goes on later. */
static void a_file_may_appear_later(void)
{
    char aside[200];
    pthread_t thread;
    struct operation operation;
    struct event_batch batch;
    make_some(2);
    snprintf(aside, sizeof aside, "%s/aside", world);
    is_int(rename(file_path(PRODUCERS[0], names[0]), aside), 0);
    struct event_source *source = open_source(0);
    operation_start(&operation, 30, NULL);
    is_int(event_source_next(source, &batch, &operation), VIOS_E_TIMEOUT);
    ok(event_source_waits(source), "it is gone");
    is_int(thread_start(&thread, "appear", appear_later, aside), 0);
    give_from(source, 0, 2);
    pthread_join(thread, NULL);
    event_source_close(source);
}

static void compact(void)
{
    struct operation operation;
    struct store_list list;
    int64_t revision;
    struct store *store = open_store(&operation);
    is_int(store_list(store, "/events", &list, &revision, &operation), VIOS_OK);
    store_list_clear(&list);
    ok(store_compact(store, revision, &operation) == VIOS_OK, "%s", operation.error.message);
    node_store_return(&node, store);
}

/* What was committed meanwhile comes; what was dropped is told. */
static void it_goes_on_after_a_compaction(void)
{
    make_some(2);
    struct event_source *source = open_source(0);
    give_from(source, 0, 2);
    revisions[2] = make_committed(PRODUCERS[2], 3, names[2]);
    revisions[3] = make_committed(PRODUCERS[3], 3, names[3]);
    compact();
    give_from(source, 2, 4);
    gives_nothing(source);
    revisions[4] = make_committed(PRODUCERS[4], 3, names[4]);
    revisions[5] = make_committed(PRODUCERS[5], 3, names[5]);
    set_dropped(event_sequence(revisions[4], 2));
    compact();
    gives_gap(source, event_sequence(revisions[4], 2), false, "older events are not kept any more");
    give_from(source, 5, 6);
    gives_nothing(source);
    event_source_close(source);
}

static void what_is_no_record_is_passed_by(void)
{
    make_some(1);
    struct event_source *source = open_source(0);
    put("/event/n1/other", "{\"v\":1}");
    put("/event/n1/other", NULL);
    revisions[1] = make_committed(PRODUCERS[1], 3, names[1]);
    give_from(source, 0, 2);
    event_source_close(source);
}

static void the_restores_are_those_of_the_cluster(void)
{
    world_new();
    put("/cluster", "{\"v\":1,\"name\":\"c\",\"uuid\":\"" WORLD_UUID "\",\"restores\":5}");
    struct event_source *source = open_source(0);
    is_int(event_source_restores(source), 5);
    event_source_close(source);
}

static void without_a_store_it_is_not_opened(void)
{
    struct operation operation;
    struct event_source *source;
    world_new();
    put(EVENTS_KEY, "{\"v\":1}");
    operation_start(&operation, WORLD_TIMEOUT_MS, NULL);
    is_int(event_source_open(&source, &node, 0, &operation), VIOS_E_CORRUPT);
    is_text(operation.error.object, EVENTS_KEY);
    ok(!source, "a source");
}

int main(void)
{
    RUN(they_come_in_their_order);
    RUN(they_begin_behind_a_number);
    RUN(now_leaves_out_what_is_there);
    RUN(recent_ones_are_the_last);
    RUN(what_is_dropped_is_a_gap);
    RUN(a_damaged_file_is_a_gap);
    RUN(a_file_of_another_place_is_a_gap);
    RUN(its_producer_is_asked);
    RUN(a_file_may_appear_later);
    RUN(it_goes_on_after_a_compaction);
    RUN(what_is_no_record_is_passed_by);
    RUN(the_restores_are_those_of_the_cluster);
    RUN(without_a_store_it_is_not_opened);
    world_end();
    return tap_done();
}
