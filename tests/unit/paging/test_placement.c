/* Proves: an LPAR's pages go to the nodes with the most room, never to the host, never twice to
 * one node; a refusal says what is missing; a lost replica is replaced under a higher number. */
#include "paging/placement.h"
#include "tests/tap.h"

#define MIB (UINT64_C(1) << 20)

static struct placement_node nodes[4];

static void four_nodes(void)
{
    memset(nodes, 0, sizeof nodes);
    for (int i = 0; i < 4; i++) {
        snprintf(nodes[i].name, sizeof nodes[i].name, "n%d", i + 1);
        nodes[i].usable = true;
        nodes[i].size_bytes = 256 * MIB;
    }
}

static struct paging_record record_of(uint64_t size_bytes, enum paging_policy policy)
{
    struct paging_record record = {.policy = policy, .size_bytes = size_bytes};
    snprintf(record.lpar, sizeof record.lpar, "web1");
    snprintf(record.host, sizeof record.host, "n1");
    return record;
}

static void mirrors_on_the_two_emptiest(void)
{
    four_nodes();
    nodes[1].used_bytes = 64 * MIB;
    struct paging_record record = record_of(128 * MIB, PAGING_MIRROR);
    is_int(paging_place(nodes, 4, &record, NULL), VIOS_OK);
    is_int(record.region_count, 1);
    is_int(record.regions[0].replica_count, 2);
    is_text(record.regions[0].replicas[0], "n3");
    is_text(record.regions[0].replicas[1], "n4");
    is_int(nodes[2].used_bytes, 128 * MIB);
}

static void never_on_the_host(void)
{
    four_nodes();
    nodes[0].size_bytes = 1024 * MIB;
    struct paging_record record = record_of(64 * MIB, PAGING_SINGLE);
    is_int(paging_place(nodes, 4, &record, NULL), VIOS_OK);
    is_text(record.regions[0].replicas[0], "n2");
}

static void refuses_with_the_numbers(void)
{
    four_nodes();
    nodes[1].usable = false;
    nodes[2].used_bytes = 200 * MIB;
    struct vios_error error = {0};
    struct paging_record record = record_of(128 * MIB, PAGING_MIRROR);
    is_int(paging_place(nodes, 4, &record, &error), VIOS_E_NO_SPACE);
    is_text(error.object, "paging \"web1\"");
    is_text(error.message,
            "no page memory for policy mirror (need 128 MiB on each of 2 nodes other than n1; "
            "free: n2 not up, n3 56 MiB, n4 128 MiB)");
    is_text(error.hint, "give other nodes more page_memory, or take --policy single");
}

static void cuts_large_devices_into_regions(void)
{
    four_nodes();
    for (int i = 0; i < 4; i++) {
        nodes[i].size_bytes = 4096 * MIB;
    }
    struct paging_record record = record_of(2560 * MIB, PAGING_MIRROR);
    is_int(paging_place(nodes, 4, &record, NULL), VIOS_OK);
    is_int(record.region_count, 3);
    is_int(record.regions[2].offset, 2048 * MIB);
    is_int(record.regions[2].size_bytes, 512 * MIB);
}

static void replaces_a_lost_replica(void)
{
    four_nodes();
    struct paging_record record = record_of(128 * MIB, PAGING_MIRROR);
    is_int(paging_place(nodes, 4, &record, NULL), VIOS_OK);
    nodes[1].usable = false;
    is_int(paging_place_again(nodes, 4, &record, 0, "n2", 7, NULL), VIOS_OK);
    is_text(record.regions[0].replicas[0], "n4");
    is_text(record.regions[0].replicas[1], "n3");
    is_int(record.regions[0].number, 7);
    struct vios_error error = {0};
    is_int(paging_place_again(nodes, 4, &record, 0, "n2", 8, &error), VIOS_E_NOT_FOUND);
    nodes[2].usable = false;
    is_int(paging_place_again(nodes, 4, &record, 0, "n3", 8, &error), VIOS_E_NO_SPACE);
    is_int(record.regions[0].number, 7);
}

int main(void)
{
    RUN(mirrors_on_the_two_emptiest);
    RUN(never_on_the_host);
    RUN(refuses_with_the_numbers);
    RUN(cuts_large_devices_into_regions);
    RUN(replaces_a_lost_replica);
    return tap_done();
}
