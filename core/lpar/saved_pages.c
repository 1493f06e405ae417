/* saved_pages.c - see saved_pages.h. */
#include "lpar/saved_pages.h"

#include "lpar/paging_device.h"
#include "node/node.h"
#include "paging/page_loader.h"
#include "paging/page_save.h"
#include "paging/paging.h"

#define ASK_MS 5000

int saved_pages_size(struct node *node, const struct lpar *lpar, uint64_t *bytes,
                     struct operation *operation)
{
    char object[96];
    struct operation asking;
    operation_start(&asking, ASK_MS, operation->cancel);
    int status = paging_device_size(node, lpar->name, bytes, &asking);
    int uses = status == VIOS_OK ? lpar_uses_paging(node, lpar->name, &asking) : status;
    if (uses < 0) {
        operation->error = asking.error;
        return uses;
    }
    return (uses > 0) == (*bytes > 0)
               ? VIOS_OK
               : operation_fail(operation, VIOS_E_CONFLICT, lpar_object(lpar->name, object),
                                "see paging list, and try it again",
                                "it is just getting its paging device, or losing it");
}

int saved_pages_held(struct node *node, const struct lpar *lpar, uint64_t *bytes,
                     struct operation *operation)
{
    int status = saved_pages_size(node, lpar, bytes, operation);
    return status == VIOS_OK ? paging_device_held(node, lpar->name, bytes, operation) : status;
}

/* --- into the file --- */

struct writing {
    struct hibernation_writer *writer;
    void (*progress)(void *context, uint64_t done_bytes);
    void *context;
};

static int write_pages(void *context, const void *data, size_t size, struct operation *operation)
{
    const struct writing *writing = context;
    return hibernation_writer_write(writing->writer, HIBERNATION_PAGES, data, size, operation);
}

static void tell_progress(void *context, uint64_t done_bytes, uint64_t size_bytes, uint64_t pages)
{
    const struct writing *writing = context;
    (void)size_bytes;
    (void)pages;
    writing->progress(writing->context, done_bytes);
}

int saved_pages_write(struct job *job, const struct lpar *lpar, int64_t start,
                      struct hibernation_writer *writer,
                      void (*progress)(void *context, uint64_t done_bytes), void *context)
{
    struct writing writing = {writer, progress, context};
    const struct page_save_target target = {
        .sink = write_pages, .progress = tell_progress, .context = &writing};
    return page_save(job_node(job), lpar->uuid, start, &target, NULL, &job->operation);
}

/* --- out of it --- */

int saved_pages_check(struct node *node, const struct lpar *lpar,
                      const struct hibernation_reader *reader, struct operation *operation)
{
    uint64_t bytes = 0;
    char object[96];
    struct hibernation_sizes sizes;
    int status = paging_device_size(node, lpar->name, &bytes, operation);
    hibernation_reader_sizes(reader, &sizes);
    if (status < 0 || (bytes > 0) == (sizes.pages_bytes > 0)) {
        return status;
    }
    return operation_fail(operation, VIOS_E_INVALID, lpar_object(lpar->name, object),
                          "start it from its disks: lpar start --from-storage", "%s",
                          bytes > 0 ? "it got a paging device after it was hibernated"
                                    : "its paging device was removed after it was hibernated");
}

static int give_pages(void *context, const void *data, size_t size, struct operation *operation)
{
    return page_loader_write(context, data, size, operation);
}

int saved_pages_load(struct job *job, const struct lpar *lpar, struct hibernation_reader *reader)
{
    struct hibernation_sizes sizes;
    struct page_loader *loader;
    hibernation_reader_sizes(reader, &sizes);
    if (sizes.pages_bytes == 0) {
        return VIOS_OK;
    }
    int status =
        page_loader_open(&loader, job_node(job), lpar->uuid, lpar->generation, &job->operation);
    if (status < 0) {
        return status;
    }
    status =
        hibernation_reader_stream(reader, HIBERNATION_PAGES, give_pages, loader, &job->operation);
    if (status < 0) {
        page_loader_abandon(loader);
        return status;
    }
    return page_loader_finish(loader, NULL, &job->operation);
}
