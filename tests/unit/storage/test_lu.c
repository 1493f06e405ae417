/* test_lu.c - records of LUs, good and bad, in and out of a store, and where their files are. */
#include "storage/lu.h"
#include "tests/tap.h"

#include <stdlib.h>

#define UDID "11111111-2222-4333-8444-555555555555"
#define OTHER "22222222-2222-4333-8444-555555555555"
#define WITH(members)                                                                              \
    "{\"v\":1,\"name\":\"d\",\"pool\":\"p1\",\"size_bytes\":5,\"state\":\"ready\"," members "}"

static void a_record_is_read(void)
{
    struct lu lu;
    struct vios_error error = {0};
    ok(lu_parse(UDID,
                WITH("\"file\":\"" UDID ".3\",\"dead\":[],\"thick\":true,\"lpar\":\"web1\","
                     "\"origin\":\"" OTHER "\",\"job\":\"j-3\""),
                &lu, &error) == VIOS_OK,
       "%s", error.message);
    is_text(lu.udid, UDID);
    is_text(lu.name, "d");
    is_text(lu.pool, "p1");
    is_text(lu.file, UDID ".3");
    is_text(lu.lpar, "web1");
    is_text(lu.origin, OTHER);
    is_text(lu.image, "");
    is_text(lu.job, "j-3");
    is_int((int)lu.size_bytes, 5);
    ok(lu.thick && lu.state == LU_READY, "thick and ready");
}

