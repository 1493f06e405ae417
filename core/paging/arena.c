/*
 * arena.c - see arena.h for the layout and what makes it whole after a crash.
 */
#include "paging/arena.h"

#include "base/parse.h"
#include "paging/state_file.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#define ARENA_MAGIC UINT64_C(0x31616e657261736f) /* "osarena1" */
#define ARENA_UNSETTLED (UINT64_C(1) << 62)
#define ARENA_ENTRY_SHIFT 40
#define ARENA_PAGE_MASK ((UINT64_C(1) << ARENA_ENTRY_SHIFT) - 1)

struct arena_header {
    _Atomic uint64_t magic; /* stored last */
    uint64_t slots;
    _Atomic uint64_t next_serial;
    char uuid[40];
};

_Static_assert(sizeof(struct arena_header) <= PAGE_BYTES, "the header has one page");

struct arena_map {   /* of one entry; rebuilt from the slot words */
    uint32_t *slots; /* slot + 1 of each page, 0 for none; NULL until assigned */
    uint64_t pages;
    _Atomic uint64_t used;
};

struct arena {
    struct state_file file;
    size_t mapped_bytes;
    struct arena_header *header;
    struct arena_entry *entries;
    _Atomic uint64_t *words;
    uint8_t *data;
    struct arena_map maps[ARENA_ENTRIES];
    pthread_mutex_t free_lock;
    uint32_t *free_slots; /* a stack */
    uint64_t free_count;
    bool locked;
    char why[160];
};

static uint64_t tables_size(uint64_t slots)
{
    return PAGE_BYTES + page_round_up(sizeof(struct arena_entry) * ARENA_ENTRIES) +
           page_round_up(slots * sizeof(uint64_t));
}

/* --- making and mapping --- */

static int arena_map(struct arena *arena, uint64_t slots, struct vios_error *error)
{
    arena->mapped_bytes = tables_size(slots) + slots * PAGE_BYTES;
    void *base =
        mmap(NULL, arena->mapped_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, arena->file.fd, 0);
    if (base == MAP_FAILED) {
        return error_set_errno(error, "page memory", "cannot map %zu bytes", arena->mapped_bytes);
    }
    madvise(base, arena->mapped_bytes, MADV_DONTDUMP);
    arena->header = base;
    arena->entries = (void *)((uint8_t *)base + PAGE_BYTES);
    arena->words = (void *)((uint8_t *)arena->entries +
                            page_round_up(sizeof(struct arena_entry) * ARENA_ENTRIES));
    arena->data = (uint8_t *)base + tables_size(slots);
    return VIOS_OK;
}

static int arena_make(struct arena *arena, uint64_t size_bytes, struct vios_error *error)
{
    if (size_bytes > ARENA_SIZE_MAX) {
        return error_set(error, VIOS_E_INVALID, "page memory", NULL,
                         "%llu bytes are more than the %llu an arena may have",
                         (unsigned long long)size_bytes, (unsigned long long)ARENA_SIZE_MAX);
    }
    uint64_t slots = page_round_up(size_bytes) / PAGE_BYTES;
    int status = state_file_make(&arena->file, "page memory",
                                 tables_size(slots) + slots * PAGE_BYTES, error);
    if (status == VIOS_OK) {
        status = arena_map(arena, slots, error);
    }
    if (status == VIOS_OK) {
        arena->header->slots = slots;
        arena->header->next_serial = 1;
        uuid_make(arena->header->uuid);
        atomic_store(&arena->header->magic, ARENA_MAGIC);
    }
    return status;
}

static int arena_take(struct arena *arena, int fd, struct vios_error *error)
{
    struct arena_header header;
    int status = state_file_take(&arena->file, fd, "page memory", error);
    uint64_t size = arena->file.size_bytes;
    if (status != VIOS_OK) {
        return status;
    }
    if (size < PAGE_BYTES || pread(arena->file.fd, &header, sizeof header, 0) != sizeof header ||
        header.magic != ARENA_MAGIC || header.slots > ARENA_SIZE_MAX / PAGE_BYTES ||
        tables_size(header.slots) + header.slots * PAGE_BYTES != size ||
        strnlen(header.uuid, sizeof header.uuid) != UUID_TEXT_SIZE - 1) {
        return error_set(error, VIOS_E_CORRUPT, "page memory", "start io without it",
                         "what was handed over is no arena of ours");
    }
    return arena_map(arena, header.slots, error);
}

static void arena_lock(struct arena *arena)
{
    struct rlimit limit = {0};
    if (mlock2(arena->header, arena->mapped_bytes, MLOCK_ONFAULT) == 0) {
        arena->locked = true;
        snprintf(arena->why, sizeof arena->why, "each page is locked from its first use");
        return;
    }
    int reason = errno;
    getrlimit(RLIMIT_MEMLOCK, &limit);
    snprintf(arena->why, sizeof arena->why,
             "cannot lock %zu bytes (%s); the limit is %llu: raise LimitMEMLOCK",
             arena->mapped_bytes, strerror(reason), (unsigned long long)limit.rlim_cur);
}

