/*
 * page_memory.h - the memory that this node lends to the guests of other nodes (MISSION §1: the
 * EVMM). A locked memfd arena of 4 KiB slots, served as NBD exports of the name
 * `page/<lpar uuid>/<index>.<number>/<generation>`.
 *
 * The memfd holds all that must outlive the process: entries (which LPAR, which region, whose),
 * and for each slot which page of which entry it holds. Whoever opens the same memfd after a
 * kill -9 finds everything again. Only the map from pages to slots and the list of free slots
 * are rebuilt.
 *
 * Threads: each function may be called from any thread. The exports' own operations run on
 * their home worker, as backend.h says. Hooks are called on the calling thread and one at a time,
 * in the order of what happens; they must neither wait nor call back.
 */
#ifndef PAGING_PAGE_MEMORY_H
#define PAGING_PAGE_MEMORY_H

#include "base/error.h"
#include "nbd/backend.h"

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#define PAGE_MEMORY_ENTRIES 1024                   /* regions granted at a time */
#define PAGE_MEMORY_REGION_MAX (UINT64_C(1) << 40) /* bytes of one region */
#define PAGE_MEMORY_ARENA_MAX (UINT64_C(1) << 42)

struct page_memory;

struct page_memory_hooks {
    /* `export` is served from now on: put it among io's exports. */
    void (*add)(void *context, struct nbd_export *export);
    /* `export` is to go: take it away, close its connections, and when the last is gone call
     * its `close` operation, which frees it. Requests still on their way are refused by the
     * export itself, so nothing has to be waited for. */
    void (*drop)(void *context, struct nbd_export *export);
    void *context;
};

/*
 * Makes an arena of `size_bytes` (rounded up to pages; 0 is fine, every grant is then
 * refused), or with `fd` >= 0 takes over an existing one, whatever its size: fd stays the caller's.
 * An arena whose process still lives is VIOS_E_LOCKED, one that is damaged VIOS_E_CORRUPT.
 * Regions are spread over `workers`, which must outlive it. `hooks->add` is called for each
 * region found.
 */
int page_memory_open(struct page_memory **memory, int fd, uint64_t size_bytes,
                     struct worker *const *workers, size_t worker_count,
                     const struct page_memory_hooks *hooks, struct vios_error *error);

/* After all its exports were closed. The memfd lives on as long as someone holds it. */
void page_memory_free(struct page_memory *memory);

/* The memfd, for `give arena`; owned by `memory`. */
int page_memory_descriptor(const struct page_memory *memory);

struct page_memory_region {
    uint32_t index;
    uint64_t number;     /* at least this; grows with each reconnect of the pager */
    uint64_t size_bytes; /* whole pages; never changes while granted */
};

/*
 * From now on `node` may use these regions under `generation`, and no others of this LPAR (those
 * are revoked): all of them, or none and an error. An equal grant again is fine. A higher
 * generation or number takes the place of the lower: its pages stay, its export goes. A lower
 * generation is VIOS_E_STALE; a lower number in the same generation is fine and changes nothing,
 * because a pager raises numbers ahead of the records. Admission: VIOS_E_NO_SPACE unless all that
 * is granted fits into the arena at once.
 */
int page_memory_grant(struct page_memory *memory, const char *lpar, const char *node,
                      uint64_t generation, const struct page_memory_region *regions, size_t count,
                      struct vios_error *error);

/* The LPAR's regions are zeroed and free, before this returns. None there is fine. */
void page_memory_revoke(struct page_memory *memory, const char *lpar);

/* Raises the generation of all the LPAR's regions; `node` is their owner now. Lower than
 * known: VIOS_E_STALE. An LPAR without regions here is fine. */
int page_memory_claim(struct page_memory *memory, const char *lpar, uint64_t generation,
                      const char *node, struct vios_error *error);

/*
 * For a name that io does not find among its exports, asked for by `node`: the owner of a
 * region may come with a higher number than known. Then the region is raised, hooks->add and
 * hooks->drop called, and VIOS_OK says: look again. Else VIOS_E_NOT_FOUND, always the same.
 */
int page_memory_raise(struct page_memory *memory, const char *name, const char *node,
                      struct vios_error *error);

/* PROTOCOL.md's `page_memory` object: size_bytes, granted_bytes, used_bytes, free_bytes, locked,
 * why, entries. A new reference, NULL without memory. */
json_t *page_memory_statistics(struct page_memory *memory);

#endif
