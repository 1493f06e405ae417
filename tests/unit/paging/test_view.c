/* Proves: a record that cannot be read is left out and told of, so that nobody takes what it
 * names for gone. */
#include "base/log.h"
#include "paging/view.h"
#include "tests/tap.h"

static const char PAGING[] =
    "{\"v\":1,\"lpar\":\"web1\",\"uuid\":\"3f0e1c1e-7c55-4f0e-9a54-0d6a7b8c9d0e\","
    "\"generation\":4,\"host\":\"n1\",\"size_bytes\":8192,\"policy\":\"single\",\"disk\":null,"
    "\"regions\":[{\"index\":0,\"number\":3,\"offset\":0,\"size_bytes\":8192,"
    "\"replicas\":[{\"node\":\"n2\"}]}],\"job\":\"j-1\",\"created\":\"\"}";
static const char LPAR[] = "{\"v\":1,\"uuid\":\"3f0e1c1e-7c55-4f0e-9a54-0d6a7b8c9d0e\","
                           "\"generation\":5,\"owner\":{\"node\":\"n3\",\"incarnation\":1}}";
static const char LATER[] = "{\"v\":2}"; /* a schema of the future */

static struct store *store;

static void put(const char *key, const char *json)
{
    struct operation operation;
    struct store_change change = {key, json};
    operation_start(&operation, 10000, NULL);
    is_int(store_commit(store, NULL, 0, &change, 1, NULL, &operation), VIOS_OK);
}

/* How many views there are; the first one's owner in `owner`. */
static size_t views(bool *whole, char owner[NAME_MAX_LENGTH + 1])
{
    struct operation operation;
    struct paging_view *list = NULL;
    size_t count = 0;
    operation_start(&operation, 10000, NULL);
    is_int(paging_views_list(store, &list, &count, whole, &operation), VIOS_OK);
    snprintf(owner, NAME_MAX_LENGTH + 1, "%s", count > 0 ? list[0].owner : "");
    free(list);
    return count;
}

static void tells_of_unreadable_records(void)
{
    bool whole = false;
    char owner[NAME_MAX_LENGTH + 1];
    is_int(views(&whole, owner), 0);
    ok(whole, "nothing is whole");
    put("/paging/web1", PAGING);
    is_int(views(&whole, owner), 1);
    is_text(owner, "n1");
    put("/lpar/web1", LPAR);
    is_int(views(&whole, owner), 1);
    is_text(owner, "n3");
    ok(whole, "both can be read");
    put("/paging/web0", LATER);
    is_int(views(&whole, owner), 1);
    is_text(owner, "n3");
    ok(!whole, "web0 is not told of");
    put("/paging/web0", NULL);
    put("/lpar/web1", LATER);
    is_int(views(&whole, owner), 0);
    ok(!whole, "an LPAR's record is not told of");
}

int main(void)
{
    struct operation operation;
    char address[256];
    log_configure(LOG_ERROR, false);
    snprintf(address, sizeof address, "sqlite:%s/db", tap_folder());
    operation_start(&operation, 10000, NULL);
    if (store_open(&store, address, true, &operation) != VIOS_OK) {
        printf("# %s\n", operation.error.message);
        return 1;
    }
    RUN(tells_of_unreadable_records);
    store_close(store);
    return tap_done();
}
