/*
 * pager.c - the pager's export: opening, handing over, changing its regions, statistics.
 *
 * The control thread only checks and copies; what changes the pager is a task on its home
 * worker. Tasks run in order, and `close` comes last.
 */
#include "paging/pager_internal.h"

#include "base/parse.h"

#include <assert.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct nbd_backend_operations pager_operations;

static struct pager *pager_of(const struct nbd_export *export)
{
    assert(pager_is(export));
    return export->backend;
}

int pager_is(const struct nbd_export *export)
{
    return export->operations == &pager_operations;
}

/* --- checking --- */

static int check_region(const struct pager_region *region, size_t i, uint64_t offset,
                        const char *lpar, struct vios_error *error)
{
    if (region->index != i || region->offset != offset || region->size_bytes == 0 ||
        region->size_bytes % PAGE_BYTES || region->size_bytes > PAGER_SIZE_MAX) {
        return error_set(error, VIOS_E_INVALID, lpar, NULL,
                         "region %zu does not begin where the one before ends, or is not of "
                         "whole pages",
                         i);
    }
    if (region->replica_count == 0 || region->replica_count > PAGER_REPLICAS_MAX) {
        return error_set(error, VIOS_E_INVALID, lpar, NULL, "region %zu has %zu replicas, not 1-%d",
                         i, region->replica_count, PAGER_REPLICAS_MAX);
    }
    for (size_t a = 0; a < region->replica_count; a++) {
        int status = parse_name(region->replicas[a].node, "node", error);
        if (status != VIOS_OK) {
            return status;
        }
        for (size_t b = 0; b < a; b++) {
            if (strcmp(region->replicas[a].node, region->replicas[b].node) == 0) {
                return error_set(error, VIOS_E_INVALID, lpar, NULL, "region %zu has node %s twice",
                                 i, region->replicas[a].node);
            }
        }
    }
    return VIOS_OK;
}

static int check_regions(const struct pager_region *regions, size_t count, uint64_t size_bytes,
                         const char *lpar, struct vios_error *error)
{
    uint64_t offset = 0;
    int status = VIOS_OK;
    if (count == 0 || count > PAGER_REGIONS_MAX) {
        return error_set(error, VIOS_E_INVALID, lpar, NULL, "%zu regions are not 1-%d", count,
                         PAGER_REGIONS_MAX);
    }
    for (size_t i = 0; status == VIOS_OK && i < count; i++) {
        status = check_region(&regions[i], i, offset, lpar, error);
        offset += regions[i].size_bytes; /* 1024 of 2^42: no overflow */
    }
    if (status == VIOS_OK && (offset != size_bytes || offset > PAGER_SIZE_MAX)) {
        status = error_set(error, VIOS_E_INVALID, lpar, NULL,
                           "the regions have %" PRIu64 " bytes, the device %" PRIu64, offset,
                           size_bytes);
    }
    return status;
}

/* --- regions, on the home worker --- */

static struct pager_node *part_node(struct pager_part *part, const char *name)
{
    for (unsigned i = 0; i < PAGER_REPLICAS_MAX; i++) {
        if (part->nodes[i].used && strcmp(part->nodes[i].state->node, name) == 0) {
            return &part->nodes[i];
        }
    }
    return NULL;
}

static struct pager_node *part_free_node(struct pager_part *part)
{
    for (unsigned i = 0; i < PAGER_REPLICAS_MAX; i++) {
        if (!part->nodes[i].used) {
            return &part->nodes[i];
        }
    }
    return NULL;
}

static bool region_names(const struct pager_region *region, const char *node)
{
    for (size_t i = 0; i < region->replica_count; i++) {
        if (strcmp(region->replicas[i].node, node) == 0) {
            return true;
        }
    }
    return false;
}

/* A replica that is new, or known and perhaps at another address. */
static void part_take(struct pager_part *part, const struct pager_replica *replica)
{
    struct pager_node *node = part_node(part, replica->node);
    if (node) {
        node->retiring = false;
        if (strcmp(node->address, replica->address) != 0) {
            snprintf(node->address, sizeof node->address, "%s", replica->address);
            pager_node_fail(node, "its address changed");
        }
        return;
    }
    node = part_free_node(part);
    if (node) { /* none: the next `regions` finds one, when those retiring are gone */
        pager_node_use(node, replica);
        pager_node_start(node);
    }
}

