/*
 * test_caller_registry.c - the registered callers as the primary knows them: who is found, also a
 * moment after it was registered; what they have seen is saved, many in one commit, also when
 * somebody else writes their records meanwhile; who is gone.
 */
#include "event/caller_registry.h"

#include "base/clock.h"
#include "base/file.h"
#include "base/json.h"
#include "tests/node_world.h"

#include <poll.h>

#define LIMIT_MS 20000
#define MANY 200

static struct caller_registry *registry;
static atomic_int changes;

static void count_change(void *context)
{
    (void)context;
    atomic_fetch_add(&changes, 1);
}

static void register_caller(const char *id, char token[CALLER_TOKEN_SIZE])
{
    struct event_filter filter = {0};
    struct operation operation;
    struct store *store = open_store(&operation);
    is_int(caller_register(store, id, &filter, "uid:0", token, &operation), VIOS_OK);
    node_store_return(&node, store);
}

/* Its record, and its revision; the caller's. */
static json_t *record_of(const char *id, int64_t *revision)
{
    char key[CALLER_KEY_SIZE];
    struct operation operation;
    struct store *store = open_store(&operation);
    json_t *record = NULL;
    caller_key(id, key);
    (void)node_record(store, key, &record, revision, &operation);
    node_store_return(&node, store);
    return record;
}

static int64_t saved_of(const char *id)
{
    json_t *record = record_of(id, NULL);
    int64_t seen = json_get_integer(record, "seen");
    json_decref(record);
    return seen;
}

static void await_saved(const char *id, int64_t sequence)
{
    int64_t until_ms = clock_now_ms() + LIMIT_MS;
    while (saved_of(id) != sequence && clock_now_ms() < until_ms) {
        poll(NULL, 0, 5);
    }
    is_int(saved_of(id), sequence);
}

/* Waits until it is found, or (`there` false) is not; released by the caller. */
static struct registered *await_found(const char *id, const char *token, bool there)
{
    int64_t until_ms = clock_now_ms() + LIMIT_MS;
    struct registered *found = registry_find(registry, id, token);
    while ((found != NULL) != there && clock_now_ms() < until_ms) {
        registered_release(found);
        poll(NULL, 0, 2);
        found = registry_find(registry, id, token);
    }
    ok((found != NULL) == there, "%s is %sthere", id, found ? "" : "not ");
    return found;
}

static void unregister(const char *id)
{
    char key[CALLER_KEY_SIZE];
    caller_key(id, key);
    put(key, NULL);
}

static void who_is_there_is_found(void)
{
    char token[CALLER_TOKEN_SIZE], later[CALLER_TOKEN_SIZE];
    register_caller("early", token);
    ok(!registry_find(registry, "early", token), "it is closed");
    is_int(registry_open(registry, 3, NULL), VIOS_OK);
    struct registered *found = await_found("early", token, true);
    ok(!registry_find(registry, "early", "00"), "another token");
    ok(!registry_find(registry, "nobody", token), "another id");
    is_int(registry_seen(registry, found).sequence, 0);
    registered_release(found);
    register_caller("later", later);
    registered_release(await_found("later", later, true));
}

/* Without waiting for the watcher. */
static void a_check_reads_anew(void)
{
    char token[CALLER_TOKEN_SIZE];
    int64_t until_ms = clock_now_ms() + LIMIT_MS;
    register_caller("checked", token);
    uint64_t ticket = registry_check(registry, "checked");
    ok(ticket > 0, "a ticket");
    while (!registry_checked(registry, ticket) && clock_now_ms() < until_ms) {
        poll(NULL, 0, 1);
    }
    struct registered *found = registry_find(registry, "checked", token);
    ok(found != NULL, "it is found");
    registered_release(found);
    ticket = registry_check(registry, "nobody");
    while (!registry_checked(registry, ticket) && clock_now_ms() < until_ms) {
        poll(NULL, 0, 1);
    }
    ok(registry_checked(registry, ticket), "also who is not there is looked up");
}

