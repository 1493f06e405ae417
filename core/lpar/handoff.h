/*
 * handoff.h - what the source of a live migration sends to its target (migrate.h, incoming.h), as
 * pieces behind heads of eight bytes: what it is and how long, both big-endian.
 *
 *     state...  pages...  end
 *
 * The state is QEMU's own stream; the pages are what the pager of the guest's paging device knows
 * of them, not the pages, which stay where they are. Without the end it is not complete, whatever
 * came. Pure.
 */
#ifndef LPAR_HANDOFF_H
#define LPAR_HANDOFF_H

#include "base/error.h"

#include <stddef.h>
#include <stdint.h>

#define HANDOFF_HEAD 8
#define HANDOFF_PIECE_MAX (64u * 1024)

enum handoff_kind { HANDOFF_NONE, HANDOFF_STATE, HANDOFF_PAGES, HANDOFF_END };

/* Writes the head of a piece of `size` bytes, at most HANDOFF_PIECE_MAX. */
void handoff_head(uint8_t head[HANDOFF_HEAD], enum handoff_kind kind, size_t size);

/* Where a reader is; zero it first. */
struct handoff {
    uint8_t head[HANDOFF_HEAD];
    size_t have;            /* of the head */
    enum handoff_kind kind; /* of the piece that is being read, or was last */
    size_t left;            /* of it */
};

/*
 * Takes the next bytes of one kind from the front of `*data`, which moves on; `*piece` points into
 * it. HANDOFF_NONE: more is needed, and all was taken. HANDOFF_END: `*size` is 0, and nothing may
 * follow. Negative: VIOS_E_INVALID, it is no such stream.
 */
int handoff_take(struct handoff *handoff, const uint8_t **data, size_t *left, const uint8_t **piece,
                 size_t *size, struct vios_error *error);

#endif
