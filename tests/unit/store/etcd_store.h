/*
 * etcd_store.h - what the tests of the store on etcd share: servers, an address, opening.
 */
#ifndef TESTS_STORE_ETCD_STORE_H
#define TESTS_STORE_ETCD_STORE_H

#include "tests/etcd.h"
#include "tests/unit/store/suite.h"

#define ADDRESS_SIZE 1024

static struct etcd_servers servers;
static char address[ADDRESS_SIZE]; /* that open_one() uses */

__attribute__((unused)) static int open_at(const char *where, bool create, struct store **store,
                                           struct operation *operation)
{
    *operation = suite_operation();
    return store_open(store, where, create, operation);
}

__attribute__((unused)) static struct store *open_or_exit(const char *where)
{
    struct store *store = NULL;
    struct operation operation;
    if (open_at(where, true, &store, &operation) != VIOS_OK) {
        printf("# %s: %s\n", operation.error.object, operation.error.message);
        exit(1);
    }
    return store;
}

__attribute__((unused)) static struct store *open_one(void)
{
    return open_or_exit(address);
}

/* The address of all members, member `first` before the others. */
__attribute__((unused)) static const char *address_from(size_t first, const char *parameters)
{
    etcd_servers_address(&servers, first, parameters, address, sizeof address);
    return address;
}

/* Skips the whole test without etcd. */
__attribute__((unused)) static bool etcd_missing(void)
{
    if (!etcd_installed()) {
        printf("1..0 # SKIP etcd is not installed\n");
        return true;
    }
    return false;
}

__attribute__((unused)) static int etcd_done(void)
{
    etcd_stop(&servers);
    file_remove_tree(tap_folder(), NULL);
    return tap_done();
}

#endif
