/*
 * pager_push.c - pages on their way to a replica that is being filled.
 *
 * A push has its own copy of the pages and holds no lock, so a replica that takes its time keeps
 * nobody from the pages. While it is on its way nothing else sends these pages to that replica;
 * what is written meanwhile only marks them as lacking there. When it arrived, a page is taken
 * as filled if the device's checksum is still the one that was pushed.
 *
 * A guest's write pushes what the replica had already, and waits for that PAGER_PATIENCE_MS longer
 * than for the current replicas: without this a busy guest would mark pages as fast as they
 * are filled. When that is not enough the replica counts as slow until all its pushes arrived.
 */
#include "paging/pager_internal.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

uint64_t pager_pushed(const struct pager_op *op, const struct pager_node *node)
{
    uint64_t mask = 0;
    for (const struct pager_op *push = node->pushes; push; push = push->next) {
        for (unsigned i = 0; i < op->count; i++) {
            uint64_t at = op->first + i - push->first; /* wraps when it is before */
            if (at < push->count && push->good >> at & 1) {
                mask |= PAGER_BIT(i);
            }
        }
    }
    return mask;
}

static void push_remove(struct pager_op *push)
{
    struct pager_op **at = &push->filled->pushes;
    while (*at != push) {
        at = &(*at)->next;
    }
    *at = push->next;
    if (!push->filled->pushes) {
        push->filled->slow = false;
    }
}

static void push_sent(struct pager_op *push)
{
    struct pager_node *node = push->filled;
    struct pager_op *parent = push->parent;
    uint64_t arrived = push->failed ? 0 : push->good;
    push_remove(push);
    for (unsigned i = 0; i < push->count; i++) {
        uint64_t page = push->first + i;
        if (arrived >> i & 1 && push->checksums[i] == push->pager->state.checksums[page]) {
            pager_node_dirty_clear(node, page);
        }
    }
    node->fill_short = node->fill_short || push->failed;
    node->fills -= push->kind == PAGER_OP_FILL;
    pager_op_free(push);
    if (parent) {
        pager_write_pushed(parent, node, arrived);
    }
    pager_node_report(node);
    pager_fill(node);
}

void pager_push(struct pager_op *push, struct pager_node *node, uint64_t pages)
{
    push->filled = node;
    push->good = pages;
    pager_op_begin(push, push_sent);
    push->next = node->pushes;
    node->pushes = push;
    if (node->ready) {
        pager_send_pages(push, node, pages);
    } else {
        push->failed = 1u << node->slot;
    }
}

void pager_push_write(struct pager_op *op, struct pager_node *node)
{
    uint64_t pages = pager_mask(op->count) & ~pager_lacks(op, node->slot) & ~pager_pushed(op, node);
    if (node->slow || !pages) {
        return;
    }
    assert(op->count > 0);
    struct pager_op *push = pager_op_new(op->pager, PAGER_OP_PUSH);
    size_t size = (size_t)op->count * PAGE_BYTES;
    if (push && op->data && !(push->owned = malloc(size))) {
        pager_op_free(push);
        push = NULL;
    }
    if (!push) {
        return;
    }
    if (op->data) {
        push->data = memcpy(push->owned, op->data, size);
    }
    memcpy(push->checksums, op->checksums, op->count * sizeof op->checksums[0]);
    push->part = op->part;
    push->first = op->first;
    push->count = op->count;
    push->parent = op;
    op->pushes |= 1u << node->slot;
    pager_push(push, node, pages);
    pager_op_release(push);
}

void pager_push_detach(struct pager_op *op, bool slow)
{
    for (unsigned slot = 0; op->pushes && slot < PAGER_REPLICAS_MAX; slot++) {
        struct pager_node *node = &op->part->nodes[slot];
        for (struct pager_op *push = node->pushes; push; push = push->next) {
            if (push->parent == op) {
                push->parent = NULL;
                node->slow = node->slow || slow;
            }
        }
    }
    op->pushes = 0;
}