static void a_bad_record_is_named(void)
{
    static const struct {
        const char *json, *bad;
    } rows[] = {
        {"[]", "v"},
        {"{\"v\":2,\"pool\":\"p\",\"file\":\"f\"}", "v"},
        {"{\"v\":1,\"pool\":\"p\",\"file\":\"f\"}", "name"},
        {"{\"v\":1,\"name\":\"n\",\"pool\":\"../p\",\"file\":\"f\"}", "pool"},
        {"{\"v\":1,\"name\":\"n\",\"file\":\"f\"}", "pool"},
        {WITH("\"file\":\"a/b\""), "file"},
        {WITH("\"file\":\"..\""), "file"},
        {WITH("\"file\":\"\""), "file"},
        {WITH("\"file\":7"), "file"},
        {"{\"v\":1,\"name\":\"n\",\"pool\":\"p\",\"file\":\"f\"}", "size_bytes"},
        {"{\"v\":1,\"name\":\"n\",\"pool\":\"p\",\"file\":\"f\",\"size_bytes\":-1}", "size_bytes"},
        {"{\"v\":1,\"name\":\"n\",\"pool\":\"p\",\"file\":\"f\",\"size_bytes\":1}", "state"},
        {WITH("\"file\":\"f\",\"thick\":1"), "thick"},
        {WITH("\"file\":\"f\",\"job\":1"), "job"},
        {WITH("\"file\":\"f\",\"lpar\":\"-\""), "lpar"},
        {WITH("\"file\":\"f\",\"image\":\"x\""), "image"},
        {WITH("\"file\":\"f\",\"origin\":\"x\""), "origin"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct lu lu;
        struct vios_error error = {0};
        char message[80];
        is_int(lu_parse(UDID, rows[i].json, &lu, &error), VIOS_E_CORRUPT);
        snprintf(message, sizeof message, "its record has a bad \"%s\"", rows[i].bad);
        is_text(error.message, message);
        is_text(error.object, "lu \"" UDID "\"");
    }
}

static void what_it_does_not_know_stays(void)
{
    struct lu lu;
    char *first, *second;
    is_int(lu_parse(UDID, WITH("\"file\":\"f\",\"lpar\":\"web1\""), &lu, NULL), VIOS_OK);
    lu.lpar[0] = 0;
    lu.size_bytes = 9;
    first = lu_format(&lu, WITH("\"file\":\"f\",\"lpar\":\"web1\",\"dead\":[\"g\"]"));
    ok(strstr(first, "\"dead\":[\"g\"]") != NULL, "%s", first);
    ok(strstr(first, "lpar") == NULL, "the mapping is gone");
    ok(strstr(first, "\"size_bytes\":9") != NULL, "the size is the new one");
    is_int(lu_parse(UDID, first, &lu, NULL), VIOS_OK);
    second = lu_format(&lu, NULL);
    ok(strstr(second, "\"dead\":[]") != NULL, "a new record has the member too: %s", second);
    free(first);
    free(second);
}

/* --- in a store --- */

static struct store *open_store(struct operation *operation)
{
    static int count;
    char address[160];
    struct store *store = NULL;
    snprintf(address, sizeof address, "sqlite:%s/db%d", tap_folder(), count++);
    operation_start(operation, 10000, NULL);
    is_int(store_open(&store, address, true, operation), VIOS_OK);
    return store;
}

static void put(struct store *store, const char *udid, const char *pool, const char *name,
                enum lu_state state)
{
    struct lu lu = {.file = "f", .state = state};
    char key[STORE_KEY_MAX], name_key[STORE_KEY_MAX], record[64];
    struct operation operation;
    operation_start(&operation, 10000, NULL);
    snprintf(lu.udid, sizeof lu.udid, "%s", udid);
    snprintf(lu.pool, sizeof lu.pool, "%s", pool);
    snprintf(lu.name, sizeof lu.name, "%s", name);
    char *json = lu_format(&lu, NULL);
    struct store_change changes[] = {{lu_key(udid, key), json},
                                     {lu_name_key(&lu, name_key), lu_name_record(&lu, record)}};
    is_int(store_commit(store, NULL, 0, changes, 2, NULL, &operation), VIOS_OK);
    free(json);
}

static void it_is_found_by_name_pool_and_udid(void)
{
    struct operation operation;
    struct store *store = open_store(&operation);
    struct lu lu;
    put(store, UDID, "p1", "web", LU_READY);
    is_int(lu_find(store, "web", &lu, NULL, &operation), VIOS_OK);
    is_text(lu.udid, UDID);
    is_int(lu_find(store, "p1/web", &lu, NULL, &operation), VIOS_OK);
    is_int(lu_find(store, UDID, &lu, NULL, &operation), VIOS_OK);
    is_int(lu_find(store, "wed", &lu, NULL, &operation), VIOS_E_NOT_FOUND);
    is_text(operation.error.object, "lu \"wed\"");
    is_text(operation.error.hint, "did you mean \"web\"?");
    is_int(lu_find(store, "p1/wed", &lu, NULL, &operation), VIOS_E_NOT_FOUND);
    is_text(operation.error.hint, "did you mean \"web\"?");
    is_int(lu_find(store, "p2/web", &lu, NULL, &operation), VIOS_E_NOT_FOUND);
    is_int(lu_find(store, "p1/../web", &lu, NULL, &operation), VIOS_E_NOT_FOUND);
    put(store, OTHER, "p2", "web", LU_READY);
    is_int(lu_find(store, "web", &lu, NULL, &operation), VIOS_E_USAGE);
    is_text(operation.error.hint, "give POOL/NAME, such as p2/web");
    is_int(lu_find(store, "p2/web", &lu, NULL, &operation), VIOS_OK);
    is_text(lu.udid, OTHER);
    store_close(store);
}

static void one_that_is_made_or_deleted_is_not_there(void)
{
    struct operation operation;
    struct store *store = open_store(&operation);
    struct lu lu;
    put(store, UDID, "p1", "a", LU_MAKING);
    put(store, OTHER, "p1", "b", LU_DELETING);
    is_int(lu_find(store, "a", &lu, NULL, &operation), VIOS_E_NOT_FOUND);
    is_int(lu_find(store, OTHER, &lu, NULL, &operation), VIOS_E_NOT_FOUND);
    is_int(lu_load(store, OTHER, &lu, NULL, &operation), VIOS_OK);
    store_close(store);
}

static void it_is_written_if_nobody_changed_it(void)
{
    struct operation operation;
    struct store *store = open_store(&operation);
    struct store_value value = {0}, older = {0};
    struct lu lu;
    put(store, UDID, "p1", "a", LU_READY);
    is_int(lu_load(store, UDID, &lu, &older, &operation), VIOS_OK);
    is_int(lu_load(store, UDID, &lu, &value, &operation), VIOS_OK);
    snprintf(lu.job, sizeof lu.job, "j-1");
    is_int(lu_save(store, &lu, &value, &operation), VIOS_OK);
    is_int(lu_save(store, &lu, &value, &operation), VIOS_OK);
    is_int(lu_save(store, &lu, &older, &operation), VIOS_E_CONFLICT);
    is_int(lu_check_lock(&lu, "j-1", NULL), VIOS_OK);
    is_int(lu_check_lock(&lu, NULL, &operation.error), VIOS_E_LOCKED);
    is_text(operation.error.hint, "wait for it: job wait j-1");
    store_value_clear(&value);
    store_value_clear(&older);
    store_close(store);
}

static void its_file_is_below_the_repository(void)
{
    struct vios_error error = {0};
    struct node node = {.config = config_new()};
    struct lu lu = {.udid = UDID, .name = "d", .pool = "p1", .file = "f.1"};
    char path[PATH_MAX];
    is_int(lu_path(&node, &lu, path, &error), VIOS_E_INVALID);
    is_text(error.message, "this node has no repository");
    is_int(config_set(node.config, "repository", "/r", NULL), VIOS_OK);
    is_int(lu_path(&node, &lu, path, &error), VIOS_OK);
    is_text(path, "/r/pools/p1/lu/f.1");
    snprintf(lu.image, sizeof lu.image, OTHER);
    is_int(lu_path(&node, &lu, path, &error), VIOS_OK);
    is_text(path, "/r/pools/p1/image/" OTHER "/f.1");
    config_free(node.config);
}

int main(void)
{
    RUN(a_record_is_read);
    RUN(a_bad_record_is_named);
    RUN(what_it_does_not_know_stays);
    RUN(it_is_found_by_name_pool_and_udid);
    RUN(one_that_is_made_or_deleted_is_not_there);
    RUN(it_is_written_if_nobody_changed_it);
    RUN(its_file_is_below_the_repository);
    return tap_done();
}
