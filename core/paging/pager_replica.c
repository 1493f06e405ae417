/*
 * pager_replica.c - a replica's connection, its state, and what it lacks.
 *
 * Each time a replica is lost the region's number grows, and it is connected to under the new
 * number: page memory then refuses what may still travel on the old connection.
 */
#include "paging/pager_internal.h"

#include "base/clock.h"
#include "paging/page_name.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define REFUSALS_SHIFT_MAX 10

static void node_connect(struct pager_node *node);

/* --- what it lacks --- */

void pager_node_dirty_set(struct pager_node *node, uint64_t page)
{
    node->dirty_count += pager_state_dirty_set(&node->pager->state, node->slot, page);
}

void pager_node_dirty_clear(struct pager_node *node, uint64_t page)
{
    node->dirty_count -= pager_state_dirty_clear(&node->pager->state, node->slot, page);
}

static void lacks_all(struct pager_node *node)
{
    for (uint64_t i = 0; i < node->part->pages; i++) {
        if (node->pager->state.checksums[node->part->first + i]) {
            pager_node_dirty_set(node, node->part->first + i);
        }
    }
}

static void lacks_none(struct pager_node *node)
{
    for (uint64_t i = 0; i < node->part->pages; i++) {
        pager_node_dirty_clear(node, node->part->first + i);
    }
}

/* --- state --- */

const char *pager_node_state(const struct pager_node *node)
{
    if (!node->ready) {
        return "lost";
    }
    return node->dirty_count > 0 ? "filling" : "current";
}

static void retire_if_idle(struct pager_part *part)
{
    for (unsigned i = 0; i < PAGER_REPLICAS_MAX; i++) {
        if (part->nodes[i].retiring) {
            pager_node_retire(&part->nodes[i]);
        }
    }
}

void pager_node_report(struct pager_node *node)
{
    const char *state = pager_node_state(node);
    struct pager *pager = node->pager;
    if (!node->used || state == node->reported) {
        return;
    }
    node->reported = state;
    if (pager->hooks.replica) {
        pager->hooks.replica(pager->hooks.context, pager->export.lpar, node->part->index,
                             node->part->state->number, node->state->node, state, node->why);
    }
    if (node->ready && node->dirty_count == 0) {
        retire_if_idle(node->part);
    }
}

/* --- connecting --- */

static void retry_later(struct pager_node *node)
{
    if (!node->used || node->pager->closing) {
        return;
    }
    worker_arm(node->pager->worker, &node->retry, clock_now_ms() + node->back_off_ms);
    node->back_off_ms *= 2;
    if (node->back_off_ms > PAGER_BACK_OFF_MAX_MS) {
        node->back_off_ms = PAGER_BACK_OFF_MAX_MS;
    }
}

static void retry_expired(struct timer *timer)
{
    struct pager_node *node = (void *)((char *)timer - offsetof(struct pager_node, retry));
    node_connect(node);
}

/* The replica's memory is the one we knew, or it starts from nothing. */
static void check_entry(struct pager_node *node, const char *entry)
{
    if (strcmp(node->state->entry, entry) == 0) {
        return;
    }
    if (!node->state->entry[0]) {
        pager_send_zeroes(node); /* of an earlier life of the LPAR */
    }
    lacks_all(node);
    snprintf(node->state->entry, sizeof node->state->entry, "%s", entry);
}

static void node_ready(void *context, const struct nbd_client_export *export)
{
    struct pager_node *node = context;
    if (export->size != node->part->state->size_bytes) {
        pager_node_fail(node, "its region has another size");
        return;
    }
    node->ready = true;
    node->refusals = 0;
    node->back_off_ms = PAGER_BACK_OFF_MIN_MS;
    node->fill_next = node->part->first;
    node->fill_again_ms = 0;
    node->why[0] = 0;
    check_entry(node, export->description);
    pager_node_report(node);
    pager_fill(node);
    pager_resume(node->pager);
}

static void node_closed(void *context, const struct vios_error *why)
{
    struct pager_node *node = context;
    struct nbd_client *client = node->client;
    node->client = NULL;
    if (!node->why[0]) {
        snprintf(node->why, sizeof node->why, "%.150s", why->message);
    }
    if (node->ready) {
        node->ready = false;
        atomic_fetch_add(&node->part->state->number, 1);
    } else if (why->code == VIOS_E_NOT_FOUND) {
        /* The grant is not there yet, or a predecessor of ours had come with a higher number. */
        unsigned shift = node->refusals < REFUSALS_SHIFT_MAX ? node->refusals : REFUSALS_SHIFT_MAX;
        atomic_fetch_add(&node->part->state->number, UINT64_C(1) << shift);
        node->refusals++;
    }
    pager_node_report(node);
    nbd_client_free(client);
    retry_later(node);
}