/* --- slots --- */

static uint8_t *slot_memory(struct arena *arena, uint32_t slot)
{
    return arena->data + (uint64_t)slot * PAGE_BYTES;
}

static void slot_push(struct arena *arena, uint32_t slot)
{
    pthread_mutex_lock(&arena->free_lock);
    assert(arena->free_count < arena->header->slots);
    arena->free_slots[arena->free_count++] = slot;
    pthread_mutex_unlock(&arena->free_lock);
}

static bool slot_pop(struct arena *arena, uint32_t *slot)
{
    pthread_mutex_lock(&arena->free_lock);
    bool there = arena->free_count > 0;
    if (there) {
        *slot = arena->free_slots[--arena->free_count];
    }
    pthread_mutex_unlock(&arena->free_lock);
    return there;
}

static void slot_release(struct arena *arena, uint32_t slot)
{
    atomic_fetch_or_explicit(&arena->words[slot], ARENA_UNSETTLED, memory_order_release);
    atomic_thread_fence(memory_order_seq_cst);
    memset(slot_memory(arena, slot), 0, PAGE_BYTES);
    atomic_store_explicit(&arena->words[slot], 0, memory_order_release);
    slot_push(arena, slot);
}

static bool entry_live(const struct arena_entry *entry)
{
    uint32_t state = atomic_load(&entry->state);
    return state == ARENA_GRANTED || state == ARENA_ASSIGNED;
}

static bool map_make(struct arena *arena, size_t number)
{
    struct arena_map *map = &arena->maps[number];
    if (!map->slots) {
        map->pages = arena->entries[number].size_bytes / PAGE_BYTES;
        map->slots = calloc(map->pages, sizeof *map->slots);
    }
    return map->slots != NULL;
}

/* --- recovery --- */

static bool entry_sane(const struct arena_entry *entry)
{
    uint32_t selected = entry->selected;
    return entry->state <= ARENA_REVOKING && selected <= 1 && entry->size_bytes > 0 &&
           entry->size_bytes % PAGE_BYTES == 0 && entry->size_bytes <= ARENA_REGION_MAX &&
           memchr(entry->lpar, 0, sizeof entry->lpar) &&
           memchr(entry->owners[selected].node, 0, sizeof entry->owners[selected].node);
}

static int recover_entries(struct arena *arena, struct vios_error *error)
{
    for (size_t i = 0; i < ARENA_ENTRIES; i++) {
        struct arena_entry *entry = &arena->entries[i];
        if (entry->state != ARENA_FREE && !entry_sane(entry)) {
            return error_set(error, VIOS_E_CORRUPT, "page memory", "start io without it",
                             "entry %zu of the arena is damaged", i);
        }
        if (entry_live(entry) && !map_make(arena, i)) {
            return error_set(error, VIOS_E_NO_SPACE, "page memory", NULL,
                             "no memory for the map of entry %zu", i);
        }
    }
    return VIOS_OK;
}

static bool recover_slot(struct arena *arena, uint32_t slot, uint64_t word)
{
    uint64_t entry = word >> ARENA_ENTRY_SHIFT, page = word & ARENA_PAGE_MASK;
    if ((word & ARENA_UNSETTLED) || entry == 0 || entry > ARENA_ENTRIES ||
        !entry_live(&arena->entries[entry - 1])) {
        return false;
    }
    struct arena_map *map = &arena->maps[entry - 1];
    if (page >= map->pages || map->slots[page]) {
        return false;
    }
    map->slots[page] = slot + 1;
    map->used++;
    return true;
}

/* From the last slot to the first, so that the stack hands out the lowest first. */
static int recover(struct arena *arena, struct vios_error *error)
{
    uint64_t slots = arena->header->slots;
    arena->free_slots = calloc(slots + 1, sizeof *arena->free_slots);
    if (!arena->free_slots) {
        return error_set(error, VIOS_E_NO_SPACE, "page memory", NULL,
                         "no memory for the list of %llu slots", (unsigned long long)slots);
    }
    int status = recover_entries(arena, error);
    for (uint64_t i = slots; status == VIOS_OK && i-- > 0;) {
        uint64_t word = arena->words[i];
        if (word == 0) {
            arena->free_slots[arena->free_count++] = (uint32_t)i;
        } else if (!recover_slot(arena, (uint32_t)i, word)) {
            slot_release(arena, (uint32_t)i);
        }
    }
    for (size_t i = 0; status == VIOS_OK && i < ARENA_ENTRIES; i++) {
        if (arena->entries[i].state == ARENA_REVOKING) {
            atomic_store(&arena->entries[i].state, ARENA_FREE);
        }
    }
    return status;
}

/* --- the arena --- */

