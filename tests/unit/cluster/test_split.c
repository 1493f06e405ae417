/* test_split.c - each rule by which a side wins, and what counts as one side. */
#include "cluster/split.h"
#include "tests/tap.h"

static struct split_node nodes[SPLIT_NODES_MAX];
static char names[SPLIT_NODES_MAX][32];
static uint16_t rows[SPLIT_NODES_MAX][SPLIT_NODES_MAX];
static struct split_decision decision;
static size_t node_count;

/* So many nodes that hear nobody, and can commit. */
static void begin(size_t count)
{
    node_count = count;
    for (size_t i = 0; i < count; i++) {
        snprintf(names[i], sizeof names[i], "n%04zu", i);
        nodes[i] = (struct split_node){.name = names[i], .commits = true, .hears = rows[i]};
    }
}

static void hear(size_t from, size_t to)
{
    rows[from][nodes[from].hears_count++] = (uint16_t)to;
}

static void link_two(size_t a, size_t b)
{
    hear(a, b);
    hear(b, a);
}

/* All from `first` to `last` hear each other. */
static void link_all(size_t first, size_t last)
{
    for (size_t a = first; a <= last; a++) {
        for (size_t b = a + 1; b <= last; b++) {
            link_two(a, b);
        }
    }
}

static void decide(enum split_rule rule, size_t side_count, size_t winner)
{
    split_decide(nodes, node_count, &decision);
    is_text(split_rule_name(decision.rule), split_rule_name(rule));
    is_int((long long)decision.side_count, (long long)side_count);
    is_int((long long)decision.winner, (long long)winner);
}

static void one_side_is_whole(void)
{
    begin(3);
    link_all(0, 2);
    decide(SPLIT_WHOLE, 1, 0);
    begin(1);
    decide(SPLIT_WHOLE, 1, 0);
}

static void nobody_has_no_winner(void)
{
    begin(0);
    decide(SPLIT_NO_STORE, 0, SPLIT_NO_SIDE);
}

static void without_the_store_there_is_no_winner(void)
{
    begin(5);
    link_all(0, 3);
    nodes[0].primary = true;
    for (size_t i = 0; i < 5; i++) {
        nodes[i].commits = false;
    }
    decide(SPLIT_NO_STORE, 2, SPLIT_NO_SIDE);
    begin(2);
    link_two(0, 1);
    nodes[0].commits = nodes[1].commits = false;
    decide(SPLIT_NO_STORE, 1, SPLIT_NO_SIDE);
}

static void the_only_side_with_the_store_wins_whatever_its_size(void)
{
    begin(5);
    link_all(0, 3);
    nodes[0].primary = true;
    for (size_t i = 0; i < 4; i++) {
        nodes[i].commits = false;
    }
    decide(SPLIT_STORE, 2, 1);
}

static void one_node_that_commits_is_enough_for_its_side(void)
{
    begin(5);
    link_all(0, 2);
    link_all(3, 4);
    for (size_t i = 0; i < 5; i++) {
        nodes[i].commits = i == 4;
    }
    decide(SPLIT_STORE, 2, 1);
}

static void a_majority_wins_over_the_primary(void)
{
    begin(5);
    link_all(0, 1);
    link_all(2, 4);
    nodes[0].primary = true;
    decide(SPLIT_MAJORITY, 2, 1);
}

static void a_majority_is_more_than_half_of_all_votes(void)
{
    begin(4); /* 2 of 4 are not more than half, though no other side has as many */
    link_two(2, 3);
    nodes[0].primary = true;
    decide(SPLIT_PRIMARY, 3, 0);
    begin(5);
    link_all(2, 4);
    decide(SPLIT_MAJORITY, 3, 2);
}

static void a_majority_without_the_store_does_not_count(void)
{
    begin(7);
    link_all(0, 3);
    link_two(4, 5);
    for (size_t i = 0; i < 4; i++) {
        nodes[i].commits = false;
    }
    nodes[6].primary = true;
    decide(SPLIT_PRIMARY, 3, 2); /* and its votes still count against the others */
}

