/*
 * placement.h - which remote nodes hold an LPAR's pages: a pure function of what is known of
 * the nodes, so that the same question always has the same answer (MISSION §1.5, §1.8).
 *
 * Of the usable nodes other than the host, the ones with the most free page memory are taken;
 * ties go to the lower name. Every region of one device may lie elsewhere.
 */
#ifndef PAGING_PLACEMENT_H
#define PAGING_PLACEMENT_H

#include "paging/record.h"

#include <stdbool.h>

struct placement_node {
    char name[NAME_MAX_LENGTH + 1];
    bool usable;         /* up, and not drained */
    uint64_t size_bytes; /* page memory it offers */
    uint64_t used_bytes; /* assigned already, to whomever */
};

/* Cuts record->size_bytes into regions and gives each its replicas; lpar, host, policy and
 * size_bytes are set. `nodes` are counted up as they are used. VIOS_E_NO_SPACE says what is
 * needed, what each node has free, and the way out. */
int paging_place(struct placement_node *nodes, size_t count, struct paging_record *record,
                 struct vios_error *error);

/* A node to take over `lost`'s part of one region: not the host, not a replica already. Puts it
 * into the region, whose number becomes at least `number` and higher than it was. */
int paging_place_again(struct placement_node *nodes, size_t count, struct paging_record *record,
                       size_t region, const char *lost, int64_t number, struct vios_error *error);

#endif