static void part_change(struct pager_part *part, const struct pager_region *region)
{
    uint64_t number = part->state->number;
    if (number < region->number) {
        atomic_store(&part->state->number, region->number);
    }
    for (size_t i = 0; i < region->replica_count; i++) {
        if (part_node(part, region->replicas[i].node)) {
            part_take(part, &region->replicas[i]);
        }
    }
    for (unsigned i = 0; i < PAGER_REPLICAS_MAX; i++) {
        struct pager_node *node = &part->nodes[i];
        if (node->used && !region_names(region, node->state->node)) {
            pager_node_retire(node);
        }
    }
    for (size_t i = 0; i < region->replica_count; i++) {
        part_take(part, &region->replicas[i]);
    }
}

/* --- tasks for the home worker --- */

struct pager_change {
    struct task task;
    struct pager *pager;
    bool start, claim;
    size_t count;
    struct pager_region regions[];
};

static void change_claimed(struct pager *pager)
{
    for (size_t i = 0; i < pager->part_count; i++) {
        for (unsigned slot = 0; slot < PAGER_REPLICAS_MAX; slot++) {
            pager_node_fail(&pager->parts[i].nodes[slot], "the generation changed");
        }
    }
}

static void part_start(struct pager_part *part)
{
    for (unsigned i = 0; i < PAGER_REPLICAS_MAX; i++) {
        if (part->nodes[i].used) {
            pager_node_start(&part->nodes[i]);
        }
    }
}

static void change_run(struct task *task)
{
    struct pager_change *change = (struct pager_change *)task;
    struct pager *pager = change->pager;
    if (change->claim && !pager->closing) {
        change_claimed(pager);
    }
    for (size_t i = 0; change->start && i < pager->part_count; i++) {
        part_start(&pager->parts[i]);
    }
    for (size_t i = 0; !pager->closing && i < change->count; i++) {
        part_change(&pager->parts[i], &change->regions[i]);
    }
    if (change->start && pager->stalled.first) {
        pager_ticked(&pager->tick);
    }
    free(change);
}

static int change_post(struct pager *pager, bool start, bool claim,
                       const struct pager_region *regions, size_t count, struct vios_error *error)
{
    struct pager_change *change = calloc(1, sizeof *change + count * sizeof *regions);
    if (!change) {
        return error_no_memory(error, pager->export.lpar);
    }
    change->task.run = change_run;
    change->pager = pager;
    change->start = start;
    change->claim = claim;
    change->count = count;
    if (count > 0) {
        memcpy(change->regions, regions, count * sizeof *regions);
    }
    worker_post(pager->worker, &change->task);
    return VIOS_OK;
}

int pager_claim(struct nbd_export *export, uint64_t generation, struct vios_error *error)
{
    struct pager *pager = pager_of(export);
    uint64_t known = *pager->state.generation;
    if (generation < known) {
        return error_set(error, VIOS_E_STALE, export->lpar, NULL,
                         "generation %" PRIu64 " is older than %" PRIu64, generation, known);
    }
    if (generation == known) {
        return VIOS_OK;
    }
    atomic_store(pager->state.generation, generation);
    return change_post(pager, false, true, NULL, 0, error);
}

int pager_set_regions(struct nbd_export *export, const struct pager_region *regions, size_t count,
                      struct vios_error *error)
{
    struct pager *pager = pager_of(export);
    int status = check_regions(regions, count, export->size, export->lpar, error);
    bool same = count == pager->part_count;
    if (pager->policy == PAGER_DISK) {
        return error_set(error, VIOS_E_INVALID, export->lpar, NULL,
                         "a paging device on a disk has no regions");
    }
    for (size_t i = 0; same && i < count; i++) {
        same = regions[i].size_bytes == pager->state.regions[i].size_bytes;
    }
    if (status == VIOS_OK && !same) {
        status = error_set(error, VIOS_E_INVALID, export->lpar, NULL,
                           "the sizes of regions cannot change");
    }
    return status == VIOS_OK ? change_post(pager, false, false, regions, count, error) : status;
}