int arena_open(struct arena **out, int fd, uint64_t size_bytes, struct vios_error *error)
{
    struct arena *arena = calloc(1, sizeof *arena);
    if (!arena) {
        return error_no_memory(error, "page memory");
    }
    pthread_mutex_init(&arena->free_lock, NULL);
    int status = fd < 0 ? arena_make(arena, size_bytes, error) : arena_take(arena, fd, error);
    if (status == VIOS_OK) {
        arena_lock(arena);
        status = recover(arena, error);
    }
    if (status != VIOS_OK) {
        arena_free(arena);
        return status;
    }
    *out = arena;
    return VIOS_OK;
}

void arena_free(struct arena *arena)
{
    if (!arena) {
        return;
    }
    for (size_t i = 0; i < ARENA_ENTRIES; i++) {
        free(arena->maps[i].slots);
    }
    if (arena->header) {
        munmap(arena->header, arena->mapped_bytes);
    }
    state_file_close(&arena->file);
    pthread_mutex_destroy(&arena->free_lock);
    free(arena->free_slots);
    free(arena);
}

int arena_descriptor(const struct arena *arena)
{
    return arena->file.fd;
}

const char *arena_uuid(const struct arena *arena)
{
    return arena->header->uuid;
}

uint64_t arena_size(const struct arena *arena)
{
    return arena->header->slots * PAGE_BYTES;
}

bool arena_locked(const struct arena *arena, const char **why)
{
    *why = arena->why;
    return arena->locked;
}

/* --- entries --- */

struct arena_entry *arena_entry(struct arena *arena, size_t number)
{
    assert(number < ARENA_ENTRIES);
    return &arena->entries[number];
}

const struct arena_owner *arena_entry_owner(const struct arena_entry *entry)
{
    return &entry->owners[entry->selected & 1];
}

void arena_entry_set_owner(struct arena_entry *entry, const struct arena_owner *owner)
{
    uint32_t other = !(entry->selected & 1);
    entry->owners[other] = *owner;
    atomic_store(&entry->selected, other);
}

void arena_entry_create(struct arena *arena, size_t number, const char *lpar, uint32_t index,
                        uint64_t size_bytes, const struct arena_owner *owner)
{
    struct arena_entry *entry = arena_entry(arena, number);
    assert(entry->state == ARENA_FREE && size_bytes % PAGE_BYTES == 0);
    entry->serial = atomic_fetch_add(&arena->header->next_serial, 1);
    entry->size_bytes = size_bytes;
    entry->index = index;
    entry->selected = 0;
    entry->owners[0] = *owner;
    snprintf(entry->lpar, sizeof entry->lpar, "%s", lpar);
    atomic_store(&entry->state, ARENA_GRANTED);
}

bool arena_entry_assign(struct arena *arena, size_t number)
{
    struct arena_entry *entry = arena_entry(arena, number);
    if (!map_make(arena, number)) {
        return false;
    }
    atomic_store(&entry->state, ARENA_ASSIGNED);
    return true;
}

void arena_entry_destroy(struct arena *arena, size_t number)
{
    struct arena_entry *entry = arena_entry(arena, number);
    struct arena_map *map = &arena->maps[number];
    atomic_store(&entry->state, ARENA_REVOKING);
    for (uint64_t page = 0; map->slots && page < map->pages; page++) {
        arena_page_free(arena, number, page);
    }
    assert(map->used == 0);
    free(map->slots);
    *map = (struct arena_map){0};
    atomic_store(&entry->state, ARENA_FREE);
}

uint64_t arena_entry_used(const struct arena *arena, size_t number)
{
    return arena->maps[number].used * PAGE_BYTES;
}

/* --- pages --- */

uint8_t *arena_page(struct arena *arena, size_t number, uint64_t page)
{
    const struct arena_map *map = &arena->maps[number];
    assert(!map->slots || page < map->pages);
    uint32_t slot = map->slots ? map->slots[page] : 0;
    return slot ? slot_memory(arena, slot - 1) : NULL;
}

bool arena_page_fill(struct arena *arena, size_t number, uint64_t page, const void *data,
                     size_t start, size_t size)
{
    struct arena_map *map = &arena->maps[number];
    uint64_t word = (uint64_t)(number + 1) << ARENA_ENTRY_SHIFT | page;
    uint32_t slot;
    assert(map->slots && page < map->pages && !map->slots[page] && start + size <= PAGE_BYTES);
    if (!slot_pop(arena, &slot)) {
        return false;
    }
    atomic_store(&arena->words[slot], word | ARENA_UNSETTLED);
    memcpy(slot_memory(arena, slot) + start, data, size);
    atomic_store_explicit(&arena->words[slot], word, memory_order_release);
    map->slots[page] = slot + 1;
    map->used++;
    return true;
}

void arena_page_free(struct arena *arena, size_t number, uint64_t page)
{
    struct arena_map *map = &arena->maps[number];
    if (map->slots && map->slots[page]) {
        slot_release(arena, map->slots[page] - 1);
        map->slots[page] = 0;
        map->used--;
    }
}
