/*
 * pager_state.c - see pager_state.h. Layout: a header page, the regions, the intents, the
 * checksums, and a bitmap for each replica number; each part starts on a page.
 */
#include "paging/pager_state.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define STATE_MAGIC UINT64_C(0x3172656761707376) /* "vspager1" */

struct state_header {
    _Atomic uint64_t magic; /* stored last */
    _Atomic uint64_t generation;
    uint64_t size_bytes;
    uint64_t region_count;
    char lpar[40];
};

struct layout {
    uint64_t regions, intents, checksums, dirty, bitmap_bytes, total;
};

static struct layout layout_of(uint64_t pages, uint64_t regions)
{
    struct layout layout = {.regions = PAGE_BYTES};
    layout.intents = layout.regions + page_round_up(regions * sizeof(struct pager_state_region));
    layout.checksums = layout.intents + page_round_up(PAGER_INTENTS * sizeof(struct pager_intent));
    layout.dirty = layout.checksums + page_round_up(pages * sizeof(uint64_t));
    layout.bitmap_bytes = page_round_up(pages / 8 + 8);
    layout.total = layout.dirty + PAGER_REPLICAS_MAX * layout.bitmap_bytes;
    return layout;
}

static int state_map(struct pager_state *state, const struct layout *layout,
                     struct vios_error *error)
{
    void *base = mmap(NULL, layout->total, PROT_READ | PROT_WRITE, MAP_SHARED, state->file.fd, 0);
    if (base == MAP_FAILED) {
        return error_set_errno(error, "pager state", "cannot map it");
    }
    state->base = base;
    state->generation = &((struct state_header *)base)->generation;
    state->regions = (void *)(state->base + layout->regions);
    state->intents = (void *)(state->base + layout->intents);
    state->checksums = (void *)(state->base + layout->checksums);
    for (unsigned i = 0; i < PAGER_REPLICAS_MAX; i++) {
        state->dirty[i] = (void *)(state->base + layout->dirty + i * layout->bitmap_bytes);
    }
    return VIOS_OK;
}

static void state_fill(struct pager_state *state, const struct pager_configuration *configuration)
{
    struct state_header *header = (void *)state->base;
    header->generation = configuration->generation;
    header->size_bytes = configuration->size_bytes;
    header->region_count = configuration->region_count;
    snprintf(header->lpar, sizeof header->lpar, "%s", configuration->lpar);
    for (size_t i = 0; i < configuration->region_count; i++) {
        const struct pager_region *from = &configuration->regions[i];
        struct pager_state_region *to = &state->regions[i];
        to->number = from->number;
        to->offset = from->offset;
        to->size_bytes = from->size_bytes;
    }
    atomic_store(&header->magic, STATE_MAGIC);
}

static bool state_fits(const struct pager_state *state, const struct layout *layout,
                       const struct pager_configuration *configuration)
{
    struct state_header header;
    return state->file.size_bytes == layout->total &&
           pread(state->file.fd, &header, sizeof header, 0) == sizeof header &&
           header.magic == STATE_MAGIC && header.size_bytes == configuration->size_bytes &&
           header.region_count == configuration->region_count &&
           strncmp(header.lpar, configuration->lpar, sizeof header.lpar) == 0;
}

static bool regions_fit(const struct pager_state *state,
                        const struct pager_configuration *configuration)
{
    for (size_t i = 0; i < state->region_count; i++) {
        const struct pager_state_region *region = &state->regions[i];
        if (region->offset != configuration->regions[i].offset ||
            region->size_bytes != configuration->regions[i].size_bytes) {
            return false;
        }
        for (unsigned j = 0; j < PAGER_REPLICAS_MAX; j++) {
            const struct pager_state_replica *replica = &region->replicas[j];
            if (!memchr(replica->node, 0, sizeof replica->node) ||
                !memchr(replica->entry, 0, sizeof replica->entry)) {
                return false;
            }
        }
    }
    for (size_t i = 0; i < PAGER_INTENTS; i++) {
        if (state->intents[i].page > state->pages) {
            return false;
        }
    }
    return true;
}

static int state_take(struct pager_state *state, const struct layout *layout, int fd,
                      const struct pager_configuration *configuration, struct vios_error *error)
{
    int status = state_file_take(&state->file, fd, "pager state", error);
    if (status == VIOS_OK && !state_fits(state, layout, configuration)) {
        status = error_set(error, VIOS_E_INVALID, "pager state", NULL,
                           "what was handed over is not of LPAR %s", configuration->lpar);
    }
    if (status == VIOS_OK) {
        status = state_map(state, layout, error);
    }
    if (status == VIOS_OK && !regions_fit(state, configuration)) {
        status = error_set(error, VIOS_E_INVALID, "pager state", NULL,
                           "the regions handed over of LPAR %s are others", configuration->lpar);
    }
    if (status == VIOS_OK && *state->generation > configuration->generation) {
        status = error_set(error, VIOS_E_STALE, "pager state", NULL,
                           "generation %llu is older than what was handed over",
                           (unsigned long long)configuration->generation);
    }
    if (status == VIOS_OK) {
        atomic_store(state->generation, configuration->generation);
    }
    return status;
}

int pager_state_open(struct pager_state *state, const struct pager_configuration *configuration,
                     int fd, struct vios_error *error)
{
    int status;
    *state = (struct pager_state){.file = {.fd = -1, .lock = -1}};
    state->pages = configuration->size_bytes / PAGE_BYTES;
    state->region_count = configuration->region_count;
    struct layout layout = layout_of(state->pages, state->region_count);
    if (fd >= 0) {
        status = state_take(state, &layout, fd, configuration, error);
    } else {
        status = state_file_make(&state->file, "pager state", layout.total, error);
        if (status == VIOS_OK) {
            status = state_map(state, &layout, error);
        }
        if (status == VIOS_OK) {
            state_fill(state, configuration);
        }
    }
    if (status != VIOS_OK) {
        pager_state_close(state);
    }
    return status;
}

uint64_t pager_state_generation(int state_fd)
{
    struct state_header header;
    return pread(state_fd, &header, sizeof header, 0) == sizeof header &&
                   header.magic == STATE_MAGIC
               ? header.generation
               : 0;
}

void pager_state_close(struct pager_state *state)
{
    if (state->base) {
        munmap(state->base, layout_of(state->pages, state->region_count).total);
        state->base = NULL;
    }
    state_file_close(&state->file);
}

uint64_t pager_checksum(const uint8_t *page)
{
    if (page_is_zero(page, PAGE_BYTES)) {
        return 0;
    }
    uint64_t checksum = XXH3_64bits(page, PAGE_BYTES);
    return checksum ? checksum : 1;
}

bool pager_state_dirty_set(struct pager_state *state, unsigned replica, uint64_t page)
{
    uint64_t bit = UINT64_C(1) << page % 64;
    return !(atomic_fetch_or(&state->dirty[replica][page / 64], bit) & bit);
}

bool pager_state_dirty_clear(struct pager_state *state, unsigned replica, uint64_t page)
{
    uint64_t bit = UINT64_C(1) << page % 64;
    return atomic_fetch_and(&state->dirty[replica][page / 64], ~bit) & bit;
}

bool pager_state_dirty(const struct pager_state *state, unsigned replica, uint64_t page)
{
    return state->dirty[replica][page / 64] >> page % 64 & 1;
}
