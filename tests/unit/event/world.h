/*
 * world.h - a node with a SQLite store and a repository of its cluster, for tests of core/event;
 * events that carry a number, payload files made by hand, and what everybody can see of them.
 */
#ifndef TESTS_UNIT_EVENT_WORLD_H
#define TESTS_UNIT_EVENT_WORLD_H

#include "base/clock.h"
#include "base/json.h"
#include "event/event_file.h"
#include "event/publish.h"
#include "event/record.h"
#include "storage/repository.h"
#include "tests/node_world.h"

#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>

#define WORLD_UUID "99999999-2222-4333-8444-555555555555"
#define WORLD_TIMEOUT_MS 20000

static char world[96], repository[128];

__attribute__((unused)) static void world_end(void)
{
    store_pool_free(node.stores);
    config_free(node.config);
    if (node.state_dir_fd > 0) {
        close(node.state_dir_fd);
    }
}

/* A new store, with a primary, a new state_dir and a new repository. */
__attribute__((unused)) static void world_new(void)
{
    static int count;
    char path[160];
    struct operation operation;
    snprintf(world, sizeof world, "%s/w%d", tap_folder(), count++);
    snprintf(repository, sizeof repository, "%s/repository", world);
    mkdir(world, 0700);
    mkdir(repository, 0700);
    snprintf(path, sizeof path, "%s/db", world);
    make_store(path);
    snprintf(path, sizeof path, "%s/state", world);
    mkdir(path, 0700);
    if (node.state_dir_fd > 0) {
        close(node.state_dir_fd);
    }
    node.state_dir_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    config_free(node.config);
    node.config = config_new();
    is_int(config_set(node.config, "repository", repository, NULL), VIOS_OK);
    node.incarnation = 1;
    put("/cluster", "{\"v\":1,\"name\":\"c\",\"uuid\":\"" WORLD_UUID "\"}");
    put("/primary", "{\"v\":1,\"node\":\"n1\",\"epoch\":1,\"state\":\"committed\"}");
    struct store *store = open_store(&operation);
    is_int(repository_check(&node, store, true, &operation), VIOS_OK);
    node_store_return(&node, store);
}

/* --- payload files --- */

/* A payload of `producer` with `count` events, whose objects are "o0", "o1" ... payload_clear()
 * it. */
__attribute__((unused)) static void make_payload(struct payload *payload, const char *producer,
                                                 int64_t incarnation, size_t count)
{
    *payload = (struct payload){.incarnation = incarnation, .epoch = 7};
    snprintf(payload->cluster, sizeof payload->cluster, "c");
    snprintf(payload->node, sizeof payload->node, "%s", producer);
    payload_name(payload);
    for (size_t i = 0; i < count; i++) {
        char object[24];
        snprintf(object, sizeof object, "o%zu", i);
        const struct event event = {.class = "test", .object = object, .operation = "made"};
        is_int(event_to_json(&event, 1764158400000, &payload->events[payload->count++], NULL),
               VIOS_OK);
    }
}

/* Writes the file of such a payload; its name is put into `name`. */
__attribute__((unused)) static void make_file(const char *producer, int64_t incarnation,
                                              size_t count, int64_t derived,
                                              char name[PAYLOAD_NAME_SIZE])
{
    struct payload payload;
    struct vios_error error = {0};
    make_payload(&payload, producer, incarnation, count);
    payload.derived = derived;
    ok(event_file_write(&node, &payload, &error) == VIOS_OK, "%s", error.message);
    snprintf(name, PAYLOAD_NAME_SIZE, "%s", payload.name);
    payload_clear(&payload);
}

/* The path of a payload file. */
__attribute__((unused)) static const char *file_path(const char *producer, const char *name)
{
    static char path[PATH_MAX];
    is_int(event_file_path(&node, producer, name, path, NULL), VIOS_OK);
    return path;
}

/* The record of a payload file; `wall_ms` 0: now. Its revision. */
__attribute__((unused)) static int64_t make_record(const char *producer, const char *name,
                                                   size_t count, int64_t wall_ms)
{
    char key[EVENT_KEY_SIZE], json[128];
    struct operation operation;
    int64_t revision = 0;
    struct store *store = open_store(&operation);
    struct store_change change = {.key = key, .json = json};
    event_record_key(producer, name, key);
    snprintf(json, sizeof json, "{\"v\":1,\"count\":%zu,\"wall_ms\":%lld}", count,
             (long long)(wall_ms ? wall_ms : clock_wall_ms()));
    is_int(store_commit(store, NULL, 0, &change, 1, &revision, &operation), VIOS_OK);
    node_store_return(&node, store);
    return revision;
}

/* A file and its record. */
__attribute__((unused)) static int64_t make_committed(const char *producer, size_t count,
                                                      char name[PAYLOAD_NAME_SIZE])
{
    make_file(producer, 1, count, 0, name);
    return make_record(producer, name, count, 0);
}

/* --- what everybody sees --- */

/* Appends the events of a record to `seen`, as {"seq", "node", "event"}. */
static void world_read(const struct event_record *record, json_t *seen)
{
    struct payload payload;
    struct vios_error error = {0};
    ok(event_file_read(&node, record->node, record->name, &payload, &error) == VIOS_OK, "%s: %s",
       record->name, error.message);
    is_int(payload.count, record->count);
    for (size_t i = 0; i < payload.count; i++) {
        json_array_append_new(seen, json_pack("{s:I, s:s, s:O}", "seq",
                                              (json_int_t)event_sequence(record->revision, i),
                                              "node", record->node, "event", payload.events[i]));
    }
    payload_clear(&payload);
}

/* All events in their order; json_decref() it. */
__attribute__((unused)) static json_t *world_events(void)
{
    struct operation operation;
    struct event_record *records;
    size_t count;
    json_t *seen = json_array();
    struct store *store = open_store(&operation);
    is_int(event_records_list(store, &records, &count, NULL, &operation), VIOS_OK);
    for (size_t i = 0; i < count; i++) {
        world_read(&records[i], seen);
    }
    free(records);
    node_store_return(&node, store);
    return seen;
}

__attribute__((unused)) static size_t count_records(void)
{
    struct operation operation;
    struct event_record *records;
    size_t count;
    struct store *store = open_store(&operation);
    is_int(event_records_list(store, &records, &count, NULL, &operation), VIOS_OK);
    free(records);
    node_store_return(&node, store);
    return count;
}

#endif
