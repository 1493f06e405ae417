/*
 * pager_settle.c - makes an unfinished write whole: each replica gets one of its two contents.
 */
#include "paging/pager_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void settle_sent(struct pager_op *op)
{
    if (pager_write_done(op)) {
        pager_write_publish(op);
        pager_op_end(op);
    } else if (op->pager->closing) {
        pager_op_end(op);
    } else {
        pager_op_stall(op, pager_settle_go);
    }
}

static void settle_write(struct pager_op *op, uint64_t checksum)
{
    op->checksums[0] = checksum;
    op->targets = 0;
    memset(op->have, 0, sizeof op->have);
    pager_op_begin(op, settle_sent);
    for (unsigned slot = 0; slot < PAGER_REPLICAS_MAX; slot++) {
        if (op->part->nodes[slot].ready) {
            op->targets |= 1u << slot;
            pager_send_pages(op, &op->part->nodes[slot], 1);
        }
    }
    pager_op_release(op);
}

/* Nobody has either content: the page is lost, unless the guest's write comes again. */
static void settle_give_up(struct pager_op *op)
{
    op->pager->lost_pages++;
    pager_intents_clear(op);
    pager_op_end(op);
}

static void settle_read(struct pager_op *op)
{
    struct pager *pager = op->pager;
    uint64_t intended = pager->state.intents[op->intents[0]].checksum;
    op->tried[op->asked_slot] = 1;
    if (!op->failed) {
        if (op->holes & 1) {
            memset(op->data, 0, PAGE_BYTES);
        }
        uint64_t found = pager_checksum(op->data);
        if (found == intended || found == pager->state.checksums[op->first]) {
            settle_write(op, found);
            return;
        }
    }
    pager_settle_go(op);
}

void pager_settle_go(struct pager_op *op)
{
    bool away = false, any = false;
    if (op->pager->state.checksums[op->first] == 0) {
        settle_write(op, 0); /* the content before is known without asking */
        return;
    }
    for (unsigned i = 0; i < PAGER_REPLICAS_MAX; i++) {
        struct pager_node *node = &op->part->nodes[i];
        if (node->ready && pager_pushed(op, node)) {
            pager_op_stall(op, pager_settle_go); /* first let arrive what was sent before */
            return;
        }
        any = any || node->ready;
        away = away || (node->used && !node->ready);
        if (node->ready && !op->tried[i]) {
            op->asked_slot = i;
            op->holes = 0;
            pager_op_begin(op, settle_read);
            pager_send(op, node, NBD_READ, op->first, 1, op->data);
            pager_op_release(op);
            return;
        }
    }
    if (op->pager->closing) {
        pager_op_end(op);
    } else if (away || !any) {
        memset(op->tried, 0, sizeof op->tried);
        pager_op_stall(op, pager_settle_go);
    } else {
        settle_give_up(op);
    }
}

static struct pager_op *settle_new(struct pager *pager, uint64_t page, uint16_t intent)
{
    struct pager_op *op = pager_op_new(pager, PAGER_OP_SETTLE);
    if (op && !(op->owned = malloc(PAGE_BYTES))) {
        pager_op_free(op);
        return NULL;
    }
    if (op) {
        op->data = op->owned;
        op->part = pager_part_of(pager, page);
        op->first = page;
        op->count = 1;
        op->intents[0] = intent;
        op->has_intents = true;
    }
    return op;
}

void pager_settle_instead(struct pager_op *op)
{
    for (unsigned i = 0; i < op->count; i++) {
        struct pager_op *settle = settle_new(op->pager, op->first + i, op->intents[i]);
        if (settle) {
            pager_op_stall(settle, pager_settle_go);
        } else {
            pager_node_dirty_set(&op->part->nodes[0], op->first + i); /* stays locked: EIO */
        }
    }
    op->has_intents = false;
    op->error = EIO;
    op->count = 0; /* the locks are the settling operations' now */
    pager_op_end(op);
}

int pager_settle_all(struct pager *pager)
{
    for (unsigned i = 0; i < PAGER_INTENTS; i++) {
        uint64_t page = pager->state.intents[i].page;
        if (!page) {
            pager->free_intents[pager->free_intent_count++] = (uint16_t)i;
            continue;
        }
        struct pager_op *op = settle_new(pager, page - 1, (uint16_t)i);
        if (!op) {
            return VIOS_E_NO_SPACE;
        }
        pager_lock_set(op, true);
        op->resume = pager_settle_go; /* the worker's tick is not for this thread to arm */
        pager_queue_add(&pager->stalled, op);
    }
    return VIOS_OK;
}
