/* page_export.c - see the header. */
#include "paging/page_export.h"

#include "paging/page_name.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct page_export {
    struct nbd_export export; /* first: the two are one pointer */
    struct arena *arena;
    size_t entry;
    struct page_region *region;
    _Atomic uint64_t pages_in, pages_out, zero_pages, refused;
};

/* --- requests, on the home worker with the region's lock --- */

static void page_read(struct page_export *page, uint64_t number, size_t start, size_t size,
                      uint8_t *data, uint64_t *holes, size_t bit)
{
    const uint8_t *memory = arena_page(page->arena, page->entry, number);
    if (!memory) {
        holes[bit / 64] |= UINT64_C(1) << bit % 64;
    } else if (data) { /* BLOCK_STATUS has none */
        memcpy(data, memory + start, size);
        page->pages_in++;
    }
}

static int page_write(struct page_export *page, uint64_t number, size_t start, size_t size,
                      const uint8_t *data)
{
    struct arena *arena = page->arena;
    uint8_t *memory = arena_page(arena, page->entry, number);
    bool zero = data ? page_is_zero(data, size) : true;
    page->zero_pages += zero;
    page->pages_out += !zero;
    if (zero && size == PAGE_BYTES) {
        arena_page_free(arena, page->entry, number);
    } else if (memory && zero) {
        memset(memory + start, 0, size);
    } else if (memory) {
        memcpy(memory + start, data, size);
    } else if (!zero && !arena_page_fill(arena, page->entry, number, data, start, size)) {
        return ENOSPC;
    }
    return 0;
}

static int page_run(struct page_export *page, struct nbd_request *request)
{
    uint64_t offset = request->offset, end = offset + request->length;
    uint64_t first = offset / PAGE_BYTES;
    uint8_t *data = request->data;
    int error = 0;
    while (offset < end && !error) {
        uint64_t number = offset / PAGE_BYTES;
        size_t start = offset % PAGE_BYTES;
        size_t size = PAGE_BYTES - start < end - offset ? PAGE_BYTES - start : end - offset;
        if (request->command == NBD_READ || request->command == NBD_BLOCK_STATUS) {
            page_read(page, number, start, size, data, request->holes, number - first);
        } else {
            error = page_write(page, number, start, size, data);
        }
        offset += size;
        data = data ? data + size : NULL;
    }
    return error;
}

static void page_submit(struct nbd_export *export, struct nbd_request *request)
{
    struct page_export *page = export->backend;
    struct page_region *region = page->region;
    int error = 0;
    pthread_mutex_lock(&region->lock);
    if (region->current != export) {
        page->refused++;
        error = ESHUTDOWN;
    } else if (request->command == NBD_WRITE && !request->data) {
        error = EINVAL;
    } else if (request->command != NBD_FLUSH) {
        bool there = arena_entry_assign(page->arena, page->entry);
        error = there ? page_run(page, request) : ENOMEM;
    }
    pthread_mutex_unlock(&region->lock);
    nbd_request_done(request, error);
}

static void page_close(struct nbd_export *export, void (*closed)(struct nbd_export *))
{
    struct page_export *page = export->backend;
    struct page_region *region = page->region;
    pthread_mutex_lock(&region->lock);
    if (region->current == export) {
        region->current = NULL; /* io ends; the entry stays for the next one */
    }
    pthread_mutex_unlock(&region->lock);
    if (closed) {
        closed(export);
    }
    free(page);
}

static void page_statistics(struct nbd_export *export, void *json_object)
{
    struct page_export *page = export->backend;
    json_t *object = json_object;
    json_object_set_new(object, "kind", json_string("page"));
    json_object_set_new(object, "pages_in", json_integer((json_int_t)page->pages_in));
    json_object_set_new(object, "pages_out", json_integer((json_int_t)page->pages_out));
    json_object_set_new(object, "zero_pages", json_integer((json_int_t)page->zero_pages));
    json_object_set_new(object, "refused", json_integer((json_int_t)page->refused));
}

static const struct nbd_backend_operations page_operations = {
    .submit = page_submit, .close = page_close, .statistics = page_statistics};

/* --- making one --- */

struct nbd_export *page_export_new(struct arena *arena, size_t number,
                                   const struct arena_owner *owner, struct page_region *region,
                                   struct worker *home)
{
    struct page_export *page = calloc(1, sizeof *page);
    const struct arena_entry *entry = arena_entry(arena, number);
    if (!page) {
        return NULL;
    }
    struct nbd_export *export = &page->export;
    page->arena = arena;
    page->entry = number;
    page->region = region;
    page_name_format(export->name, sizeof export->name, entry->lpar, entry->index, owner->number,
                     owner->generation);
    snprintf(export->lpar, sizeof export->lpar, "%s", entry->lpar);
    snprintf(export->node, sizeof export->node, "%s", owner->node);
    snprintf(export->description, sizeof export->description, "arena=%s entry=%" PRIu64,
             arena_uuid(arena), entry->serial);
    export->size = entry->size_bytes;
    export->multi_connection = true;
    export->minimum_block = 1;
    export->operations = &page_operations;
    export->home = home;
    export->backend = page;
    export->state = EXPORT_OPEN;
    return export;
}
