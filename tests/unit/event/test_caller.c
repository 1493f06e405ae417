/* test_caller.c - registering callers in the VIOS DB, and the records that come back. */
#include "event/caller.h"

#include "base/file.h"
#include "tests/node_world.h"

static int register_caller(const char *id, const char *classes, char token[CALLER_TOKEN_SIZE],
                           struct operation *operation)
{
    struct event_filter filter;
    struct store *store = open_store(operation);
    is_int(event_filter_parse(classes, NULL, &filter, NULL), VIOS_OK);
    int status = caller_register(store, id, &filter, "uid:7", token, operation);
    is_int(filter.class_count, 0); /* taken over */
    node_store_return(&node, store);
    return status;
}

static int read_caller(const char *id, struct caller *caller, struct vios_error *error)
{
    char key[CALLER_KEY_SIZE];
    struct operation operation;
    struct store *store = open_store(&operation);
    struct store_value value;
    caller_key(id, key);
    int status = store_get(store, key, &value, &operation);
    if (status == VIOS_OK) {
        status = caller_parse(&value, caller, error);
        store_value_clear(&value);
    }
    node_store_return(&node, store);
    return status;
}

static void who_registers_is_in_the_db(void)
{
    struct operation operation;
    struct caller caller;
    char token[CALLER_TOKEN_SIZE];
    is_int(register_caller("billing", "node,lpar", token, &operation), VIOS_OK);
    is_int(strlen(token), CALLER_TOKEN_SIZE - 1);
    is_int(read_caller("billing", &caller, NULL), VIOS_OK);
    is_text(caller.id, "billing");
    is_text(caller.by, "uid:7");
    is_int(caller.filter.class_count, 2);
    is_int(caller.seen.sequence, 0);
    ok(caller.revision > 0 && caller.registered[0], "when");
    ok(strcmp(caller.token_hash, token) != 0, "not the token itself");
    ok(caller_token_matches(&caller, token), "its token");
    token[3] ^= 1;
    ok(!caller_token_matches(&caller, token), "another token");
    ok(!caller_token_matches(&caller, ""), "none");
    ok(!caller_token_matches(NULL, token), "nobody's");
    caller_clear(&caller);
}

static void an_id_is_taken_once(void)
{
    struct operation operation;
    char token[CALLER_TOKEN_SIZE];
    is_int(register_caller("twice", NULL, token, &operation), VIOS_OK);
    is_int(register_caller("twice", NULL, token, &operation), VIOS_E_EXISTS);
    is_text(operation.error.object, "caller \"twice\"");
    is_text(operation.error.message, "it is registered already");
    is_int(register_caller("not a name", NULL, token, &operation), VIOS_E_USAGE);
}

static void who_is_not_there_is_not_unregistered(void)
{
    struct operation operation;
    struct caller caller;
    char token[CALLER_TOKEN_SIZE];
    is_int(register_caller("leaves", NULL, token, &operation), VIOS_OK);
    struct store *store = open_store(&operation);
    is_int(caller_unregister(store, "leavs", &operation), VIOS_E_NOT_FOUND);
    is_text(operation.error.object, "caller \"leavs\"");
    is_text(operation.error.hint, "did you mean \"leaves\"?");
    is_int(caller_unregister(store, "zzzzzzzzzz", &operation), VIOS_E_NOT_FOUND);
    is_text(operation.error.hint, "see \"vios event callers\"");
    is_int(caller_unregister(store, "a/b", &operation), VIOS_E_USAGE);
    is_int(caller_unregister(store, "leaves", &operation), VIOS_OK);
    is_int(caller_unregister(store, "leaves", &operation), VIOS_E_NOT_FOUND);
    node_store_return(&node, store);
    is_int(read_caller("leaves", &caller, NULL), VIOS_E_NOT_FOUND);
}

#define HASH "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static void records_that_are_none_are_corrupt(void)
{
    static const struct {
        const char *json, *message;
    } rows[] = {
        {"[]", "it is not a JSON object"},
        {"{\"v\":2}", "it is of another release"},
        {"{\"v\":1,\"id\":\"b\"}", "its id is not that of its key"},
        {"{\"v\":1,\"id\":\"a\",\"token\":\"x\"}", "its token is no SHA-256"},
        {"{\"v\":1,\"id\":\"a\",\"token\":\"" HASH "\",\"by\":1}", "by whom it is"},
        {"{\"v\":1,\"id\":\"a\",\"token\":\"" HASH "\",\"restores\":0,\"seen\":-1}", "no cursor"},
        {"{\"v\":1,\"id\":\"a\",\"token\":\"" HASH "\",\"restores\":0,\"seen\":1}",
         "not an object"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct caller caller;
        struct vios_error error = {0};
        struct store_value value = {.key = (char *)"/caller/a", .json = (char *)rows[i].json};
        is_int(caller_parse(&value, &caller, &error), VIOS_E_CORRUPT);
        is_text(error.object, "/caller/a");
        ok(strstr(error.message, rows[i].message) != NULL, "%s: %s", rows[i].json, error.message);
        is_text(caller.id, "");
    }
    struct caller caller;
    struct vios_error error = {0};
    struct store_value value = {.key = (char *)"/token/a", .json = (char *)"{}"};
    is_int(caller_parse(&value, &caller, &error), VIOS_E_CORRUPT);
    is_text(error.message, "this is no key of a caller");
}

int main(void)
{
    char path[128];
    snprintf(path, sizeof path, "%s/vios.db", tap_folder());
    make_store(path);
    RUN(who_registers_is_in_the_db);
    RUN(an_id_is_taken_once);
    RUN(who_is_not_there_is_not_unregistered);
    RUN(records_that_are_none_are_corrupt);
    store_pool_free(node.stores);
    file_remove_tree(tap_folder(), NULL);
    return tap_done();
}
