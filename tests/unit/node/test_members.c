/* test_members.c - up, suspect, down and drained, by when a revision was first seen. */
#include "node/members.h"
#include "tests/tap.h"

#define TTL_MS 5000

static struct node node;

static void fill(struct store_value *value, const char *key, const char *json, int64_t revision)
{
    *value = (struct store_value){.key = (char *)key, .json = (char *)json, .revision = revision};
}

/* n1 is this node; n2 has the revision given (0: never alive); n3 is drained. */
static void list(int64_t now_ms, int64_t revision)
{
    struct store_value nodes[3], alive[3];
    fill(&nodes[0], "/node/n1", "{\"v\":1,\"name\":\"n1\",\"state\":\"up\",\"level\":1}", 1);
    fill(&nodes[1], "/node/n2",
         "{\"v\":1,\"name\":\"n2\",\"state\":\"up\",\"address\":\"127.0.0.2\",\"nbd\":\"unix:/x\"}",
         2);
    fill(&nodes[2], "/node/n3", "{\"v\":1,\"name\":\"n3\",\"state\":\"drained\"}", 3);
    fill(&alive[0], "/alive/n1", "{\"v\":1,\"incarnation\":2}", now_ms);
    fill(&alive[1], "/alive/n3", "{\"v\":1,\"incarnation\":1}", now_ms);
    fill(&alive[2], "/alive/n2",
         "{\"v\":1,\"incarnation\":4,\"page_memory\":{\"size\":100,\"used\":40}}", revision);
    struct store_list node_list = {nodes, 3}, alive_list = {alive, revision > 0 ? 3 : 2};
    is_int(members_update(node.members, &node_list, &alive_list, now_ms), VIOS_OK);
}

static const char *state_of(const char *name)
{
    struct member *members;
    size_t count;
    enum member_state state = MEMBER_DOWN;
    is_int(node_members(&node, &members, &count), VIOS_OK);
    for (size_t i = 0; i < count; i++) {
        state = strcmp(members[i].name, name) == 0 ? members[i].state : state;
    }
    free(members);
    return member_state_name(state);
}

static void begin(void)
{
    members_free(node.members);
    node.members = members_new("n1", TTL_MS);
}

static void one_seen_at_the_start_is_suspect_until_it_changes(void)
{
    begin();
    list(1000, 50);
    is_text(state_of("n1"), "up");
    is_text(state_of("n2"), "suspect");
    list(2000, 50);
    is_text(state_of("n2"), "suspect");
    list(3000, 51);
    is_text(state_of("n2"), "up");
}

static void one_at_a_standstill_becomes_suspect_then_down(void)
{
    begin();
    list(1000, 50);
    list(2000, 51);
    list(2000 + TTL_MS * 3 / 5 - 1, 51);
    is_text(state_of("n2"), "up");
    list(2000 + TTL_MS * 3 / 5, 51);
    is_text(state_of("n2"), "suspect");
    list(2000 + TTL_MS - 1, 51);
    is_text(state_of("n2"), "suspect");
    list(2000 + TTL_MS, 51);
    is_text(state_of("n2"), "down");
    list(2001 + TTL_MS, 52);
    is_text(state_of("n2"), "up");
}

static void one_never_alive_is_down_and_a_new_one_up(void)
{
    begin();
    list(1000, 0);
    is_text(state_of("n2"), "down");
    list(2000, 60);
    is_text(state_of("n2"), "up");
}

static void a_drained_one_is_drained_while_it_lives(void)
{
    begin();
    list(1000, 50);
    is_text(state_of("n3"), "drained");
}

static void the_records_are_shown(void)
{
    struct member *members;
    size_t count;
    begin();
    list(1000, 50);
    node_members(&node, &members, &count);
    is_int(count, 3);
    is_text(members[1].name, "n2");
    is_text(members[1].address, "127.0.0.2");
    is_text(members[1].nbd, "unix:/x");
    is_int(members[1].incarnation, 4);
    is_int(members[1].page_memory_bytes, 100);
    is_int(members[1].page_memory_used_bytes, 40);
    free(members);
}

int main(void)
{
    RUN(one_seen_at_the_start_is_suspect_until_it_changes);
    RUN(one_at_a_standstill_becomes_suspect_then_down);
    RUN(one_never_alive_is_down_and_a_new_one_up);
    RUN(a_drained_one_is_drained_while_it_lives);
    RUN(the_records_are_shown);
    members_free(node.members);
    return tap_done();
}