/* A socket of this machine is plain; another machine must be the replica's node by its certificate,
 * and is told nothing before. */
static int open_client(struct pager_node *node, const char *name, struct vios_error *error)
{
    struct pager *pager = node->pager;
    struct nbd_client_callbacks callbacks = {node_ready, node_closed, node};
    if (strncmp(node->address, "unix:", 5) == 0) {
        return nbd_client_open(&node->client, pager->worker, node->address, name, pager->late_ms,
                               &callbacks, error);
    }
    if (!pager->tls) {
        return error_set(error, VIOS_E_INVALID, node->address, NULL, "there is no TLS for it");
    }
    return nbd_client_open_tls(&node->client, pager->worker, node->address, name, pager->late_ms,
                               &callbacks, pager->tls, node->state->node, error);
}

static void node_connect(struct pager_node *node)
{
    struct pager *pager = node->pager;
    struct vios_error error;
    char name[160];
    page_name_format(name, sizeof name, pager->export.lpar, node->part->index,
                     node->part->state->number, *pager->state.generation);
    node->why[0] = 0;
    if (open_client(node, name, &error) != VIOS_OK) {
        node->client = NULL;
        snprintf(node->why, sizeof node->why, "%.150s", error.message);
        retry_later(node);
    }
}

void pager_node_start(struct pager_node *node)
{
    if (node->is_disk) {
        node->ready = true;
        pager_node_report(node);
        return;
    }
    node->retry.expired = retry_expired;
    node->back_off_ms = PAGER_BACK_OFF_MIN_MS;
    node_connect(node);
}

void pager_node_fail(struct pager_node *node, const char *why)
{
    if (node->client) {
        snprintf(node->why, sizeof node->why, "%s", why);
        nbd_client_close(node->client, why);
    }
}

void pager_node_stop(struct pager_node *node, const char *why)
{
    node->used = false;
    worker_disarm(node->pager->worker, &node->retry);
    pager_node_fail(node, why);
    worker_disarm(node->pager->worker, &node->retry);
}

/* --- joining and leaving --- */

void pager_node_use(struct pager_node *node, const struct pager_replica *replica)
{
    lacks_all(node);
    snprintf(node->state->node, sizeof node->state->node, "%s", replica->node);
    node->state->entry[0] = 0;
    atomic_store(&node->state->used, 1);
    snprintf(node->address, sizeof node->address, "%s", replica->address);
    node->used = true;
    node->reported = NULL;
}

static bool other_is_current(const struct pager_node *node)
{
    for (unsigned i = 0; i < PAGER_REPLICAS_MAX; i++) {
        const struct pager_node *other = &node->part->nodes[i];
        if (other != node && other->used && !other->retiring && other->ready &&
            other->dirty_count == 0) {
            return true;
        }
    }
    return false;
}

void pager_node_retire(struct pager_node *node)
{
    node->retiring = !other_is_current(node);
    if (!node->retiring) {
        pager_node_stop(node, "it is no longer a replica");
        atomic_store(&node->state->used, 0);
        lacks_none(node);
    }
}

/* --- policy `disk` --- */

int pager_node_open_disk(struct pager_node *node, const char *path, struct vios_error *error)
{
    node->is_disk = true;
    node->disk_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (node->disk_fd < 0) {
        return error_set_errno(error, path, "cannot open the paging file");
    }
    if (ftruncate(node->disk_fd, (off_t)node->part->state->size_bytes) != 0) {
        return error_set_errno(error, path, "cannot size the paging file");
    }
    return VIOS_OK;
}

void pager_node_close_disk(struct pager_node *node)
{
    if (node->is_disk && node->disk_fd >= 0) {
        close(node->disk_fd);
        node->disk_fd = -1;
    }
}

/* On the worker itself: the page cache takes it, and swap on a disk waits for the disk anyway. */
int pager_node_disk(struct pager_node *node, const struct nbd_client_request *request)
{
    uint64_t done = 0;
    if (request->command == NBD_WRITE_ZEROES) {
        /* Only to save space: a page whose checksum says zero is never read. */
        (void)!fallocate(node->disk_fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                         (off_t)request->offset, request->length);
        return 0;
    }
    while (done < request->length) {
        off_t at = (off_t)(request->offset + done);
        ssize_t step =
            request->command == NBD_READ
                ? pread(node->disk_fd, request->data + done, request->length - done, at)
                : pwrite(node->disk_fd, request->data + done, request->length - done, at);
        if (step == 0) {
            return EIO; /* somebody made the file shorter */
        }
        if (step < 0 && errno != EINTR) {
            return errno;
        }
        done += step > 0 ? (uint64_t)step : 0;
    }
    return 0;
}
