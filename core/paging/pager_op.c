/*
 * pager_op.c - operations on pages: locks, reading with checksums and repair, writing to all
 * replicas, filling, settling.
 *
 * An operation moves by continuations: `step` is called when its last pending send was answered,
 * `resume` when it was stalled and a replica may be there again. Dirty bits and checksums
 * change only when a write has ended, its intents standing until after that. So whatever moment a
 * crash picks, a page is either untouched, or has an intent, or is done.
 */
#include "paging/pager_internal.h"

#include "base/clock.h"
#include "paging/page.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define NO_INTENT UINT16_MAX
#define BIT(i) (UINT64_C(1) << (i))

static void op_start(struct pager_op *op);
static void op_end(struct pager_op *op);
static void write_send(struct pager_op *op);

/* --- pools and queues --- */

static struct pager_op *op_new(struct pager *pager, enum pager_op_kind kind)
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

static void op_free(struct pager_op *op)
{
    struct pager *pager = op->pager;
    free(op->owned);
    op->next = pager->op_pool;
    pager->op_pool = op;
    pager->ops--;
}

static void queue_add(struct pager_queue *queue, struct pager_op *op)
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

static void tick_soon(struct pager *pager)
{
    if (!pager->tick.armed && !pager->closing) {
        worker_arm(pager->worker, &pager->tick, clock_now_ms() + PAGER_TICK_MS);
    }
}

