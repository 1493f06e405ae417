/* pages.c - see pages.h. */
#include "tests/sim/pages.h"

#include "paging/page_memory.h"
#include "tests/sim/guest.h"
#include "tests/sim/node.h"
#include "tests/sim/worker.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PAGE 4096
#define TRAVEL_US (2 * MS)
#define SLOW_TRAVEL_US (800 * MS)
#define CLOSE_US (300 * MS) /* until the connections of a dropped export are closed */
#define EXPORTS_MAX 4096

struct pages {
    struct world *world;
    struct page_memory *memory;
    struct worker *worker;                   /* the only one; the memory points to it */
    struct nbd_export *exports[EXPORTS_MAX]; /* by the order in which they came; NULL: closed */
    size_t count;
    int64_t granted[SWARM_LPARS_MAX]; /* the highest generation accepted */
};

struct push {
    struct pages *pages;
    const struct node *node;
    const struct lpar *lpar;
    int64_t generation;
};

struct page_request { /* under a connection: an export that was chosen when it began */
    struct nbd_request request;
    struct pages *pages;
    struct copy *copy;
    size_t export;
    int64_t generation;
    uint8_t data[PAGE];
};

void nbd_request_done(struct nbd_request *request, int error)
{
    request->error = error;
}

/* --- exports --- */

static void add(void *context, struct nbd_export *export)
{
    struct pages *pages = context;
    assert(pages->count < EXPORTS_MAX);
    pages->exports[pages->count++] = export;
}

static size_t find(const struct pages *pages, const struct nbd_export *export)
{
    size_t i = 0;
    while (i < pages->count && pages->exports[i] != export) {
        i++;
    }
    return i;
}

struct closing {
    struct pages *pages;
    size_t export;
};

static void close_export(struct pages *pages, size_t place)
{
    struct nbd_export *export = pages->exports[place];
    if (export) {
        pages->exports[place] = NULL;
        export->operations->close(export, NULL);
    }
}

static void closes(void *context)
{
    struct closing *closing = context;
    close_export(closing->pages, closing->export);
}

static void drop(void *context, struct nbd_export *export)
{
    struct pages *pages = context;
    struct closing *closing = malloc(sizeof *closing);
    assert(closing);
    *closing = (struct closing){pages, find(pages, export)};
    world_post_owned(pages->world, random_below(&pages->world->guest_random, CLOSE_US), closes,
                     closing);
}

struct pages *pages_new(struct world *world)
{
    struct pages *pages = sim_alloc(sizeof *pages);
    const struct page_memory_hooks hooks = {add, drop, pages};
    pages->world = world;
    pages->worker = sim_worker(&world->nodes[0].kernel);
    int status = page_memory_open(&pages->memory, -1, SWARM_LPARS_MAX * PAGE, &pages->worker, 1,
                                  &hooks, NULL);
    assert(status == VIOS_OK);
    (void)status;
    return pages;
}

void pages_free(struct pages *pages)
{
    for (size_t i = 0; i < pages->count; i++) {
        close_export(pages, i);
    }
    page_memory_free(pages->memory);
    free(pages);
}

/* --- what the daemon pushes --- */

static int64_t travel_us(struct world *world)
{
    bool slow = !world->calm && random_chance(&world->guest_random, 100000);
    return random_between(&world->guest_random, 100, slow ? SLOW_TRAVEL_US : TRAVEL_US);
}

static void uuid_of(const struct lpar *lpar, char uuid[40])
{
    snprintf(uuid, 40, "00000000-0000-4000-8000-%012zu", lpar->number + 1);
}

static void granted(void *context)
{
    struct push *push = context;
    struct pages *pages = push->pages;
    const struct page_memory_region region = {.number = 1, .size_bytes = PAGE};
    char uuid[40];
    uuid_of(push->lpar, uuid);
    int status = page_memory_grant(pages->memory, uuid, push->node->name,
                                   (uint64_t)push->generation, &region, 1, NULL);
    if (status == VIOS_OK && pages->granted[push->lpar->number] < push->generation) {
        pages->granted[push->lpar->number] = push->generation;
    }
}

void pages_claim(struct node *node, const struct lpar *lpar, int64_t generation)
{
    struct push *push = malloc(sizeof *push);
    assert(push);
    *push = (struct push){node->world->pages, node, lpar, generation};
    world_post_owned(node->world, travel_us(node->world), granted, push);
}

/* --- what the guest writes --- */

static void arrive(void *context)
{
    struct page_request *request = context;
    struct pages *pages = request->pages;
    struct nbd_export *export = pages->exports[request->export];
    int64_t newest = pages->granted[request->copy->lpar->number];
    if (export) { /* else its connection is closed */
        request->request.data = request->data;
        export->operations->submit(export, &request->request);
        if (request->request.error == 0 && request->generation < newest) {
            world_fail(
                pages->world, 10, "page memory serves %s in generation %lld, it accepted %lld",
                request->copy->lpar->name, (long long)request->generation, (long long)newest);
        }
    }
}

/* The export that the copy would choose by its name; EXPORTS_MAX: none. */
static size_t choose(const struct pages *pages, const struct copy *copy)
{
    char uuid[40], name[160];
    uuid_of(copy->lpar, uuid);
    snprintf(name, sizeof name, "page/%s/0.1/%lld", uuid, (long long)copy->generation);
    for (size_t i = pages->count; i > 0; i--) {
        if (pages->exports[i - 1] && strcmp(pages->exports[i - 1]->name, name) == 0) {
            return i - 1;
        }
    }
    return EXPORTS_MAX;
}

void pages_write(struct copy *copy)
{
    struct world *world = copy->lpar->world;
    size_t export = choose(world->pages, copy);
    if (export == EXPORTS_MAX) {
        return; /* refused at the handshake */
    }
    struct page_request *request = calloc(1, sizeof *request);
    assert(request);
    request->request = (struct nbd_request){.command = NBD_WRITE, .length = PAGE};
    request->pages = world->pages;
    request->copy = copy;
    request->export = export;
    request->generation = copy->generation;
    request->data[0] = 1;
    world_post_owned(world, travel_us(world), arrive, request);
}
