/*
 * page_memory.c - grants over the arena, and which export serves each.
 *
 * Three locks, taken in this order: `control` for the table of entries and grants, `lock` of one
 * region around each request on it, and the arena's own around its free list.
 */
#include "paging/page_memory.h"

#include "base/parse.h"
#include "paging/arena.h"
#include "paging/page_export.h"
#include "paging/page_name.h"

#include <assert.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

_Static_assert(PAGE_MEMORY_ENTRIES == ARENA_ENTRIES, "one limit");
_Static_assert(PAGE_MEMORY_REGION_MAX == ARENA_REGION_MAX, "one limit");
_Static_assert(PAGE_MEMORY_ARENA_MAX == ARENA_SIZE_MAX, "one limit");

struct page_memory {
    pthread_mutex_t control;
    struct arena *arena;
    struct page_region regions[PAGE_MEMORY_ENTRIES];
    uint64_t granted_bytes;
    struct worker *const *workers;
    size_t worker_count;
    struct page_memory_hooks hooks;
};

/* --- exports --- */

static struct nbd_export *export_make(struct page_memory *memory, size_t number,
                                      const struct arena_owner *owner)
{
    return page_export_new(memory->arena, number, owner, &memory->regions[number],
                           memory->workers[number % memory->worker_count]);
}

static void export_drop(struct page_memory *memory, struct nbd_export *export)
{
    if (export) {
        memory->hooks.drop(memory->hooks.context, export);
    }
}

/* Makes it the valid one of its region. */
static void export_publish(struct page_memory *memory, size_t number, struct nbd_export *export)
{
    struct page_region *region = &memory->regions[number];
    pthread_mutex_lock(&region->lock);
    struct nbd_export *old = region->current;
    region->current = export;
    pthread_mutex_unlock(&region->lock);
    export_drop(memory, old);
    memory->hooks.add(memory->hooks.context, export);
}

static int owner_change(struct page_memory *memory, size_t number, const struct arena_owner *owner,
                        struct vios_error *error)
{
    struct nbd_export *export = export_make(memory, number, owner);
    if (!export) {
        return error_no_memory(error, "page memory");
    }
    arena_entry_set_owner(arena_entry(memory->arena, number), owner);
    export_publish(memory, number, export);
    return VIOS_OK;
}

static void entry_revoke(struct page_memory *memory, size_t number)
{
    struct page_region *region = &memory->regions[number];
    memory->granted_bytes -= arena_entry(memory->arena, number)->size_bytes;
    pthread_mutex_lock(&region->lock);
    struct nbd_export *old = region->current;
    region->current = NULL;
    arena_entry_destroy(memory->arena, number);
    pthread_mutex_unlock(&region->lock);
    export_drop(memory, old);
}

/* --- finding entries, with `control` held --- */

static bool entry_is_of(struct page_memory *memory, size_t number, const char *lpar)
{
    const struct arena_entry *entry = arena_entry(memory->arena, number);
    return entry->state != ARENA_FREE && strcmp(entry->lpar, lpar) == 0;
}

/* PAGE_MEMORY_ENTRIES when there is none. */
static size_t entry_find(struct page_memory *memory, const char *lpar, uint32_t index)
{
    size_t i = 0;
    while (i < PAGE_MEMORY_ENTRIES &&
           !(entry_is_of(memory, i, lpar) && arena_entry(memory->arena, i)->index == index)) {
        i++;
    }
    return i;
}

static size_t entry_find_free(struct page_memory *memory)
{
    size_t i = 0;
    while (i < PAGE_MEMORY_ENTRIES && arena_entry(memory->arena, i)->state != ARENA_FREE) {
        i++;
    }
    return i;
}

static int check_generation(struct page_memory *memory, const char *lpar, uint64_t generation,
                            struct vios_error *error)
{
    for (size_t i = 0; i < PAGE_MEMORY_ENTRIES; i++) {
        if (entry_is_of(memory, i, lpar) &&
            arena_entry_owner(arena_entry(memory->arena, i))->generation > generation) {
            return error_set(error, VIOS_E_STALE, lpar, NULL,
                             "generation %" PRIu64 " is older than %" PRIu64, generation,
                             arena_entry_owner(arena_entry(memory->arena, i))->generation);
        }
    }
    return VIOS_OK;
}

/* --- grant --- */

struct grant {
    const char *lpar, *node;
    uint64_t generation;
    const struct page_memory_region *regions;
    size_t count;
};

