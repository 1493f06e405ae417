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

void pager_write_publish(struct pager_op *op)
{
    struct pager *pager = op->pager;
    for (unsigned slot = 0; slot < PAGER_REPLICAS_MAX; slot++) {
        struct pager_node *node = &op->part->nodes[slot];
        for (unsigned i = 0; node->used && i < op->count; i++) {
            if (!(op->have[slot] >> i & 1)) {
                pager_node_dirty_set(node, op->first + i);
            } else if (node->dirty_count > 0) {
                pager_node_dirty_clear(node, op->first + i);
            }
        }
    }
    for (unsigned i = 0; i < op->count; i++) {
        pager->pages_held -= pager->state.checksums[op->first + i] != 0;
        pager->pages_held += op->checksums[i] != 0;
        atomic_store(&pager->state.checksums[op->first + i], op->checksums[i]);
        pager->pages_out += op->checksums[i] != 0;
        pager->zero_pages += op->checksums[i] == 0;
    }
    pager_intents_clear(op);
    for (unsigned slot = 0; slot < PAGER_REPLICAS_MAX; slot++) {
        struct pager_node *node = &op->part->nodes[slot];
        pager_node_report(node);
        if (node->ready && node->dirty_count > 0) {
            pager_tick_soon(pager); /* it came meanwhile: there is something to fill */
        }
    }
}

static void write_send(struct pager_op *op);

unsigned pager_write_done(struct pager_op *op)
{
    unsigned done = op->targets & ~op->failed;
    for (unsigned slot = 0; slot < PAGER_REPLICAS_MAX; slot++) {
        if (op->targets >> slot & 1) {
            op->have[slot] = done >> slot & 1 ? pager_mask(op->count) : 0;
        }
    }
    return done;
}

static void patience_arm(struct pager *pager)
{
    if (pager->patient.first && !pager->patience.armed) {
        worker_arm(pager->worker, &pager->patience, pager->patient.first->patient_until_ms);
    }
}

static void write_wait(struct pager_op *op)
{
    op->waits = true;
    op->patient_until_ms = clock_now_ms() + PAGER_PATIENCE_MS;
    pager_queue_add(&op->pager->patient, op);
    patience_arm(op->pager);
}

static void write_sent(struct pager_op *op)
{
    unsigned done = pager_write_done(op);
    if (done && op->pushes && !op->waited) {
        write_wait(op);
        return;
    }
    pager_push_detach(op, op->waited);
    if (done) {
        pager_write_publish(op);
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

void pager_write_pushed(struct pager_op *op, const struct pager_node *node, uint64_t pages)
{
    op->have[node->slot] = pages;
    op->pushes &= ~(1u << node->slot);
    if (op->waits && !op->pushes) {
        op->waits = false;
        pager_queue_remove(&op->pager->patient, op);
        write_sent(op);
    }
}

void pager_patience_ended(struct timer *timer)
{
    struct pager *pager = (void *)((char *)timer - offsetof(struct pager, patience));
    int64_t now_ms = clock_now_ms();
    struct pager_op *op;
    while ((op = pager->patient.first) && op->patient_until_ms <= now_ms) {
        pager_queue_remove(&pager->patient, op);
        op->waits = false;
        op->waited = true;
        write_sent(op);
    }
    patience_arm(pager);
}

/* The replicas that the write must reach: those that lack nothing. Without any, those that are
 * there; not if an older content of the pages is still on its way to them. */
static unsigned write_targets(const struct pager_op *op)
{
    unsigned current = 0, others = 0;
    for (unsigned slot = 0; slot < PAGER_REPLICAS_MAX; slot++) {
        const struct pager_node *node = &op->part->nodes[slot];
        if (node->ready && !pager_pushed(op, node)) {
            *(node->dirty_count == 0 ? &current : &others) |= 1u << slot;
        }
    }
    return current ? current : others;
}

static void write_send(struct pager_op *op)
{
    memset(op->have, 0, sizeof op->have);
    op->targets = write_targets(op);
    op->waited = false;
    pager_op_begin(op, write_sent);
    for (unsigned slot = 0; slot < PAGER_REPLICAS_MAX; slot++) {
        struct pager_node *node = &op->part->nodes[slot];
        if (op->targets >> slot & 1) {
            pager_send_pages(op, node, pager_mask(op->count));
        } else if (node->ready && op->targets) {
            pager_push_write(op, node);
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
    uint8_t *into = op->owned + (op->offset - op->first * PAGE_BYTES);
    for (unsigned i = 0; i < op->count; i++) {
        if (!(op->need >> i & 1)) {
            memset(op->owned + (size_t)i * PAGE_BYTES, 0, PAGE_BYTES);
        }
    }
    if (request->command == NBD_WRITE) {
        memcpy(into, request->data + (op->offset - request->offset), op->length);
    } else {
        memset(into, 0, op->length);
    }
    for (unsigned i = 0; i < op->count; i++) {
        op->checksums[i] = pager_checksum(op->data + (size_t)i * PAGE_BYTES);
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
        op->checksums[i] = op->data ? pager_checksum(op->data + (size_t)i * PAGE_BYTES) : 0;
    }
    pager_write_begin(op);
}
