/* test_members.c - the records of the members, as they were listed last. Their states are the
 * agent's, see tests/unit/cluster; here there is none, and who ever lived is up. */
#include "node/members.h"
#include "tests/tap.h"

static struct node node;

static void fill(struct store_value *value, const char *key, const char *json, int64_t revision)
{
    *value = (struct store_value){.key = (char *)key, .json = (char *)json, .revision = revision};
}

/* n1 and n2 are alive, n3 never was. */
static void list(void)
{
    struct store_value nodes[3], alive[2];
    fill(&nodes[0], "/node/n1", "{\"v\":1,\"name\":\"n1\",\"state\":\"up\",\"level\":1}", 1);
    fill(&nodes[1], "/node/n2",
         "{\"v\":1,\"name\":\"n2\",\"role\":\"witness\",\"address\":\"127.0.0.2\","
         "\"nbd\":\"unix:/x\"}",
         2);
    fill(&nodes[2], "/node/n3", "{\"v\":1,\"name\":\"n3\"}", 3);
    fill(&alive[0], "/alive/n1", "{\"v\":1,\"incarnation\":2}", 7);
    fill(&alive[1], "/alive/n2",
         "{\"v\":1,\"incarnation\":4,\"page_memory\":{\"size\":100,\"used\":40}}", 8);
    struct store_list node_list = {nodes, 3}, alive_list = {alive, 2};
    is_int(members_update(node.members, &node_list, &alive_list), VIOS_OK);
}

static void the_records_are_shown(void)
{
    struct member *members;
    size_t count;
    list();
    is_int(node_members(&node, &members, &count), VIOS_OK);
    is_int(count, 3);
    is_text(members[0].name, "n1");
    is_int(members[0].level, 1);
    is_text(members[1].name, "n2");
    is_text(members[1].role, "witness");
    is_text(members[1].address, "127.0.0.2");
    is_text(members[1].nbd, "unix:/x");
    is_int(members[1].incarnation, 4);
    is_int(members[1].page_memory_bytes, 100);
    is_int(members[1].page_memory_used_bytes, 40);
    free(members);
}

static void one_that_never_lived_or_is_unknown_is_down(void)
{
    list();
    is_text(member_state_name(node_member_state(&node, "n2")), "up");
    is_text(member_state_name(node_member_state(&node, "n3")), "down");
    is_text(member_state_name(node_member_state(&node, "n4")), "down");
}

static void a_new_listing_replaces_the_old_one(void)
{
    struct member *members;
    size_t count;
    struct store_value last;
    struct store_list nodes = {&last, 1}, alive = {NULL, 0};
    list();
    fill(&last, "/node/n9", "{\"v\":1}", 9);
    is_int(members_update(node.members, &nodes, &alive), VIOS_OK);
    is_int(node_members(&node, &members, &count), VIOS_OK);
    is_int(count, 1);
    is_text(members[0].name, "n9");
    free(members);
}

int main(void)
{
    node.members = members_new();
    RUN(the_records_are_shown);
    RUN(one_that_never_lived_or_is_unknown_is_down);
    RUN(a_new_listing_replaces_the_old_one);
    members_free(node.members);
    return tap_done();
}
