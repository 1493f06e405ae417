/* io.c - what needs more than one part: the page memory's place among the exports, and the end. */
#include "io/io.h"

#include "base/json.h"
#include "base/log.h"

#include <stdlib.h>

static void add_pages(void *context, struct nbd_export *export)
{
    struct io *io = context;
    struct vios_error error;
    if (exports_add(io->exports, export, NULL, &error) != VIOS_OK) {
        log_error("io", "page memory is not served: %s: %s", error.object, error.message);
    }
}

static void drop_pages(void *context, struct nbd_export *export)
{
    struct io *io = context;
    exports_drop(io->exports, export, NULL);
}

static int raise_pages(void *context, const char *name, const char *node)
{
    return page_memory_raise(context, name, node, NULL);
}

/* Memory that is not locked may be swapped out, which is what remote pages are meant to avoid. */
static void tell_unlocked(struct page_memory *memory)
{
    json_t *told = page_memory_statistics(memory);
    if (json_get_integer(told, "size_bytes") > 0 &&
        !json_is_true(json_object_get(told, "locked"))) {
        log_warning("io", "page memory is not locked: %s", json_get_text(told, "why"));
    }
    json_decref(told);
}

struct page_memory *io_page_memory(struct io *io, int fd, struct vios_error *error)
{
    struct page_memory_hooks hooks = {add_pages, drop_pages, io};
    if (!io->memory && page_memory_open(&io->memory, fd, io->page_memory_bytes, io->workers,
                                        io->worker_count, &hooks, error) == VIOS_OK) {
        exports_set_missing(io->exports, raise_pages, io->memory);
        tell_unlocked(io->memory);
    }
    return io->memory;
}

void io_drain(struct io *io)
{
    struct operation operation;
    size_t count;
    struct nbd_export **all = exports_all(io->exports, &count);
    listeners_pause(io->listeners);
    operation_start(&operation, IO_DRAIN_MS, NULL);
    for (size_t i = 0; all && i < count; i++) {
        if (exports_set_state(io->exports, all[i], EXPORT_DRAINING, &operation) != VIOS_OK) {
            log_warning("io", "%s still has requests in flight", all[i]->name);
        }
        exports_release(all[i]);
    }
    free(all);
}
