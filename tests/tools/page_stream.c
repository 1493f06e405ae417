/*
 * page_stream.c - what a hibernation does with the pages of a guest, and a restart:
 *
 *     page_stream save RUN_DIR LPAR-UUID START >FILE
 *     page_stream load RUN_DIR LPAR-UUID START <FILE
 *
 * RUN_DIR is of the node that serves the device. Says "PAGES pages, MS ms" on stderr and exits 0,
 * or 1 with the reason; SIGINT cancels.
 */
#include "base/clock.h"
#include "base/file.h"
#include "base/parse.h"
#include "paging/page_loader.h"
#include "paging/page_save.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define BLOCK (1u << 20)

static struct cancel *cancel;

static void interrupted(int number)
{
    (void)number;
    cancel_trigger(cancel);
}

static int sink(void *context, const void *data, size_t size, struct operation *operation)
{
    (void)context;
    return file_write_all(STDOUT_FILENO, data, size, &operation->error);
}

static int save(struct node *node, const char *uuid, int64_t start, uint64_t *pages,
                struct operation *operation)
{
    static const struct page_save_target target = {.sink = sink};
    return page_save(node, uuid, start, &target, pages, operation);
}

static int feed(struct page_loader *loader, struct operation *operation)
{
    static char block[BLOCK];
    ssize_t got;
    while ((got = read(STDIN_FILENO, block, sizeof block)) > 0) {
        int status = page_loader_write(loader, block, (size_t)got, operation);
        if (status != VIOS_OK) {
            return status;
        }
    }
    return got < 0 ? error_set_errno(&operation->error, "stdin", "cannot read it") : VIOS_OK;
}

static int load(struct node *node, const char *uuid, int64_t start, uint64_t *pages,
                struct operation *operation)
{
    struct page_loader *loader;
    int status = page_loader_open(&loader, node, uuid, start, operation);
    if (status == VIOS_OK && (status = feed(loader, operation)) != VIOS_OK) {
        page_loader_abandon(loader);
        return status;
    }
    return status == VIOS_OK ? page_loader_finish(loader, pages, operation) : status;
}

int main(int count, char **words)
{
    struct operation operation;
    struct node node = {0};
    uint64_t pages = 0;
    int64_t start, began_ms = clock_now_ms();
    bool saves = count > 1 && strcmp(words[1], "save") == 0;
    if (count != 5 || (!saves && strcmp(words[1], "load") != 0) ||
        parse_integer(words[4], 0, INT64_MAX, &start, NULL) != VIOS_OK) {
        fprintf(stderr, "usage: page_stream save|load RUN_DIR LPAR-UUID START\n");
        return 2;
    }
    node.run_dir = words[2];
    cancel = cancel_new();
    signal(SIGINT, interrupted);
    operation_start(&operation, OPERATION_NO_DEADLINE, cancel);
    int status = (saves ? save : load)(&node, words[3], start, &pages, &operation);
    if (status != VIOS_OK) {
        char text[800];
        fprintf(stderr, "page_stream: %s\n", error_format(&operation.error, text, sizeof text));
        return 1;
    }
    fprintf(stderr, "%" PRIu64 " pages, %" PRId64 " ms\n", pages, clock_now_ms() - began_ms);
    return 0;
}
