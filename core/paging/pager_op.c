/*
 * pager_op.c - the life of an operation on pages: its locks, what it waits for, its end.
 *
 * An operation moves by continuations: `step` is called when its last pending send was answered,
 * `resume` when it was stalled and a replica may be there again. Dirty bits and checksums
 * change only when a write has ended, its intents standing until after that. So whatever moment a
 * crash picks, a page is either untouched, or has an intent, or is done.
 */
#include "paging/pager_internal.h"

#include "base/clock.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void op_start(struct pager_op *op);

/* --- pools and queues --- */

struct pager_op *pager_op_new(struct pager *pager, enum pager_op_kind kind)
{
    struct pager_op *op = pager->op_pool;
    if (op) {
        pager->op_pool = op->next;
    } else if (!(op = malloc(sizeof *op))) {
        return NULL;
    }
    memset(op, 0, sizeof *op);
    op->kind = kind;
    op->pager = pager;
    op->deadline_ms = clock_now_ms() + pager->stall_ms;
    pager->ops++;
    return op;
}

void pager_op_free(struct pager_op *op)
{
    struct pager *pager = op->pager;
    free(op->owned);
    op->next = pager->op_pool;
    pager->op_pool = op;
    pager->ops--;
}

void pager_queue_add(struct pager_queue *queue, struct pager_op *op)
{
    op->next = NULL;
    if (!queue->first) {
        queue->end = &queue->first;
    }
    *queue->end = op;
    queue->end = &op->next;
}

static struct pager_op *queue_take_all(struct pager_queue *queue)
{
    struct pager_op *all = queue->first;
    queue->first = NULL;
    return all;
}

/* Empties the queue and calls `run` for each, in order; some may come back to it. */
static void queue_run(struct pager_queue *queue, void (*run)(struct pager_op *op))
{
    struct pager_op *op = queue_take_all(queue);
    while (op) {
        struct pager_op *next = op->next;
        run(op);
        op = next;
    }
}

void pager_queue_remove(struct pager_queue *queue, struct pager_op *op)
{
    struct pager_op **at = &queue->first;
    while (*at != op) {
        at = &(*at)->next;
    }
    *at = op->next;
    if (!op->next) {
        queue->end = at;
    }
}

void pager_tick_soon(struct pager *pager)
{
    if (!pager->tick.armed && !pager->closing) {
        worker_arm(pager->worker, &pager->tick, clock_now_ms() + PAGER_TICK_MS);
    }
}

void pager_op_stall(struct pager_op *op, void (*resume)(struct pager_op *))
{
    op->resume = resume;
    pager_queue_add(&op->pager->stalled, op);
    pager_tick_soon(op->pager);
}

/* --- locks --- */

static bool locked(const struct pager_op *op)
{
    for (uint64_t page = op->first; page < op->first + op->count; page++) {
        if (op->pager->locks[page / 64] >> page % 64 & 1) {
            return true;
        }
    }
    return false;
}

void pager_lock_set(struct pager_op *op, bool set)
{
    for (uint64_t page = op->first; page < op->first + op->count; page++) {
        uint64_t bit = PAGER_BIT(page % 64);
        if (set) {
            op->pager->locks[page / 64] |= bit;
        } else {
            op->pager->locks[page / 64] &= ~bit;
        }
    }
}

static bool overlap(const struct pager_op *a, const struct pager_op *b)
{
    return a->first < b->first + b->count && b->first < a->first + a->count;
}

static bool behind_another(const struct pager_op *op, const struct pager_op *waiting)
{
    while (waiting && !overlap(op, waiting)) {
        waiting = waiting->next;
    }
    return waiting != NULL;
}

void pager_op_run(struct pager_op *op)
{
    if (locked(op) || behind_another(op, op->pager->waiting.first)) {
        pager_queue_add(&op->pager->waiting, op);
        pager_tick_soon(op->pager);
        return;
    }
    pager_lock_set(op, true);
    op_start(op);
}

