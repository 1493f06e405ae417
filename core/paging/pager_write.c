/*
 * pager_write.c - writes pages to all replicas that are there, under an intent for each.
 */
#include "paging/pager_internal.h"

#include "base/clock.h"

#include <errno.h>
#include <string.h>

static bool intents_set(struct pager_op *op)
{
    struct pager *pager = op->pager;
    if (pager->free_intent_count < op->count) {
        return false;
    }
    for (unsigned i = 0; i < op->count; i++) {
        uint16_t number = pager->free_intents[--pager->free_intent_count];
        struct pager_intent *intent = &pager->state.intents[number];
        intent->checksum = op->checksums[i];
        atomic_store(&intent->page, op->first + i + 1);
        op->intents[i] = number;
    }
    op->has_intents = true;
    return true;
}

void pager_intents_clear(struct pager_op *op)
{
    struct pager *pager = op->pager;
    for (unsigned i = 0; op->has_intents && i < op->count; i++) {
        atomic_store(&pager->state.intents[op->intents[i]].page, 0);
        pager->free_intents[pager->free_intent_count++] = op->intents[i];
    }
    op->has_intents = false;
}

void pager_write_publish(struct pager_op *op, unsigned done)
{
    struct pager *pager = op->pager;
    for (unsigned slot = 0; slot < PAGER_REPLICAS_MAX; slot++) {
        struct pager_node *node = &op->part->nodes[slot];
        for (unsigned i = 0; node->used && i < op->count; i++) {
            if (!(done >> slot & 1)) {
                pager_node_dirty_set(node, op->first + i);
            } else if (node->dirty_count > 0) {
                pager_node_dirty_clear(node, op->first + i);
            }
        }
    }
    for (unsigned i = 0; i < op->count; i++) {
        atomic_store(&pager->state.checksums[op->first + i], op->checksums[i]);
        pager->pages_out += op->checksums[i] != 0;
        pager->zero_pages += op->checksums[i] == 0;
    }
    pager_intents_clear(op);
    for (unsigned slot = 0; slot < PAGER_REPLICAS_MAX; slot++) {
        struct pager_node *node = &op->part->nodes[slot];
        pager_node_report(node);
        if (node->ready && node->dirty_count > 0) {
            pager_tick_soon(
                pager); /* it came while this was on its way: there is something to fill */
        }
    }
}

static void write_send(struct pager_op *op);

static void write_sent(struct pager_op *op)
{
    unsigned done = op->targets & ~op->failed;
    if (done) {
        pager_write_publish(op, done);
        pager_op_end(op);
    } else if (op->pager->closing) {
        op->error = EIO;
        pager_op_end(op);
    } else if (clock_now_ms() < op->deadline_ms) {
        pager_op_stall(op, write_send);
    } else {
        pager_settle_instead(op);
    }
}

static void write_send(struct pager_op *op)
{
    op->targets = op->failed = 0;
    op->step = write_sent;
    op->pending = 1;
    for (unsigned slot = 0; slot < PAGER_REPLICAS_MAX; slot++) {
        struct pager_node *node = &op->part->nodes[slot];
        if (node->ready) {
            op->targets |= 1u << slot;
            pager_send_pages(op, node, pager_mask(op->count));
        }
    }
    pager_op_release(op);
}

void pager_write_begin(struct pager_op *op)
{
    if (!op->has_intents && !intents_set(op)) {
        pager_queue_add(&op->pager->no_intent, op);
        return;
    }
    write_send(op);
}

static void write_merged(struct pager_op *op, int error)
{
    if (error) {
        op->error = error;
        pager_op_end(op);
        return;
    }
    const struct nbd_request *request = op->guest->request;
    uint8_t *into = op->owned + (op->offset - op->first * PAGER_PAGE);
    for (unsigned i = 0; i < op->count; i++) {
        if (!(op->need >> i & 1)) {
            memset(op->owned + (size_t)i * PAGER_PAGE, 0, PAGER_PAGE);
        }
    }
    if (request->command == NBD_WRITE) {
        memcpy(into, request->data + (op->offset - request->offset), op->length);
    } else {
        memset(into, 0, op->length);
    }
    for (unsigned i = 0; i < op->count; i++) {
        op->checksums[i] = pager_checksum(op->data + (size_t)i * PAGER_PAGE);
    }
    pager_write_begin(op);
}

void pager_write_start(struct pager_op *op)
{
    if (op->owned) {
        pager_fetch(op, pager_not_zero(op), write_merged);
        return;
    }
    for (unsigned i = 0; i < op->count; i++) {
        op->checksums[i] = op->data ? pager_checksum(op->data + (size_t)i * PAGER_PAGE) : 0;
    }
    pager_write_begin(op);
}
