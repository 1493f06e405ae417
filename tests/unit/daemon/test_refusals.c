/* test_refusals.c - the audit of those who did not get in: what is written of them, and that it is
 * not written too often. */
#include "daemon/refusals.h"

#include "base/clock.h"
#include "base/file.h"
#include "node/node.h"
#include "tests/tap.h"

#include <poll.h>

#define LIMIT_MS 20000 /* for whatever must happen */

static struct node node = {.name = "n1"};
static char address[160];

/* How many records there are below /audit/; the last one, which is the caller's. */
static size_t audited(json_t **last)
{
    struct operation operation;
    struct store *store;
    struct store_list list = {0};
    operation_start(&operation, LIMIT_MS, NULL);
    is_int(node_store(&node, &store, &operation), VIOS_OK);
    is_int(store_list(store, "/audit/", &list, NULL, &operation), VIOS_OK);
    size_t count = list.count;
    *last = count > 0 ? json_loads(list.values[count - 1].json, 0, NULL) : NULL;
    store_list_clear(&list);
    node_store_return(&node, store);
    return count;
}

/* Waits for that many; the last one, which is the caller's. */
static json_t *await_records(size_t wanted)
{
    int64_t until_ms = clock_now_ms() + LIMIT_MS;
    json_t *last = NULL;
    while (audited(&last) < wanted && clock_now_ms() < until_ms) {
        json_decref(last);
        poll(NULL, 0, 5);
    }
    return last;
}

static const char *text_at(const json_t *object, const char *key)
{
    return json_string_value(json_object_get(object, key));
}

static void the_first_ones_are_told(void)
{
    struct refusals *refusals;
    struct vios_error error = {0};
    is_int(refusals_new(&refusals, &node, &error), VIOS_OK);
    refusals_note(refusals, "RPC", "tcp:192.0.2.1:7", "it has no certificate");
    json_t *record = await_records(1);
    const json_t *parameters = json_object_get(record, "parameters");
    is_text(text_at(record, "actor"), "tcp:192.0.2.1:7");
    is_text(text_at(record, "object"), "port \"RPC\"");
    is_text(text_at(record, "method"), "refused");
    is_text(text_at(record, "outcome"), "denied");
    is_text(text_at(parameters, "why"), "it has no certificate");
    is_int(json_integer_value(json_object_get(parameters, "untold")), 0);
    json_decref(record);
    for (int i = 1; i < REFUSALS_AT_ONCE + 5; i++) {
        refusals_note(refusals, "NBD", "somebody", "again");
    }
    json_decref(await_records(REFUSALS_AT_ONCE));
    refusals_free(refusals);
    json_t *last;
    is_int(audited(&last), REFUSALS_AT_ONCE); /* and no more */
    json_decref(last);
}

static void long_texts_are_cut_and_odd_ones_kept_out(void)
{
    struct refusals *refusals;
    struct vios_error error = {0};
    char text[600];
    json_t *before;
    size_t count = audited(&before);
    json_decref(before);
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    is_int(refusals_new(&refusals, &node, &error), VIOS_OK);
    refusals_note(refusals, "UDP", text, "\xff\xfe");
    json_t *record = await_records(count + 1);
    size_t length = strlen(text_at(record, "actor"));
    ok(length > 0 && length < 100, "%zu bytes of it", length);
    is_text(text_at(json_object_get(record, "parameters"), "why"), "?");
    json_decref(record);
    refusals_free(refusals);
    refusals_free(NULL);
}

/* Without a VIOS DB nobody waits: the log has it. */
static void it_never_blocks(void)
{
    struct refusals *refusals;
    struct vios_error error = {0};
    is_int(store_pool_move(node.stores, "sqlite:/nonexistent/vios.db"), true);
    is_int(refusals_new(&refusals, &node, &error), VIOS_OK);
    int64_t began_ms = clock_now_ms();
    for (int i = 0; i < 1000; i++) {
        refusals_note(refusals, "RPC", "somebody", "again");
    }
    ok(clock_now_ms() - began_ms < LIMIT_MS / 2, "at once");
    refusals_free(refusals);
    is_int(store_pool_move(node.stores, address), true);
}

int main(void)
{
    struct operation operation;
    struct store *store;
    snprintf(address, sizeof address, "sqlite:%s/vios.db", tap_folder());
    node.stores = store_pool_new(address);
    operation_start(&operation, LIMIT_MS, NULL);
    if (node_store_create(&node, &store, &operation) != VIOS_OK) {
        printf("Bail out! %s\n", operation.error.message);
        return 1;
    }
    node_store_return(&node, store);
    RUN(the_first_ones_are_told);
    RUN(long_texts_are_cut_and_odd_ones_kept_out);
    RUN(it_never_blocks);
    store_pool_free(node.stores);
    file_remove_tree(tap_folder(), NULL);
    return tap_done();
}