/* Locks were freed: runs who waited for them, in order. */
static void waiting_scan(struct pager *pager)
{
    if (pager->scanning) {
        pager->rescan = true;
        return;
    }
    pager->scanning = true;
    do {
        pager->rescan = false;
        queue_run(&pager->waiting, pager_op_run);
    } while (pager->rescan && pager->waiting.first);
    pager->scanning = false;
}

void pager_op_unlock(struct pager_op *op)
{
    pager_lock_set(op, false);
    if (op->pager->waiting.first) {
        waiting_scan(op->pager);
    }
}

/* --- the life of an operation --- */

void pager_op_begin(struct pager_op *op, void (*step)(struct pager_op *op))
{
    op->step = step;
    op->failed = 0;
    op->pending = 1; /* the caller's own */
}

void pager_op_release(struct pager_op *op)
{
    assert(op->pending > 0);
    if (--op->pending == 0) {
        op->step(op);
    }
}

static void op_start(struct pager_op *op)
{
    switch (op->kind) {
    case PAGER_OP_READ:
        pager_fetch(op, pager_not_zero(op), pager_read_fetched);
        break;
    case PAGER_OP_WRITE:
        pager_write_start(op);
        break;
    case PAGER_OP_FILL:
        pager_fill_start(op);
        break;
    case PAGER_OP_SETTLE:
        pager_settle_go(op);
        break;
    case PAGER_OP_PUSH: /* never waits for locks */
        assert(false);
    }
}

void pager_op_end(struct pager_op *op)
{
    struct pager *pager = op->pager;
    struct pager_guest *guest = op->guest;
    struct pager_node *filled = op->filled;
    int error = op->error;
    if (op->has_intents && pager->closing) {
        op->has_intents = false; /* for the successor to settle */
    }
    pager_intents_clear(op);
    pager_lock_set(op, false);
    pager_op_free(op);
    if (filled) {
        filled->fills--;
        pager_node_report(filled);
        pager_fill(filled);
    }
    if (guest) {
        pager_guest_piece_done(pager, guest, error);
    }
    if (pager->no_intent.first && pager->free_intent_count >= PAGER_RUN) {
        queue_run(&pager->no_intent, pager_write_begin);
    }
    if (pager->waiting.first) {
        waiting_scan(pager);
    }
}

/* --- what waits --- */

static void op_resume(struct pager_op *op)
{
    op->resume(op);
}

static void op_fail(struct pager_op *op)
{
    op->error = EIO;
    pager_op_end(op);
}

void pager_resume(struct pager *pager)
{
    queue_run(&pager->stalled, op_resume);
}

/* Guest operations that waited for a lock too long, behind one that is stalled. */
static void waiting_expire(struct pager *pager, int64_t now_ms)
{
    struct pager_op *op = queue_take_all(&pager->waiting);
    while (op) {
        struct pager_op *next = op->next;
        if (pager->closing || (op->guest && op->deadline_ms <= now_ms)) {
            op->count = 0; /* it holds no lock */
            op_fail(op);
        } else {
            pager_queue_add(&pager->waiting, op);
        }
        op = next;
    }
}

void pager_ticked(struct timer *timer)
{
    struct pager *pager = (void *)((char *)timer - offsetof(struct pager, tick));
    bool unfilled = false;
    pager_resume(pager);
    waiting_expire(pager, clock_now_ms());
    for (size_t i = 0; i < pager->part_count; i++) {
        for (unsigned slot = 0; slot < PAGER_REPLICAS_MAX; slot++) {
            struct pager_node *node = &pager->parts[i].nodes[slot];
            pager_fill(node);
            unfilled = unfilled || (node->ready && node->dirty_count > 0);
        }
    }
    if (unfilled || pager->stalled.first || pager->waiting.first) {
        pager_tick_soon(pager);
    }
}

void pager_abandon(struct pager *pager)
{
    assert(pager->closing);
    while (pager->stalled.first || pager->waiting.first || pager->no_intent.first) {
        queue_run(&pager->no_intent, op_fail);
        pager_resume(pager);
        waiting_expire(pager, INT64_MAX);
    }
}