static bool grant_has(const struct grant *grant, uint32_t index, size_t before)
{
    for (size_t i = 0; i < before; i++) {
        if (grant->regions[i].index == index) {
            return true;
        }
    }
    return false;
}

static int grant_check(const struct grant *grant, struct vios_error *error)
{
    int status = parse_uuid(grant->lpar, error);
    if (status == VIOS_OK) {
        status = parse_name(grant->node, "node", error);
    }
    if (status == VIOS_OK && grant->count > PAGE_MEMORY_ENTRIES) {
        status = error_set(error, VIOS_E_USAGE, grant->lpar, NULL, "a grant has at most %d regions",
                           PAGE_MEMORY_ENTRIES);
    }
    for (size_t i = 0; status == VIOS_OK && i < grant->count; i++) {
        const struct page_memory_region *region = &grant->regions[i];
        if (region->size_bytes == 0 || region->size_bytes % PAGE_BYTES ||
            region->size_bytes > PAGE_MEMORY_REGION_MAX || grant_has(grant, region->index, i)) {
            status = error_set(error, VIOS_E_USAGE, grant->lpar, "give whole pages of 4096 bytes",
                               "region %" PRIu32 " is given twice, or its size of %" PRIu64
                               " bytes cannot be",
                               region->index, region->size_bytes);
        }
    }
    return status;
}

/* A region that is there already must be of the same size and, in one generation, owner. */
static int grant_check_known(struct page_memory *memory, const struct grant *grant,
                             struct vios_error *error)
{
    for (size_t i = 0; i < grant->count; i++) {
        size_t number = entry_find(memory, grant->lpar, grant->regions[i].index);
        if (number == PAGE_MEMORY_ENTRIES) {
            continue;
        }
        const struct arena_entry *entry = arena_entry(memory->arena, number);
        const struct arena_owner *owner = arena_entry_owner(entry);
        if (entry->size_bytes != grant->regions[i].size_bytes ||
            (owner->generation == grant->generation && strcmp(owner->node, grant->node) != 0)) {
            return error_set(error, VIOS_E_CONFLICT, grant->lpar, "revoke it first",
                             "region %" PRIu32 " is granted with %" PRIu64
                             " bytes to node %s under generation %" PRIu64,
                             entry->index, entry->size_bytes, owner->node, owner->generation);
        }
    }
    return VIOS_OK;
}

/* Admission: what stays granted, and what is new, must fit. */
static int grant_admit(struct page_memory *memory, const struct grant *grant,
                       struct vios_error *error)
{
    uint64_t wanted = 0, others = memory->granted_bytes;
    size_t entries = grant->count;
    for (size_t i = 0; i < PAGE_MEMORY_ENTRIES; i++) {
        const struct arena_entry *entry = arena_entry(memory->arena, i);
        bool own = entry_is_of(memory, i, grant->lpar);
        others -= own ? entry->size_bytes : 0;
        entries += entry->state != ARENA_FREE && !own;
    }
    for (size_t i = 0; i < grant->count; i++) {
        wanted += grant->regions[i].size_bytes; /* 1024 regions of 2^40 bytes: no overflow */
    }
    if (entries > PAGE_MEMORY_ENTRIES) {
        return error_set(error, VIOS_E_NO_SPACE, "page memory", "use larger regions",
                         "%zu regions are more than %d", entries, PAGE_MEMORY_ENTRIES);
    }
    if (wanted > arena_size(memory->arena) - others) {
        return error_set(error, VIOS_E_NO_SPACE, "page memory",
                         "raise page_memory, or place the regions on other nodes",
                         "%" PRIu64 " bytes are wanted, %" PRIu64 " of %" PRIu64 " are not granted",
                         wanted, arena_size(memory->arena) - others, arena_size(memory->arena));
    }
    return VIOS_OK;
}

