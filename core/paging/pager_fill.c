/*
 * pager_fill.c - gives a replica, in the background, what it lacks.
 */
#include "paging/pager_internal.h"

#include "base/clock.h"

#include <stdlib.h>

static void fill_fetched(struct pager_op *op, int error)
{
    struct pager_node *node = op->filled;
    uint64_t lacked = pager_lacks(op, node->slot) & ~pager_pushed(op, node);
    node->fill_short = node->fill_short || error; /* what was not found stays marked */
    for (unsigned i = 0; i < op->count; i++) {
        op->checksums[i] = op->pager->state.checksums[op->first + i];
    }
    pager_push(op, node, lacked & (op->good | ~pager_not_zero(op)));
    pager_op_unlock(op);
    pager_op_release(op);
}

void pager_fill_start(struct pager_op *op)
{
    uint64_t lacked = pager_lacks(op, op->filled->slot) & ~pager_pushed(op, op->filled);
    pager_fetch(op, lacked & pager_not_zero(op), fill_fetched);
}

/* The next pages that it lacks; false at the end of the region. */
static bool fill_find(struct pager_node *node, uint64_t *first, unsigned *count)
{
    const struct pager_state *state = &node->pager->state;
    uint64_t end = node->part->first + node->part->pages, page = node->fill_next;
    while (page < end && !pager_state_dirty(state, node->slot, page)) {
        bool empty_word = page % 64 == 0 && !state->dirty[node->slot][page / 64];
        page += empty_word ? 64 : 1;
    }
    *first = page;
    for (*count = 0; page < end && *count < PAGER_RUN && pager_state_dirty(state, node->slot, page);
         page++) {
        ++*count;
    }
    node->fill_next = page < end ? page : end;
    return *count > 0;
}

/* False when memory is short. */
static bool fill_one(struct pager_node *node, uint64_t first, unsigned count)
{
    struct pager_op *op = pager_op_new(node->pager, PAGER_OP_FILL);
    uint8_t *data = op ? malloc((size_t)count * PAGE_BYTES) : NULL;
    if (!data) {
        if (op) {
            pager_op_free(op);
        }
        return false;
    }
    op->part = node->part;
    op->first = first;
    op->count = count;
    op->data = op->owned = data;
    op->filled = node;
    node->fills++;
    pager_op_run(op);
    return true;
}

/* At the region's end: whether to begin anew for what was written meanwhile. Not while pushes are
 * on their way: each calls pager_fill when it arrived. */
static bool fill_wrap(struct pager_node *node)
{
    bool again = node->fills == 0 && node->dirty_count > 0 && !node->pushes && !node->fill_short;
    if (again) {
        node->fill_next = node->part->first;
    }
    return again;
}

void pager_fill(struct pager_node *node)
{
    uint64_t first;
    unsigned count;
    if (node->filling || !node->ready || node->dirty_count == 0 || node->pager->closing ||
        clock_now_ms() < node->fill_again_ms) {
        return;
    }
    node->filling = true;
    bool more = true;
    while (more && node->ready && node->fills < PAGER_FILLS) {
        more = fill_find(node, &first, &count);
        if (more && !fill_one(node, first, count)) {
            node->fill_short = true;
            more = false;
        }
        more = more || fill_wrap(node);
    }
    node->filling = false;
    if (node->ready && node->dirty_count > 0 && node->fills == 0 && node->fill_short) {
        node->fill_short = false;
        node->fill_next = node->part->first;
        node->fill_again_ms = clock_now_ms() + PAGER_FILL_AGAIN_MS;
        pager_tick_soon(node->pager);
    }
}
