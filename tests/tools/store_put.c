/*
 * store_put.c - puts one record into a VIOS DB, whatever it is, for tests:
 * store_put ADDRESS KEY JSON. What has no command yet is made so.
 */
#include "store/store.h"

#include <stdio.h>

int main(int count, char **words)
{
    struct operation operation;
    struct store *store = NULL;
    if (count != 4) {
        fprintf(stderr, "usage: store_put ADDRESS KEY JSON\n");
        return 2;
    }
    operation_start(&operation, 30000, NULL);
    int status = store_open(&store, words[1], false, &operation);
    if (status == VIOS_OK) {
        struct store_change change = {.key = words[2], .json = words[3]};
        status = store_commit(store, NULL, 0, &change, 1, NULL, &operation);
    }
    store_close(store);
    if (status != VIOS_OK) {
        fprintf(stderr, "store_put: %s: %s\n", operation.error.object, operation.error.message);
    }
    return status == VIOS_OK ? 0 : error_exit_status(status);
}