static int grant_region(struct page_memory *memory, const struct grant *grant,
                        const struct page_memory_region *region, struct vios_error *error)
{
    struct arena_owner owner = {.generation = grant->generation, .number = region->number};
    size_t number = entry_find(memory, grant->lpar, region->index);
    snprintf(owner.node, sizeof owner.node, "%s", grant->node);
    if (number < PAGE_MEMORY_ENTRIES) {
        const struct arena_owner *known = arena_entry_owner(arena_entry(memory->arena, number));
        if (owner.number < known->number) {
            owner.number = known->number;
        }
        bool same = known->generation == owner.generation && known->number == owner.number;
        return same ? VIOS_OK : owner_change(memory, number, &owner, error);
    }
    number = entry_find_free(memory);
    assert(number < PAGE_MEMORY_ENTRIES);
    arena_entry_create(memory->arena, number, grant->lpar, region->index, region->size_bytes,
                       &owner);
    struct nbd_export *export = export_make(memory, number, &owner);
    if (!export) {
        arena_entry_destroy(memory->arena, number);
        return error_no_memory(error, "page memory");
    }
    memory->granted_bytes += region->size_bytes;
    export_publish(memory, number, export);
    return VIOS_OK;
}

static int grant_apply(struct page_memory *memory, const struct grant *grant,
                       struct vios_error *error)
{
    int status = VIOS_OK;
    for (size_t i = 0; i < PAGE_MEMORY_ENTRIES; i++) {
        if (entry_is_of(memory, i, grant->lpar) &&
            !grant_has(grant, arena_entry(memory->arena, i)->index, grant->count)) {
            entry_revoke(memory, i);
        }
    }
    for (size_t i = 0; status == VIOS_OK && i < grant->count; i++) {
        status = grant_region(memory, grant, &grant->regions[i], error);
    }
    return status;
}

int page_memory_grant(struct page_memory *memory, const char *lpar, const char *node,
                      uint64_t generation, const struct page_memory_region *regions, size_t count,
                      struct vios_error *error)
{
    struct grant grant = {lpar, node, generation, regions, count};
    int status = grant_check(&grant, error);
    if (status != VIOS_OK) {
        return status;
    }
    pthread_mutex_lock(&memory->control);
    status = check_generation(memory, lpar, generation, error);
    if (status == VIOS_OK) {
        status = grant_check_known(memory, &grant, error);
    }
    if (status == VIOS_OK) {
        status = grant_admit(memory, &grant, error);
    }
    if (status == VIOS_OK) {
        status = grant_apply(memory, &grant, error);
    }
    pthread_mutex_unlock(&memory->control);
    return status;
}

void page_memory_revoke(struct page_memory *memory, const char *lpar)
{
    pthread_mutex_lock(&memory->control);
    for (size_t i = 0; i < PAGE_MEMORY_ENTRIES; i++) {
        if (entry_is_of(memory, i, lpar)) {
            entry_revoke(memory, i);
        }
    }
    pthread_mutex_unlock(&memory->control);
}

int page_memory_claim(struct page_memory *memory, const char *lpar, uint64_t generation,
                      const char *node, struct vios_error *error)
{
    int status = parse_name(node, "node", error);
    if (status != VIOS_OK) {
        return status;
    }
    pthread_mutex_lock(&memory->control);
    status = check_generation(memory, lpar, generation, error);
    for (size_t i = 0; status == VIOS_OK && i < PAGE_MEMORY_ENTRIES; i++) {
        if (!entry_is_of(memory, i, lpar)) {
            continue;
        }
        struct arena_owner owner = *arena_entry_owner(arena_entry(memory->arena, i));
        if (owner.generation < generation) {
            owner.generation = generation;
            snprintf(owner.node, sizeof owner.node, "%s", node);
            status = owner_change(memory, i, &owner, error);
        }
    }
    pthread_mutex_unlock(&memory->control);
    return status;
}

/* --- a pager that comes with a higher number --- */

static bool may_raise(struct page_memory *memory, const struct page_name *name, const char *node,
                      size_t *number)
{
    *number = entry_find(memory, name->lpar, name->index);
    if (*number == PAGE_MEMORY_ENTRIES) {
        return false;
    }
    const struct arena_owner *owner = arena_entry_owner(arena_entry(memory->arena, *number));
    return strcmp(owner->node, node) == 0 && owner->generation == name->generation &&
           owner->number <= name->number;
}

int page_memory_raise(struct page_memory *memory, const char *name, const char *node,
                      struct vios_error *error)
{
    struct page_name parsed;
    size_t number;
    int status = VIOS_OK;
    pthread_mutex_lock(&memory->control);
    if (!node || !page_name_parse(name, &parsed) || !may_raise(memory, &parsed, node, &number)) {
        status = error_set(error, VIOS_E_NOT_FOUND, NULL, NULL, "there is no such export");
    } else {
        struct arena_owner owner = *arena_entry_owner(arena_entry(memory->arena, number));
        if (owner.number < parsed.number) { /* else another connection was first */
            owner.number = parsed.number;
            status = owner_change(memory, number, &owner, error);
        }
    }
    pthread_mutex_unlock(&memory->control);
    return status;
}

