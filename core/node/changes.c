/* changes.c - see changes.h. */
#include "node/changes.h"

#include "base/log.h"

#define AGAIN_MS 1000 /* between tries while the VIOS DB is away */

static int follow(struct store *store, const char *prefix, void (*changed)(void *context),
                  void *context, struct operation *operation)
{
    struct store_list list = {0};
    struct store_watch *watch = NULL;
    int64_t revision;
    int status = store_list(store, prefix, &list, &revision, operation);
    store_list_clear(&list);
    if (status == VIOS_OK) {
        status = store_watch_open(&watch, store, prefix, revision, operation);
    }
    while (status == VIOS_OK) {
        struct store_change_list changes = {0};
        changed(context);
        status = store_watch_next(watch, &changes, operation);
        store_change_list_clear(&changes);
    }
    store_watch_close(watch);
    return status;
}

void changes_follow(struct node *node, const char *prefix, const char *who,
                    void (*changed)(void *context), void *context, struct cancel *cancel)
{
    while (!cancel_triggered(cancel)) {
        struct operation operation;
        struct store *store = NULL;
        operation_start(&operation, OPERATION_NO_DEADLINE, cancel);
        int status = node_store(node, &store, &operation);
        if (status == VIOS_OK) {
            status = follow(store, prefix, changed, context, &operation);
            node_store_return(node, store);
        }
        if (status != VIOS_E_CANCELLED && status != VIOS_E_COMPACTED) {
            log_warning(who, "changes below %s: %s", prefix, operation.error.message);
            (void)operation_sleep(&operation, AGAIN_MS);
        }
    }
}
