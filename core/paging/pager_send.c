/*
 * pager_send.c - what an operation asks of one replica.
 */
#include "paging/pager_internal.h"

#include <errno.h>
#include <stdlib.h>

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
        pager_op_release(op);
    }
}

void pager_send(struct pager_op *op, struct pager_node *node, uint16_t command, uint64_t first,
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
    send->request.offset = (first - node->part->first) * PAGE_BYTES;
    send->request.length = count * PAGE_BYTES;
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
    uint64_t step = NBD_REQUEST_MAX / PAGE_BYTES, end = node->part->first + node->part->pages;
    for (uint64_t page = node->part->first; page < end && node->client; page += step) {
        uint64_t count = step < end - page ? step : end - page;
        pager_send(NULL, node, NBD_WRITE_ZEROES, page, (unsigned)count, NULL);
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

void pager_send_pages(struct pager_op *op, struct pager_node *node, uint64_t pages)
{
    for (unsigned i = 0, count; i < op->count; i += count) {
        count = 1;
        if (!(pages >> i & 1)) {
            continue;
        }
        count = alike(op, i, pages);
        if (op->checksums[i] == 0) {
            pager_send(op, node, NBD_WRITE_ZEROES, op->first + i, count, NULL);
        } else {
            pager_send(op, node, NBD_WRITE, op->first + i, count,
                       op->data + (size_t)i * PAGE_BYTES);
        }
    }
}
