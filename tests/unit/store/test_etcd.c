/* Proves: the store on etcd does what every store does.
 * needs: heavy
 * limit: 60 */
#include "tests/etcd.h"
#include "tests/unit/store/suite.h"

static struct etcd_servers servers;
static char address[512];

static struct store *open_one(void)
{
    struct store *store = NULL;
    struct operation operation = suite_operation();
    if (store_open(&store, address, true, &operation) != VIOS_OK) {
        printf("# %s %s\n", operation.error.object, operation.error.message);
        exit(1);
    }
    return store;
}

int main(void)
{
    if (!etcd_installed()) {
        printf("1..0 # SKIP etcd is not installed\n");
        return 0;
    }
    etcd_start(&servers, 1, "one");
    etcd_servers_address(&servers, 0, "", address, sizeof address);
    suite_run(open_one);
    etcd_stop(&servers);
    file_remove_tree(tap_folder(), NULL);
    return tap_done();
}