/* --- the whole --- */

/* What a predecessor had granted: served again, when all of it can be. */
static int page_memory_recover(struct page_memory *memory, struct vios_error *error)
{
    for (size_t i = 0; i < PAGE_MEMORY_ENTRIES; i++) {
        const struct arena_entry *entry = arena_entry(memory->arena, i);
        if (entry->state == ARENA_FREE) {
            continue;
        }
        memory->regions[i].current = export_make(memory, i, arena_entry_owner(entry));
        if (!memory->regions[i].current) {
            return error_no_memory(error, "page memory");
        }
        memory->granted_bytes += entry->size_bytes;
    }
    for (size_t i = 0; i < PAGE_MEMORY_ENTRIES; i++) {
        if (memory->regions[i].current) {
            memory->hooks.add(memory->hooks.context, memory->regions[i].current);
        }
    }
    return VIOS_OK;
}

int page_memory_open(struct page_memory **out, int fd, uint64_t size_bytes,
                     struct worker *const *workers, size_t worker_count,
                     const struct page_memory_hooks *hooks, struct vios_error *error)
{
    assert(worker_count > 0);
    struct page_memory *memory = calloc(1, sizeof *memory);
    if (!memory) {
        return error_no_memory(error, "page memory");
    }
    pthread_mutex_init(&memory->control, NULL);
    for (size_t i = 0; i < PAGE_MEMORY_ENTRIES; i++) {
        pthread_mutex_init(&memory->regions[i].lock, NULL);
    }
    memory->workers = workers;
    memory->worker_count = worker_count;
    memory->hooks = *hooks;
    int status = arena_open(&memory->arena, fd, size_bytes, error);
    if (status == VIOS_OK) {
        status = page_memory_recover(memory, error);
    }
    if (status != VIOS_OK) {
        page_memory_free(memory);
        return status;
    }
    *out = memory;
    return VIOS_OK;
}

void page_memory_free(struct page_memory *memory)
{
    if (!memory) {
        return;
    }
    for (size_t i = 0; i < PAGE_MEMORY_ENTRIES; i++) {
        struct nbd_export *untold = memory->regions[i].current;
        if (untold) {
            untold->operations->close(untold, NULL);
        }
        pthread_mutex_destroy(&memory->regions[i].lock);
    }
    pthread_mutex_destroy(&memory->control);
    arena_free(memory->arena);
    free(memory);
}

int page_memory_descriptor(const struct page_memory *memory)
{
    return arena_descriptor(memory->arena);
}

/* --- statistics --- */

static json_t *entry_statistics(struct page_memory *memory, size_t number, uint64_t *used)
{
    const struct arena_entry *entry = arena_entry(memory->arena, number);
    const struct arena_owner *owner = arena_entry_owner(entry);
    uint64_t bytes = arena_entry_used(memory->arena, number);
    *used += bytes;
    return json_pack("{s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:b}", "lpar", entry->lpar, "node",
                     owner->node, "generation", (json_int_t)owner->generation, "region",
                     (json_int_t)entry->index, "number", (json_int_t)owner->number, "size_bytes",
                     (json_int_t)entry->size_bytes, "used_bytes", (json_int_t)bytes, "assigned",
                     entry->state == ARENA_ASSIGNED);
}

json_t *page_memory_statistics(struct page_memory *memory)
{
    const char *why;
    uint64_t used = 0;
    json_t *entries = json_array();
    pthread_mutex_lock(&memory->control);
    for (size_t i = 0; i < PAGE_MEMORY_ENTRIES; i++) {
        if (arena_entry(memory->arena, i)->state != ARENA_FREE) {
            json_array_append_new(entries, entry_statistics(memory, i, &used));
        }
    }
    uint64_t size = arena_size(memory->arena), granted = memory->granted_bytes;
    pthread_mutex_unlock(&memory->control);
    bool locked = arena_locked(memory->arena, &why);
    return json_pack("{s:I, s:I, s:I, s:I, s:b, s:s, s:o}", "size_bytes", (json_int_t)size,
                     "granted_bytes", (json_int_t)granted, "used_bytes", (json_int_t)used,
                     "free_bytes", (json_int_t)(size - granted), "locked", locked, "why", why,
                     "entries", entries);
}