static void op_stall(struct pager_op *op, void (*resume)(struct pager_op *))
{
    op->resume = resume;
    queue_add(&op->pager->stalled, op);
    tick_soon(op->pager);
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

static void lock_set(struct pager_op *op, bool set)
{
    for (uint64_t page = op->first; page < op->first + op->count; page++) {
        uint64_t bit = BIT(page % 64);
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

static void op_run(struct pager_op *op)
{
    if (locked(op) || behind_another(op, op->pager->waiting.first)) {
        queue_add(&op->pager->waiting, op);
        tick_soon(op->pager);
        return;
    }
    lock_set(op, true);
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
        struct pager_op *op = queue_take_all(&pager->waiting);
        while (op) {
            struct pager_op *next = op->next;
            op_run(op);
            op = next;
        }
    } while (pager->rescan && pager->waiting.first);
    pager->scanning = false;
}

/* --- sends --- */

static void op_release(struct pager_op *op)
{
    assert(op->pending > 0);
    if (--op->pending == 0) {
        op->step(op);
    }
}

static void send_done(struct nbd_client_request *request, int error)
{
    struct pager_send *send = (struct pager_send *)request;
    struct pager_node *node = send->node;
    struct pager_op *op = send->op;
    struct pager *pager = node->pager;
    send->free_next = pager->send_pool;
    pager->send_pool = send;
    if (error && node->client && error != ECONNRESET && error != ETIMEDOUT && error != EPROTO) {
        pager_node_fail(node, error == ESHUTDOWN ? "it serves a newer owner"
                                                 : "it answered with an error");
    }
    if (op) {
        op->failed |= error ? 1u << node->slot : 0;
        op_release(op);
    }
}

static void send_to(struct pager_op *op, struct pager_node *node, uint16_t command, uint64_t first,
                    unsigned count, uint8_t *data)
{
    struct pager *pager = node->pager;
    struct pager_send *send = pager->send_pool;
    if (send) {
        pager->send_pool = send->free_next;
    } else if (!(send = malloc(sizeof *send))) {
        if (op) {
            op->failed |= 1u << node->slot;
        }
        return;
    }
    *send = (struct pager_send){.op = op, .node = node};
    send->request.command = command;
    send->request.offset = (first - node->part->first) * PAGER_PAGE;
    send->request.length = count * PAGER_PAGE;
    send->request.data = data;
    send->request.holes = command == NBD_READ ? &op->holes : NULL;
    send->request.done = send_done;
    if (op) {
        op->pending++;
    }
    if (node->is_disk) {
        send_done(&send->request, pager_node_disk(node, &send->request));
    } else if (node->client) {
        node->pages_in += command == NBD_READ ? count : 0;
        node->pages_out += command == NBD_WRITE ? count : 0;
        nbd_client_submit(node->client, &send->request);
    } else {
        send_done(&send->request, ECONNRESET);
    }
}

void pager_send_zeroes(struct pager_node *node)
{
    uint64_t step = NBD_REQUEST_MAX / PAGER_PAGE, end = node->part->first + node->part->pages;
    for (uint64_t page = node->part->first; page < end && node->client; page += step) {
        uint64_t count = step < end - page ? step : end - page;
        send_to(NULL, node, NBD_WRITE_ZEROES, page, (unsigned)count, NULL);
    }
}

/* --- fetching: reads `need` into data, each page with its right checksum --- */

static uint64_t lacks(const struct pager_op *op, unsigned slot)
{
    const struct pager_node *node = &op->part->nodes[slot];
    uint64_t mask = 0;
    for (unsigned i = 0; node->dirty_count > 0 && i < op->count; i++) {
        if (pager_state_dirty(&op->pager->state, slot, op->first + i)) {
            mask |= BIT(i);
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
        run |= BIT(j);
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
    op->failed = 0;
    op->step = fetch_checked;
    op->pending = 1;
    send_to(op, node, NBD_READ, op->first + first, count, op->data + (size_t)first * PAGER_PAGE);
    op_release(op);
}

/* Whether some replica that is away, and lacks it not, may still have one of these pages. */
static bool may_come(const struct pager_op *op, uint64_t pages)
{
    for (unsigned i = 0; i < PAGER_REPLICAS_MAX; i++) {
        const struct pager_node *node = &op->part->nodes[i];
        if (node->used && !node->ready && (pages & ~lacks(op, i))) {
            return true;
        }
    }
    return false;
}

static void fetch_go(struct pager_op *op)
{
    uint64_t missing = op->need & ~op->good;
    if (!missing) {
        fetch_finish(op);
        return;
    }
    for (unsigned i = 0; i < PAGER_REPLICAS_MAX; i++) {
        struct pager_node *node = &op->part->nodes[i];
        uint64_t wanted = node->ready ? missing & ~op->tried[i] & ~lacks(op, i) : 0;
        if (wanted) {
            fetch_ask(op, node, first_run(op, wanted));
            return;
        }
    }
    if (op->kind != PAGER_OP_FILL && may_come(op, missing) && clock_now_ms() < op->deadline_ms &&
        !op->pager->closing) {
        memset(op->tried, 0, sizeof op->tried);
        op_stall(op, fetch_go);
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
        uint8_t *page = op->data + (size_t)i * PAGER_PAGE;
        bool hole = op->holes >> (i - first) & 1;
        if (!hole && pager_checksum(page) == op->pager->state.checksums[op->first + i]) {
            op->good |= BIT(i);
        } else {
            op->bad[slot] |= BIT(i);
            op->pager->checksum_errors++;
        }
    }
    fetch_go(op);
}

static void repaired(struct pager_op *op)
{
    for (unsigned slot = 0; slot < PAGER_REPLICAS_MAX; slot++) {
        bool failed = op->failed >> slot & 1;
        for (unsigned i = 0; i < op->count; i++) {
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
    op->failed = 0;
    op->step = repaired;
    op->pending = 1;
    bool any = false;
    for (unsigned slot = 0; slot < PAGER_REPLICAS_MAX; slot++) {
        struct pager_node *node = &op->part->nodes[slot];
        op->bad[slot] &= op->good;
        for (unsigned i = 0; op->bad[slot] && i < op->count; i++) {
            if (op->bad[slot] >> i & 1) {
                any = true;
                send_to(op, node, NBD_WRITE, op->first + i, 1, op->data + (size_t)i * PAGER_PAGE);
            }
        }
    }
    if (any) {
        op_release(op);
    } else {
        op->pending = 0;
        op->fetched(op, 0);
    }
}

static void fetch(struct pager_op *op, uint64_t need, void (*fetched)(struct pager_op *, int))
{
    op->need = need;
    op->good = 0;
    op->fetched = fetched;
    memset(op->tried, 0, sizeof op->tried);
    memset(op->bad, 0, sizeof op->bad);
    fetch_go(op);
}

static uint64_t not_zero(const struct pager_op *op)
{
    uint64_t mask = 0;
    for (unsigned i = 0; i < op->count; i++) {
        if (op->pager->state.checksums[op->first + i]) {
            mask |= BIT(i);
        }
    }
    return mask;
}

/* --- reading for the guest --- */

static bool is_partial(const struct pager_op *op)
{
    return op->offset % PAGER_PAGE || op->length % PAGER_PAGE;
}

static void read_fetched(struct pager_op *op, int error)
{
    struct nbd_request *request = op->guest->request;
    uint64_t base = op->first - request->offset / PAGER_PAGE;
    op->error = error;
    for (unsigned i = 0; !error && i < op->count; i++) {
        if (!(op->need >> i & 1)) {
            request->holes[(base + i) / 64] |= BIT((base + i) % 64);
        }
    }
    if (!error && op->owned) {
        memcpy(request->data + (op->offset - request->offset),
               op->owned + (op->offset - op->first * PAGER_PAGE), op->length);
    }
    op->pager->pages_in += (uint64_t)__builtin_popcountll(op->good);
    op_end(op);
}

/* --- writing --- */

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

static void intents_clear(struct pager_op *op)
{
    struct pager *pager = op->pager;
    for (unsigned i = 0; op->has_intents && i < op->count; i++) {
        atomic_store(&pager->state.intents[op->intents[i]].page, 0);
        pager->free_intents[pager->free_intent_count++] = op->intents[i];
    }
    op->has_intents = false;
}

/* The write is at all of `done`: their bits, then the checksums, then the intents. */
static void write_publish(struct pager_op *op, unsigned done)
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
    intents_clear(op);
    for (unsigned slot = 0; slot < PAGER_REPLICAS_MAX; slot++) {
        struct pager_node *node = &op->part->nodes[slot];
        pager_node_report(node);
        if (node->ready && node->dirty_count > 0) {
            tick_soon(pager); /* it came while this was on its way: there is something to fill */
        }
    }
}

static void settle_instead(struct pager_op *op);

static void write_sent(struct pager_op *op)
{
    unsigned done = op->targets & ~op->failed;
    if (done) {
        write_publish(op, done);
        op_end(op);
    } else if (op->pager->closing) {
        op->error = EIO;
        op_end(op);
    } else if (clock_now_ms() < op->deadline_ms) {
        op_stall(op, write_send);
    } else {
        settle_instead(op);
    }
}

/* The pages from `i` on that are alike, zero or not. */
static unsigned alike(const struct pager_op *op, unsigned i, uint64_t pages)
{
    unsigned count = 1;
    while (i + count < op->count && pages >> (i + count) & 1 &&
           (op->checksums[i + count] == 0) == (op->checksums[i] == 0)) {
        count++;
    }
    return count;
}

/* Sends these pages of the operation to one replica: zero pages without payload. */
static void send_pages(struct pager_op *op, struct pager_node *node, uint64_t pages)
{
    for (unsigned i = 0, count; i < op->count; i += count) {
        count = 1;
        if (!(pages >> i & 1)) {
            continue;
        }
        count = alike(op, i, pages);
        if (op->checksums[i] == 0) {
            send_to(op, node, NBD_WRITE_ZEROES, op->first + i, count, NULL);
        } else {
            send_to(op, node, NBD_WRITE, op->first + i, count, op->data + (size_t)i * PAGER_PAGE);
        }
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
            send_pages(op, node, pager_mask(op->count));
        }
    }
    op_release(op);
}

static void write_begin(struct pager_op *op)
{
    if (!op->has_intents && !intents_set(op)) {
        queue_add(&op->pager->no_intent, op);
        return;
    }
    write_send(op);
}

static void write_merged(struct pager_op *op, int error)
{
    if (error) {
        op->error = error;
        op_end(op);
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
    write_begin(op);
}

static void write_start(struct pager_op *op)
{
    if (op->owned) {
        fetch(op, not_zero(op), write_merged);
        return;
    }
    for (unsigned i = 0; i < op->count; i++) {
        op->checksums[i] = op->data ? pager_checksum(op->data + (size_t)i * PAGER_PAGE) : 0;
    }
    write_begin(op);
}

/* --- filling --- */

static void fill_sent(struct pager_op *op)
{
    struct pager_node *node = op->filled;
    bool failed = op->failed >> node->slot & 1;
    for (unsigned i = 0; !failed && i < op->count; i++) {
        if (op->good >> i & 1) {
            pager_node_dirty_clear(node, op->first + i);
        }
    }
    op_end(op);
}

static void fill_fetched(struct pager_op *op, int error)
{
    struct pager_node *node = op->filled;
    uint64_t pages = op->good;
    (void)error; /* what was not found stays marked */
    for (unsigned i = 0; i < op->count; i++) {
        op->checksums[i] = op->pager->state.checksums[op->first + i];
        if (!op->checksums[i] && pager_state_dirty(&op->pager->state, node->slot, op->first + i)) {
            pages |= BIT(i);
        }
    }
    op->good = pages;
    op->failed = 0;
    op->step = fill_sent;
    op->pending = 1;
    if (node->ready) {
        send_pages(op, node, pages);
    } else {
        op->failed = 1u << node->slot;
    }
    op_release(op);
}

static void fill_start(struct pager_op *op)
{
    uint64_t need = lacks(op, op->filled->slot) & not_zero(op);
    fetch(op, need, fill_fetched);
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
    struct pager_op *op = op_new(node->pager, PAGER_OP_FILL);
    uint8_t *data = op ? malloc((size_t)count * PAGER_PAGE) : NULL;
    if (!data) {
        if (op) {
            op_free(op);
        }
        return false;
    }
    op->part = node->part;
    op->first = first;
    op->count = count;
    op->data = op->owned = data;
    op->filled = node;
    node->fills++;
    op_run(op);
    return true;
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
        more = fill_find(node, &first, &count) && fill_one(node, first, count);
    }
    node->filling = false;
    if (node->ready && node->dirty_count > 0 && node->fills == 0) {
        node->fill_next = node->part->first; /* some had no source: later again */
        node->fill_again_ms = clock_now_ms() + PAGER_FILL_AGAIN_MS;
        tick_soon(node->pager);
    }
}

/* --- settling: an unfinished write is made whole --- */

static void settle_go(struct pager_op *op);

static void settle_sent(struct pager_op *op)
{
    unsigned done = op->targets & ~op->failed;
    if (done) {
        write_publish(op, done);
        op_end(op);
    } else if (op->pager->closing) {
        op_end(op);
    } else {
        op_stall(op, settle_go);
    }
}

static void settle_write(struct pager_op *op, uint64_t checksum)
{
    op->checksums[0] = checksum;
    op->targets = op->failed = 0;
    op->step = settle_sent;
    op->pending = 1;
    for (unsigned slot = 0; slot < PAGER_REPLICAS_MAX; slot++) {
        if (op->part->nodes[slot].ready) {
            op->targets |= 1u << slot;
            send_pages(op, &op->part->nodes[slot], 1);
        }
    }
    op_release(op);
}

/* Nobody has either content: the page is lost, unless the guest's write comes again. */
static void settle_give_up(struct pager_op *op)
{
    op->pager->lost_pages++;
    intents_clear(op);
    op_end(op);
}

static void settle_read(struct pager_op *op)
{
    struct pager *pager = op->pager;
    uint64_t intended = pager->state.intents[op->intents[0]].checksum;
    op->tried[op->asked_slot] = 1;
    if (!op->failed) {
        if (op->holes & 1) {
            memset(op->data, 0, PAGER_PAGE);
        }
        uint64_t found = pager_checksum(op->data);
        if (found == intended || found == pager->state.checksums[op->first]) {
            settle_write(op, found);
            return;
        }
    }
    settle_go(op);
}

static void settle_go(struct pager_op *op)
{
    bool away = false, any = false;
    if (op->pager->state.checksums[op->first] == 0) {
        settle_write(op, 0); /* the content before is known without asking */
        return;
    }
    for (unsigned i = 0; i < PAGER_REPLICAS_MAX; i++) {
        struct pager_node *node = &op->part->nodes[i];
        any = any || node->ready;
        away = away || (node->used && !node->ready);
        if (node->ready && !op->tried[i]) {
            op->asked_slot = i;
            op->holes = 0;
            op->failed = 0;
            op->step = settle_read;
            op->pending = 1;
            send_to(op, node, NBD_READ, op->first, 1, op->data);
            op_release(op);
            return;
        }
    }
    if (op->pager->closing) {
        op_end(op);
    } else if (away || !any) {
        memset(op->tried, 0, sizeof op->tried);
        op_stall(op, settle_go);
    } else {
        settle_give_up(op);
    }
}

static struct pager_part *part_of(struct pager *pager, uint64_t page)
{
    size_t low = 0, high = pager->part_count;
    while (high - low > 1) {
        size_t middle = (low + high) / 2;
        if (pager->parts[middle].first <= page) {
            low = middle;
        } else {
            high = middle;
        }
    }
    return &pager->parts[low];
}

static struct pager_op *settle_new(struct pager *pager, uint64_t page, uint16_t intent)
{
    struct pager_op *op = op_new(pager, PAGER_OP_SETTLE);
    if (op && !(op->owned = malloc(PAGER_PAGE))) {
        op_free(op);
        return NULL;
    }
    if (op) {
        op->data = op->owned;
        op->part = part_of(pager, page);
        op->first = page;
        op->count = 1;
        op->intents[0] = intent;
        op->has_intents = true;
    }
    return op;
}

/* A write that came to no end in time: the guest gets its error, and the pages, whose content is
 * now one or the other, stay locked until that is settled. */
static void settle_instead(struct pager_op *op)
{
    for (unsigned i = 0; i < op->count; i++) {
        struct pager_op *settle = settle_new(op->pager, op->first + i, op->intents[i]);
        if (settle) {
            op_stall(settle, settle_go);
        } else {
            pager_node_dirty_set(&op->part->nodes[0], op->first + i); /* stays locked: EIO */
        }
    }
    op->has_intents = false;
    op->error = EIO;
    op->count = 0; /* the locks are the settling operations' now */
    op_end(op);
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
        lock_set(op, true);
        op->resume = settle_go; /* the worker's tick is not for this thread to arm */
        queue_add(&pager->stalled, op);
    }
    return VIOS_OK;
}

/* --- the life of an operation --- */

static void op_start(struct pager_op *op)
{
    switch (op->kind) {
    case PAGER_OP_READ:
        fetch(op, not_zero(op), read_fetched);
        break;
    case PAGER_OP_WRITE:
        write_start(op);
        break;
    case PAGER_OP_FILL:
        fill_start(op);
        break;
    case PAGER_OP_SETTLE:
        settle_go(op);
        break;
    }
}

static void guest_go_on(struct pager_guest *guest, struct pager *pager);

static void guest_piece_done(struct pager *pager, struct pager_guest *guest, int error)
{
    guest->running--;
    guest->error = guest->error ? guest->error : error;
    guest_go_on(guest, pager);
}

static void no_intent_scan(struct pager *pager)
{
    struct pager_op *op = queue_take_all(&pager->no_intent);
    while (op) {
        struct pager_op *next = op->next;
        write_begin(op);
        op = next;
    }
}

static void op_end(struct pager_op *op)
{
    struct pager *pager = op->pager;
    struct pager_guest *guest = op->guest;
    struct pager_node *filled = op->filled;
    int error = op->error;
    if (op->has_intents && pager->closing) {
        op->has_intents = false; /* for the successor to settle */
    }
    intents_clear(op);
    lock_set(op, false);
    op_free(op);
    if (filled) {
        filled->fills--;
        pager_node_report(filled);
        pager_fill(filled);
    }
    if (guest) {
        guest_piece_done(pager, guest, error);
    }
    if (pager->no_intent.first && pager->free_intent_count >= PAGER_RUN) {
        no_intent_scan(pager);
    }
    if (pager->waiting.first) {
        waiting_scan(pager);
    }
}

/* --- the guest's requests --- */

static void guest_finish(struct pager *pager, struct pager_guest *guest)
{
    struct nbd_request *request = guest->request;
    uint64_t took_us = (uint64_t)(clock_now_ns() - guest->started_ns) / 1000;
    int error = guest->error;
    if (request->command == NBD_READ) {
        histogram_add(&pager->in_us, took_us);
    } else if (request->command != NBD_FLUSH) {
        histogram_add(&pager->out_us, took_us);
    }
    pager->errors += error != 0;
    guest->free_next = pager->guest_pool;
    pager->guest_pool = guest;
    nbd_request_done(request, error);
}

/* One operation for the next bytes of the request; false when memory is short. */
static bool guest_start_piece(struct pager *pager, struct pager_guest *guest)
{
    struct nbd_request *request = guest->request;
    bool read = request->command == NBD_READ;
    struct pager_op *op = op_new(pager, read ? PAGER_OP_READ : PAGER_OP_WRITE);
    if (!op) {
        return false;
    }
    uint64_t end = request->offset + request->length;
    op->guest = guest;
    op->first = guest->next / PAGER_PAGE;
    op->part = part_of(pager, op->first);
    uint64_t limit = op->part->first + op->part->pages;
    limit = limit < op->first + PAGER_RUN ? limit : op->first + PAGER_RUN;
    limit = limit * PAGER_PAGE < end ? limit * PAGER_PAGE : end;
    op->offset = guest->next;
    op->length = (uint32_t)(limit - guest->next);
    op->count = (unsigned)((limit + PAGER_PAGE - 1) / PAGER_PAGE - op->first);
    if (is_partial(op)) {
        op->data = op->owned = malloc((size_t)op->count * PAGER_PAGE);
        if (!op->owned) {
            op_free(op);
            return false;
        }
    } else if (request->data) {
        op->data = request->data + (guest->next - request->offset);
    }
    guest->next = limit;
    guest->running++;
    op_run(op);
    return true;
}

static void guest_go_on(struct pager_guest *guest, struct pager *pager)
{
    if (guest->starting) {
        return;
    }
    uint64_t end = guest->request->offset + guest->request->length;
    guest->starting = true;
    while (!guest->error && guest->next < end && guest->running < PAGER_GUEST_PIECES) {
        if (!guest_start_piece(pager, guest)) {
            guest->error = ENOMEM;
        }
    }
    guest->starting = false;
    if (guest->running == 0 && (guest->error || guest->next >= end)) {
        guest_finish(pager, guest);
    }
}

static void block_status(struct pager *pager, struct nbd_request *request)
{
    uint64_t first = request->offset / PAGER_PAGE;
    uint64_t last = (request->offset + request->length - 1) / PAGER_PAGE;
    for (uint64_t page = first; page <= last; page++) {
        if (!pager->state.checksums[page]) {
            request->holes[(page - first) / 64] |= BIT((page - first) % 64);
        }
    }
    nbd_request_done(request, 0);
}

void pager_submit(struct nbd_export *export, struct nbd_request *request)
{
    struct pager *pager = export->backend;
    struct pager_guest *guest = pager->guest_pool;
    if (request->command == NBD_BLOCK_STATUS) {
        block_status(pager, request);
        return;
    }
    if (request->command == NBD_FLUSH || pager->closing) {
        nbd_request_done(request, pager->closing ? ESHUTDOWN : 0);
        return;
    }
    if (guest) {
        pager->guest_pool = guest->free_next;
    } else if (!(guest = malloc(sizeof *guest))) {
        nbd_request_done(request, ENOMEM);
        return;
    }
    *guest = (struct pager_guest){.request = request, .next = request->offset};
    guest->started_ns = clock_now_ns();
    guest_go_on(guest, pager);
}

/* --- what waits --- */

void pager_resume(struct pager *pager)
{
    struct pager_op *op = queue_take_all(&pager->stalled);
    while (op) {
        struct pager_op *next = op->next;
        op->resume(op);
        op = next;
    }
}

/* Guest operations that waited for a lock too long, behind one that is stalled. */
static void waiting_expire(struct pager *pager, int64_t now_ms)
{
    struct pager_op *op = queue_take_all(&pager->waiting);
    while (op) {
        struct pager_op *next = op->next;
        if (pager->closing || (op->guest && op->deadline_ms <= now_ms)) {
            op->error = EIO;
            op->count = 0; /* it holds no lock */
            op_end(op);
        } else {
            queue_add(&pager->waiting, op);
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
        tick_soon(pager);
    }
}

void pager_abandon(struct pager *pager)
{
    assert(pager->closing);
    while (pager->stalled.first || pager->waiting.first || pager->no_intent.first) {
        struct pager_op *op = queue_take_all(&pager->no_intent);
        while (op) {
            struct pager_op *next = op->next;
            op->error = EIO;
            op_end(op);
            op = next;
        }
        pager_resume(pager);
        waiting_expire(pager, INT64_MAX);
    }
}
