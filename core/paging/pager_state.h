/*
 * pager_state.h - what a pager must not lose: the memfd with checksums, intents, and what each
 * replica lacks. Each change is one atomic store, or ordered so that a crash between two leaves
 * more marked than needed, never less.
 *
 * A page's checksum is 0 when it is all zero; no other page has 0. An intent says that a page is
 * being given another checksum: until it is cleared, each replica may hold either content.
 */
#ifndef PAGING_PAGER_STATE_H
#define PAGING_PAGER_STATE_H

#include "paging/page.h"
#include "paging/pager.h"
#include "paging/state_file.h"

#include <stdatomic.h>
#include <stdbool.h>

#define PAGER_INTENTS 8192u

struct pager_state_replica {
    _Atomic uint32_t used;
    char node[64];
    char entry[96]; /* the page server's description of the memory that we know; "" for none */
};

struct pager_state_region {
    _Atomic uint64_t number;
    uint64_t offset, size_bytes;
    struct pager_state_replica replicas[PAGER_REPLICAS_MAX];
};

struct pager_intent {
    _Atomic uint64_t page; /* + 1; 0: free */
    uint64_t checksum;
};

struct pager_state {
    struct state_file file;
    uint8_t *base;
    uint64_t pages;
    size_t region_count;
    _Atomic uint64_t *generation;
    struct pager_state_region *regions;
    struct pager_intent *intents;
    _Atomic uint64_t *checksums;
    _Atomic uint64_t *dirty[PAGER_REPLICAS_MAX]; /* a bit a page: the replica lacks it */
};

/* Makes the state of an empty device, or takes over the one in `fd` >= 0. */
int pager_state_open(struct pager_state *state, const struct pager_configuration *configuration,
                     int fd, struct vios_error *error);
void pager_state_close(struct pager_state *state);

uint64_t pager_checksum(const uint8_t *page);

/* Both return whether the bit was changed. */
bool pager_state_dirty_set(struct pager_state *state, unsigned replica, uint64_t page);
bool pager_state_dirty_clear(struct pager_state *state, unsigned replica, uint64_t page);
bool pager_state_dirty(const struct pager_state *state, unsigned replica, uint64_t page);

#endif
