/* hand_over.c - see hand_over.h. */
#include "paging/hand_over.h"

#include "paging/device.h"
#include "paging/paging.h"

#include <stdio.h>
#include <stdlib.h>

int paging_hand_over_check(struct node *node, const char *lpar, struct operation *operation)
{
    struct store *store = NULL;
    struct paging_view *view = NULL;
    char object[96];
    int status = paging_view_open(node, lpar, &view, &store, operation);
    if (status < 0) {
        return status == VIOS_E_NOT_FOUND ? VIOS_OK : status;
    }
    if (view->record.policy == PAGING_DISK) {
        snprintf(object, sizeof object, "paging \"%.63s\"", lpar);
        status = operation_fail(operation, VIOS_E_CONFLICT, object,
                                "hibernate the guest, and restart it there",
                                "its pages are in a file of node \"%s\"", node->name);
    }
    node_store_return(node, store);
    free(view);
    return status;
}

int paging_hand_over(struct node *node, const char *lpar_uuid, int64_t start, int *descriptor,
                     struct operation *operation)
{
    char name[160];
    paging_export_name(lpar_uuid, start, name, sizeof name);
    return io_client_fetch(node->io, json_pack("{s:s, s:s}", "do", "state", "name", name),
                           descriptor, operation);
}

static int export(struct node *node, const char *lpar, int64_t generation, int state,
                  struct operation *operation)
{
    char name[160];
    struct paging_view *view = NULL;
    struct paging_round round = {.node = node, .operation = operation};
    int status = paging_view_open(node, lpar, &view, &round.store, operation);
    if (status < 0) {
        return status;
    }
    status = node_members(node, &round.members, &round.member_count);
    if (status == VIOS_OK) {
        paging_export_name(view->record.uuid, generation, name, sizeof name);
        view->generation = generation;
        status = paging_device_export(&round, view, name, state);
    }
    node_store_return(node, round.store);
    free(round.members);
    free(view);
    return status;
}

int paging_expect(struct node *node, const char *lpar, int64_t generation,
                  struct operation *operation)
{
    return export(node, lpar, generation, -1, operation);
}

int paging_take_over(struct node *node, const char *lpar, int64_t generation, int state,
                     struct operation *operation)
{
    return export(node, lpar, generation, state, operation);
}
