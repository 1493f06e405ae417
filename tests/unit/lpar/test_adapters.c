/* test_adapters.c - one row for each mapping, of one snapshot; what does not fit a kind is null. */
#include "lpar/adapters.h"
#include "lpar/guest.h"
#include "lpar/spec.h"
#include "paging/record.h"

#include "base/file.h"
#include "tests/tap.h"
#include "tests/unit/lpar/no_members.h"

#include <stdlib.h>
#include <unistd.h>

static struct node node = {.name = "n1", .cluster = "c", .incarnation = 1};
static struct call call = {.node = &node, .role = ROLE_VIEWER};
static struct operation operation;
static struct lpar lpar;
static char file[128];

static void put(struct store *store, const char *key, const char *json)
{
    struct store_change change = {key, json};
    is_int(store_commit(store, NULL, 0, &change, 1, NULL, &operation), VIOS_OK);
}

static void put_lu(struct store *store, struct lu *lu)
{
    char key[STORE_KEY_MAX];
    char *json = lu_format(lu, NULL);
    put(store, lu_key(lu->udid, key), json);
    free(json);
}

static void put_paging(struct store *store)
{
    struct paging_record record = {.lpar = "web1",
                                   .host = "n1",
                                   .created = "2026-01-01T00:00:00Z",
                                   .policy = PAGING_MIRROR,
                                   .size_bytes = 1 << 20,
                                   .region_count = 1};
    record.regions[0] = (struct paging_region){1, 0, 1 << 20, 2, {"n2", "n3"}};
    snprintf(record.uuid, sizeof record.uuid, "%s", lpar.uuid);
    char *json = paging_record_format(&record);
    put(store, "/paging/web1", json);
    free(json);
}

/* web1: an LU, a file of this node, a network card, and a paging device. */
static void make_world(void)
{
    static char address[128];
    struct store *store = NULL;
    struct lu lu = {.name = "root", .pool = "p1", .size_bytes = 8192};
    snprintf(address, sizeof address, "sqlite:%s/db", tap_folder());
    snprintf(file, sizeof file, "%s/disk.raw", tap_folder());
    FILE *disk = fopen(file, "w");
    if (!disk || fputs("data", disk) < 0 || fclose(disk) != 0) {
        exit(1);
    }
    operation_start(&operation, 10000, NULL);
    is_int(store_open(&store, address, true, &operation), VIOS_OK);
    uuid_make(lu.udid);
    snprintf(lu.file, sizeof lu.file, "%s.0", lu.udid);
    put_lu(store, &lu);
    json_t *parameters =
        json_pack("{s:s, s:I, s:[s, s], s:s}", "name", "web1", "memory", (json_int_t)(16 << 20),
                  "disk", "root", file, "nic", "bridge:br0");
    is_int(spec_build(parameters, &lu, 1, &lpar, &operation.error), VIOS_OK);
    json_decref(parameters);
    char *json = lpar_format(&lpar);
    put(store, "/lpar/web1", json);
    put(store, "/lpar/web10", json);
    free(json);
    put_paging(store);
    store_close(store);
    node.stores = store_pool_new(address);
    is_int(lpars_open(&node.lpars, &node, &operation.error), VIOS_OK);
}

static json_t *rows_of(const char *name)
{
    json_t *result = NULL, *parameters = json_pack("{s:s*}", "lpar", name);
    is_int(adapters_call_list(&call, parameters, &result, &operation), VIOS_OK);
    json_decref(parameters);
    return result;
}

static const char *text_of(const json_t *row, const char *key)
{
    const char *text = json_string_value(json_object_get(row, key));
    return text ? text : "(none)";
}

static void lists_each_mapping(void)
{
    static const char *const ids[] = {"disk0", "disk1", "nic0", "paging"};
    json_t *rows = rows_of("web1");
    is_int(json_array_size(rows), 4);
    for (size_t i = 0; i < 4; i++) {
        is_text(text_of(json_array_get(rows, i), "id"), ids[i]);
        is_text(text_of(json_array_get(rows, i), "state"), "stopped");
        is_text(text_of(json_array_get(rows, i), "node"), "");
    }
    const json_t *disk = json_array_get(rows, 0), *local = json_array_get(rows, 1);
    const json_t *nic = json_array_get(rows, 2), *paging = json_array_get(rows, 3);
    is_text(text_of(disk, "backing"), "p1/root");
    is_text(text_of(disk, "serial"), lpar.disks[0].serial);
    is_int(json_integer_value(json_object_get(disk, "size_bytes")), 8192);
    is_int(json_integer_value(json_object_get(disk, "slot")), LPAR_SLOT_DISK0);
    is_text(text_of(local, "backing"), file);
    is_int(json_integer_value(json_object_get(local, "size_bytes")), 4);
    is_text(text_of(nic, "kind"), "network");
    is_text(text_of(nic, "backing"), "bridge:br0");
    is_text(text_of(nic, "mac"), lpar.nics[0].mac);
    ok(json_is_null(json_object_get(nic, "size_bytes")), "a network card has a size");
    is_text(text_of(paging, "backing"), "mirror:n2,n3");
    is_int(json_integer_value(json_object_get(paging, "size_bytes")), 1048576);
    json_decref(rows);
}

static void lists_all_guests(void)
{
    json_t *rows = rows_of(NULL);
    is_int(json_array_size(rows), 8);
    json_decref(rows);
}

static void shows_the_hash(void)
{
    char hash[65];
    json_t *result = NULL, *parameters = json_pack("{s:s}", "lpar", "web1");
    lpar_adapter_hash(&lpar, hash);
    is_int(adapters_call_show(&call, parameters, &result, &operation), VIOS_OK);
    is_text(text_of(result, "adapter_hash"), hash);
    is_int(json_array_size(json_object_get(result, "adapters")), 4);
    json_decref(result);
    json_decref(parameters);
    parameters = json_pack("{s:s}", "lpar", "web2");
    is_int(adapters_call_show(&call, parameters, &result, &operation), VIOS_E_NOT_FOUND);
    is_text(operation.error.message, "there is no such LPAR");
    json_decref(parameters);
}

static void an_lu_that_is_gone_is_its_udid(void)
{
    struct store *store = NULL;
    char key[STORE_KEY_MAX];
    is_int(node_store(&node, &store, &operation), VIOS_OK);
    struct store_change change = {lu_key(lpar.disks[0].lu, key), NULL};
    is_int(store_commit(store, NULL, 0, &change, 1, NULL, &operation), VIOS_OK);
    node_store_return(&node, store);
    json_t *rows = rows_of("web1");
    is_text(text_of(json_array_get(rows, 0), "backing"), lpar.disks[0].lu);
    ok(json_is_null(json_object_get(json_array_get(rows, 0), "size_bytes")), "it has a size");
    json_decref(rows);
}

int main(void)
{
    make_world();
    RUN(lists_each_mapping);
    RUN(lists_all_guests);
    RUN(shows_the_hash);
    RUN(an_lu_that_is_gone_is_its_udid);
    lpars_close(node.lpars);
    store_pool_free(node.stores);
    file_remove_tree(tap_folder(), NULL);
    return tap_done();
}
