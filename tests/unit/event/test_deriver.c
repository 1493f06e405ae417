/* test_deriver.c - whatever is committed becomes an event exactly once and in its order, also when
 * the primary that derives it ends anywhere in between; when the history is gone, that is told. */
#include "base/thread.h"
#include "event/deriver.h"
#include "tests/unit/event/world.h"

#include <dirent.h>

#define NODES 200
#define ENDS 8

static struct event_index *event_list;
static struct deriver *deriver;

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

static void start(void)
{
    struct vios_error error = {0};
    event_index_free(event_list);
    event_list = event_index_new();
    ok(deriver_start(&deriver, &node, event_list, primary_revision(), &error) == VIOS_OK, "%s",
       error.message);
}

static void stop(void)
{
    deriver_stop(deriver);
    deriver = NULL;
}

static void progress_now(struct event_progress *progress)
{
    struct operation operation;
    struct store *store = open_store(&operation);
    is_int(event_progress_read(store, progress, &operation), VIOS_OK);
    event_progress_clear(progress);
    node_store_return(&node, store);
}

/* Waits until something was derived, and more than `dropped` is dropped. */
static void await_progress(int64_t dropped)
{
    struct operation operation;
    struct event_progress progress;
    operation_start(&operation, WORLD_TIMEOUT_MS, NULL);
    do {
        progress_now(&progress);
    } while ((progress.revision == 0 || progress.dropped <= dropped) &&
             operation_sleep(&operation, 20) == VIOS_OK);
    ok(progress.revision > 0 && progress.dropped > dropped, "derived up to %lld, dropped %lld",
       (long long)progress.derived, (long long)progress.dropped);
}

static void begin(void)
{
    world_new();
    start();
    await_progress(-1);
}

static void add_node(size_t i)
{
    char key[64];
    snprintf(key, sizeof key, "/node/m%zu", i);
    put(key, "{\"v\":1}");
}

/* Waits for events that say that m0, m1 ... were added, and nothing else. */
static void are_added(size_t count)
{
    struct operation operation;
    json_t *seen = world_events();
    operation_start(&operation, WORLD_TIMEOUT_MS, NULL);
    while (json_array_size(seen) < count && operation_sleep(&operation, 20) == VIOS_OK) {
        json_decref(seen);
        seen = world_events();
    }
    is_int(json_array_size(seen), (long long)count);
    for (size_t i = 0; i < json_array_size(seen); i++) {
        char name[24];
        const json_t *event = json_object_get(json_array_get(seen, i), "event");
        snprintf(name, sizeof name, "m%zu", i);
        is_text(json_get_text(event, "object"), name);
        is_text(json_get_text(event, "operation"), "added");
    }
    json_decref(seen);
}

static size_t count_files(void)
{
    size_t count = 0;
    const struct dirent *entry;
    char path[PATH_MAX];
    is_int(event_file_path(&node, "n1", NULL, path, NULL), VIOS_OK);
    DIR *listing = opendir(path);
    while (listing && (entry = readdir(listing)) != NULL) {
        count += payload_name_is_valid(entry->d_name, NULL);
    }
    if (listing) {
        closedir(listing);
    }
    return count;
}

/* --- tests --- */

static void what_is_there_is_no_news(void)
{
    world_new();
    put("/node/old", "{\"v\":1}");
    put("/alive/old", "{\"v\":1,\"incarnation\":3}");
    start();
    await_progress(-1);
    add_node(0);
    are_added(1);
    put("/alive/old", "{\"v\":1,\"incarnation\":3,\"n\":2}");
    add_node(1);
    are_added(2);
    stop();
    stop();
}

static void *add_many(void *argument)
{
    (void)argument;
    for (size_t i = 0; i < NODES; i++) {
        add_node(i);
    }
    return NULL;
}

static void each_commit_is_one_event(void)
{
    pthread_t thread;
    begin();
    is_int(thread_start(&thread, "commit", add_many, NULL), 0);
    for (size_t i = 0; i < ENDS; i++) {
        struct operation operation;
        operation_start(&operation, WORLD_TIMEOUT_MS, NULL);
        operation_sleep(&operation, 15 * (int64_t)i);
        stop();
        start();
    }
    pthread_join(thread, NULL);
    are_added(NODES);
    add_node(NODES); /* nothing comes late, or twice, before it */
    are_added(NODES + 1);
    stop();
    is_int(count_files(), count_records());
}

static void the_next_primary_goes_on(void)
{
    struct operation operation;
    begin();
    add_node(0);
    are_added(1);
    stop();
    add_node(1);
    add_node(2);
    put("/primary", "{\"v\":1,\"node\":\"n1\",\"epoch\":1,\"state\":\"committed\",\"x\":1}");
    start();
    are_added(3);
    operation_start(&operation, WORLD_TIMEOUT_MS, NULL);
    while (event_index_events(event_list) < 3 && operation_sleep(&operation, 20) == VIOS_OK) {
    }
    is_int(event_index_events(event_list), 3);
    stop();
}

/* Who is not the primary any more derives nothing, and leaves no file behind. */
static void who_was_deposed_derives_nothing(void)
{
    struct operation operation;
    begin();
    put("/primary", "{\"v\":1,\"node\":\"n2\",\"epoch\":1,\"state\":\"committed\"}");
    add_node(0);
    operation_start(&operation, 300, NULL);
    operation_sleep(&operation, 250);
    stop();
    is_int(count_records(), 0);
    is_int(count_files(), 0);
    start();
    are_added(1);
    stop();
}

static void the_repository_comes_back(void)
{
    char path[160], aside[160];
    begin();
    snprintf(path, sizeof path, "%s/" REPOSITORY_MARKER, repository);
    snprintf(aside, sizeof aside, "%s/aside", repository);
    is_int(rename(path, aside), 0);
    add_node(0);
    add_node(1);
    is_int(rename(aside, path), 0);
    are_added(2);
    stop();
}

static void a_lost_history_is_told(void)
{
    struct operation operation;
    struct store_list list;
    struct event_progress progress;
    int64_t revision;
    begin();
    stop();
    add_node(7);
    struct store *store = open_store(&operation);
    is_int(store_list(store, "/events", &list, &revision, &operation), VIOS_OK);
    store_list_clear(&list);
    is_int(store_compact(store, revision, &operation), VIOS_OK);
    node_store_return(&node, store);
    start();
    await_progress(0);
    progress_now(&progress);
    is_int(progress.dropped, event_sequence(revision, PAYLOAD_EVENTS_MAX - 1));
    is_int(progress.derived, revision);
    add_node(0);
    are_added(1);
    is_int(event_index_dropped(event_list), progress.dropped);
    stop();
}

int main(void)
{
    RUN(what_is_there_is_no_news);
    RUN(each_commit_is_one_event);
    RUN(the_next_primary_goes_on);
    RUN(who_was_deposed_derives_nothing);
    RUN(the_repository_comes_back);
    RUN(a_lost_history_is_told);
    event_index_free(event_list);
    world_end();
    return tap_done();
}