int pager_state_descriptor(const struct nbd_export *export)
{
    return pager_of(export)->state.file.fd;
}

/* --- opening --- */

static void pager_free(struct pager *pager)
{
    if (!pager) {
        return;
    }
    for (struct pager_op *op = pager->op_pool, *next; op; op = next) {
        next = op->next;
        free(op);
    }
    for (struct pager_send *send = pager->send_pool, *next; send; send = next) {
        next = send->free_next;
        free(send);
    }
    for (struct pager_guest *guest = pager->guest_pool, *next; guest; guest = next) {
        next = guest->free_next;
        free(guest);
    }
    for (size_t i = 0; pager->parts && i < pager->part_count; i++) {
        pager_node_close_disk(&pager->parts[i].nodes[0]);
    }
    pager_state_close(&pager->state);
    free(pager->parts);
    free(pager->locks);
    free(pager);
}

static uint64_t count_dirty(const struct pager_node *node)
{
    uint64_t count = 0;
    for (uint64_t i = 0; i < node->part->pages; i++) {
        count += pager_state_dirty(&node->pager->state, node->slot, node->part->first + i);
    }
    return count;
}

static void node_open(struct pager *pager, struct pager_part *part, unsigned slot, bool taken)
{
    struct pager_node *node = &part->nodes[slot];
    node->pager = pager;
    node->part = part;
    node->slot = slot;
    node->state = &part->state->replicas[slot];
    node->used = node->state->used;
    node->dirty_count = taken ? count_dirty(node) : 0;
}

static void part_open(struct pager *pager, size_t i, const struct pager_region *region, bool taken)
{
    struct pager_part *part = &pager->parts[i];
    part->state = &pager->state.regions[i];
    part->index = (uint32_t)i;
    part->first = region->offset / PAGE_BYTES;
    part->pages = region->size_bytes / PAGE_BYTES;
    uint64_t number = part->state->number + (taken ? 1 : 0); /* fences the predecessor's */
    part->state->number = number > region->number ? number : region->number;
    for (unsigned slot = 0; slot < PAGER_REPLICAS_MAX; slot++) {
        node_open(pager, part, slot, taken);
    }
    for (size_t j = 0; j < region->replica_count; j++) {
        struct pager_node *node = part_node(part, region->replicas[j].node);
        if (node) {
            snprintf(node->address, sizeof node->address, "%s", region->replicas[j].address);
        } else if ((node = part_free_node(part))) {
            pager_node_use(node, &region->replicas[j]);
        }
    }
}

static int pager_allocate(struct pager *pager, const struct pager_configuration *configuration,
                          struct vios_error *error)
{
    pager->part_count = configuration->region_count;
    pager->parts = calloc(pager->part_count, sizeof *pager->parts);
    pager->locks = calloc(pager->state.pages / 64 + 1, sizeof *pager->locks);
    if (!pager->parts || !pager->locks) {
        return error_no_memory(error, configuration->lpar);
    }
    return VIOS_OK;
}

static void export_fill(struct pager *pager, const struct pager_configuration *configuration)
{
    struct nbd_export *export = &pager->export;
    snprintf(export->name, sizeof export->name, "%s", configuration->name);
    snprintf(export->lpar, sizeof export->lpar, "%s", configuration->lpar);
    snprintf(export->description, sizeof export->description, "paging device of %s",
             configuration->lpar);
    export->size = configuration->size_bytes;
    export->multi_connection = true;
    export->minimum_block = 1;
    export->operations = &pager_operations;
    export->home = pager->worker;
    export->backend = pager;
    export->state = EXPORT_OPEN;
}

