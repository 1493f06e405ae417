/*
 * arena.h - the memfd behind page memory: entries, slots, and which page each slot holds.
 *
 * Layout: a header page, the table of entries, one word a slot, the slots. Whatever a reader must
 * believe is published by one atomic store, so that the memfd is whole after kill -9 at any
 * instruction:
 *  - an entry becomes real when its state leaves FREE, and its owner by switching between two
 *    owner records;
 *  - a slot belongs to a page when its word says so without ARENA_UNSETTLED. The bit stands
 *    while a fresh slot is filled and while a freed one is zeroed; a recovery zeroes those.
 * A slot on the free list is all zero.
 *
 * Locking is the caller's (page_memory.c): one thread at a time for an entry's slots, one for the
 * table of entries. The free list has its own lock.
 */
#ifndef PAGING_ARENA_H
#define PAGING_ARENA_H

#include "base/error.h"
#include "paging/page.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ARENA_ENTRIES 1024u
#define ARENA_SIZE_MAX (UINT64_C(1) << 42)
#define ARENA_REGION_MAX (UINT64_C(1) << 40)

enum arena_state {
    ARENA_FREE = 0,
    ARENA_GRANTED = 1,  /* may be used; nothing was asked for yet */
    ARENA_ASSIGNED = 2, /* the first request came */
    ARENA_REVOKING = 3  /* its slots are being zeroed */
};

struct arena_owner {
    char node[64];
    uint64_t generation, number;
};

struct arena_entry { /* in the memfd */
    _Atomic uint32_t state;
    _Atomic uint32_t selected; /* which of `owners` is valid */
    uint64_t serial;           /* never used again in this arena */
    uint64_t size_bytes;
    uint32_t index; /* of the region in its LPAR's device */
    char lpar[40];
    struct arena_owner owners[2];
};

struct arena;

/* page_memory_open's first half. */
int arena_open(struct arena **arena, int fd, uint64_t size_bytes, struct vios_error *error);
void arena_free(struct arena *arena);

int arena_descriptor(const struct arena *arena);
const char *arena_uuid(const struct arena *arena);
uint64_t arena_size(const struct arena *arena); /* bytes of slots */
/* Whether it is locked, and why (not). */
bool arena_locked(const struct arena *arena, const char **why);

struct arena_entry *arena_entry(struct arena *arena, size_t number); /* < ARENA_ENTRIES */
const struct arena_owner *arena_entry_owner(const struct arena_entry *entry);
void arena_entry_set_owner(struct arena_entry *entry, const struct arena_owner *owner);

/* Fills a FREE entry and publishes it as GRANTED. */
void arena_entry_create(struct arena *arena, size_t number, const char *lpar, uint32_t index,
                        uint64_t size_bytes, const struct arena_owner *owner);
/* Zeroes and frees all slots of the entry, then the entry. */
void arena_entry_destroy(struct arena *arena, size_t number);
/* Called for the first request: GRANTED -> ASSIGNED. False when memory for its map is short. */
bool arena_entry_assign(struct arena *arena, size_t number);

uint64_t arena_entry_used(const struct arena *arena, size_t number); /* bytes */

/* The page's memory; NULL when it has none (it is all zero then). */
uint8_t *arena_page(struct arena *arena, size_t number, uint64_t page);
/* Gives a page memory and fills it with `data`, `size` bytes at `start` in an otherwise zero
 * page. False when the arena is full (admission does not let that happen). */
bool arena_page_fill(struct arena *arena, size_t number, uint64_t page, const void *data,
                     size_t start, size_t size);
/* Takes its memory away, zeroed. */
void arena_page_free(struct arena *arena, size_t number, uint64_t page);

#endif
