/* placement.c - the choice of nodes for an LPAR's pages. */
#include "paging/placement.h"

#include <stdio.h>
#include <string.h>

#define MIB (1024.0 * 1024.0)

static uint64_t free_bytes(const struct placement_node *node)
{
    return node->used_bytes < node->size_bytes ? node->size_bytes - node->used_bytes : 0;
}

/* Sorts before: more free memory, then the lower name. */
static bool better(const struct placement_node *a, const struct placement_node *b)
{
    if (free_bytes(a) != free_bytes(b)) {
        return free_bytes(a) > free_bytes(b);
    }
    return strcmp(a->name, b->name) < 0;
}

static bool fits(const struct placement_node *node, const char *host,
                 const struct paging_region *region)
{
    return node->usable && strcmp(node->name, host) != 0 &&
           paging_region_find(region, node->name) < 0 && free_bytes(node) >= region->size_bytes;
}

static struct placement_node *choose(struct placement_node *nodes, size_t count, const char *host,
                                     const struct paging_region *region)
{
    struct placement_node *best = NULL;
    for (size_t i = 0; i < count; i++) {
        if (fits(&nodes[i], host, region) && (!best || better(&nodes[i], best))) {
            best = &nodes[i];
        }
    }
    return best;
}

/* "n2 64 MiB, n3 not up": what an administrator needs to see why it was refused. */
static void describe(const struct placement_node *nodes, size_t count, const char *host, char *text,
                     size_t size)
{
    size_t used = 0;
    text[0] = '\0';
    for (size_t i = 0; i < count && used < size; i++) {
        const char *comma = used ? ", " : "";
        if (strcmp(nodes[i].name, host) == 0) {
            continue;
        }
        if (nodes[i].usable) {
            used += (size_t)snprintf(text + used, size - used, "%s%s %.0f MiB", comma,
                                     nodes[i].name, (double)free_bytes(&nodes[i]) / MIB);
        } else {
            used += (size_t)snprintf(text + used, size - used, "%s%s not up", comma, nodes[i].name);
        }
    }
}

static int refuse(const struct placement_node *nodes, size_t count,
                  const struct paging_record *record, uint64_t need, struct vios_error *error)
{
    char object[96], have[200];
    snprintf(object, sizeof object, "paging \"%s\"", record->lpar);
    describe(nodes, count, record->host, have, sizeof have);
    size_t replicas = paging_policy_replicas(record->policy);
    return error_set(error, VIOS_E_NO_SPACE, object,
                     replicas > 1 ? "give other nodes more page_memory, or take --policy single"
                                  : "give other nodes more page_memory",
                     "no page memory for policy %s (need %.0f MiB on each of %zu nodes other "
                     "than %s; free: %s)",
                     paging_policy_name(record->policy), (double)need / MIB, replicas, record->host,
                     have[0] ? have : "no other node");
}

static int place_region(struct placement_node *nodes, size_t count, struct paging_record *record,
                        struct paging_region *region, struct vios_error *error)
{
    while (region->replica_count < paging_policy_replicas(record->policy)) {
        struct placement_node *node = choose(nodes, count, record->host, region);
        if (!node) {
            return refuse(nodes, count, record, region->size_bytes, error);
        }
        node->used_bytes += region->size_bytes;
        memcpy(region->replicas[region->replica_count++], node->name, sizeof node->name);
    }
    return VIOS_OK;
}

int paging_place(struct placement_node *nodes, size_t count, struct paging_record *record,
                 struct vios_error *error)
{
    uint64_t offset = 0;
    record->region_count = 0;
    while (offset < record->size_bytes) {
        struct paging_region *region = &record->regions[record->region_count++];
        uint64_t left = record->size_bytes - offset;
        *region = (struct paging_region){
            .number = 1,
            .offset = offset,
            .size_bytes = left < PAGING_REGION_BYTES ? left : PAGING_REGION_BYTES,
        };
        int status = place_region(nodes, count, record, region, error);
        if (status != VIOS_OK) {
            return status;
        }
        offset += region->size_bytes;
    }
    return VIOS_OK;
}

int paging_place_again(struct placement_node *nodes, size_t count, struct paging_record *record,
                       size_t index, const char *lost, int64_t number, struct vios_error *error)
{
    struct paging_region *region = &record->regions[index];
    int place = paging_region_find(region, lost);
    struct placement_node *node = choose(nodes, count, record->host, region);
    if (place < 0) {
        return error_set(error, VIOS_E_NOT_FOUND, NULL, NULL,
                         "node \"%s\" has no part of region %zu", lost, index);
    }
    if (!node) {
        return refuse(nodes, count, record, region->size_bytes, error);
    }
    node->used_bytes += region->size_bytes;
    memcpy(region->replicas[place], node->name, sizeof node->name);
    region->number = region->number + 1 > number ? region->number + 1 : number;
    return VIOS_OK;
}