/* Everything but the tasks: nothing here is on the worker yet. */
static int pager_build(struct pager *pager, const struct pager_configuration *configuration,
                       int state_fd, struct vios_error *error)
{
    int status = pager_state_open(&pager->state, configuration, state_fd, error);
    if (status == VIOS_OK) {
        status = pager_allocate(pager, configuration, error);
    }
    if (status != VIOS_OK) {
        return status;
    }
    export_fill(pager, configuration);
    pager->policy = configuration->policy;
    pager->tls = configuration->tls;
    pager->late_ms = configuration->late_ms ? configuration->late_ms : PAGER_LATE_MS;
    pager->stall_ms = configuration->stall_ms ? configuration->stall_ms : PAGER_STALL_MS;
    pager->tick.expired = pager_ticked;
    pager->patience.expired = pager_patience_ended;
    for (uint64_t i = 0; state_fd >= 0 && i < pager->state.pages; i++) {
        pager->pages_held += pager->state.checksums[i] != 0;
    }
    for (size_t i = 0; i < pager->part_count; i++) {
        part_open(pager, i, &configuration->regions[i], state_fd >= 0);
    }
    if (pager->policy == PAGER_DISK) {
        return pager_node_open_disk(&pager->parts[0].nodes[0], configuration->disk, error);
    }
    return VIOS_OK;
}

/* From here on the pager belongs to its worker. */
static int pager_start(struct pager *pager, const struct pager_configuration *configuration,
                       struct vios_error *error)
{
    if (pager_settle_all(pager) != VIOS_OK) {
        return error_no_memory(error, pager->export.lpar);
    }
    return change_post(pager, true, false, configuration->regions, configuration->region_count,
                       error);
}

static int open_regions(struct nbd_export **out, const struct pager_configuration *configuration,
                        int state_fd, struct worker *home, const struct pager_hooks *hooks,
                        struct vios_error *error)
{
    int status = check_regions(configuration->regions, configuration->region_count,
                               configuration->size_bytes, configuration->lpar, error);
    if (status != VIOS_OK) {
        return status;
    }
    struct pager *pager = calloc(1, sizeof *pager);
    if (!pager) {
        return error_no_memory(error, configuration->lpar);
    }
    pager->worker = home;
    pager->hooks = *hooks;
    status = pager_build(pager, configuration, state_fd, error);
    if (status == VIOS_OK) {
        status = pager_start(pager, configuration, error);
    }
    if (status != VIOS_OK) {
        pager_free(pager);
        return status;
    }
    *out = &pager->export;
    return VIOS_OK;
}

int pager_open(struct nbd_export **out, const struct pager_configuration *configuration,
               int state_fd, struct worker *home, const struct pager_hooks *hooks,
               struct vios_error *error)
{
    struct pager_configuration whole = *configuration;
    struct pager_region file = {.number = 1, .size_bytes = configuration->size_bytes};
    int status = parse_uuid(configuration->lpar, error);
    if (status != VIOS_OK) {
        return status;
    }
    if (configuration->policy == PAGER_DISK) { /* one region, whose only replica is the file */
        if (!configuration->disk || configuration->disk[0] != '/') {
            return error_set(error, VIOS_E_USAGE, configuration->lpar, NULL,
                             "policy disk needs the absolute path of a file");
        }
        snprintf(file.replicas[0].node, sizeof file.replicas[0].node, "disk");
        file.replica_count = 1;
        whole.regions = &file;
        whole.region_count = 1;
    }
    return open_regions(out, &whole, state_fd, home, hooks, error);
}

/* --- closing --- */

/* Nothing of the worker's points here any more once this runs: deferred after the clients' own
 * tasks. */
static void closed_run(struct task *task)
{
    struct pager *pager = (void *)((char *)task - offsetof(struct pager, closed_task));
    void (*closed)(struct nbd_export *) = pager->closed;
    assert(pager->ops == 0);
    if (closed) {
        closed(&pager->export);
    }
    pager_free(pager);
}

