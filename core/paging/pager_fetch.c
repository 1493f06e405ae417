/*
 * pager_fetch.c - reads pages from the replicas until each has its right checksum, and repairs
 * the copies that had not.
 */
#include "paging/pager_internal.h"

#include "base/clock.h"

#include <errno.h>
#include <string.h>

uint64_t pager_lacks(const struct pager_op *op, unsigned slot)
{
    const struct pager_node *node = &op->part->nodes[slot];
    uint64_t mask = 0;
    for (unsigned i = 0; node->dirty_count > 0 && i < op->count; i++) {
        if (pager_state_dirty(&op->pager->state, slot, op->first + i)) {
            mask |= PAGER_BIT(i);
        }
    }
    return mask;
}

uint64_t pager_not_zero(const struct pager_op *op)
{
    uint64_t mask = 0;
    for (unsigned i = 0; i < op->count; i++) {
        if (op->pager->state.checksums[op->first + i]) {
            mask |= PAGER_BIT(i);
        }
    }
    return mask;
}

/* The first run of pages that are wanted of a replica; pages between them that are zero may be
 * overwritten, others may not. */
static uint64_t first_run(const struct pager_op *op, uint64_t wanted)
{
    unsigned i = (unsigned)__builtin_ctzll(wanted), last = i;
    uint64_t run = 0;
    for (unsigned j = i; j < op->count; j++) {
        bool zero = !(op->need >> j & 1) && !op->pager->state.checksums[op->first + j];
        if (wanted >> j & 1) {
            last = j;
        } else if (!zero) {
            break;
        }
    }
    for (unsigned j = i; j <= last; j++) {
        run |= PAGER_BIT(j);
    }
    return run;
}

static void fetch_checked(struct pager_op *op);
static void fetch_finish(struct pager_op *op);

static void fetch_ask(struct pager_op *op, struct pager_node *node, uint64_t run)
{
    unsigned first = (unsigned)__builtin_ctzll(run);
    unsigned count = (unsigned)__builtin_popcountll(run);
    op->asked = run;
    op->asked_slot = node->slot;
    op->holes = 0;
    pager_op_begin(op, fetch_checked);
    pager_send(op, node, NBD_READ, op->first + first, count, op->data + (size_t)first * PAGE_BYTES);
    pager_op_release(op);
}

/* Whether some replica that is away, and lacks it not, may still have one of these pages. */
static bool may_come(const struct pager_op *op, uint64_t pages)
{
    for (unsigned i = 0; i < PAGER_REPLICAS_MAX; i++) {
        const struct pager_node *node = &op->part->nodes[i];
        if (node->used && !node->ready && (pages & ~pager_lacks(op, i))) {
            return true;
        }
    }
    return false;
}

/* The first replica that may have some of the pages; one that is being filled, and may be busy
 * with that, only when no other has. */
static struct pager_node *fetch_choose(struct pager_op *op, uint64_t missing, uint64_t *wanted)
{
    struct pager_node *filling = NULL;
    for (unsigned i = 0; i < PAGER_REPLICAS_MAX; i++) {
        struct pager_node *node = &op->part->nodes[i];
        uint64_t there = node->ready ? missing & ~op->tried[i] & ~pager_lacks(op, i) : 0;
        if (there && (!filling || node->dirty_count == 0)) {
            *wanted = there;
            filling = node;
        }
        if (there && node->dirty_count == 0) {
            return node;
        }
    }
    return filling;
}

static void fetch_go(struct pager_op *op)
{
    uint64_t missing = op->need & ~op->good, wanted;
    if (!missing) {
        fetch_finish(op);
        return;
    }
    struct pager_node *node = fetch_choose(op, missing, &wanted);
    if (node) {
        fetch_ask(op, node, first_run(op, wanted));
        return;
    }
    if (op->kind != PAGER_OP_FILL && may_come(op, missing) && clock_now_ms() < op->deadline_ms &&
        !op->pager->closing) {
        memset(op->tried, 0, sizeof op->tried);
        pager_op_stall(op, fetch_go);
        return;
    }
    op->fetched(op, EIO);
}

static void fetch_checked(struct pager_op *op)
{
    unsigned first = (unsigned)__builtin_ctzll(op->asked), slot = op->asked_slot;
    uint64_t asked = op->asked & op->need & ~op->good;
    op->tried[slot] |= asked;
    for (unsigned i = first; !op->failed && i < op->count; i++) {
        if (!(asked >> i & 1)) {
            continue;
        }
        uint8_t *page = op->data + (size_t)i * PAGE_BYTES;
        bool hole = op->holes >> (i - first) & 1;
        if (!hole && pager_checksum(page) == op->pager->state.checksums[op->first + i]) {
            op->good |= PAGER_BIT(i);
        } else {
            op->bad[slot] |= PAGER_BIT(i);
            op->pager->checksum_errors++;
        }
    }
    fetch_go(op);
}

static void repaired(struct pager_op *op)
{
    for (unsigned slot = 0; slot < PAGER_REPLICAS_MAX; slot++) {
        bool failed = op->failed >> slot & 1;
        for (unsigned i = 0; op->bad[slot] && i < op->count; i++) {
            if (op->bad[slot] >> i & 1) {
                op->pager->repairs += !failed;
                if (failed && op->part->nodes[slot].used) {
                    pager_node_dirty_set(&op->part->nodes[slot], op->first + i);
                }
            }
        }
    }
    op->fetched(op, 0);
}

/* All is good: what a replica had wrong is written to it before the pages are let go. */
static void fetch_finish(struct pager_op *op)
{
    pager_op_begin(op, repaired);
    for (unsigned slot = 0; slot < PAGER_REPLICAS_MAX; slot++) {
        struct pager_node *node = &op->part->nodes[slot];
        op->bad[slot] &= op->good;
        for (unsigned i = 0; op->bad[slot] && i < op->count; i++) {
            if (op->bad[slot] >> i & 1) {
                pager_send(op, node, NBD_WRITE, op->first + i, 1,
                           op->data + (size_t)i * PAGE_BYTES);
            }
        }
    }
    pager_op_release(op);
}

void pager_fetch(struct pager_op *op, uint64_t need, void (*fetched)(struct pager_op *, int))
{
    op->need = need;
    op->good = 0;
    op->fetched = fetched;
    memset(op->tried, 0, sizeof op->tried);
    memset(op->bad, 0, sizeof op->bad);
    fetch_go(op);
}