static void on_a_tie_the_primary_decides(void)
{
    begin(4);
    link_two(0, 1);
    link_two(2, 3);
    nodes[3].primary = true;
    decide(SPLIT_PRIMARY, 2, 1);
}

static void a_primary_without_the_store_does_not_decide(void)
{
    begin(3);
    nodes[0].primary = true;
    nodes[0].commits = false;
    decide(SPLIT_LOWEST_NAME, 3, 1);
}

static void else_the_lowest_name_wins(void)
{
    begin(4);
    link_two(0, 3);
    link_two(1, 2);
    decide(SPLIT_LOWEST_NAME, 2, 0);
    for (size_t i = 0; i < 4; i++) {
        is_int((long long)decision.side[i], i == 0 || i == 3 ? 0 : 1);
    }
}

static void three_sides(void)
{
    begin(6);
    link_two(0, 1);
    link_two(2, 3);
    link_two(4, 5);
    decide(SPLIT_LOWEST_NAME, 3, 0);
    nodes[5].primary = true;
    decide(SPLIT_PRIMARY, 3, 2);
    nodes[4].commits = nodes[5].commits = false;
    decide(SPLIT_LOWEST_NAME, 3, 0);
    nodes[0].commits = nodes[1].commits = false;
    decide(SPLIT_STORE, 3, 1);
}

static void a_link_that_works_one_way_joins_nobody(void)
{
    begin(3);
    link_two(0, 1);
    hear(0, 2);
    hear(1, 2);
    decide(SPLIT_MAJORITY, 2, 0);
    begin(3); /* a ring of one-way links */
    hear(0, 1);
    hear(1, 2);
    hear(2, 0);
    decide(SPLIT_LOWEST_NAME, 3, 0);
}

static void a_chain_of_links_is_one_side(void)
{
    begin(5);
    link_two(4, 0);
    link_two(0, 2);
    link_two(2, 1);
    link_two(1, 3);
    decide(SPLIT_WHOLE, 1, 0);
}

static void those_who_take_no_part_are_passed_over(void)
{
    begin(2);
    link_two(0, 1);
    hear(0, 2);
    hear(1, UINT16_MAX);
    hear(0, 0);
    hear(0, 1); /* twice */
    decide(SPLIT_WHOLE, 1, 0);
}

static void the_largest_cluster(void)
{
    begin(SPLIT_NODES_MAX); /* a chain, the longest way there is */
    for (size_t i = 0; i + 1 < SPLIT_NODES_MAX; i++) {
        link_two(i, i + 1);
    }
    decide(SPLIT_WHOLE, 1, 0);
    begin(SPLIT_NODES_MAX);
    link_all(0, 511);
    link_all(512, 1023);
    nodes[1023].primary = true;
    decide(SPLIT_PRIMARY, 2, 1);
    begin(SPLIT_NODES_MAX);
    link_all(0, 510);
    link_all(511, 1023);
    decide(SPLIT_MAJORITY, 2, 1);
    begin(SPLIT_NODES_MAX);
    decide(SPLIT_LOWEST_NAME, SPLIT_NODES_MAX, 0);
}

int main(void)
{
    RUN(one_side_is_whole);
    RUN(nobody_has_no_winner);
    RUN(without_the_store_there_is_no_winner);
    RUN(the_only_side_with_the_store_wins_whatever_its_size);
    RUN(one_node_that_commits_is_enough_for_its_side);
    RUN(a_majority_wins_over_the_primary);
    RUN(a_majority_is_more_than_half_of_all_votes);
    RUN(a_majority_without_the_store_does_not_count);
    RUN(on_a_tie_the_primary_decides);
    RUN(a_primary_without_the_store_does_not_decide);
    RUN(else_the_lowest_name_wins);
    RUN(three_sides);
    RUN(a_link_that_works_one_way_joins_nobody);
    RUN(a_chain_of_links_is_one_side);
    RUN(those_who_take_no_part_are_passed_over);
    RUN(the_largest_cluster);
    return tap_done();
}