static void pager_close(struct nbd_export *export, void (*closed)(struct nbd_export *))
{
    struct pager *pager = pager_of(export);
    pager->closing = true;
    pager->closed = closed;
    worker_disarm(pager->worker, &pager->tick);
    for (size_t i = 0; i < pager->part_count; i++) {
        for (unsigned slot = 0; slot < PAGER_REPLICAS_MAX; slot++) {
            pager_node_stop(&pager->parts[i].nodes[slot], "the pager ends");
        }
    }
    assert(!pager->patient.first); /* the connections have ended, and with them all pushes */
    worker_disarm(pager->worker, &pager->patience);
    pager_abandon(pager);
    pager->closed_task.run = closed_run;
    worker_defer(pager->worker, &pager->closed_task);
}

/* --- statistics --- */

static json_t *node_statistics(const struct pager_node *node)
{
    uint64_t total = node->part->pages;
    return json_pack("{s:s, s:s, s:s, s:I, s:I, s:I, s:I, s:s}", "node", node->state->node,
                     "address", node->address, "state", pager_node_state(node), "pages_filled",
                     (json_int_t)(total - node->dirty_count), "pages_total", (json_int_t)total,
                     "pages_in", (json_int_t)node->pages_in, "pages_out",
                     (json_int_t)node->pages_out, "why", node->why);
}

static json_t *part_statistics(const struct pager_part *part, bool *down, bool *degraded,
                               unsigned wanted)
{
    json_t *replicas = json_array();
    unsigned ready = 0, current = 0;
    for (unsigned i = 0; i < PAGER_REPLICAS_MAX; i++) {
        const struct pager_node *node = &part->nodes[i];
        if (node->used) {
            json_array_append_new(replicas, node_statistics(node));
            ready += node->ready;
            current += node->ready && node->dirty_count == 0;
            *degraded = *degraded || !node->ready || node->dirty_count > 0;
        }
    }
    *down = *down || ready == 0;
    *degraded = *degraded || current < wanted;
    return json_pack("{s:I, s:I, s:o}", "index", (json_int_t)part->index, "number",
                     (json_int_t)part->state->number, "replicas", replicas);
}

static json_t *histogram_json(const struct histogram *histogram)
{
    return json_pack("{s:I, s:I, s:I}", "p50", (json_int_t)histogram_percentile(histogram, 500),
                     "p99", (json_int_t)histogram_percentile(histogram, 990), "p999",
                     (json_int_t)histogram_percentile(histogram, 999));
}

static void set_integer(json_t *object, const char *key, uint64_t value)
{
    json_object_set_new(object, key, json_integer((json_int_t)value));
}

static void pager_statistics(struct nbd_export *export, void *json_object)
{
    static const char *const POLICIES[] = {"mirror", "single", "disk"};
    struct pager *pager = pager_of(export);
    json_t *object = json_object, *regions = json_array();
    bool down = false, degraded = false;
    for (size_t i = 0; i < pager->part_count; i++) {
        json_array_append_new(regions, part_statistics(&pager->parts[i], &down, &degraded,
                                                       pager->policy == PAGER_MIRROR ? 2 : 1));
    }
    json_object_set_new(object, "kind", json_string("pager"));
    set_integer(object, "generation", *pager->state.generation);
    json_object_set_new(object, "policy", json_string(POLICIES[pager->policy]));
    json_object_set_new(object, "state", json_string(down ? "DOWN" : degraded ? "DEGRADED" : "OK"));
    json_object_set_new(object, "regions", regions);
    set_integer(object, "pages_held", pager->pages_held);
    set_integer(object, "pages_in", pager->pages_in);
    set_integer(object, "pages_out", pager->pages_out);
    set_integer(object, "zero_pages", pager->zero_pages);
    set_integer(object, "repairs", pager->repairs);
    set_integer(object, "checksum_errors", pager->checksum_errors);
    set_integer(object, "lost_pages", pager->lost_pages);
    set_integer(object, "failed_requests", pager->errors);
    json_object_set_new(object, "in_us", histogram_json(&pager->in_us));
    json_object_set_new(object, "out_us", histogram_json(&pager->out_us));
    json_object_set_new(object, "in_us_counts", histogram_to_json(&pager->in_us));
}

static const struct nbd_backend_operations pager_operations = {
    .submit = pager_submit, .close = pager_close, .statistics = pager_statistics};
