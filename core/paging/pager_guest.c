/*
 * pager_guest.c - the guest's requests, cut into operations.
 */
#include "paging/pager_internal.h"

#include "base/clock.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct pager_part *pager_part_of(struct pager *pager, uint64_t page)
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

/* Whether the guest's bytes do not fill its pages. */
static bool is_partial(const struct pager_op *op)
{
    return op->offset % PAGE_BYTES || op->length % PAGE_BYTES;
}

void pager_read_fetched(struct pager_op *op, int error)
{
    struct nbd_request *request = op->guest->request;
    uint64_t base = op->first - request->offset / PAGE_BYTES;
    op->error = error;
    for (unsigned i = 0; !error && i < op->count; i++) {
        if (!(op->need >> i & 1)) {
            request->holes[(base + i) / 64] |= PAGER_BIT((base + i) % 64);
        }
    }
    if (!error && op->owned) {
        memcpy(request->data + (op->offset - request->offset),
               op->owned + (op->offset - op->first * PAGE_BYTES), op->length);
    }
    op->pager->pages_in += (uint64_t)__builtin_popcountll(op->good);
    pager_op_end(op);
}

static void guest_go_on(struct pager_guest *guest, struct pager *pager);

void pager_guest_piece_done(struct pager *pager, struct pager_guest *guest, int error)
{
    guest->running--;
    guest->error = guest->error ? guest->error : error;
    guest_go_on(guest, pager);
}

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
    struct pager_op *op = pager_op_new(pager, read ? PAGER_OP_READ : PAGER_OP_WRITE);
    if (!op) {
        return false;
    }
    uint64_t end = request->offset + request->length;
    op->guest = guest;
    op->first = guest->next / PAGE_BYTES;
    op->part = pager_part_of(pager, op->first);
    uint64_t limit = op->part->first + op->part->pages;
    limit = limit < op->first + PAGER_RUN ? limit : op->first + PAGER_RUN;
    limit = limit * PAGE_BYTES < end ? limit * PAGE_BYTES : end;
    op->offset = guest->next;
    op->length = (uint32_t)(limit - guest->next);
    op->count = (unsigned)((limit + PAGE_BYTES - 1) / PAGE_BYTES - op->first);
    if (is_partial(op)) {
        op->data = op->owned = malloc((size_t)op->count * PAGE_BYTES);
        if (!op->owned) {
            pager_op_free(op);
            return false;
        }
    } else if (request->data) {
        op->data = request->data + (guest->next - request->offset);
    }
    guest->next = limit;
    guest->running++;
    pager_op_run(op);
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
    uint64_t first = request->offset / PAGE_BYTES;
    uint64_t last = (request->offset + request->length - 1) / PAGE_BYTES;
    for (uint64_t page = first; page <= last; page++) {
        if (!pager->state.checksums[page]) {
            request->holes[(page - first) / 64] |= PAGER_BIT((page - first) % 64);
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
