/*
 * nbd_memory.h - for tests: an NBD export in plain memory, and the table of one name that a
 * server looks it up in. Blocks that are all zero are told as holes. Requests may be kept back
 * (`hold`), to be finished later by memory_release().
 */
#ifndef TESTS_NBD_MEMORY_H
#define TESTS_NBD_MEMORY_H

#include "nbd/server.h"

#include <errno.h>
#include <string.h>

#define MEMORY_SIZE (8u << 20)
#define MEMORY_NAME "memory"
#define MEMORY_IDENTITY "local" /* the only one that may use it */

struct memory {
    struct nbd_export export; /* first */
    uint8_t *bytes;
    bool hold;
    int fail; /* errno for every request */
    struct nbd_request *held;
    unsigned submits, batches, holders;
};

__attribute__((unused)) static void memory_mark_holes(struct memory *memory,
                                                      struct nbd_request *request)
{
    static const uint8_t zeroes[NBD_BLOCK];
    uint64_t first = request->offset / NBD_BLOCK;
    uint64_t last = (request->offset + request->length - 1) / NBD_BLOCK;
    for (uint64_t block = first; block <= last; block++) {
        if (memcmp(memory->bytes + block * NBD_BLOCK, zeroes, NBD_BLOCK) == 0) {
            uint64_t bit = block - first;
            request->holes[bit / 64] |= UINT64_C(1) << (bit % 64);
        }
    }
}

__attribute__((unused)) static int memory_serve(struct memory *memory, struct nbd_request *request)
{
    uint8_t *at = memory->bytes + request->offset;
    switch (request->command) {
    case NBD_READ:
        memcpy(request->data, at, request->length);
        memory_mark_holes(memory, request);
        break;
    case NBD_WRITE:
        memcpy(at, request->data, request->length);
        break;
    case NBD_TRIM:
    case NBD_WRITE_ZEROES:
        memset(at, 0, request->length);
        break;
    case NBD_BLOCK_STATUS:
        memory_mark_holes(memory, request);
        break;
    default:
        break;
    }
    return memory->fail;
}

__attribute__((unused)) static void memory_submit(struct nbd_export *export,
                                                  struct nbd_request *request)
{
    struct memory *memory = (struct memory *)export;
    memory->submits++;
    if (memory->hold) {
        request->next = memory->held;
        memory->held = request;
        return;
    }
    nbd_request_done(request, memory_serve(memory, request));
}

/* Finishes what was held, the latest first. */
__attribute__((unused)) static void memory_release(struct memory *memory)
{
    while (memory->held) {
        struct nbd_request *request = memory->held;
        memory->held = request->next;
        nbd_request_done(request, memory_serve(memory, request));
    }
}

__attribute__((unused)) static void memory_flush(struct nbd_export *export)
{
    ((struct memory *)export)->batches++;
}

static const struct nbd_backend_operations MEMORY_OPERATIONS = {
    .submit = memory_submit,
    .flush_batch = memory_flush,
};

__attribute__((unused)) static void memory_open(struct memory *memory, struct worker *home,
                                                uint8_t *bytes)
{
    memset(memory, 0, sizeof *memory);
    memory->bytes = bytes;
    memory->export = (struct nbd_export){
        .name = MEMORY_NAME,
        .description = "a test",
        .size = MEMORY_SIZE,
        .multi_connection = true,
        .minimum_block = 1,
        .operations = &MEMORY_OPERATIONS,
        .home = home,
    };
}

__attribute__((unused)) static struct nbd_export *memory_find(void *context, const char *name,
                                                              const char *identity)
{
    struct memory *memory = context;
    bool found = strcmp(name, MEMORY_NAME) == 0 && strcmp(identity, MEMORY_IDENTITY) == 0;
    memory->holders += found;
    return found ? &memory->export : NULL;
}

__attribute__((unused)) static void memory_put_back(void *context, struct nbd_export *export)
{
    (void)export;
    ((struct memory *)context)->holders--;
}

__attribute__((unused)) static void
memory_list(void *context, const char *identity,
            void (*one)(void *cookie, const struct nbd_export *export), void *cookie)
{
    struct memory *memory = context;
    if (strcmp(identity, MEMORY_IDENTITY) == 0) {
        one(cookie, &memory->export);
    }
}

static const struct nbd_server_operations MEMORY_SERVER = {
    .find = memory_find,
    .release = memory_put_back,
    .list = memory_list,
};

#endif
