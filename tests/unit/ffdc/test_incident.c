/* Proves: incidents get one number after the other; the same signature is counted and no new
 * incident, for as long as it is remembered; records are changed by compare, and go with their
 * signature. */
#include "ffdc/incident.h"

#include "base/file.h"
#include "tests/node_world.h"

static struct manifest manifest;

static void fill(const char *signature, const char *time)
{
    manifest = (struct manifest){.count = 1, .state = MANIFEST_CAPTURING};
    snprintf(manifest.time, sizeof manifest.time, "%s", time);
    snprintf(manifest.last, sizeof manifest.last, "%s", time);
    snprintf(manifest.trigger, sizeof manifest.trigger, "test");
    snprintf(manifest.component, sizeof manifest.component, "test");
    snprintf(manifest.signature, sizeof manifest.signature, "%s", signature);
    snprintf(manifest.node, sizeof manifest.node, "n1");
    manifest_add(&manifest, "n1", "awaited");
}

static bool open_one(const char *signature, const char *time)
{
    struct operation operation;
    struct store *store = open_store(&operation);
    bool repeated = false;
    fill(signature, time);
    is_int(incident_open(store, &manifest, &repeated, &operation), VIOS_OK);
    node_store_return(&node, store);
    return repeated;
}

static int read_one(const char *correlator, struct operation *operation)
{
    int64_t revision;
    struct store *store = open_store(operation);
    int status = incident_read(store, correlator, &manifest, &revision, operation);
    node_store_return(&node, store);
    return status;
}

#define NOON "2026-11-23T12:00:00.000Z"
#define LATER "2026-11-23T13:00:00.000Z"
#define MUCH_LATER "2026-12-24T13:00:00.000Z"

static void they_are_numbered(void)
{
    is_int(open_one("one", NOON), false);
    is_text(manifest.correlator, "1");
    is_int(open_one("two", NOON), false);
    is_text(manifest.correlator, "2");
}

static void the_same_is_counted(void)
{
    struct operation operation;
    is_int(open_one("one", LATER), true);
    is_text(manifest.correlator, "1");
    is_int(read_one("1", &operation), VIOS_OK);
    is_int(manifest.count, 2);
    is_text(manifest.time, NOON);
    is_text(manifest.last, LATER);
    is_int(manifest.node_count, 1);
}

static void after_a_month_it_is_another(void)
{
    is_int(open_one("one", MUCH_LATER), false);
    is_text(manifest.correlator, "3");
    is_int(open_one("one", MUCH_LATER), true);
    is_text(manifest.correlator, "3");
}

static bool set_done(void *context, struct manifest *changed)
{
    int *calls = context;
    if (++*calls == 1) { /* somebody else is faster */
        struct operation operation;
        struct store *store = open_store(&operation);
        struct manifest other = *changed;
        other.count = 77;
        char *text = manifest_format(&other);
        node_store_return(&node, store);
        put("/incident/2", text);
        free(text);
    }
    changed->state = MANIFEST_DONE;
    return true;
}

static void a_change_is_made_of_what_is_there(void)
{
    int calls = 0;
    struct operation operation;
    struct store *store = open_store(&operation);
    is_int(incident_change(store, "2", set_done, &calls, &manifest, &operation), VIOS_OK);
    node_store_return(&node, store);
    is_int(calls, 2);
    is_int(read_one("2", &operation), VIOS_OK);
    is_int(manifest.count, 77);
    is_int(manifest.state, MANIFEST_DONE);
}

static void an_unknown_one_is_named(void)
{
    struct operation operation;
    is_int(read_one("99", &operation), VIOS_E_NOT_FOUND);
    is_text(operation.error.object, "incident \"99\"");
    is_text(operation.error.hint, "see \"vios ffdc list\"");
}

static void add_name(void *context, const struct manifest *one)
{
    char *names = context;
    size_t length = strlen(names);
    snprintf(names + length, 64 - length, "%s", one->correlator);
}

static void a_damaged_record_hides_no_other(void)
{
    struct operation operation;
    char names[64] = "";
    put("/incident/4", "{\"v\":1}");
    is_int(read_one("4", &operation), VIOS_E_CORRUPT);
    struct store *store = open_store(&operation);
    is_int(incident_each(store, add_name, names, &operation), VIOS_OK);
    node_store_return(&node, store);
    is_text(names, "123");
}

static void what_is_forgotten_is_new_again(void)
{
    struct operation operation;
    struct store *store;
    is_int(read_one("3", &operation), VIOS_OK);
    store = open_store(&operation);
    is_int(incident_forget(store, &manifest, &operation), VIOS_OK);
    node_store_return(&node, store);
    is_int(read_one("3", &operation), VIOS_E_NOT_FOUND);
    put("/incident/4", NULL);
    is_int(open_one("one", MUCH_LATER), false);
    is_text(manifest.correlator, "4");
    is_int(read_one("1", &operation), VIOS_OK); /* whose signature is that of 4 now */
    store = open_store(&operation);
    is_int(incident_forget(store, &manifest, &operation), VIOS_OK);
    node_store_return(&node, store);
    is_int(open_one("one", MUCH_LATER), true);
}

static void one_from_elsewhere_is_added_once(void)
{
    struct operation operation;
    fill("away", NOON);
    snprintf(manifest.correlator, sizeof manifest.correlator, "xabc");
    struct store *store = open_store(&operation);
    is_int(incident_add(store, &manifest, &operation), VIOS_OK);
    manifest.count = 5;
    is_int(incident_add(store, &manifest, &operation), VIOS_OK);
    node_store_return(&node, store);
    is_int(read_one("xabc", &operation), VIOS_OK);
    is_int(manifest.count, 1);
}

int main(void)
{
    char path[160];
    snprintf(path, sizeof path, "%s/vios.db", tap_folder());
    make_store(path);
    RUN(they_are_numbered);
    RUN(the_same_is_counted);
    RUN(after_a_month_it_is_another);
    RUN(a_change_is_made_of_what_is_there);
    RUN(an_unknown_one_is_named);
    RUN(a_damaged_record_hides_no_other);
    RUN(what_is_forgotten_is_new_again);
    RUN(one_from_elsewhere_is_added_once);
    store_pool_free(node.stores);
    file_remove_tree(tap_folder(), NULL);
    return tap_done();
}
