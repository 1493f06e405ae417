/* paging.c - what lpar asks of a paging device. See paging.h. */
#include "paging/paging.h"

#include "paging/page.h"
#include "paging/reconcile.h"
#include "paging/view.h"

#include <stdio.h>
#include <stdlib.h>

int paging_view_open(struct node *node, const char *lpar, struct paging_view **view,
                     struct store **store, struct operation *operation)
{
    int status = node_store(node, store, operation);
    if (status != VIOS_OK) {
        return status;
    }
    *view = malloc(sizeof **view);
    status = *view ? paging_view_load(*store, lpar, *view, operation)
                   : operation_no_memory(operation, NULL);
    if (status != VIOS_OK) {
        free(*view);
        *view = NULL;
        node_store_return(node, *store);
    }
    return status;
}

void paging_export_name(const char *lpar_uuid, int64_t generation, char *name, size_t size)
{
    snprintf(name, size, "paging/%s/%lld", lpar_uuid, (long long)generation);
}

int paging_await(struct node *node, const char *lpar, int64_t generation,
                 struct operation *operation)
{
    struct paging_view *view;
    struct store *store;
    int status = paging_view_open(node, lpar, &view, &store, operation);
    if (status == VIOS_E_NOT_FOUND) {
        return VIOS_OK;
    }
    if (status != VIOS_OK) {
        return status;
    }
    node_store_return(node, store);
    status =
        paging_reconcile_await(node, lpar, view->record.uuid, generation, PAGING_SERVED, operation);
    free(view);
    return status;
}

int paging_device_size(struct node *node, const char *lpar, uint64_t *size_bytes,
                       struct operation *operation)
{
    struct paging_view *view;
    struct store *store;
    int status = paging_view_open(node, lpar, &view, &store, operation);
    *size_bytes = 0;
    if (status == VIOS_OK) {
        *size_bytes = view->record.size_bytes;
        node_store_return(node, store);
        free(view);
    }
    return status == VIOS_E_NOT_FOUND ? VIOS_OK : status;
}

int paging_device_held(struct node *node, const char *lpar, uint64_t *held_bytes,
                       struct operation *operation)
{
    struct paging_view *view;
    struct store *store;
    int status = paging_view_open(node, lpar, &view, &store, operation);
    *held_bytes = 0;
    if (status == VIOS_OK) {
        json_t *export = paging_reconcile_export(node, view->record.uuid, view->generation);
        const json_t *pages = json_object_get(export, "pages_held");
        *held_bytes = json_is_integer(pages) ? (uint64_t)json_integer_value(pages) * PAGE_BYTES
                                             : view->record.size_bytes;
        json_decref(export);
        node_store_return(node, store);
        free(view);
    }
    return status == VIOS_E_NOT_FOUND ? VIOS_OK : status;
}