static void what_many_have_seen_is_saved_together(void)
{
    static char tokens[MANY][CALLER_TOKEN_SIZE];
    struct registered *found[MANY];
    char id[16];
    int64_t before = 0, after = 0;
    for (int i = 0; i < MANY; i++) {
        snprintf(id, sizeof id, "many%d", i);
        register_caller(id, tokens[i]);
    }
    for (int i = 0; i < MANY; i++) {
        snprintf(id, sizeof id, "many%d", i);
        found[i] = await_found(id, tokens[i], true);
    }
    json_decref(record_of(id, &before));
    for (int i = 0; i < MANY; i++) {
        registry_note_seen(registry, found[i], 100 + i);
        registry_note_seen(registry, found[i], 50); /* it does not go back */
    }
    for (int i = 0; i < MANY; i++) {
        snprintf(id, sizeof id, "many%d", i);
        await_saved(id, 100 + i);
        is_int(registry_seen(registry, found[i]).restores, 3);
        registered_release(found[i]);
    }
    json_t *record = record_of(id, &after);
    is_int(json_get_integer(record, "restores"), 3);
    json_decref(record);
    ok(after - before <= 4, "in %lld commits", (long long)(after - before));
}

static void another_writer_is_no_obstacle(void)
{
    char token[CALLER_TOKEN_SIZE], key[CALLER_KEY_SIZE];
    register_caller("busy", token);
    caller_key("busy", key);
    struct registered *found = await_found("busy", token, true);
    for (int i = 1; i <= 3; i++) {
        json_t *record = record_of("busy", NULL);
        char *text = json_into_text(record);
        put(key, text); /* another revision than the keeper knows */
        registry_note_seen(registry, found, 1000 + i);
        free(text);
        await_saved("busy", 1000 + i);
    }
    ok(!atomic_load(&found->gone), "it is the same registration");
    registered_release(found);
}

static void who_is_unregistered_is_gone(void)
{
    char token[CALLER_TOKEN_SIZE], again[CALLER_TOKEN_SIZE];
    register_caller("leaves", token);
    struct registered *found = await_found("leaves", token, true);
    (void)registry_anyone_gone(registry);
    int told = atomic_load(&changes);
    unregister("leaves");
    registered_release(await_found("leaves", token, false));
    ok(atomic_load(&found->gone), "it is gone");
    ok(registry_anyone_gone(registry) && !registry_anyone_gone(registry), "which is told once");
    int64_t until_ms = clock_now_ms() + LIMIT_MS;
    while (atomic_load(&changes) == told && clock_now_ms() < until_ms) {
        poll(NULL, 0, 2);
    }
    ok(atomic_load(&changes) > told, "and somebody is called");
    registry_note_seen(registry, found, 7); /* of nobody: no record comes back */
    registered_release(found);
    register_caller("leaves", again);
    found = await_found("leaves", again, true);
    is_int(registry_seen(registry, found).sequence, 0);
    ok(!registry_find(registry, "leaves", token), "the old token is another caller's");
    registered_release(found);
}

static void a_damaged_record_is_nobody(void)
{
    char token[CALLER_TOKEN_SIZE];
    register_caller("damaged", token);
    registered_release(await_found("damaged", token, true));
    put("/caller/damaged", "{\"v\":1,\"id\":\"other\"}");
    registered_release(await_found("damaged", token, false));
}

static void closed_it_knows_nobody(void)
{
    char token[CALLER_TOKEN_SIZE];
    register_caller("closed", token);
    struct registered *found = await_found("closed", token, true);
    registry_close(registry);
    ok(atomic_load(&found->gone), "all are gone");
    ok(!registry_find(registry, "closed", token), "and not found");
    registry_note_seen(registry, found, 9);
    registered_release(found);
    is_int(registry_open(registry, 4, NULL), VIOS_OK);
    found = await_found("closed", token, true);
    is_int(registry_seen(registry, found).sequence, 0);
    registry_note_seen(registry, found, 9);
    await_saved("closed", 9);
    registered_release(found);
}

int main(void)
{
    char path[128];
    struct vios_error error = {0};
    snprintf(path, sizeof path, "%s/vios.db", tap_folder());
    make_store(path);
    ok(registry_new(&registry, &node, count_change, NULL, &error) == VIOS_OK, "%s", error.message);
    RUN(who_is_there_is_found);
    RUN(a_check_reads_anew);
    RUN(what_many_have_seen_is_saved_together);
    RUN(another_writer_is_no_obstacle);
    RUN(who_is_unregistered_is_gone);
    RUN(a_damaged_record_is_nobody);
    RUN(closed_it_knows_nobody);
    registry_free(registry);
    store_pool_free(node.stores);
    file_remove_tree(tap_folder(), NULL);
    return tap_done();
}
